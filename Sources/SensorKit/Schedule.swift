/// When a sensor is read: at fixed distances from the start, so that the time that a reading takes does not add up. A
/// deadline that has passed is skipped, not made up for.
struct Schedule {
    /// The next deadline.
    private(set) var next: Instant
    private let interval: Int64

    init(interval: Duration, start: Instant) {
        precondition(interval > .zero)
        self.interval = interval.nanoseconds
        next = start
    }

    func isDue(_ now: Instant) -> Bool { now >= next }

    /// The deadline that was due is done with.
    ///
    /// - Returns: how many deadlines after it have passed as well.
    mutating func advance(_ now: Instant) -> Int {
        move(by: 1)
        return skip(until: now, including: true)
    }

    /// Leaves out the deadlines before `moment`.
    mutating func postpone(until moment: Instant) {
        _ = skip(until: moment, including: false)
    }

    private mutating func skip(until moment: Instant, including: Bool) -> Int {
        let late = moment.nanoseconds - next.nanoseconds
        guard including ? late >= 0 : late > 0 else { return 0 }
        let missed = including ? late / interval + 1 : (late + interval - 1) / interval
        move(by: missed)
        return Int(missed)
    }

    private mutating func move(by deadlines: Int64) {
        next = Instant(nanoseconds: next.nanoseconds + deadlines * interval)
    }
}
