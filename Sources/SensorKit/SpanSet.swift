/// A set of readings by number, as spans in order that do not touch.
struct SpanSet: Hashable {
    private(set) var spans: [Span] = []

    init() {}

    /// - Parameter spans: in any order.
    init(_ spans: [Span]) {
        for span in spans.sorted(by: { $0.first < $1.first }) {
            if let last, let rest = span.from(Position(boot: last.boot, seq: last.seq + 1)) {
                append(rest)
            } else if last == nil {
                append(span)
            }
        }
    }

    var isEmpty: Bool { spans.isEmpty }
    var last: Position? { spans.last?.last }
    var count: Int { spans.reduce(0) { $0 + $1.count } }

    func contains(_ position: Position) -> Bool {
        spans.contains { $0.first <= position && position <= $0.last }
    }

    /// What of a span is in the set.
    func parts(of span: Span) -> [Span] { spans.compactMap { $0.intersection(span) } }

    func overlaps(_ other: SpanSet) -> Bool {
        spans.contains { span in other.spans.contains { $0.intersection(span) != nil } }
    }

    /// The first readings from `position` on.
    func next(from position: Position) -> Span? {
        for span in spans { if let part = span.from(position) { return part } }
        return nil
    }

    /// - Parameter span: lies after all that is in the set.
    mutating func append(_ span: Span) {
        precondition(last.map { $0 < span.first } ?? true, "spans are appended in order")
        if let last = spans.last, last.boot == span.boot, last.seqs.upperBound + 1 == span.seqs.lowerBound {
            spans[spans.count - 1] = Span(boot: last.boot, seqs: last.seqs.lowerBound...span.seqs.upperBound)
        } else {
            spans.append(span)
        }
    }

    mutating func formIntersection(_ other: SpanSet) {
        spans = spans.flatMap { other.parts(of: $0) }
    }

    mutating func remove(_ span: Span) { remove(span.first...span.last, except: SpanSet()) }

    /// Removes what lies in `range` and not in `exceptions`.
    mutating func remove(_ range: ClosedRange<Position>, except exceptions: SpanSet) {
        var rest = SpanSet()
        for span in spans {
            guard let inside = span.from(range.lowerBound)?.through(range.upperBound) else {
                rest.append(span)
                continue
            }
            if span.first < inside.first {
                rest.append(Span(boot: span.boot, seqs: span.seqs.lowerBound...inside.seqs.lowerBound - 1))
            }
            for part in exceptions.parts(of: inside) { rest.append(part) }
            if inside.last < span.last {
                rest.append(Span(boot: span.boot, seqs: inside.seqs.upperBound + 1...span.seqs.upperBound))
            }
        }
        self = rest
    }
}
