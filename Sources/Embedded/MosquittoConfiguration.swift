/// mosquitto's configuration file as a list of lines: what is not touched stays as it is written, comments included.
struct MosquittoConfiguration: Sendable, Hashable {
    private enum Line: Sendable, Hashable {
        /// A comment, an empty line.
        case other(String)
        case setting(key: String, value: String)

        /// As mosquitto reads it: a comment has `#` as its very first character, a setting is a word, then the rest.
        init(_ text: Substring) {
            let words = text.split(maxSplits: 1, whereSeparator: { $0 == " " || $0 == "\t" || $0 == "\r" })
            guard !text.hasPrefix("#"), let key = words.first else {
                self = .other(String(text))
                return
            }
            self = .setting(key: String(key), value: words.count > 1 ? Self.trimmed(words[1]) : "")
        }

        private static func trimmed(_ text: Substring) -> String {
            var text = text
            while let last = text.last, last.isWhitespace { text.removeLast() }
            return String(text.drop { $0.isWhitespace })
        }

        var key: String? {
            if case .setting(let key, _) = self { key } else { nil }
        }

        var text: String {
            switch self {
            case .other(let text): text
            case .setting(let key, let value): value.isEmpty ? key : "\(key) \(value)"
            }
        }
    }

    private var lines: [Line]

    init(parsing text: String) {
        var lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(Line.init)
        if lines.last == .other("") { lines.removeLast() }
        self.lines = lines
    }

    var text: String { lines.map { $0.text + "\n" }.joined() }

    /// The values of `key`, in their order; `listener` and `log_type` may be there several times.
    subscript(key: String) -> [String] {
        lines.compactMap { if case .setting(key, let value) = $0 { value } else { nil } }
    }

    /// Has `key` stand there with these values and no others: in the place where it was first, else at the end.
    mutating func set(_ key: String, to values: String...) throws(EmbeddedError) {
        try set(key, to: values)
    }

    mutating func set(_ key: String, to values: [String]) throws(EmbeddedError) {
        if let value = values.first(where: { $0.contains(where: \.isNewline) }) {
            throw EmbeddedError(.file, "mosquitto cannot be told a \(key) with a line break in it: '\(value)'")
        }
        // All lines before the first one with this key stay, so that its index holds.
        let place = lines.firstIndex { $0.key == key } ?? lines.endIndex
        lines.removeAll { $0.key == key }
        lines.insert(contentsOf: values.map { .setting(key: key, value: $0) }, at: place)
    }
}
