import SensorKit

/// What an output is to be, from what is asked of it, the time, and whether the hub is there. It switches nothing
/// itself: `isOn` says what is to be, `deadline` when `advance` is to be called.
struct SwitchedOutput {
    /// Why the output is as it is.
    enum Cause: String {
        /// The driver took the line.
        case start
        /// Somebody called.
        case call
        /// A time is over.
        case timer
        /// The hub was out of reach for too long.
        case hubLost = "hub_lost"
    }

    private(set) var isOn: Bool
    private(set) var cause = Cause.start
    /// What it is to be when the hub is away for too long; nil for what it is.
    private let safe: Bool?
    private var absence: HubAbsence
    private var timer: Timer?

    private struct Timer {
        let end: Instant
        let then: Bool
    }

    init(isOn: Bool, safe: Bool?, absence: HubAbsence) {
        self.isOn = isOn
        self.safe = safe
        self.absence = absence
    }

    /// When `advance` is to be called next.
    var deadline: Instant? { [timer?.end, absence.deadline].compactMap(\.self).min() }

    /// Sets it for good.
    mutating func set(_ isOn: Bool) {
        timer = nil
        become(isOn, .call)
    }

    /// Switches it on, and off when the time is over.
    mutating func turnOn(for time: Duration, now: Instant) {
        become(true, .call)
        timer = Timer(end: now + time, then: false)
    }

    /// The other state for a time, then what it is now. During a pulse the time begins anew.
    mutating func pulse(for time: Duration, now: Instant) {
        let then = timer?.then ?? isOn
        become(!then, .call)
        timer = Timer(end: now + time, then: then)
    }

    /// The hub comes back; what became safe meanwhile stays so until somebody calls.
    mutating func hubIsReachable(_ isReachable: Bool, now: Instant) {
        absence.hub(isReachable: isReachable, at: now)
    }

    /// - Returns: the time at which it changed, which is not later than `now`; nil where it did not.
    mutating func advance(to now: Instant) -> Instant? {
        guard let deadline, deadline <= now else { return nil }
        let before = isOn
        if absence.isOver(at: deadline) {
            if let safe {
                timer = nil
                become(safe, .hubLost)
            }
        } else if let timer {
            self.timer = nil
            become(timer.then, .timer)
        }
        return isOn == before ? advance(to: now) : deadline
    }

    private mutating func become(_ isOn: Bool, _ cause: Cause) {
        self.isOn = isOn
        self.cause = cause
    }
}
