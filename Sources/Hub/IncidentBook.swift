/// Which incidents are open, and what the database has not been told of them. A value without I/O.
///
/// An incident may open and close while the database is away: it is on record all the same, with its times.
struct IncidentBook {
    /// What an incident is about; there is one open of each.
    struct Key: Hashable {
        let kind: String
        let subject: String
    }

    /// What the database is to be told, with the time in microseconds since 1970.
    enum Change: Hashable {
        /// Opened; or open already, with another reason.
        case opened(Key, reason: String, at: Int64)
        case closed(Key, at: Int64)
    }

    /// The reasons of those that are open.
    private var reasons: [Key: String]
    /// Oldest first.
    private var unwritten: [Change] = []

    /// Beyond this, the oldest are forgotten: a database cannot be away for so many.
    static let maximumUnwritten = 1_000

    /// - Parameter open: what an earlier hub has left open, with the reasons.
    init(open: [Key: String] = [:]) {
        reasons = open
    }

    /// What the open ones of a kind are about.
    func subjects(of kind: String) -> [String] {
        reasons.keys.filter { $0.kind == kind }.map(\.subject).sorted()
    }

    /// - Returns: true where it was not open before.
    mutating func open(_ key: Key, reason: String, at time: Int64) -> Bool {
        guard reasons[key] != reason else { return false }
        let isNew = reasons.updateValue(reason, forKey: key) == nil
        if case .opened(key, _, let begin)? = unwritten.last {
            unwritten[unwritten.count - 1] = .opened(key, reason: reason, at: begin)
        } else {
            add(.opened(key, reason: reason, at: time))
        }
        return isNew
    }

    /// - Returns: the last reason; nil where it was not open.
    mutating func close(_ key: Key, at time: Int64) -> String? {
        guard let reason = reasons.removeValue(forKey: key) else { return nil }
        add(.closed(key, at: time))
        return reason
    }

    private mutating func add(_ change: Change) {
        if unwritten.count == Self.maximumUnwritten { unwritten.removeFirst() }
        unwritten.append(change)
    }

    /// The change to be written next.
    var nextChange: Change? { unwritten.first }

    /// `nextChange` is in the database.
    mutating func wroteNext() { unwritten.removeFirst() }
}
