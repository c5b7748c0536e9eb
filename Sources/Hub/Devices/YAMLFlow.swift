/// Reads what stands in brackets or quotes.
struct YAMLFlow {
    enum Problem: Error {
        case unfinished
        case wrong(String)

        var reason: String {
            switch self {
            case .unfinished: "a bracket or quote is not closed"
            case .wrong(let reason): reason
            }
        }
    }

    var rest: Substring

    init(_ text: Substring) {
        rest = text
    }

    mutating func value(depth: Int) throws(Problem) -> YAML {
        guard depth < YAML.maximumDepth else { throw .wrong("is nested too deeply") }
        skip()
        switch rest.first {
        case nil: throw .unfinished
        case "[":
            rest.removeFirst()
            var items: [YAML] = []
            while try !closes("]") {
                items.append(try value(depth: depth + 1))
                try separate(before: "]")
            }
            return .sequence(items)
        case "{":
            rest.removeFirst()
            var members: [YAML.Member] = []
            while try !closes("}") {
                guard let key = try value(depth: depth + 1).text else { throw .wrong("a key is text") }
                skip()
                guard rest.first == ":" else {
                    throw rest.isEmpty ? .unfinished : .wrong("'\(key)' has no ':' after it")
                }
                rest.removeFirst()
                guard !members.contains(where: { $0.key == key }) else { throw .wrong("'\(key)' stands there twice") }
                members.append(YAML.Member(key: key, value: try value(depth: depth + 1)))
                try separate(before: "}")
            }
            return .mapping(members)
        case "\"", "'": return .quoted(try quoted())
        case "&", "*", "!": throw .wrong("'\(rest.prefix(40))': put such a value in quotes")
        default:
            // A colon ends a key where a space or nothing follows.
            var text = ""
            while let character = rest.first, !",[]{}".contains(character) {
                if character == ":", rest.dropFirst().first.map({ $0 == " " || ",]}".contains($0) }) ?? true { break }
                text.append(rest.removeFirst())
            }
            while text.last?.isWhitespace == true { text.removeLast() }
            guard !text.isEmpty else { throw .wrong("'\(rest.prefix(20))' where a value is expected") }
            return .plain(text)
        }
    }

    mutating func quoted() throws(Problem) -> String {
        let quote = rest.removeFirst()
        var text = ""
        while !rest.isEmpty {
            let character = rest.removeFirst()
            if character == quote {
                guard quote == "'", rest.first == "'" else { return text }
                rest.removeFirst()
                text.append("'")
            } else if character == "\\", quote == "\"" {
                text.append(try escaped())
            } else {
                text.append(character)
            }
        }
        throw .unfinished
    }

    private mutating func escaped() throws(Problem) -> Character {
        guard !rest.isEmpty else { throw .unfinished }
        let letter = rest.removeFirst()
        switch letter {
        case "n": return "\n"
        case "t": return "\t"
        case "r": return "\r"
        case "\"", "\\", "/", " ": return letter
        case "u", "x":
            let digits = rest.prefix(letter == "u" ? 4 : 2)
            guard let code = UInt32(digits, radix: 16), code > 0, let scalar = Unicode.Scalar(code) else {
                throw .wrong("'\\\(letter)\(digits)' is no character")
            }
            rest.removeFirst(digits.count)
            return Character(scalar)
        default: throw .wrong("'\\\(letter)' is no escape that is known")
        }
    }

    private mutating func skip() {
        rest = rest.drop { $0.isWhitespace }
    }

    private mutating func closes(_ bracket: Character) throws(Problem) -> Bool {
        skip()
        guard let first = rest.first else { throw .unfinished }
        guard first == bracket else { return false }
        rest.removeFirst()
        return true
    }

    private mutating func separate(before bracket: Character) throws(Problem) {
        skip()
        guard let first = rest.first else { throw .unfinished }
        if first == "," {
            rest.removeFirst()
        } else if first != bracket {
            throw .wrong("expected ',' or '\(bracket)', found '\(rest.prefix(20))'")
        }
    }
}
