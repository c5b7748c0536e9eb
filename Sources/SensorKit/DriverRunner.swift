import Glibc
import MQTT

/// Runs one driver: reads on schedule, gets the readings to the hub, carries out control calls, and tells how the
/// sensor is. The driver is called on the thread that calls `run`.
public final class DriverRunner {
    private var driver: any Driver
    private let type: SensorType
    private let clock: WallClock
    private let log: Log
    private let uplink: Uplink
    private var rules: ReadingRules

    private var schedule: Schedule
    private var missed: Tally
    private var status = SensorStatus.online
    private var faultBackoff = Backoff(first: .seconds(1), cap: .seconds(60))
    /// When a sensor that is at fault is read again, instead of on schedule.
    private var retry: Instant?
    /// Set by a control call, so that people see what it did.
    private var isReadWanted = false
    private var isHubReachable = false
    /// What a start needs has been done.
    private var isStarted = false

    private static let maximumReadingBytes = 64 << 10

    public init(
        _ driver: any Driver, _ configuration: DriverConfiguration, _ environment: DriverEnvironment,
        clock: WallClock = .system, log: Log = .standard
    ) {
        self.driver = driver
        self.clock = clock
        self.log = log
        type = configuration.type
        rules = configuration.rules
        uplink = Uplink(
            sensor: configuration.name, environment, takesCalls: !type.functions.isEmpty, clock: clock, log: log)
        let fallback = Swift.type(of: driver).defaultInterval
        schedule = Schedule(interval: configuration.interval(default: fallback), start: .now)
        missed = Tally("readings were left out because reading took longer than the interval", log: log)
    }

    /// Runs the driver until `stop` is readable, then says farewell to the broker.
    public func run(until stop: Int32) {
        uplink.start()
        while true {
            let wake = wait(for: stop)
            if wake.isStopWanted { break }
            for notice in uplink.takeNotices() {
                switch notice {
                case .connected: publishStatus()
                case .control(let message): handleControl(message)
                }
            }
            tellDriverOfHub()
            if wake.isDriverReady || isReactionDue { react() }
            if isReadWanted || nextRead <= .now { read() }
            uplink.send()
            if !isStarted, uplink.isUp {
                isStarted = true
                ProgramText.release()
            }
        }
        driver.stop()
        status = .stopped
        publishStatus()
        uplink.stop()
        missed.tellRest()
        log.info("stopped")
    }

    /// What `wait` found out.
    private struct Wake {
        let isStopWanted: Bool
        /// One of the driver's descriptors is readable.
        let isDriverReady: Bool
    }

    /// Waits until there is something to do.
    private func wait(for stop: Int32) -> Wake {
        let moments = [nextRead, uplink.nextMoment, isFaulty ? nil : driver.wakeUp].compactMap(\.self)
        let left = max(0, moments.min()!.nanoseconds - Instant.now.nanoseconds)
        var descriptors = [stop, uplink.descriptor].map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        if !isFaulty {
            descriptors += driver.descriptors.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        }
        // `poll` knows whole milliseconds; what is less is slept through.
        if left < 1_000_000 { pause(.nanoseconds(left)) }
        poll(&descriptors, nfds_t(descriptors.count), Int32(min(left / 1_000_000, 1_000_000_000)))
        return Wake(
            isStopWanted: descriptors[0].revents != 0,
            isDriverReady: descriptors.dropFirst(2).contains { $0.revents != 0 })
    }

    private var isFaulty: Bool { retry != nil }

    private var nextRead: Instant { retry ?? schedule.next }

    // MARK: Reading

    private func read() {
        isReadWanted = false
        publish { (driver) throws(SensorFault) in try driver.read() }
        let now = Instant.now
        if !isFaulty, schedule.isDue(now) { missed.add(schedule.advance(now), at: now) }
    }

    private var isReactionDue: Bool {
        guard !isFaulty, let moment = driver.wakeUp else { return false }
        return moment <= .now
    }

    private func react() {
        publish { (driver) throws(SensorFault) in try driver.react() }
    }

    /// Has the driver measure, and keeps what it measured.
    private func publish(_ measure: (inout any Driver) throws(SensorFault) -> [Measurement]) {
        uplink.watchClock()
        let time = clock.now()
        do throws(SensorFault) {
            for measurement in try measure(&driver) {
                guard let values = try rules.take(try measurement.checked(against: type), at: .now) else { continue }
                if !values.isEmpty { uplink.keep(try text(of: values), time: measurement.time ?? time) }
            }
            change(to: rules.alerts.isEmpty ? .online : .alert(rules.alerts))
            faultBackoff.reset()
            if retry != nil { schedule.postpone(until: .now) }
            retry = nil
        } catch {
            change(to: .fault(error.reason))
            retry = .now + faultBackoff.next()
        }
    }

    private func tellDriverOfHub() {
        guard uplink.isHubReachable != isHubReachable else { return }
        isHubReachable.toggle()
        driver.hubIsReachable(isHubReachable)
    }

    private func text(of values: JSONObject) throws(SensorFault) -> [UInt8] {
        let bytes = JSON.object(values).bytes()
        guard bytes.count <= Self.maximumReadingBytes else {
            throw SensorFault("a reading of \(bytes.count) bytes is too large: at most \(Self.maximumReadingBytes)")
        }
        return bytes
    }

    // MARK: Status

    private func change(to status: SensorStatus) {
        guard status != self.status else { return }
        self.status = status
        switch status {
        case .fault(let reason): log.error("fault: \(reason)")
        case .alert(let alerts):
            for alert in alerts { log.error("\(alert.level.rawValue): \(alert.reason)") }
        case .online, .offline: log.info("the sensor is well again")
        }
        publishStatus()
    }

    /// Without a connection it is published after the next connect.
    private func publishStatus() {
        try? uplink.publish(status.json(time: clock.now()), on: uplink.topics.status, isRetained: true)
    }

    // MARK: Control

    /// Carries out a call, and replies. What cannot be replied to is logged.
    private func handleControl(_ message: Message) {
        let call: ControlCall
        switch ReceivedCall(message.payload, isRetained: message.isRetained) {
        case .call(let read): call = read
        case .refused(let id, let reason): return reply(to: id, .refused, reason)
        case .unreadable(let reason): return log.error("a control call without an id is left alone: \(reason)")
        case .nothing: return
        }
        do throws(ValidationError) {
            try call.check(against: type.functions)
        } catch {
            return reply(to: call.id, .refused, error.description)
        }
        do throws(ControlError) {
            try driver.control(call)
            isReadWanted = true
            reply(to: call.id, .done, nil)
        } catch {
            // What failed may have been done in part: worth a look.
            if error.code == .failed { isReadWanted = true }
            reply(to: call.id, error.code == .refused ? .refused : .failed, error.reason)
        }
    }

    private func reply(to id: String, _ status: ControlReply.Status, _ error: String?) {
        if let error { log.error("control call '\(id.prefix(80))' \(status.rawValue): \(error)") }
        let reply = ControlReply(id: id, status: status, error: error, time: clock.now())
        do throws(MQTTError) {
            try uplink.publish(reply.json, on: uplink.topics.reply)
        } catch {
            log.error("no reply to control call '\(id.prefix(80))': \(error)")
        }
    }
}
