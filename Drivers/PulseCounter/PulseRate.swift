import SensorKit

/// How fast pulses come, between the last pulse of one reading and the last of the next. So slow pulses, as of an
/// electricity meter, give a fine rate too. Without a pulse it can only be less than one in the time since the last.
struct PulseRate: Hashable {
    /// After so long without a pulse nothing flows any more.
    private let patience: Duration
    /// The last pulse that is in a rate; the driver's start, where `isPulse` is false.
    private var reference: Instant
    private var isPulse = false
    private var latest: Instant?
    private var count: Int64 = 0
    private var last: Double?

    init(patience: Duration, start: Instant) {
        self.patience = patience
        reference = start
    }

    mutating func add(_ count: Int64, at time: Instant) {
        self.count += count
        latest = time
    }

    /// Pulses per second since it was asked last; nil where it cannot be known yet.
    mutating func perSecond(at now: Instant) -> Double? {
        if let latest, latest > reference {
            last = isPulse ? Double(count) / Self.seconds(latest - reference) : nil
            reference = latest
            isPulse = true
        }
        latest = nil
        count = 0
        let silence = now - reference
        if silence >= patience { last = 0 }
        guard let last else { return nil }
        // Right after a pulse the time is too short to say anything.
        return silence > .zero ? min(last, 1 / Self.seconds(silence)) : last
    }

    private static func seconds(_ duration: Duration) -> Double { Double(duration.nanoseconds) / 1e9 }
}
