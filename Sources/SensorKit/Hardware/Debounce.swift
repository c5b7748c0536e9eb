/// Tells changes of a contact from its bouncing: a value counts when the line has kept it for a set time. The change then
/// happened at the edge with which it began to, so debouncing makes it known later, but not dated later.
///
/// The times are the kernel's, of the edges; how late they are read does not matter. `advance` must be called when
/// `deadline` has come, as the last change has no edge after it.
public struct Debounce: Sendable, Hashable {
    public struct Change: Sendable, Hashable {
        public let value: Bool
        /// Of the edge after which the line kept the value.
        public let time: Instant

        public init(value: Bool, time: Instant) {
            self.value = value
            self.time = time
        }
    }

    /// What counts now.
    public private(set) var value: Bool
    /// Edges that were none: a value did not last.
    public private(set) var bounces: Int64 = 0
    private let period: Duration
    /// A value that has not lasted long enough yet.
    private var pending: Change?

    /// - Parameters:
    ///   - value: the line's at first.
    ///   - period: zero lets every edge count.
    public init(value: Bool, period: Duration) {
        self.value = value
        self.period = period
    }

    /// When `advance` is to be called; nil where nothing is pending.
    public var deadline: Instant? { pending.map { $0.time + period } }

    /// Takes the line's next edge.
    ///
    /// - Returns: the change that came to count with it, which was before the edge unless the period is zero.
    public mutating func add(value new: Bool, time: Instant) -> Change? {
        let change = advance(to: time)
        if period == .zero {
            guard new != value else { return nil }
            value = new
            return Change(value: new, time: time)
        }
        if pending != nil { bounces += 1 }
        pending = new == value ? nil : Change(value: new, time: time)
        return change
    }

    /// The time is `now`, and all edges up to it were taken.
    public mutating func advance(to now: Instant) -> Change? {
        guard let pending, now >= pending.time + period else { return nil }
        self.pending = nil
        value = pending.value
        return pending
    }
}
