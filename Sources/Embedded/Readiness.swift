import Glibc
import HubModel
import MQTT
import SimdJSON
import Synchronization

/// Watches the private broker, and the birth messages of hub and agent over it.
///
/// Retained ones of an earlier run that was killed say "online" as well, so only what was published since counts.
final class Readiness: Sendable {
    private struct State {
        var online: Set<String> = []
        var isConnected = false
        var refusal: MQTTError?
    }

    /// What the client calls back to; apart from ourselves, since the client holds on to it.
    private final class Births: Sendable {
        private let state = Mutex(State())
        private let begin: Int64

        init() {
            var now = timespec()
            clock_gettime(CLOCK_REALTIME, &now)
            begin = Int64(now.tv_sec) * 1_000_000 + Int64(now.tv_nsec) / 1_000
        }

        func take(_ event: Client.Event) {
            switch event {
            case .connected: state.withLock { $0.isConnected = true }
            case .message(let message):
                guard let birth = try? JSON(parsing: message.payload) else { return }
                let isFresh = !message.isRetained || (birth["t"]?.int ?? 0) >= begin
                guard isFresh, birth["status"]?.string == "online" else { return }
                state.withLock { _ = $0.online.insert(message.topic) }
            case .disconnected(let error) where error.code == .notAuthorized:
                state.withLock { $0.refusal = error }
            default: break
            }
        }

        var isConnected: Bool { state.withLock { $0.isConnected } }

        func isOnline(_ topic: String) throws -> Bool {
            try state.withLock { state in
                if let refusal = state.refusal {
                    throw EmbeddedError(.notReady, "the private broker refuses our own password: \(refusal)")
                }
                return state.online.contains(topic)
            }
        }
    }

    private let births: Births
    private let client: Client
    private let hasStarted = Atomic(false)
    private let broker: TCPAddress
    private let hubTopic: String
    private let agentTopic: String

    /// - Parameter broker: where the broker is to be found that knows `user`.
    init(hub: Identifier, broker: TCPAddress, user: BrokerUser, password: String, node: Identifier) {
        let births = Births()
        self.births = births
        self.broker = broker
        hubTopic = Topics(hub: hub).hubStatus
        agentTopic = Topics(hub: hub).node(node.text, .status)
        client = Client(
            ClientConfiguration(
                address: .tcp(broker), clientID: "up-\(getpid())", user: user.description, password: password)
        ) { births.take($0) }
        client.subscribe(hubTopic, agentTopic)
    }

    /// True once the broker knows us: a stranger who has its address does not. To be asked again and again.
    var isBrokerReady: Bool {
        // The client would wait for a while after an attempt that comes too early.
        if !hasStarted.load(ordering: .relaxed), canConnect(broker) {
            hasStarted.store(true, ordering: .relaxed)
            client.start()
        }
        return births.isConnected
    }

    func isHubOnline() throws -> Bool { try births.isOnline(hubTopic) }
    func isAgentOnline() throws -> Bool { try births.isOnline(agentTopic) }

    func stop() { client.stop() }
}
