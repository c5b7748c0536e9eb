/// Finds out which edges of a line were lost: the kernel keeps a number of them for who is slow to read, and drops those
/// that come then without a word.
///
/// Where edges are numbered, a number that is left out is an edge that was lost. Where they are not, those that are known
/// to be dropped count, and values must alternate: two edges to the same value have at least one lost between them. What
/// the kernel has dropped in pairs cannot be seen then.
///
/// An edge that was dropped, but that the line's own value has shown, is not lost: it is left out of the numbers once.
public struct EdgeLedger: Sendable, Hashable {
    /// The value after the last edge that is known.
    public private(set) var value: Bool
    public private(set) var lost: Int64 = 0
    /// The first edge after a line was taken is 1.
    private var lastNumber: Int64 = 0
    /// Edges since that number which the line's value has shown.
    private var shown: Int64 = 0

    /// - Parameter value: the line's, read after it was taken.
    public init(value: Bool) {
        self.value = value
    }

    /// - Returns: how many were lost before this one, as far as that can be known.
    @discardableResult
    public mutating func add(_ edge: Edge) -> Int64 {
        let missing: Int64
        if let number = edge.number {
            missing = max(0, number - lastNumber - 1 - shown)
        } else {
            let isValueAsExpected = (edge.value != value) == edge.dropped.isMultiple(of: 2)
            missing = edge.dropped + (isValueAsExpected ? 0 : 1)
        }
        lastNumber = edge.number ?? 0
        shown = 0
        value = edge.value
        lost += missing
        return missing
    }

    /// The line's value was read while no edge was waiting.
    ///
    /// - Returns: true where the value is another than after the last edge: there was one that nobody has told of.
    public mutating func reconcile(with value: Bool) -> Bool {
        guard value != self.value else { return false }
        self.value = value
        shown += 1
        return true
    }
}
