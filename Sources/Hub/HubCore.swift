import Glibc
import HubModel
import Logging
import MQTT
import Postgres
import SimdJSON

/// The hub's decisions: takes messages one after the other, changes the database, and says what is to be published.
/// It is for one thread. Each area's part is an extension in that area's folder.
final class HubCore {
    let configuration: HubConfiguration
    let topics: Topics
    let database: Connection
    let logger: Logger
    let catalog: IngestCatalog
    let startedAt: Int64
    var registry: Registry
    /// Algorithm instances that are to run.
    var instances: [Identifier: AlgorithmInstance]
    /// Commands that are on their nodes' plans.
    var commands: [Identifier: NodeCommand]
    /// Nodes whose agent is connected.
    var onlineNodes: Set<Identifier> = []
    /// Those of them that take commands.
    var commandNodes: Set<Identifier> = []

    /// The latest sample of each node.
    var statistics: [Identifier: StatisticsSample] = [:]
    /// How many programs each node has got since then.
    var placedSinceSample: [Identifier: Int] = [:]

    /// Output lines stored since a program's old ones were last removed.
    var linesSinceTrim: [ProgramID: Int64] = [:]

    var incidents: IncidentBook
    var crashLoops: CrashLoops
    /// How many messages the broker has thrown away, as it last said.
    var droppedMessages: Int64?
    /// When it last said more than before.
    var lastDrop = ContinuousClock.now
    let replay: ReplayQueue

    /// What waits for the end of a round: rights first, then messages, so that nobody is told of a right before the
    /// broker knows it.
    private var outbox: [OutgoingMessage] = []
    private var rightsChanged = false
    private var catalogChanged = false
    /// Requests that are answered later.
    var awaited: [AwaitedReply] = []
    private var plansChanged: Set<Identifier> = []
    private var hasLostLead = false
    /// A client sends again soon, or never.
    var heldReplies = Recent<RequestKey, Reply>(capacity: 1_000)

    /// - Throws: `PostgresError` and what the database's contents make impossible.
    init(
        _ configuration: HubConfiguration, database: Connection, catalog: IngestCatalog, replay: ReplayQueue,
        logger: Logger
    ) throws {
        self.replay = replay
        self.configuration = configuration
        self.database = database
        self.catalog = catalog
        self.logger = logger
        topics = Topics(hub: configuration.hub)
        startedAt = microsecondsSince1970()
        registry = try Registry(from: database)
        instances = try AlgorithmInstance.active(in: database)
        commands = try NodeCommand.active(in: database)
        incidents = try IncidentBook(from: database)
        crashLoops = CrashLoops(open: incidents.subjects(of: Self.crashLoop).compactMap { ProgramID(title: $0) })
        try database.query("UPDATE hub.node SET status = 'offline', since = now() WHERE status = 'online'")
        catalog.replace(with: registry)
        try makePartitions()
        try keepStatistics()
        try keepEvents()
    }

    /// Makes the partitions for the weeks to come.
    func makePartitions() throws {
        for type in registry.types.values {
            try database.query("SELECT hub.make_partitions($1)", .text(type.table))
        }
    }

    // MARK: Rounds

    func publish(_ message: OutgoingMessage) { outbox.append(message) }
    func changeRights() { rightsChanged = true }
    /// Ingest is to know other types or sensors.
    func changeCatalog() { catalogChanged = true }
    func changePlan(of node: Identifier?) {
        if let node { plansChanged.insert(node) }
    }

    /// What is to be told and written besides what a request does to the database.
    struct Told {
        fileprivate let messages: Int
        fileprivate let incidents: IncidentBook
    }

    /// All up to now; `withdraw` takes back what came after that.
    var told: Told { Told(messages: outbox.count, incidents: incidents) }

    func withdraw(to told: Told) {
        outbox.removeSubrange(told.messages...)
        incidents = told.incidents
    }

    /// Ends a round: tells ingest which sensors there are and writes the rights, where they changed, and hands over what
    /// is to be published.
    ///
    /// - Throws: `LeadershipLost`, and `PostgresError` where it is to be tried again.
    func finishRound() throws -> [OutgoingMessage] {
        if hasLostLead { throw LeadershipLost() }
        if catalogChanged {
            catalog.replace(with: registry)
            catalogChanged = false
        }
        if rightsChanged {
            if let files = configuration.accessFiles {
                try BrokerAccess.writeFiles(
                    files, hub: configuration.hub, devices: configuration.devices, from: database)
            }
            rightsChanged = false
        }
        try answerAwaited()
        for node in plansChanged where onlineNodes.contains(node) { publish(try plan(for: node)) }
        plansChanged = []
        defer { outbox = [] }
        return outbox
    }

    /// Records what was done and why, and tells whoever follows the events.
    func record(_ kind: String, _ subject: String, _ detail: JSONObject = [:]) throws(PostgresError) {
        assert(Self.eventKinds.contains(kind), "\(kind) is missing in eventKinds")
        // The same moment in both: whoever follows and looks at the record as well knows an event by it.
        let time = microsecondsSince1970()
        try database.query(
            "INSERT INTO hub.event (kind, subject, detail, at) VALUES ($1, $2, $3, to_timestamp($4))",
            .text(kind), .text(subject), .text(JSON.object(detail).text()), .double(Double(time) / 1e6))
        let event = Self.event(kind, subject, detail, at: time)
        publish(OutgoingMessage(topic: topics.event(kind), payload: event.bytes()))
    }

    // MARK: Messages

    /// Handles one message that is not a reading.
    func handle(_ message: Message) {
        guard let parts = topics.parts(of: message.topic) else {
            if let (service, device, app) = configuration.devices.request(message.topic) {
                return answer(message, service, device: device, app: app)
            }
            return handleBrokerFigure(message)
        }
        do {
            switch (parts.first, parts.count) {
            case ("rpc", 3): answer(message, service: String(parts[1]), method: String(parts[2]))
            case ("nodes", 3):
                guard let node = Identifier(parts[1]) else { return }
                if parts[2] == "status" { try handleStatus(message, of: node) }
                if parts[2] == "report" { try handleReport(message, of: node) }
                if parts[2] == "statistics" { try handleStatistics(message, of: node) }
            case ("sensors", 3) where parts[2] == "status":
                guard let sensor = Identifier(parts[1]) else { return }
                try handleStatus(message, ofSensor: sensor)
            case ("algorithms", 5) where parts[2] == "rpc":
                guard let instance = Identifier(parts[1]) else { return }
                answer(message, service: String(parts[3]), method: String(parts[4]), of: instance)
            default: break
            }
        } catch {
            logger.warning("\(message.topic): \(error)")
        }
    }

    /// Connects to the database again, and reads from it what is held in memory.
    func reconnect(within duration: Duration = .zero) throws {
        let deadline = ContinuousClock.now + duration
        while true {
            do {
                try database.reset()
                break
            } catch {
                guard error.isUnavailable, ContinuousClock.now < deadline else { throw error }
                usleep(100_000)
            }
        }
        // The lock went with the old connection.
        guard try Self.lead(configuration.hub, in: database) else {
            // Whoever asked for the connection may only tell a requester of it.
            hasLostLead = true
            throw LeadershipLost()
        }
        try readAll()
    }

    /// Reads from the database what is held in memory of it.
    func readAll() throws {
        registry = try Registry(from: database)
        instances = try AlgorithmInstance.active(in: database)
        commands = try NodeCommand.active(in: database)
        changeCatalog()
    }

    /// Tries to become the hub that leads; false while another one does.
    static func lead(_ hub: Identifier, in database: Connection) throws(PostgresError) -> Bool {
        try database.query(
            "SELECT pg_try_advisory_lock(hashtext('sensorhub leader'), hashtext($1)) AS leads", .text(hub.text)
        )[0].bool("leads")
    }
}

/// Another hub has taken over while the database was away.
struct LeadershipLost: Error, CustomStringConvertible {
    var description: String { "another hub leads now" }
}

/// The time now, in microseconds since 1970.
func microsecondsSince1970() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1_000
}
