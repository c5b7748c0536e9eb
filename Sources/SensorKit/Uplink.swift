import Glibc
import MQTT

/// The way of one sensor's readings to the hub: the connection to the broker, and the outbox behind it. For one thread.
final class Uplink {
    enum Notice {
        /// What was published before over another connection may not have arrived.
        case connected
        case control(Message)
    }

    let topics: SensorTopics
    private let log: Log
    private let inbox: Inbox
    private let client: Client
    private let broker: BrokerAddress
    /// Held as long as the files are used.
    private let lock: StateLock?
    private let bootFile: BootFile?
    private let clock: WallClock
    private let parser = JSONParser(maximumBytes: 64 << 10)
    private var outbox: Outbox
    private var journal: Journal
    private var clockWatch: ClockWatch
    /// The present is later, in microseconds since 1970.
    private let earliest: Int64
    /// To be told with the next reading.
    private var notes: [Entry] = []
    private var bootFileIsDue: Instant
    /// It could not be written the last time.
    private var isBootFileStale = false
    /// By the hub's own status, or its last will.
    private var isHubOffline = false
    private var link = Link.connecting(lastReason: nil)
    private var dropped: Tally
    private var refusals: Tally
    private var lostMessages: Tally

    private enum Link {
        case connecting(lastReason: String?)
        /// Connected, and giving the hub's word on what it has a moment to arrive.
        case asking(until: Instant)
        case up
    }

    /// A retained message comes right after the subscription; there is none for a sensor that is new.
    private static let patienceForCommitted = Duration.milliseconds(500)
    private static let keepAliveSeconds: Int32 = 30
    /// How old the time may be that is remembered.
    private static let pauseBetweenBootFiles = Duration.seconds(600)

    /// - Parameter takesCalls: whether control calls are wanted.
    init(
        sensor: Identifier, _ environment: DriverEnvironment, takesCalls: Bool, clock: WallClock, log: Log
    ) {
        self.log = log
        topics = SensorTopics(hub: environment.hub, sensor: sensor)
        broker = environment.broker
        self.clock = clock
        let folder: String?
        (lock, folder) = Self.takeFiles(in: environment.stateDirectory, of: sensor, log: log)
        bootFile = folder.map { BootFile(directory: $0, instance: sensor) }
        journal = Journal(folder: folder, instance: sensor, log: log)
        let remembered = Self.read(bootFile, log: log)
        let kept = journal.readings
        let boots = Self.merge(remembered.boots, kept)
        let sample = ClockWatch.Sample.now(clock)
        earliest = max(Self.programTime, remembered.time)
        clockWatch = ClockWatch(sample, earliest: earliest)
        // In milliseconds: without files a driver that is started twice within a second would be the same boot twice.
        outbox = Outbox(
            boot: max(sample.time / 1_000, (boots.last?.boot ?? 0) + 1), after: boots.filter { $0.seq > 0 },
            kept: kept)
        bootFileIsDue = .now
        dropped = Tally("readings were dropped, the oldest that the hub has not committed, for want of room", log: log)
        refusals = Tally("messages with readings were refused by the broker and will be sent again", log: log)
        lostMessages = Tally("messages from the broker were thrown away, too large or too many", log: log)

        let inbox = Inbox()
        self.inbox = inbox
        // The id is the same at each start, so that the broker ends a connection that an earlier start left behind, and
        // publishes its will, before this one says that the sensor is online.
        client = Client(
            ClientConfiguration(
                address: broker, clientID: "sensorhub.\(environment.hub).sensor.\(sensor)", user: environment.user,
                password: environment.password,
                will: OutgoingMessage(
                    topic: topics.status, payload: SensorStatus.connectionLost.json(time: nil).bytes(),
                    isRetained: true),
                keepAliveSeconds: Self.keepAliveSeconds)
        ) { event in inbox.put(event) }
        client.subscribe(topics.committed, topics.hubStatus)
        if takesCalls { client.subscribe(topics.control) }
    }

    func start() {
        log.info("connecting to \(broker) as sensor '\(topics.sensor)'")
        if clockWatch.isUncertain { log.error("the clock is not right yet: the times of readings will be corrected") }
        beginBoot()
        client.start()
    }

    /// Says farewell to the broker.
    func stop() {
        // Without a connection its thread may be waiting for a name or an address that does not answer, and there is
        // nobody to say farewell to: it ends with the process.
        if client.isConnected { client.stop() }
        dropped.tellRest()
        refusals.tellRest()
        saveBoots(isDurable: false)
        let unsent = outbox.unsentCount
        guard unsent > 0 else { return }
        if journal.isDurable {
            log.info("readings are kept for the next start, as they could not be sent: \(unsent)")
        } else {
            log.error("readings could not be sent and are lost: \(unsent)")
        }
    }

    /// True while readings go out.
    var isUp: Bool {
        if case .up = link { true } else { false }
    }

    /// True while readings go out and the hub has not said that it is away, nor the broker that it died. A broker without
    /// a word of a hub counts as one.
    var isHubReachable: Bool { isUp && !isHubOffline }

    // MARK: Outwards

    /// Looks at the clocks; to be called before a reading is stamped.
    func watchClock() {
        guard clockWatch.isUncertain else { return }
        let sent = outbox.lastSent
        for correction in clockWatch.observe(.now(clock)) {
            let span = correction.span
            // Boots are sent in order.
            let sentThrough = span.boot < sent.boot ? span.last.seq : span.boot == sent.boot ? sent.seq : 0
            notes.append(.clock(KeptCorrection(span: span, sentThrough: sentThrough, offset: correction.offset)))
            log.info("the clock is right now: the times of \(span.count) readings change by \(correction.offset) µs")
        }
    }

    /// Takes a reading, to be sent until the hub has it.
    ///
    /// - Parameters:
    ///   - values: the fields as JSON text.
    ///   - time: microseconds since 1970.
    func keep(_ values: [UInt8], time: Int64) {
        let position = outbox.take()
        let reading = KeptReading(
            position: position, time: time, isUncertain: clockWatch.isUncertain, values: values)
        clockWatch.stamped(position)
        let now = Instant.now
        let given = journal.append(reading, after: notes, at: now)
        notes = []
        if !given.isEmpty { dropped.add(outbox.dropped(given), at: now) }
        // What memory holds goes with the process: the number at least is to be known then.
        if !journal.isDurable || now >= bootFileIsDue { saveBoots(isDurable: false) }
    }

    /// Sends readings, as far as it is time for them.
    func send() {
        do throws(MQTTError) {
            while true {
                switch outbox.next(at: .now) {
                case .send(let span): try send(span)
                case .giveUp(let spans):
                    let count = spans.reduce(0) { $0 + $1.count }
                    log.error("the hub misses readings that are not kept any more: \(count)")
                    outbox.gaveUp(id: try publish(lost: spans))
                case .wait, .idle: return
                }
            }
        } catch {
            // Without a connection an event will tell.
            if error.code != .noConnection { refused(nil, error) }
        }
    }

    private func send(_ span: Span) throws(MQTTError) {
        guard let batch = journal.batch(span), let sent = batch.span else {
            let unreadable = outbox.dropped([journal.unreadable(span)])
            return log.error("readings cannot be read from the journal and are lost: \(unreadable)")
        }
        let id = try client.publish(OutgoingMessage(topic: topics.data, payload: batch.payload))
        outbox.sent(sent, id: id, at: .now)
    }

    private func publish(lost spans: [Span]) throws(MQTTError) -> Int32 {
        var items: [JSON] = []
        for span in spans {
            // The end of the boot before was to be told with the first reading.
            if span.seqs.lowerBound <= 1, let end = outbox.end(before: span.boot) {
                items.append(["boot": .int(end.boot), "end": .int(end.seq)])
            }
            items.append(["boot": .int(span.boot), "lost": [.int(span.seqs.lowerBound), .int(span.seqs.upperBound)]])
        }
        return try client.publish(OutgoingMessage(topic: topics.data, payload: JSON.array(items).bytes()))
    }

    /// Publishes what is worth something now or not at all.
    ///
    /// - Throws: `MQTTError`, also where there is no connection.
    func publish(_ json: JSON, on topic: String, isRetained: Bool = false) throws(MQTTError) {
        try client.publish(OutgoingMessage(topic: topic, payload: json.bytes(), isRetained: isRetained))
    }

    // MARK: Inwards

    /// Readable when there is something for `takeNotices`.
    var descriptor: Int32 { inbox.descriptor }

    /// When `takeNotices` and `send` are to be called even if nothing happens; nil for never.
    var nextMoment: Instant? {
        if case .asking(let end) = link { return end }
        if case .wait(let end) = outbox.next(at: .now) { return end }
        return nil
    }

    /// Handles what came over the connection.
    ///
    /// - Returns: what is not about readings.
    func takeNotices() -> [Notice] {
        let (items, lost) = inbox.take()
        var notices: [Notice] = []
        for item in items {
            switch item {
            case .connected:
                connected()
                notices.append(.connected)
            case .disconnected(let reason): disconnected(reason)
            case .published(let id, nil): outbox.acknowledged(id)
            case .published(let id, let error?): refused(id, error)
            case .message(let message) where message.topic == topics.committed: committed(message)
            case .message(let message) where message.topic == topics.hubStatus: hubStatus(message)
            case .message(let message): notices.append(.control(message))
            }
        }
        lostMessages.add(lost, at: .now)
        if case .asking(let end) = link, Instant.now >= end {
            link = .up
            outbox.settle()
        }
        return notices
    }

    private func connected() {
        log.info("connected to \(broker)")
        outbox.connected()
        link = outbox.isSettled ? .up : .asking(until: .now + Self.patienceForCommitted)
    }

    private func disconnected(_ reason: MQTTError) {
        outbox.disconnected()
        isHubOffline = false
        if case .connecting(reason.reason) = link { return }
        log.error("no connection to \(broker): \(reason)")
        link = .connecting(lastReason: reason.reason)
    }

    private func refused(_ id: Int32?, _ error: MQTTError) {
        if outbox.refused(id, at: .now) { refusals.add(1, at: .now, reason: error.reason) }
    }

    private func committed(_ message: Message) {
        // An empty message takes the retained one away, when the sensor is removed.
        guard !message.payload.isEmpty else { return }
        do {
            let mark = try Mark(message.payload, with: parser)
            let wasSettled = outbox.isSettled
            if outbox.committed(mark) {
                if wasSettled {
                    log.error("the hub has readings that are not from here: is the sensor's driver running twice?")
                }
                beginBoot()
            }
            journal.keepOnly(outbox.kept)
            if case .asking = link { link = .up }
        } catch {
            log.error("\(message.topic): \(error)")
        }
    }

    private func hubStatus(_ message: Message) {
        let status = (try? JSON(parsing: message.payload))?["status"]
        isHubOffline = status == "offline"
        // A retained one comes with the subscription: there was no return that it tells of.
        if status == "online", !message.isRetained { outbox.hubReturned() }
    }

    // MARK: Boots
    //
    // The number that `end` names for a boot is at least that of every reading of it that has left the process. A
    // reading is in the journal, or where that is in memory its number in the boots file, before it is sent (`keep`).
    // The next start looks into both (`merge`), and does so when the process before it is gone (`StateLock`). A power
    // cut alone can take from both what has been sent; the hub then believes what it has.

    /// - Returns: the lock on a sensor's files and their folder; no folder where they are another process's.
    private static func takeFiles(
        in folder: String?, of sensor: Identifier, log: Log
    ) -> (StateLock?, folder: String?) {
        guard let folder else { return (nil, nil) }
        do {
            let lock = try StateLock(folder: folder, instance: sensor) { pid in
                log.error("process \(pid) was still at work for this sensor, and was ended")
            }
            return (lock, folder)
        } catch let error as StateLock.Taken {
            log.error(
                """
                process \(error.pid) is at work for this sensor and cannot be ended: readings are kept in memory, and \
                end with this process
                """)
            return (nil, nil)
        } catch {
            log.error("nothing keeps another process from this sensor's files: \(error)")
            return (nil, folder)
        }
    }

    /// A boot was begun: what is known of the ones before is said with its first reading.
    private func beginBoot() {
        if let end = outbox.end(before: outbox.last.boot) { notes.append(.end(end)) }
        saveBoots(isDurable: true)
    }

    private func saveBoots(isDurable: Bool) {
        bootFileIsDue = .now + Self.pauseBetweenBootFiles
        let time = clockWatch.isUncertain ? 0 : clock.now()
        do throws(FileError) {
            try bootFile?.write(BootFile.Content(boots: outbox.boots, time: max(time, earliest)), isDurable: isDurable)
            isBootFileStale = false
        } catch {
            // In memory mode it is tried with each reading.
            if !isBootFileStale { log.error("the boot number cannot be remembered: \(error)") }
            isBootFileStale = true
        }
    }

    private static func read(_ file: BootFile?, log: Log) -> BootFile.Content {
        do {
            return try file?.read() ?? BootFile.Content()
        } catch {
            log.error("earlier starts are not known: \(error)")
            return BootFile.Content()
        }
    }

    /// The boots of which something is known, with their last numbers.
    private static func merge(_ remembered: [Position], _ kept: SpanSet) -> [Position] {
        var last: [Int64: Int64] = [:]
        for position in remembered + kept.spans.map(\.last) {
            last[position.boot] = max(last[position.boot] ?? 0, position.seq)
        }
        return last.map { Position(boot: $0.key, seq: $0.value) }.sorted().suffix(BootFile.keptBoots)
    }

    /// When this program was made: the present is later. In microseconds since 1970; 0 where it cannot be said.
    private static var programTime: Int64 {
        var status = stat()
        return stat("/proc/self/exe", &status) == 0 ? Int64(status.st_mtim.tv_sec) * 1_000_000 : 0
    }
}
