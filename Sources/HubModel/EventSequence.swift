public import SimdJSON

/// Puts events together that come from two sides: from the hub at once, where some may be lost on the way, and from its
/// record later, where all of them are. Each is given out once.
public struct EventSequence {
    /// What an event on record and the same one as a message have in common.
    private struct Mark: Hashable {
        let time: Int64
        let kind: String
        let subject: String
    }

    private let kinds: Set<String>
    private var known: Set<Mark> = []
    /// The marks that are known, the oldest first.
    private var order: [Mark] = []
    /// Times in microseconds since 1970: what was before is not to be told, and of the newest that is known.
    private let begin: Int64
    private var newest: Int64

    /// Of more it is not known whether they were given out. The hub lists no more at a time.
    private static let maximumKnown = 10_000
    /// Events are not always on record in the order of their times; in microseconds.
    private static let overlap: Int64 = 60_000_000

    /// - Parameters:
    ///   - kinds: those that are given out.
    ///   - past: the newest on record, which are not. Where there are none, everything is.
    public init(kinds: [JSON], after past: [JSON]) {
        self.kinds = Set(kinds.compactMap(\.string))
        begin = past.compactMap { $0["t"]?.int }.max() ?? 0
        newest = begin
        _ = take(past)
    }

    /// - Parameter events: as messages, or from the record.
    /// - Returns: those of them that are new.
    public mutating func take(_ events: [JSON]) -> [JSON] {
        events.filter { event in
            guard let time = event["t"]?.int, let kind = event["kind"]?.string, kinds.contains(kind) else {
                return false
            }
            let mark = Mark(time: time, kind: kind, subject: event["subject"]?.string ?? "")
            guard known.insert(mark).inserted else { return false }
            order.append(mark)
            if order.count >= 2 * Self.maximumKnown {
                for old in order.prefix(Self.maximumKnown) { known.remove(old) }
                order.removeFirst(Self.maximumKnown)
            }
            newest = max(newest, time)
            return true
        }
    }

    /// What the hub is to be asked for: everything that may not have come.
    public var missing: JSONObject {
        [
            "kinds": .array(kinds.sorted().map { .string($0) }), "since": .int(max(begin, newest - Self.overlap)),
            "last": .int(Int64(Self.maximumKnown)),
        ]
    }
}
