import SensorKit

/// Notices that the hub has been out of reach for a set time, after which outputs go to where they are safe: nobody is
/// in charge of them any more. The attribute is `safe_after_seconds`; without it outputs stay as they are.
struct HubAbsence {
    static let attribute = "safe_after_seconds"

    private let limit: Duration?
    /// Since when it has been out of reach; nil while it is there, and after it was told of.
    private var since: Instant?

    init(limit: Duration?, start: Instant) {
        self.limit = limit
        since = start
    }

    init(_ attributes: DocumentReader) throws(ValidationError) {
        let seconds = try attributes.optional(Self.attribute)?.int(1...86_400)
        self.init(limit: seconds.map { .seconds($0) }, start: .now)
    }

    /// For `Driver.wakeUp`.
    var deadline: Instant? {
        guard let limit, let since else { return nil }
        return since + limit
    }

    mutating func hub(isReachable: Bool, at now: Instant) {
        since = isReachable ? nil : now
    }

    /// - Returns: true once, when the time is over.
    mutating func isOver(at now: Instant) -> Bool {
        guard let deadline, now >= deadline else { return false }
        since = nil
        return true
    }
}
