import HubModel

/// Reads blocks: lines and their indentation.
struct YAMLBlocks {
    private struct Line {
        let number: Int
        var indent: Int
        var text: Substring
    }

    private var lines: [Line] = []
    private var next = 0
    /// As they are, for block scalars.
    private let source: [Substring]

    init(_ text: String) throws(ValidationError) {
        guard !text.unicodeScalars.contains(where: { $0.value < 0x20 && !"\t\r\n".unicodeScalars.contains($0) }) else {
            throw ValidationError("is no text: it has control characters")
        }
        source = text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline)
        for (index, line) in source.enumerated() {
            let content = Self.withoutComment(line.drop { $0 == " " })
            guard !content.isEmpty else { continue }
            if lines.isEmpty, content == "---" { continue }
            let parsed = Line(number: index + 1, indent: line.prefix { $0 == " " }.count, text: content)
            if content == "---" || content == "..." {
                throw Self.error("only one document is possible", parsed)
            }
            if content.first == "\t" { throw Self.error("tabs cannot indent", parsed) }
            lines.append(parsed)
        }
    }

    mutating func document() throws(ValidationError) -> YAML {
        guard let first = lines.first else { return .mapping([]) }
        let value = try node(indent: first.indent, depth: 0)
        if next < lines.count { throw Self.error("is not indented as what it belongs to", lines[next]) }
        return value
    }

    private static func error(_ reason: String, _ line: Line) -> ValidationError {
        ValidationError(path: "line \(line.number)", reason)
    }

    /// A `#` at the start or after white space, outside quotes, begins a comment.
    private static func withoutComment(_ line: Substring) -> Substring {
        var quote: Character?
        var before: Character = " "
        var end = line.endIndex
        var index = line.startIndex
        scan: while index < line.endIndex {
            let character = line[index]
            switch (quote, character) {
            case (nil, "#") where before.isWhitespace:
                end = index
                break scan
            case (nil, "\""), (nil, "'"): if before.isWhitespace || "[{,:".contains(before) { quote = character }
            case ("\""?, "\\"): index = line.index(after: index)
            case ("'"?, "'") where line[line.index(after: index)...].first == "'": index = line.index(after: index)
            case (character?, _): quote = nil
            default: break
            }
            before = character
            if index < line.endIndex { index = line.index(after: index) }
        }
        var content = line[..<end]
        while let last = content.last, last.isWhitespace { content.removeLast() }
        return content
    }

    /// The block that begins at the next line.
    private mutating func node(indent: Int, depth: Int) throws(ValidationError) -> YAML {
        let line = lines[next]
        guard depth < YAML.maximumDepth else { throw Self.error("is nested too deeply", line) }
        if line.text == "-" || line.text.hasPrefix("- ") { return try sequence(indent: indent, depth: depth) }
        if Self.key(line.text) != nil { return try mapping(indent: indent, depth: depth) }
        next += 1
        return try scalar(line.text, line, indent: indent, depth: depth)
    }

    /// - Parameter endsAtKey: whether a key may follow that stands as far left as the dashes.
    private mutating func sequence(
        indent: Int, depth: Int, endsAtKey: Bool = false
    ) throws(ValidationError) -> YAML {
        guard depth < YAML.maximumDepth else { throw Self.error("is nested too deeply", lines[next]) }
        var items: [YAML] = []
        while next < lines.count, lines[next].indent == indent,
            lines[next].text == "-" || lines[next].text.hasPrefix("- ")
        {
            let rest = lines[next].text.dropFirst().drop { $0 == " " }
            if rest.isEmpty {
                next += 1
                items.append(try nested(below: indent, depth: depth))
            } else {
                // What follows the dash is a block of its own, as if it stood on a line alone.
                lines[next].indent += lines[next].text.count - rest.count
                lines[next].text = rest
                items.append(try node(indent: lines[next].indent, depth: depth + 1))
            }
        }
        try checkIndent(endsAtKey ? indent + 1 : indent)
        return .sequence(items)
    }

    private mutating func mapping(indent: Int, depth: Int) throws(ValidationError) -> YAML {
        var members: [YAML.Member] = []
        while next < lines.count, lines[next].indent == indent, let (key, rest) = Self.key(lines[next].text) {
            let line = lines[next]
            guard !members.contains(where: { $0.key == key }) else {
                throw Self.error("'\(key)' stands there twice", line)
            }
            next += 1
            let value =
                rest.isEmpty
                ? try nested(below: indent, depth: depth, orSequenceAt: indent)
                : try scalar(rest, line, indent: indent, depth: depth)
            members.append(YAML.Member(key: key, value: value))
        }
        try checkIndent(indent)
        return .mapping(members)
    }

    private func checkIndent(_ indent: Int) throws(ValidationError) {
        if next < lines.count, lines[next].indent >= indent {
            throw Self.error("is neither a 'key: value' nor indented as what it belongs to", lines[next])
        }
    }

    private mutating func nested(
        below indent: Int, depth: Int, orSequenceAt same: Int? = nil
    ) throws(ValidationError) -> YAML {
        guard next < lines.count else { return .plain("") }
        let line = lines[next]
        // Of a key, a sequence may stand as far left as the key itself.
        if line.indent > indent { return try node(indent: line.indent, depth: depth + 1) }
        if line.indent == same, line.text == "-" || line.text.hasPrefix("- ") {
            return try sequence(indent: line.indent, depth: depth + 1, endsAtKey: true)
        }
        return .plain("")
    }

    /// `key: rest`
    private static func key(_ text: Substring) -> (key: String, rest: Substring)? {
        guard let first = text.first, !"[{#&*!|>%@`".contains(first) else { return nil }
        if first == "\"" || first == "'" {
            var flow = YAMLFlow(text)
            guard let key = try? flow.quoted(), flow.rest.first == ":" else { return nil }
            return (key, flow.rest.dropFirst().drop { $0 == " " })
        }
        var index = text.startIndex
        while let colon = text[index...].firstIndex(of: ":") {
            let after = text.index(after: colon)
            if after == text.endIndex || text[after] == " " {
                var key = text[..<colon]
                while key.last == " " { key.removeLast() }
                return (String(key), text[after...].drop { $0 == " " })
            }
            index = after
        }
        return nil
    }

    private mutating func scalar(
        _ text: Substring, _ line: Line, indent: Int, depth: Int
    ) throws(ValidationError) -> YAML {
        switch text.first {
        case "|", ">": return try blockScalar(text, line, indent: indent)
        case "&", "*", "!", "%", "@", "`": throw Self.error("'\(text.prefix(40))': put such a value in quotes", line)
        case "[", "{", "\"", "'":
            var whole = String(text)
            while true {
                var flow = YAMLFlow(whole[...])
                let result = Result { () throws(YAMLFlow.Problem) in try flow.value(depth: depth) }
                switch result {
                case .success(let value):
                    let more = flow.rest.drop { $0.isWhitespace }
                    guard more.isEmpty else {
                        throw Self.error("'\(more.prefix(40))' stands after the end of the value", line)
                    }
                    return value
                case .failure(.unfinished) where next < lines.count && (text.first == "[" || text.first == "{"):
                    whole += " " + lines[next].text
                    next += 1
                case .failure(let problem):
                    throw Self.error(problem.reason, line)
                }
            }
        default:
            if next < lines.count, lines[next].indent > indent {
                throw Self.error("goes on in the line before: put the value in quotes or after '|'", lines[next])
            }
            return .plain(String(text))
        }
    }

    /// `|` keeps line breaks, `>` makes them spaces.
    private mutating func blockScalar(_ header: Substring, _ line: Line, indent: Int) throws(ValidationError) -> YAML {
        guard ["|", "|-", "|+", ">", ">-", ">+"].contains(header) else {
            throw Self.error("'\(header.prefix(40))': put such a value in quotes", line)
        }
        var body: [Substring] = []
        for raw in source[line.number...] {
            let isBlank = raw.allSatisfy { $0 == " " }
            guard isBlank || raw.prefix(while: { $0 == " " }).count > indent else { break }
            body.append(isBlank ? "" : raw)
        }
        while next < lines.count, lines[next].number <= line.number + body.count { next += 1 }
        while body.last?.isEmpty == true { body.removeLast() }
        let margin = body.filter { !$0.isEmpty }.map { $0.prefix { $0 == " " }.count }.min() ?? 0
        let text = body.map { $0.dropFirst(margin) }.joined(separator: header.first == "|" ? "\n" : " ")
        return .quoted(header.hasSuffix("-") || text.isEmpty ? text : text + "\n")
    }
}
