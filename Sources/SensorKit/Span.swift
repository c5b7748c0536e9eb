/// The number of a reading: starts of the driver are numbered, and the readings since.
struct Position: Sendable, Hashable, Comparable {
    let boot: Int64
    let seq: Int64

    /// A number beyond this could not have come about; below it, arithmetic is safe.
    static let maximum: Int64 = 1 << 53

    /// Before the first reading of all.
    static let zero = Position(boot: 0, seq: 0)

    static func < (left: Position, right: Position) -> Bool {
        (left.boot, left.seq) < (right.boot, right.seq)
    }
}

/// Consecutive readings of one boot, by number.
struct Span: Sendable, Hashable {
    let boot: Int64
    let seqs: ClosedRange<Int64>

    var first: Position { Position(boot: boot, seq: seqs.lowerBound) }
    var last: Position { Position(boot: boot, seq: seqs.upperBound) }
    var count: Int { Int(seqs.upperBound - seqs.lowerBound) + 1 }

    /// What lies in both; nil where nothing does.
    func intersection(_ other: Span) -> Span? {
        guard boot == other.boot, seqs.overlaps(other.seqs) else { return nil }
        return Span(boot: boot, seqs: seqs.clamped(to: other.seqs))
    }

    /// The part from `position` on; nil where there is none.
    func from(_ position: Position) -> Span? {
        guard last >= position else { return nil }
        return first >= position ? self : Span(boot: boot, seqs: position.seq...seqs.upperBound)
    }

    /// The part up to `position`; nil where there is none.
    func through(_ position: Position) -> Span? {
        guard first <= position else { return nil }
        return last <= position ? self : Span(boot: boot, seqs: seqs.lowerBound...position.seq)
    }
}
