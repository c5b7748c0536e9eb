import MQTT
import Synchronization

/// What the broker sent and the hub's thread has not looked at yet. It is bounded: whoever puts something into a full
/// inbox waits, and the broker with it.
final class Inbox: Sendable {
    private static let maximumEvents = 10_000
    private static let maximumBytes = 128 << 20

    private struct State {
        var events: [Client.Event] = []
        var bytes = 0
        var isStopping = false

        var isFull: Bool { events.count >= maximumEvents || bytes >= maximumBytes }
    }

    private let state = Mutex(State())
    private let arrival = WakeUp()
    private let room = WakeUp()

    func put(_ event: Client.Event) {
        while state.withLock({ $0.isFull && !$0.isStopping }) { room.wait(.milliseconds(100)) }
        state.withLock { state in
            state.events.append(event)
            if case .message(let message) = event { state.bytes += message.payload.count }
        }
        arrival.signal()
    }

    func stop() {
        state.withLock { $0.isStopping = true }
        arrival.signal()
    }

    var isStopping: Bool { state.withLock { $0.isStopping } }

    /// All that is there, after waiting for the first if there is nothing.
    func take(waitingAtMost duration: Duration) -> [Client.Event] {
        if state.withLock({ $0.events.isEmpty && !$0.isStopping }) { arrival.wait(duration) }
        defer { room.signal() }
        return state.withLock { state in
            defer { (state.events, state.bytes) = ([], 0) }
            return state.events
        }
    }

    /// Waits until something comes, or `duration` is over.
    func wait(_ duration: Duration) { arrival.wait(duration) }
}
