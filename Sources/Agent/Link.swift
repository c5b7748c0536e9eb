import HubModel
import MQTT
import SimdJSON
import Synchronization

/// The agent's connection to the broker. What comes in is kept, bounded, until somebody takes it: of plans only the
/// latest, of archives only those that were asked for.
final class Link: Sendable {
    /// What has come in since the last look.
    struct News {
        /// How often the connection was made.
        var connections = 0
        var disconnection: MQTTError?
        var plan: [UInt8]?
        var signals: [SignalRequest] = []
        var inputs: [InputRequest] = []
        /// How much of programs' journals the hub has in its database.
        var committedJournals: [JournalCommitted] = []
        /// Times of samples that the hub has in its database.
        var committedStatistics: [Int64] = []
        /// The hub has just come up, or back.
        var isHubBack = false
        var archives: [String: [UInt8]] = [:]
        /// Messages of ours that the broker has now, or has refused.
        var published: [(id: Int32, error: MQTTError?)] = []
    }

    private struct State {
        var news = News()
        var wantedArchives: Set<String> = []
    }

    /// Larger messages are not taken.
    static let maximumPlanBytes = 16 << 20
    static let maximumArchiveBytes = 128 << 20
    /// More are not kept between two looks.
    private static let maximumSignals = 100
    private static let maximumInputs = 100
    private static let maximumCommittedJournals = 10_000
    private static let maximumCommittedStatistics = 10_000

    /// Yields when there is something to do.
    let wakes: AsyncStream<Void>
    private let continuation: AsyncStream<Void>.Continuation
    private let mailbox: Mailbox
    private let client: Client

    /// Apart from the link, so that the client's handler does not hold the client.
    private final class Mailbox: Sendable {
        let state = Mutex(State())
    }

    init(_ configuration: AgentConfiguration, messages: AgentMessages) {
        (wakes, continuation) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
        let mailbox = Mailbox()
        self.mailbox = mailbox
        let topics = messages.topics
        let node = configuration.node.text
        let commands = topics.node(node, .command)
        let archives = topics.archive(node: node, sha256: "")
        let user = BrokerUser.node(configuration.node)
        client = Client(
            ClientConfiguration(
                address: configuration.broker, clientID: "sensorhub.\(configuration.hub).\(user)",
                user: user.description, password: configuration.password, will: messages.status(isOnline: false))
        ) { [continuation] event in
            mailbox.state.withLock { state in
                switch event {
                case .connected: state.news.connections += 1
                case .disconnected(let reason): state.news.disconnection = reason
                case .published(let id, let error): state.news.published.append((id, error))
                case .message(let message) where message.topic == commands:
                    Self.take(message, into: &state.news)
                case .message(let message) where message.topic == topics.hubStatus:
                    // A retained one comes with our own connect, after which the snapshot is sent anyway.
                    if !message.isRetained, Self.isOnline(message) { state.news.isHubBack = true }
                case .message(let message) where message.topic.hasPrefix(archives):
                    let sha256 = String(message.topic.dropFirst(archives.count))
                    if state.wantedArchives.contains(sha256), message.payload.count <= Self.maximumArchiveBytes {
                        state.news.archives[sha256] = message.payload
                    }
                case .message: break
                }
            }
            continuation.yield()
        }
        client.subscribe(commands, topics.hubStatus, archives + "+")
    }

    private static func isOnline(_ message: Message) -> Bool {
        message.payload.count <= 4_096 && (try? JSON(parsing: message.payload))?["status"]?.string == "online"
    }

    /// A command. What is none that is known goes for a plan, which whoever reads it may find that it is not.
    private static func take(_ command: Message, into news: inout News) {
        if command.payload.count <= InputRequest.maximumBytes, let json = try? JSON(parsing: command.payload) {
            let reader = DocumentReader(json)
            if json["kind"] == "signal", let signal = try? SignalRequest(reader) {
                if news.signals.count < maximumSignals { news.signals.append(signal) }
                return
            }
            if json["kind"] == "input", let input = try? InputRequest(reader) {
                if news.inputs.count < maximumInputs { news.inputs.append(input) }
                return
            }
            if json["kind"] == "journal_committed", let committed = try? JournalCommitted(reader) {
                if news.committedJournals.count < maximumCommittedJournals { news.committedJournals.append(committed) }
                return
            }
            if json["kind"] == "statistics_committed", let committed = try? StatisticsCommitted(reader) {
                if news.committedStatistics.count < maximumCommittedStatistics {
                    news.committedStatistics.append(committed.time)
                }
                return
            }
        }
        if command.payload.count <= maximumPlanBytes { news.plan = command.payload }
    }

    func start() {
        client.start()
    }

    /// Says farewell and ends the connection.
    func stop() async {
        await onThread { [client] in client.stop() }
    }

    var isConnected: Bool { client.isConnected }

    /// Has `wakes` yield.
    func wake() {
        continuation.yield()
    }

    func take() -> News {
        mailbox.state.withLock { state in
            defer { state.news = News() }
            return state.news
        }
    }

    func want(archive sha256: String) {
        _ = mailbox.state.withLock { $0.wantedArchives.insert(sha256) }
    }

    func doNotWant(archive sha256: String) {
        _ = mailbox.state.withLock { $0.wantedArchives.remove(sha256) }
    }

    /// - Returns: the id that `News.published` names once the broker has it.
    func publish(_ message: OutgoingMessage) throws(MQTTError) -> Int32 {
        try client.publish(message)
    }
}
