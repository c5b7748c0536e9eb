/// What a driver has to tell the hub: readings, and notes on them. A note travels in the same message as the reading
/// behind it, so when that reading is committed, the note has arrived as well.
enum Entry: Hashable {
    case reading(KeptReading)
    /// The last number of a boot.
    case end(Position)
    case clock(KeptCorrection)
}

struct KeptReading: Hashable {
    let position: Position
    /// Microseconds since 1970.
    let time: Int64
    /// The clock was not right yet.
    let isUncertain: Bool
    /// The fields as JSON text, which takes a fraction of the memory of JSON values.
    let values: [UInt8]
}

/// By how much readings were stamped wrong.
struct KeptCorrection: Hashable {
    let span: Span
    /// The last of them that had gone out by then, as it was stamped; 0 for none. The hub is told of these. It must not
    /// hear a number with two times, so they stay as they are when they are sent again; later ones go out right.
    let sentThrough: Int64
    /// In microseconds, to be added.
    let offset: Int64

    /// What the hub is told of.
    var sent: Span? { span.through(Position(boot: span.boot, seq: sentThrough)) }

    func corrects(_ position: Position) -> Bool {
        position.boot == span.boot && span.seqs.contains(position.seq) && position.seq > sentThrough
    }
}

// MARK: In a message

extension Entry {
    /// Appends the entry as it stands in the array of a message, with a comma behind it.
    func write(to payload: inout [UInt8], corrections: [KeptCorrection]) {
        switch self {
        case .reading(let reading):
            let correction = corrections.first { $0.corrects(reading.position) }
            let time = reading.time &+ (correction?.offset ?? 0)
            let mark = reading.isUncertain && correction == nil ? #","u":true"# : ""
            payload.append(
                contentsOf:
                    #"{"t":\#(time),"boot":\#(reading.position.boot),"seq":\#(reading.position.seq)\#(mark),"v":"#.utf8)
            payload.append(contentsOf: reading.values)
            payload.append(contentsOf: "},".utf8)
        case .end(let last):
            payload.append(contentsOf: #"{"boot":\#(last.boot),"end":\#(last.seq)},"#.utf8)
        case .clock(let correction):
            guard let sent = correction.sent else { return }
            payload.append(
                contentsOf:
                    #"{"boot":\#(sent.boot),"clock":[\#(sent.seqs.lowerBound),\#(sent.seqs.upperBound)],"#.utf8)
            payload.append(contentsOf: #""offset":\#(correction.offset)},"#.utf8)
        }
    }
}

// MARK: In the journal

extension Entry {
    private enum Kind: UInt8 {
        case reading = 1, uncertainReading, end, clock
    }

    /// Appends the body of the entry's record: the kind, the numbers in little-endian order, and a reading's values.
    func encode(to bytes: inout [UInt8]) {
        switch self {
        case .reading(let reading):
            bytes.append((reading.isUncertain ? Kind.uncertainReading : .reading).rawValue)
            bytes.append(integers: reading.position.boot, reading.position.seq, reading.time)
            bytes.append(contentsOf: reading.values)
        case .end(let last):
            bytes.append(Kind.end.rawValue)
            bytes.append(integers: last.boot, last.seq)
        case .clock(let correction):
            bytes.append(Kind.clock.rawValue)
            bytes.append(
                integers: correction.span.boot, correction.span.seqs.lowerBound, correction.span.seqs.upperBound,
                correction.sentThrough, correction.offset)
        }
    }

    /// - Returns: nil for what no entry is written as.
    init?(_ bytes: ArraySlice<UInt8>) {
        guard let kind = bytes.first.flatMap(Kind.init) else { return nil }
        let body = bytes.dropFirst()
        func integers(_ count: Int) -> [Int64]? {
            guard body.count >= count * 8 else { return nil }
            return body.withUnsafeBytes { raw in
                (0..<count).map { Int64(littleEndian: raw.loadUnaligned(fromByteOffset: $0 * 8, as: Int64.self)) }
            }
        }
        let numbers = 1...Position.maximum
        switch kind {
        case .reading, .uncertainReading:
            guard let list = integers(3), numbers.contains(list[0]), numbers.contains(list[1]) else { return nil }
            self = .reading(
                KeptReading(
                    position: Position(boot: list[0], seq: list[1]), time: list[2],
                    isUncertain: kind == .uncertainReading, values: Array(body.dropFirst(24))))
        case .end:
            guard let list = integers(2), list.allSatisfy(numbers.contains) else { return nil }
            self = .end(Position(boot: list[0], seq: list[1]))
        case .clock:
            guard let list = integers(5), list[..<3].allSatisfy(numbers.contains), list[1] <= list[2]
            else { return nil }
            self = .clock(
                KeptCorrection(
                    span: Span(boot: list[0], seqs: list[1]...list[2]), sentThrough: list[3], offset: list[4]))
        }
    }
}

extension [UInt8] {
    fileprivate mutating func append(integers: Int64...) {
        for integer in integers { Swift.withUnsafeBytes(of: integer.littleEndian) { append(contentsOf: $0) } }
    }
}
