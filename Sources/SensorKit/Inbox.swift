import MQTT
import Synchronization

/// What the connection's thread has for the driver's thread, in order.
final class Inbox: Sendable {
    enum Item: Sendable {
        case connected
        case disconnected(MQTTError)
        case published(id: Int32, error: MQTTError?)
        case message(Message)
    }

    private struct State {
        var items: [Item] = []
        var messages = 0
        var lostMessages = 0
    }

    /// Readable while there is something; see `take`.
    var descriptor: Int32 { wakeUp.descriptor }
    private let wakeUp = WakeUp()
    private let state = Mutex(State())

    /// Messages that may wait for the driver's thread. All other items are few by their nature.
    private static let maximumMessages = 64
    private static let maximumPayload = 64 << 10

    func put(_ event: Client.Event) {
        state.withLock { state in
            switch event {
            case .connected: state.items.append(.connected)
            case .disconnected(let reason): state.items.append(.disconnected(reason))
            case .published(let id, let error): state.items.append(.published(id: id, error: error))
            case .message(let message):
                guard state.messages < Self.maximumMessages, message.payload.count <= Self.maximumPayload else {
                    state.lostMessages += 1
                    break
                }
                state.messages += 1
                state.items.append(.message(message))
            }
        }
        wakeUp.signal()
    }

    /// Takes out everything.
    ///
    /// - Returns: the items, and how many messages were thrown away because they were too large or too many.
    func take() -> (items: [Item], lostMessages: Int) {
        wakeUp.reset()
        return state.withLock { state in
            defer { state = State() }
            return (state.items, state.lostMessages)
        }
    }
}
