import Glibc
import HubModel
import MQTT
import SimdJSON
import Synchronization

/// Watches the birth messages of hub and agent over the private broker.
///
/// Retained ones of an earlier run that was killed say "online" as well, so only what was published since counts.
final class Readiness: Sendable {
    private struct State {
        var online: Set<String> = []
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
    private let hubTopic: String
    private let agentTopic: String

    /// Begins to listen.
    init(access: Stack.Access, node: Identifier) {
        let births = Births()
        self.births = births
        hubTopic = Topics(hub: access.hub).hubStatus
        agentTopic = Topics(hub: access.hub).node(node.text, .status)
        client = Client(
            ClientConfiguration(
                address: access.local, clientID: "up-\(getpid())", user: access.user.description,
                password: access.password)
        ) { births.take($0) }
        client.subscribe(hubTopic, agentTopic)
        client.start()
    }

    func isHubOnline() throws -> Bool { try births.isOnline(hubTopic) }
    func isAgentOnline() throws -> Bool { try births.isOnline(agentTopic) }

    func stop() { client.stop() }
}
