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

    private var schedule: Schedule
    private var missed: Tally
    private var status = SensorStatus.online
    private var faultBackoff = Backoff(first: .seconds(1), cap: .seconds(60))
    /// Set by a control call, so that people see what it did.
    private var isReadWanted = false
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
        uplink = Uplink(
            sensor: configuration.name, environment, takesCalls: !type.functions.isEmpty, clock: clock, log: log)
        let fallback = Swift.type(of: driver).defaultInterval
        schedule = Schedule(interval: configuration.interval(default: fallback), start: .now)
        missed = Tally("readings were left out because reading took longer than the interval", log: log)
    }

    /// Runs the driver until `stop` is readable, then says farewell to the broker.
    public func run(until stop: Int32) {
        uplink.start()
        while !wait(for: stop) {
            for notice in uplink.takeNotices() {
                switch notice {
                case .connected: publishStatus()
                case .control(let message): handleControl(message)
                }
            }
            if isReadWanted || schedule.isDue(.now) { read() }
            uplink.send()
            if !isStarted, uplink.isUp {
                isStarted = true
                ProgramText.release()
            }
        }
        status = .stopped
        publishStatus()
        uplink.stop()
        missed.tellRest()
        log.info("stopped")
    }

    /// Waits until there is something to do.
    ///
    /// - Returns: true where `stop` is readable.
    private func wait(for stop: Int32) -> Bool {
        let moment = min(schedule.next, uplink.nextMoment ?? schedule.next)
        let left = max(0, moment.nanoseconds - Instant.now.nanoseconds)
        // `poll` knows whole milliseconds; what is less is slept through.
        if left < 1_000_000 { pause(.nanoseconds(left)) }
        var descriptors = [
            pollfd(fd: stop, events: Int16(POLLIN), revents: 0),
            pollfd(fd: uplink.descriptor, events: Int16(POLLIN), revents: 0),
        ]
        poll(&descriptors, 2, Int32(left / 1_000_000))
        return descriptors[0].revents != 0
    }

    // MARK: Reading

    private func read() {
        isReadWanted = false
        uplink.watchClock()
        let time = clock.now()
        do throws(SensorFault) {
            for measurement in try driver.read() {
                let values = try measurement.checked(against: type)
                if !values.isEmpty { uplink.keep(try text(of: values), time: measurement.time ?? time) }
            }
            change(to: .online)
            faultBackoff.reset()
        } catch {
            change(to: .fault(error.reason))
            schedule.postpone(until: .now + faultBackoff.next())
        }
        let now = Instant.now
        if schedule.isDue(now) { missed.add(schedule.advance(now), at: now) }
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
        case .online, .offline: log.info("the sensor can be read again")
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
