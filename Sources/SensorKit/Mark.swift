/// What the hub says of a sensor's readings: those up to a position are in the database, but for the ones it misses.
struct Mark: Sendable, Hashable {
    /// The highest number in the database.
    let position: Position
    let missing: SpanSet
    /// True where more may be missing than `missing` says, behind it.
    let isCutShort: Bool

    /// The hub names so many ranges and no more.
    static let namedRanges = 20

    /// - Parameter missing: in any order.
    init(boot: Int64, seq: Int64, missing: [Span] = []) {
        position = Position(boot: boot, seq: seq)
        self.missing = SpanSet(missing)
        isCutShort = missing.count >= Self.namedRanges
    }

    /// Up to here, what is not missing is in the database.
    var reached: Position {
        guard isCutShort, let last = missing.last else { return position }
        return min(last, position)
    }

    /// Reads what the hub has on the topic `committed`: `{"boot", "seq", "missing": [[boot, first, last], …]}`. There
    /// may be one for each reading, so it is read in place.
    ///
    /// - Throws: `JSONSyntaxError`, `ValidationError`.
    init(_ payload: [UInt8], with parser: JSONParser) throws {
        self = try payload.withUnsafeBytes { bytes in
            try parser.parse(bytes) { tape in
                var boot: Int64?
                var seq: Int64?
                var missing: [Span] = []
                guard tape.kind == .object else { throw ValidationError("expected an object") }
                try tape.forEachMember { key, value in
                    if key.elementsEqual("boot".utf8) { boot = Self.number(value) }
                    if key.elementsEqual("seq".utf8) { seq = Self.number(value) }
                    if key.elementsEqual("missing".utf8) { missing = try Self.spans(value) }
                }
                guard let boot, let seq else {
                    throw ValidationError("expected 'boot' and 'seq', whole numbers from 0 to \(Position.maximum)")
                }
                return Mark(boot: boot, seq: seq, missing: missing)
            }
        }
    }

    private static func number(_ value: JSONTape) -> Int64? {
        value.kind == .int && (0...Position.maximum).contains(value.int) ? value.int : nil
    }

    private static func spans(_ value: JSONTape) throws -> [Span] {
        guard value.kind == .array else { throw ValidationError(path: "missing", "expected a list") }
        var spans: [Span] = []
        try value.forEachItem { item in
            var numbers: [Int64] = []
            if item.kind == .array { item.forEachItem { numbers.append(number($0) ?? -1) } }
            guard numbers.count == 3, numbers[0] >= 0, numbers[1] >= 0, numbers[1] <= numbers[2] else {
                throw ValidationError(path: "missing", "expected [boot, first, last], found something else")
            }
            spans.append(Span(boot: numbers[0], seqs: numbers[1]...numbers[2]))
        }
        return spans
    }
}
