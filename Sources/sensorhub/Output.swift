import Glibc
import SimdJSON

/// Rows of text in columns as wide as their widest value.
struct Table {
    private var rows: [[String]]

    init(_ header: [String]) {
        rows = [header.map { $0.uppercased() }]
    }

    mutating func add(_ cells: [String]) { rows.append(cells) }

    var isEmpty: Bool { rows.count == 1 }

    /// One line a row; the last column is not padded.
    var lines: [String] {
        let widths = rows[0].indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
        return rows.map { row in
            var line = ""
            for (column, cell) in row.enumerated() {
                line += cell
                if column < row.count - 1 { line += String(repeating: " ", count: widths[column] - cell.count + 2) }
            }
            return line
        }
    }

    func print(whenEmpty message: String) {
        if isEmpty { Swift.print(message) } else { lines.forEach { Swift.print($0) } }
    }
}

extension JSON {
    /// A value as it stands in a line for people: text without quotes, nothing for null.
    var plain: String {
        switch self {
        case .null: ""
        case .string(let text): printable(text)
        case .array(let items): items.map(\.plain).joined(separator: ", ")
        default: text()
        }
    }

    /// `key=value` for each member.
    var pairs: String {
        (object ?? [:]).map { "\($0.key)=\($0.value.plain)" }.joined(separator: " ")
    }

    /// The member as it stands in a line for people.
    func plain(_ key: String) -> String { self[key]?.plain ?? "" }
}

/// `text` without control characters, which could steer the terminal.
func printable(_ text: String) -> String {
    guard text.unicodeScalars.contains(where: { $0.properties.generalCategory == .control && $0 != "\t" }) else {
        return text
    }
    return String(
        String.UnicodeScalarView(
            text.unicodeScalars.map {
                $0.properties.generalCategory == .control && $0 != "\t" ? "\u{FFFD}" : $0
            }))
}

/// A time for people, in the machine's own zone: `2026-11-20 14:03:07.125`.
func localTime(microseconds: Int64) -> String {
    var seconds = time_t(microseconds / 1_000_000)
    var parts = tm()
    localtime_r(&seconds, &parts)
    let text = String(unsafeUninitializedCapacity: 32) { buffer in
        buffer.withMemoryRebound(to: CChar.self) { strftime($0.baseAddress!, $0.count, "%Y-%m-%d %H:%M:%S", &parts) }
    }
    let milliseconds = String(1_000 + (microseconds / 1_000) % 1_000).dropFirst()
    return "\(text).\(milliseconds)"
}

extension JSON {
    /// The member `key`, in microseconds since 1970, as a time for people; empty where there is none.
    func time(_ key: String) -> String { self[key]?.int.map { localTime(microseconds: $0) } ?? "" }
}

/// One line on the terminal that is written over while work goes on; nothing where output goes to a file.
struct ProgressLine {
    private let isTerminal = isatty(STDERR_FILENO) == 1
    private var shown = ""

    mutating func show(_ text: String) {
        guard isTerminal, text != shown else { return }
        writeError("\r\u{1B}[K\(text)")
        shown = text
    }

    mutating func clear() {
        guard isTerminal, !shown.isEmpty else { return }
        writeError("\r\u{1B}[K")
        shown = ""
    }
}

/// Has what was printed be seen now, also at the other end of a pipe.
func flushOutput() {
    fflush(nil)
}

/// A note that is no result: to standard error, so that results can be piped.
func note(_ text: String) {
    writeError(text + "\n")
}

private func writeError(_ text: String) {
    var bytes = Array(text.utf8)[...]
    while !bytes.isEmpty {
        let count = bytes.withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
        guard count > 0 else { return }
        bytes = bytes.dropFirst(count)
    }
}
