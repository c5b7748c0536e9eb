import SensorKit

/// When to ask a DHT22, and what to make of one that is not understood. It needs 2 s between two questions; and a
/// transfer that is disturbed is ordinary with it, as nothing can be repeated.
struct DHT22Attempts {
    private var last: Instant?
    private var failures: [SensorFault] = []

    static let pause = Duration.seconds(2)
    /// So many in a row are a fault.
    static let tolerated = 3

    /// Whether it may be asked now.
    ///
    /// - Throws: what was wrong before, where it is too early to know better.
    mutating func begin(at now: Instant) throws(SensorFault) -> Bool {
        if let last, now - last < Self.pause {
            if let fault { throw fault }
            return false
        }
        last = now
        return true
    }

    mutating func succeeded() { failures = [] }

    /// - Throws: `SensorFault` where it has failed too often in a row.
    mutating func failed(_ failure: SensorFault) throws(SensorFault) {
        failures = (failures + [failure]).suffix(Self.tolerated)
        if let fault { throw fault }
    }

    private var fault: SensorFault? {
        failures.count < Self.tolerated ? nil : SensorFault("\(Self.tolerated) times in a row: \(failures.last!)")
    }
}
