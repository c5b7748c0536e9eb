public import SimdJSON

/// Where in the journals of a program something stands.
public struct JournalPosition: Sendable, Hashable, Comparable {
    /// Names the journal: when it was made, in microseconds since 1970. A later journal has a greater one.
    public let origin: Int64
    /// Counts the records of that journal, from 1.
    public let number: Int64

    public init(origin: Int64, number: Int64) {
        self.origin = origin
        self.number = number
    }

    public static func < (left: JournalPosition, right: JournalPosition) -> Bool {
        (left.origin, left.number) < (right.origin, right.number)
    }

    /// Reads `{"origin", "n"}`.
    public init(_ reader: DocumentReader) throws(ValidationError) {
        origin = try reader.required("origin").journalOrigin()
        number = try reader.required("n").int(0...Int64.max)
    }
}

/// One thing that a program's journal has on record.
public struct JournalRecord: Sendable, Hashable {
    public enum Stream: String, Sendable, Hashable {
        case stdout, stderr
    }

    public enum Content: Sendable, Hashable {
        /// A line that the program wrote.
        case line(Stream, String)
        /// A change of state. Its position is that of the record.
        case state(ProgramReport)
    }

    public let number: Int64
    /// Microseconds since 1970.
    public let time: Int64
    /// Which start of the program it is of.
    public let run: Int64
    public let content: Content

    public init(number: Int64, time: Int64, run: Int64, content: Content) {
        self.number = number
        self.time = time
        self.run = run
        self.content = content
    }
}

/// A piece of a program's journal, as its node tells it; see docs/topics.md.
public struct JournalReport: Sendable, Hashable {
    public let program: ProgramID
    public let origin: Int64
    /// The number of the record that the node had sent before the first one of these.
    public let after: Int64
    /// By number, each number once.
    public let records: [JournalRecord]
    /// What is wrong with the records that are left out.
    public let faults: [ValidationError]
    /// The number of the last record, be it left out or not; `after` where there is none.
    public let last: Int64

    /// No message is longer, in bytes.
    public static let maximumBytes = 1 << 20
    public static let maximumRecords = 1_000

    public init(
        program: ProgramID, origin: Int64, after: Int64, records: [JournalRecord], faults: [ValidationError] = [],
        last: Int64? = nil
    ) {
        self.program = program
        self.origin = origin
        self.after = after
        self.records = records
        self.faults = faults
        self.last = last ?? records.last?.number ?? after
    }

    /// Reads the members of a `journal` report. A bad record does not spoil the others.
    ///
    /// - Throws: `ValidationError` where not even the program, the origin or the list can be read, or the list is too
    ///   long.
    public init(_ reader: DocumentReader) throws(ValidationError) {
        let program = try ProgramID(reader)
        let origin = try reader.required("origin").journalOrigin()
        let after = try reader.required("after").int(0...Int64.max)
        let list = try reader.required("records")
        let items = try list.items()
        guard items.count <= Self.maximumRecords else {
            throw list.error("\(items.count) records are more than the \(Self.maximumRecords) of one message")
        }
        var records: [JournalRecord] = []
        var faults: [ValidationError] = []
        var last = after
        for item in items {
            do throws(ValidationError) {
                let number = try item.required("n").int(1...Int64.max)
                guard number > last else { throw item.error("its number \(number) does not follow \(last)") }
                last = number
                records.append(try JournalRecord(item, number: number, of: program, origin: origin))
            } catch {
                // One that has no number of its own is the next one: else it would come again for ever.
                if (try? item.required("n").int(1...Int64.max)) == nil, last < Int64.max { last += 1 }
                faults.append(error)
            }
        }
        self.init(program: program, origin: origin, after: after, records: records, faults: faults, last: last)
    }
}

extension JournalRecord {
    /// Reads one that says itself in which journal it stands, as whoever follows a program hears it.
    public static func read(
        _ reader: DocumentReader, of program: ProgramID
    ) throws(ValidationError) -> (position: JournalPosition, record: JournalRecord) {
        let position = try JournalPosition(reader)
        return (position, try JournalRecord(reader, number: position.number, of: program, origin: position.origin))
    }

    fileprivate init(
        _ reader: DocumentReader, number: Int64, of program: ProgramID, origin: Int64
    ) throws(ValidationError) {
        let content: Content
        if let word = try reader.optional("stream") {
            guard let stream = Stream(rawValue: try word.string()) else {
                throw word.error("is neither 'stdout' nor 'stderr'")
            }
            let text = try reader.required("text")
            // Not `string()`: a program may write whatever it likes, NUL as well.
            guard let line = text.value.string else { throw text.error("expected text, found \(text.value.kind)") }
            content = .line(stream, line)
        } else {
            content = .state(
                try ProgramReport(reader, of: program, at: JournalPosition(origin: origin, number: number)))
        }
        self.init(
            number: number, time: try reader.required("t").int(0...4_102_444_800_000_000),
            run: try reader.required("run").int(0...Int64.max), content: content)
    }
}

/// How far the hub has taken a program's journals. It decides what of a report is new.
public struct JournalProgress: Sendable, Hashable {
    public private(set) var position: JournalPosition

    /// - Parameter position: the last record that was taken; nil where there is none yet.
    public init(_ position: JournalPosition? = nil) {
        self.position = position ?? JournalPosition(origin: 0, number: 0)
    }

    /// Goes on to the end of `report`, unless records between are missing, or it is of an older journal than the one that
    /// is known.
    ///
    /// - Returns: the records that are new, and how many before and between them the node has given up, because a
    ///   journal has a bound.
    public mutating func take(_ report: JournalReport) -> (records: [JournalRecord], lost: Int64) {
        let known: Int64
        if report.origin > position.origin {
            known = 0
        } else if report.origin == position.origin, report.after <= position.number {
            known = position.number
        } else {
            return ([], 0)
        }
        position = JournalPosition(origin: report.origin, number: max(known, report.last))
        let records = report.records.filter { $0.number > known }
        let expected = report.last - max(known, report.after)
        return (records, max(0, expected - Int64(records.count + report.faults.count)))
    }
}

/// What the hub says to a node of a program's journal: the last record that is in the database. The node goes on after
/// it.
public struct JournalCommitted: Sendable, Hashable {
    public let program: ProgramID
    public let position: JournalPosition

    /// No such message is longer, in bytes.
    public static let maximumBytes = 512

    public init(_ program: ProgramID, _ position: JournalPosition) {
        self.program = program
        self.position = position
    }

    public var json: JSON {
        [
            "kind": "journal_committed", "id": .string(program.id.text), "program": .string(program.kind.rawValue),
            "origin": .int(position.origin), "n": .int(position.number),
        ]
    }

    public init(_ reader: DocumentReader) throws(ValidationError) {
        program = try ProgramID(reader)
        position = try JournalPosition(reader)
    }
}

extension DocumentReader {
    fileprivate func journalOrigin() throws(ValidationError) -> Int64 { try int(1...4_102_444_800_000_000) }
}
