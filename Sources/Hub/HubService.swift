import Glibc
import HubModel
public import Logging
import MQTT
import Postgres
import SimdJSON
import Synchronization

/// The hub: one thread for decisions, one for readings.
public final class HubService: Sendable {
    private let configuration: HubConfiguration
    private let logger: Logger
    private let topics: Topics
    private let inbox = Inbox()
    /// How many messages could not be published since the broker has gone.
    private let unpublished = Atomic(0)

    public init(_ configuration: HubConfiguration, logger: Logger) {
        self.configuration = configuration
        self.logger = logger
        topics = Topics(hub: configuration.hub)
    }

    /// Runs until `stop`. Blocks: give it a thread of its own.
    ///
    /// - Throws: what makes it impossible to start at all: a database that refuses us or the schema, or rights that cannot
    ///   be written. A database or broker that is not there yet is waited for.
    public func run() throws {
        guard let database = try connectToDatabase() else { return }
        try database.run(script: configuration.schema)
        guard try lead(database) else { return }
        try BrokerAccess.enroll(.hub(configuration.hub), password: configuration.brokerPassword, in: database)
        let catalog = IngestCatalog()
        let replay = ReplayQueue()
        let core = try HubCore(configuration, database: database, catalog: catalog, replay: replay, logger: logger)
        if let files = configuration.accessFiles {
            try BrokerAccess.writeFiles(files, hub: configuration.hub, from: database)
        }
        let ingest = Ingest(configuration, catalog: catalog, replay: replay, logger: logger)
        let reading = startThread { ingest.run() }
        let client = makeClient()
        client.start()
        logger.info("hub \(configuration.hub) is up", metadata: ["broker": "\(configuration.broker)"])
        let outcome = Result { try serve(core, client: client, ingest: ingest) }
        ingest.stop()
        pthread_join(reading, nil)
        tellCommitted(ingest, client)
        publish([OutgoingMessage(topic: topics.hubStatus, payload: status("offline"), isRetained: true)], client)
        client.stop()
        logger.info("hub \(configuration.hub) has stopped")
        try outcome.get()
    }

    /// Ends `run`; from any thread.
    public func stop() { inbox.stop() }

    // MARK: Start

    private func connectToDatabase() throws -> Connection? {
        var backoff = Backoff(first: .milliseconds(100), cap: .seconds(5))
        while !inbox.isStopping {
            do {
                return try Connection(configuration.database, name: "sensorhub hub")
            } catch let error where error.message.contains("authentication") || error.message.contains("does not exist")
            {
                throw error
            } catch {
                logger.warning("waiting for the database: \(error)")
                inbox.wait(backoff.next())
            }
        }
        return nil
    }

    /// Waits until no other hub of this database leads.
    private func lead(_ database: Connection) throws -> Bool {
        var hasWaited = false
        while !inbox.isStopping {
            if try HubCore.lead(configuration.hub, in: database) { return true }
            if !hasWaited { logger.notice("another hub leads; standing by") }
            hasWaited = true
            inbox.wait(.milliseconds(500))
        }
        return false
    }

    private func makeClient() -> Client {
        var configuration = ClientConfiguration(
            address: self.configuration.broker, clientID: "hub.\(self.configuration.hub)",
            user: BrokerUser.hub(self.configuration.hub).description, password: self.configuration.brokerPassword,
            receiveMaximum: 200)
        configuration.will = OutgoingMessage(topic: topics.hubStatus, payload: status("offline"), isRetained: true)
        let inbox = inbox
        let client = Client(configuration) { inbox.put($0) }
        client.subscribe(
            topics.requests, topics.node("+", .status), topics.node("+", .report), topics.node("+", .statistics),
            topics.sensor("+", .status), Topics.droppedMessages, Topics.queuedMessages)
        return client
    }

    private func status(_ word: String) -> [UInt8] {
        JSON.object([
            "status": .string(word), "version": .string(sensorhubVersion), "t": .int(microsecondsSince1970()),
        ]).bytes()
    }

    // MARK: Work

    /// - Throws: `LeadershipLost`
    private func serve(_ core: HubCore, client: Client, ingest: Ingest) throws {
        var housekeeping = Timer(every: .seconds(3_600)), rollups = Timer(every: .seconds(30))
        var telling = Timer(every: .milliseconds(200))
        var isOnline = false
        var lastDisconnection: MQTTError?
        /// What was told of since a round went well: it comes again with each round.
        var troubles: Set<String> = []
        while !inbox.isStopping {
            // Several changes at a time: all that waits is handled before the rights are written once.
            for event in inbox.take(waitingAtMost: .milliseconds(200)) {
                switch event {
                case .connected:
                    lastDisconnection = nil
                    logger.info("connected to the broker")
                    let count = unpublished.exchange(0, ordering: .relaxed)
                    if count > 0 {
                        logger.warning("while the broker was away, messages could not be published: \(count)")
                    }
                    publish(core.instances.values.map(core.bindingMessage), client)
                case .disconnected(let error):
                    isOnline = false
                    // Each attempt fails for the same reason.
                    if error != lastDisconnection { logger.warning("no connection to the broker: \(error)") }
                    lastDisconnection = error
                case .message(let message):
                    core.handle(message)
                case .published(_, let error):
                    if let error { logger.error("the broker refused a message of the hub: \(error)") }
                }
            }
            // Said when readings are listened to, and again whenever the broker had forgotten that: drivers then send
            // again what the broker may have lost.
            if ingest.takeHasSubscribed() || (!isOnline && client.isConnected) {
                isOnline = client.isConnected && ingest.failure == nil
                if isOnline {
                    publish(
                        [
                            OutgoingMessage(
                                topic: topics.hubStatus, payload: status("online"), isRetained: true)
                        ], client)
                }
            }
            core.watch(ingest)
            core.watchCrashLoops()
            do {
                publish(try core.finishRound(), client)
                try core.writeIncidents()
                if housekeeping.isDue() { try core.keepHouse() }
                if rollups.isDue(), try core.rollUp() { rollups.hasten() }
                if !troubles.isEmpty { logger.notice("the hub's work goes on") }
                troubles = []
            } catch let error as LeadershipLost {
                throw error
            } catch {
                if troubles.insert("\(error)").inserted { logger.error("\(error)") }
                inbox.wait(.milliseconds(500))
                do {
                    try core.reconnect()
                } catch let error as LeadershipLost {
                    throw error
                } catch {
                    if troubles.insert("\(error)").inserted { logger.warning("waiting for the database: \(error)") }
                }
            }
            if telling.isDue() { tellCommitted(ingest, client) }
        }
    }

    /// Says when something is due that is done from time to time.
    private struct Timer {
        let period: Duration
        private var next: ContinuousClock.Instant

        init(every period: Duration) {
            self.period = period
            next = .now + period
        }

        mutating func isDue() -> Bool {
            guard ContinuousClock.now >= next else { return false }
            next = .now + period
            return true
        }

        mutating func hasten() { next = .now }
    }

    private func publish(_ messages: [OutgoingMessage], _ client: Client) {
        for message in messages {
            do {
                try client.publish(message)
            } catch {
                if error.code == .noConnection {
                    unpublished.add(1, ordering: .relaxed)
                } else {
                    logger.warning("\(message.topic) could not be published: \(error)")
                }
            }
        }
    }

    /// With thousands of sensors, telling each of them after each commit would be more work than the readings are.
    private static let toldAtATime = 200

    /// Tells drivers how far their readings have come, so that they can forget them. Without a connection it waits.
    private func tellCommitted(_ ingest: Ingest, _ client: Client) {
        guard client.isConnected else { return }
        publish(
            ingest.takeCommitted(atMost: Self.toldAtATime).map { sensor, committed in
                OutgoingMessage(
                    topic: topics.sensor(sensor.text, .committed), payload: committed.json.bytes(), isRetained: true)
            }, client)
    }
}
