import Credentials
import Glibc
import HubModel
import Logging
import MQTT
import Postgres
import Synchronization

/// Takes readings from the broker into the database, on a thread of its own: read a batch, commit it, and only then let
/// the broker have the acknowledgements. When a commit fails the connection to the broker is dropped, so that the broker
/// sends everything again; when the database is gone nothing is read, and the broker queues.
final class Ingest: Sendable {
    /// A batch is committed when it has this many messages or payload bytes, or when nothing more is waiting.
    private static let maximumMessages = 15_000
    private static let maximumBytes = 4 << 20
    /// After a commit readings are gathered for twice as long as it took, within these bounds, so that many share the next
    /// one. The first reading after a pause waits for nothing.
    private static let gatheringTime = Duration.milliseconds(10)...Duration.milliseconds(50)

    private let configuration: HubConfiguration
    private let catalog: IngestCatalog
    private let logger: Logger
    private let isStopping = Atomic(false)
    private let replay: ReplayQueue
    private let state = Mutex(State())

    /// Why readings are not stored, and since when.
    struct Failure: Sendable {
        let since: ContinuousClock.Instant
        var reason: String
    }

    private struct State {
        /// As long as readings have never been listened to, they are not stored either.
        var failure: Failure? = Failure(since: .now, reason: "not connected yet")
        var hasSubscribed = false
        /// Since when the database has been at work on a batch.
        var committingSince: ContinuousClock.Instant?
    }

    /// A commit takes milliseconds; after this long the database is frozen, or its disk is.
    private static let longCommit = Duration.seconds(5)

    /// How far each sensor's readings have come since this was last taken.
    private let committed = Mutex(CommittedQueue())

    init(_ configuration: HubConfiguration, catalog: IngestCatalog, replay: ReplayQueue, logger: Logger) {
        self.configuration = configuration
        self.catalog = catalog
        self.replay = replay
        self.logger = logger
    }

    /// Nil while readings are stored.
    var failure: Failure? {
        let (failure, since) = state.withLock { ($0.failure, $0.committingSince) }
        if let failure { return failure }
        guard let since, since.duration(to: .now) > Self.longCommit else { return nil }
        return Failure(since: since, reason: "the database does not answer")
    }

    /// True once after each time that readings began to be listened to anew: what was published before may be lost.
    func takeHasSubscribed() -> Bool {
        state.withLock { state in
            defer { state.hasSubscribed = false }
            return state.hasSubscribed
        }
    }

    /// What drivers have not been told yet, those first that have waited longest.
    func takeCommitted(atMost count: Int) -> [(Identifier, Committed)] {
        committed.withLock { $0.take(atMost: count) }
    }

    func stop() { isStopping.store(true, ordering: .relaxed) }

    private var goesOn: Bool { !isStopping.load(ordering: .relaxed) }

    /// Runs until `stop`.
    func run() {
        var backoff = Backoff(first: .milliseconds(50), cap: .seconds(2))
        var session: Session?
        while goesOn {
            do {
                if session == nil {
                    session = try Session(configuration, catalog: catalog, replay: replay, logger: logger)
                }
                defer { state.withLock { $0.committingSince = nil } }
                try session!.serve(while: { goesOn }) { progress in
                    switch progress {
                    case .started(let isNewSubscription):
                        backoff.reset()
                        state.withLock { state in
                            state.failure = nil
                            if isNewSubscription { state.hasSubscribed = true }
                        }
                    case .committing: state.withLock { $0.committingSince = .now }
                    case .committed(let sensors):
                        state.withLock { $0.committingSince = nil }
                        committed.withLock { $0.add(sensors) }
                    }
                }
            } catch {
                let isNew = state.withLock { state in
                    let reason = "\(error)"
                    defer { state.failure = Failure(since: state.failure?.since ?? .now, reason: reason) }
                    return state.failure?.reason != reason
                }
                if isNew { logger.warning("ingest pauses: \(error)") }
                sleep(backoff.next())
            }
        }
    }

    private func sleep(_ duration: Duration) {
        let deadline = ContinuousClock.now + duration
        while goesOn, ContinuousClock.now < deadline { usleep(20_000) }
    }

    /// The two connections and what is known while they last.
    private final class Session {
        private let broker: DeferredAckClient
        private let store: IngestStore
        private let topics: Topics
        private let catalog: IngestCatalog
        private let replay: ReplayQueue
        private let reserve: (folder: String, bytes: UInt64)?
        private let parser = ReadingParser()
        private var catalogVersion = 0
        private var entries: [Identifier: IngestCatalog.Entry] = [:]
        private var batch = IngestBatch()
        private var ledgers: [Int32: SequenceLedger] = [:]
        private var corrections: [Int32: [ClockCorrection]] = [:]
        private var isDatabaseSuspect = false
        /// Numbers readings that come without a sequence number; the time makes it grow over restarts.
        private var nextSequence = microsecondsSince1970()
        private let dataPrefix: [UInt8]
        private let dataSuffix = Array("/data".utf8)

        init(
            _ configuration: HubConfiguration, catalog: IngestCatalog, replay: ReplayQueue, logger: Logger
        ) throws {
            self.replay = replay
            reserve = configuration.reserve
            topics = Topics(hub: configuration.hub)
            self.catalog = catalog
            let database = try Connection(configuration.database, name: "sensorhub ingest")
            store = IngestStore(database, topics: topics, logger: logger)
            dataPrefix = Array("\(topics.root)/sensors/".utf8)
            broker = DeferredAckClient(
                ClientConfiguration(
                    address: configuration.broker,
                    // Whoever knows the id could connect with it and have the broker throw the session away, queue and all.
                    clientID:
                        "ingest.\(configuration.hub).\(sha256(Array(configuration.brokerPassword.utf8)).prefix(16))",
                    user: BrokerUser.hub(configuration.hub).description, password: configuration.brokerPassword,
                    sessionExpirySeconds: 7 * 86_400, receiveMaximum: 20_000),
                filters: [topics.sensor("+", .data)])
        }

        enum Progress {
            /// Readings are listened to.
            case started(isNewSubscription: Bool)
            case committing
            case committed([(Identifier, Committed)])
        }

        /// Works until something fails.
        func serve(while goesOn: () -> Bool, tell: (Progress) -> Void) throws {
            do {
                try work(while: goesOn, tell: tell)
            } catch {
                // Whatever it was, unless it was certainly the broker: a connection too many does no harm, one that is
                // believed in and gone would be used for ever.
                if !(error is MQTTError) { isDatabaseSuspect = true }
                throw error
            }
        }

        private func work(while goesOn: () -> Bool, tell: (Progress) -> Void) throws {
            if isDatabaseSuspect {
                try store.reconnect()
                isDatabaseSuspect = false
            }
            try checkReserve()
            ledgers = try store.ledgers()
            corrections = try store.corrections()
            batch = IngestBatch()
            tell(.started(isNewSubscription: try broker.connect(take)))
            var nextCommit = Instant.now
            while goesOn() {
                if let entries = catalog.entries(ifNewerThan: &catalogVersion) { self.entries = entries }
                try takeDeadLetters()
                try gather(until: nextCommit)
                if !batch.isEmpty {
                    try checkReserve()
                    let start = Instant.now
                    tell(.committing)
                    tell(.committed(try commit()))
                    let bounds = Ingest.gatheringTime, end = Instant.now
                    nextCommit = end + min(max((end - start) * 2, bounds.lowerBound), bounds.upperBound)
                }
                try broker.acknowledge()
            }
        }

        /// Reads until the batch is full, or nothing more is waiting and it is time for the next commit.
        ///
        /// In between it sleeps instead of waiting for each message: a reader that is woken by every message costs itself and
        /// the broker more than the message does.
        private func gather(until nextCommit: Instant) throws(MQTTError) {
            var messages = 0
            while messages < Ingest.maximumMessages, batch.bytes < Ingest.maximumBytes {
                let count = try broker.read(
                    limit: min(256, Ingest.maximumMessages - messages),
                    waitMilliseconds: messages == 0 && batch.isEmpty ? 200 : 0, take)
                messages += count
                guard count < 256 else { continue }
                let left = nextCommit - .now
                guard !batch.isEmpty, left > .zero else { return }
                pause(min(left, .milliseconds(5)))
            }
        }

        /// - Throws: `DiskReserveError` when the disk is nearly full.
        private func checkReserve() throws {
            guard let reserve else { return }
            var disk = statvfs()
            guard statvfs(reserve.folder, &disk) == 0 else { return }
            let free = UInt64(disk.f_bavail) * UInt64(disk.f_frsize)
            if free < reserve.bytes {
                throw DiskReserveError(folder: reserve.folder, free: free, reserve: reserve.bytes)
            }
        }

        /// Takes up dead letters that a person wants to be tried again.
        private func takeDeadLetters() throws {
            let numbers = replay.take(atMost: 500)
            guard !numbers.isEmpty else { return }
            let letters: [(number: Int64, letter: IngestBatch.DeadLetter)]
            do {
                letters = try store.deadLetters(numbers)
            } catch {
                replay.add(numbers)
                throw error
            }
            for (number, letter) in letters {
                letter.payload.withUnsafeBytes { take($0, topic: letter.topic, receivedAt: letter.receivedAt) }
                batch.replayed.append(number)
            }
        }

        /// Stores the batch. What is held in memory changes only when the database has it.
        private func commit() throws -> [(Identifier, Committed)] {
            var changes: [SequenceLedger.Changes] = []
            var ledgers: [SequenceLedger] = []
            for part in batch.sensors {
                var ledger = self.ledgers[part.entry.sensorID] ?? SequenceLedger()
                changes.append(ledger.take(part.notes))
                ledgers.append(ledger)
            }
            let open = batch.sensors.indices.filter { ledgers[$0].hasOpenGaps }.map { batch.sensors[$0].entry.sensorID }
            let missing = try store.store(
                batch, changes, openGaps: open.sorted(), mayRepeat: changes.contains { $0.mayRepeat })
            var result: [(Identifier, Committed)] = []
            for (index, part) in batch.sensors.enumerated() {
                let sensor = part.entry.sensorID
                if !part.corrections.isEmpty { corrections[sensor, default: []] += part.corrections }
                guard !part.notes.isEmpty else { continue }
                ledgers[index].hasOpenGaps = missing[sensor] != nil
                self.ledgers[sensor] = ledgers[index]
                guard let furthest = ledgers[index].furthest else { continue }
                result.append(
                    (
                        part.entry.sensor,
                        Committed(
                            boot: furthest.boot, sequence: furthest.sequence,
                            missing: (missing[sensor] ?? []).map { ($0.boot, $0.bounds) })
                    ))
            }
            batch = IngestBatch()
            return result
        }

        private func take(_ message: DeferredAckClient.BorrowedMessage) {
            // The subscription lets through nothing but sensors/+/data.
            let name = message.topic.dropFirst(dataPrefix.count).dropLast(dataSuffix.count)
            let now = microsecondsSince1970()
            if let sensor = Identifier(String(decoding: name, as: UTF8.self)), let entry = entry(for: sensor) {
                take(message.payload, from: entry, receivedAt: now)
            } else {
                refuse(message.payload, topic: String(decoding: message.topic, as: UTF8.self), receivedAt: now)
            }
        }

        private func take(_ payload: UnsafeRawBufferPointer, topic: String, receivedAt: Int64) {
            let name = topic.utf8.dropFirst(dataPrefix.count).dropLast(dataSuffix.count)
            if let sensor = Identifier(String(decoding: name, as: UTF8.self)), let entry = entry(for: sensor) {
                take(payload, from: entry, receivedAt: receivedAt)
            } else {
                refuse(payload, topic: topic, receivedAt: receivedAt)
            }
        }

        private func take(_ payload: UnsafeRawBufferPointer, from entry: IngestCatalog.Entry, receivedAt: Int64) {
            batch.add(
                payload, from: entry, topics: topics, receivedAt: receivedAt, parser: parser,
                nextSequence: &nextSequence
            ) { key in
                corrections[entry.sensorID]?.first { $0.boot == key.boot && $0.sequences.contains(key.sequence) }?
                    .offset
            }
        }

        private func refuse(_ payload: UnsafeRawBufferPointer, topic: String, receivedAt: Int64) {
            batch.addDeadLetter(
                Array(payload), topic: topic, ReadingFault(field: "", reason: "no such sensor is registered"),
                receivedAt: receivedAt)
        }

        /// What was registered before a message was sent holds for it, also where the batch began earlier.
        private func entry(for sensor: Identifier) -> IngestCatalog.Entry? {
            if let newer = catalog.entries(ifNewerThan: &catalogVersion) { entries = newer }
            return entries[sensor]
        }
    }
}

/// The disk that the database is on is so full that no readings are stored, so that there is room for everything else.
struct DiskReserveError: Error, CustomStringConvertible {
    let folder: String
    let free: UInt64
    let reserve: UInt64

    var description: String {
        "the disk of \(folder) has \(free >> 20) MiB left, and \(reserve >> 20) MiB are kept for the hub itself: make room"
    }
}
