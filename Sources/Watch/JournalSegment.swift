import Files
import Glibc
import HubModel
package import SimdJSON

/// A file of a journal: a line that says what was before, then a line for each entry. Its name is the number of its first
/// entry, in 20 digits.
struct JournalSegment {
    /// How things were when the segment was begun.
    struct Header: Equatable {
        /// Names the journal: microseconds since 1970, when it was begun.
        var origin: Int64
        /// How many bytes of each stream are in the segments before.
        var positions: [OutputLine.Stream: Int64] = [:]
        var memory: ProgramStateMachine.Memory?

        var json: JSON {
            var object: JSONObject = ["origin": .int(origin)]
            for (stream, position) in positions { object[stream.rawValue] = .int(position) }
            if let memory { object["state"] = .object(memory.json) }
            return .object(object)
        }

        init(origin: Int64) {
            self.origin = origin
        }

        init(_ json: JSON) throws(ValidationError) {
            let reader = DocumentReader(json)
            origin = try reader.required("origin").int(1...Int64.max)
            for stream in [OutputLine.Stream.stdout, .stderr] {
                if let position = try reader.optional(stream.rawValue) { positions[stream] = try position.int() }
            }
            if let state = try reader.optional("state") { memory = try ProgramStateMachine.Memory(state) }
        }

        mutating func take(_ content: JournalContent) {
            switch content {
            case .line(let line, _): if line.end > 0 { positions[line.stream] = line.end }
            case .state(let memory): self.memory = memory
            }
        }
    }

    static func name(first: Int64) -> String {
        let digits = String(first)
        return String(repeating: "0", count: 20 - digits.count) + digits
    }

    /// The numbers of the first entries of the segments in a folder, in order.
    static func firsts(in folder: String) -> [Int64] {
        ((try? Folder.names(in: folder)) ?? []).compactMap { $0.utf8.count == 20 ? Int64($0) : nil }.sorted()
    }

    /// How things are at the end of a segment, and how many bytes of whole lines it has.
    ///
    /// - Parameter limit: how many bytes to look at.
    /// - Returns: nil where it does not begin as a segment does.
    static func end(of descriptor: Int32, first: Int64, limit: Int) -> (header: Header, last: Int64, size: Int)? {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { return nil }
        let (lines, end) = lines(of: descriptor, from: 0, limit: min(Int(status.st_size), limit))
        guard let line = lines.first, let json = try? JSON(parsing: line), var header = try? Header(json) else {
            return nil
        }
        var last = first - 1
        for line in lines.dropFirst() {
            guard let json = try? JSON(parsing: line), let entry = try? JournalEntry(json) else { continue }
            header.take(entry.content)
            last = entry.number
        }
        return (header, last, Int(end))
    }

    /// About how many bytes a state has.
    static let usualStateBytes = 256
    /// Bytes that are read in one go: more than an entry has.
    static let chunk = 256 << 10

    /// The first line of a segment, and those of states, each with its end.
    ///
    /// - Returns: nil where the file cannot be read.
    static func withoutLines(_ path: String) -> (header: [UInt8], states: [[UInt8]])? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var offset: Int64 = 0
        var header: [UInt8]?
        var states: [[UInt8]] = []
        while case let (lines, end) = lines(of: descriptor, from: offset, limit: chunk), !lines.isEmpty {
            offset = end
            for line in lines {
                if header == nil {
                    header = line + [UInt8(ascii: "\n")]
                } else if let json = try? JSON(parsing: line), let entry = try? JournalEntry(json),
                    case .state = entry.content
                {
                    states.append(line + [UInt8(ascii: "\n")])
                }
            }
        }
        return header.map { ($0, states) }
    }

    /// The whole lines of a file from an offset on, each without its end, and the offset after them.
    ///
    /// - Parameter limit: how many bytes to look at.
    static func lines(of descriptor: Int32, from offset: Int64, limit: Int) -> (lines: [ArraySlice<UInt8>], end: Int64)
    {
        var bytes = [UInt8](repeating: 0, count: limit)
        let count = pread(descriptor, &bytes, limit, off_t(offset))
        guard count > 0 else { return ([], offset) }
        var lines: [ArraySlice<UInt8>] = []
        var start = 0
        while let end = bytes[start..<count].firstIndex(of: UInt8(ascii: "\n")) {
            lines.append(bytes[start..<end])
            start = end + 1
        }
        return (lines, offset + Int64(start))
    }
}
