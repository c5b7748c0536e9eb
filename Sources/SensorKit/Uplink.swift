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
    private let bootFile: BootFile?
    private let parser = JSONParser(maximumBytes: 64 << 10)
    private var outbox: Outbox
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

    /// - Parameter takesCalls: whether control calls are wanted.
    init(
        sensor: Identifier, _ environment: DriverEnvironment, takesCalls: Bool, clock: WallClock, log: Log
    ) {
        self.log = log
        topics = SensorTopics(hub: environment.hub, sensor: sensor)
        broker = environment.broker
        bootFile = environment.stateDirectory.map { BootFile(directory: $0, instance: sensor) }
        outbox = Outbox(boot: Self.firstBoot(bootFile, clock: clock, log: log))
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
        saveBoot()
        client.start()
    }

    /// Says farewell to the broker.
    func stop() {
        // Without a connection its thread may be waiting for a name or an address that does not answer, and there is
        // nobody to say farewell to: it ends with the process.
        if client.isConnected { client.stop() }
        dropped.tellRest()
        refusals.tellRest()
        if outbox.unsentCount > 0 { log.error("readings could not be sent and are lost: \(outbox.unsentCount)") }
    }

    /// True while readings go out.
    var isUp: Bool {
        if case .up = link { true } else { false }
    }

    // MARK: Outwards

    /// Takes a reading, to be sent until the hub has it.
    ///
    /// - Parameters:
    ///   - values: the fields as JSON text.
    ///   - time: microseconds since 1970.
    func keep(_ values: [UInt8], time: Int64) {
        dropped.add(outbox.append(time: time, values: values), at: .now)
    }

    /// Sends readings, as far as it is time for them.
    func send() {
        while case .send(let batch) = outbox.next(at: .now) {
            do throws(MQTTError) {
                let id = try client.publish(OutgoingMessage(topic: topics.data, payload: batch.payload))
                outbox.sent(batch, id: id, at: .now)
            } catch {
                // Without a connection an event will tell.
                if error.code != .noConnection { refused(nil, error) }
                return
            }
        }
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
                saveBoot()
            }
            if case .asking = link { link = .up }
        } catch {
            log.error("\(message.topic): \(error)")
        }
    }

    private func hubStatus(_ message: Message) {
        // A retained one comes with the subscription, and tells nothing new.
        guard !message.isRetained, let json = try? JSON(parsing: message.payload), json["status"] == "online" else {
            return
        }
        outbox.hubReturned()
    }

    // MARK: The boot number

    private static func firstBoot(_ file: BootFile?, clock: WallClock, log: Log) -> Int64 {
        let now = clock.now() / 1_000_000
        do {
            guard let last = try file?.read() else { return now }
            return max(now, last + 1)
        } catch {
            log.error("the last boot number is not known: \(error)")
            return now
        }
    }

    private func saveBoot() {
        do throws(FileError) {
            try bootFile?.write(outbox.boot)
        } catch {
            log.error("the boot number cannot be remembered: \(error)")
        }
    }
}
