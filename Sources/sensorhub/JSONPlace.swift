/// The place of the first mistake in a text that is no JSON (RFC 8259): simdjson, which reads the files, does not tell.
struct JSONPlace: Error, CustomStringConvertible {
    /// From 1.
    let line: Int
    /// In characters, from 1.
    let column: Int
    let reason: String

    var description: String { "line \(line), column \(column): \(reason)" }

    /// Nil where the grammar finds nothing wrong; simdjson refuses more than that, such as text that is not UTF-8.
    init?(of bytes: [UInt8]) {
        var scanner = Scanner(bytes)
        do {
            try scanner.document()
            return nil
        } catch {
            let before = bytes[..<error.index]
            let lineStart = before.lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0
            line = before.count { $0 == UInt8(ascii: "\n") } + 1
            column = String(decoding: bytes[lineStart..<error.index], as: UTF8.self).count + 1
            reason = error.reason
        }
    }

    private struct Mistake: Error {
        let index: Int
        let reason: String
    }

    private struct Scanner {
        private let bytes: [UInt8]
        private var index = 0
        private var depth = 0

        /// simdjson's own limit.
        private static let maximumDepth = 1_024

        init(_ bytes: [UInt8]) {
            self.bytes = bytes
        }

        private var next: UInt8? { index < bytes.count ? bytes[index] : nil }

        private func mistake(_ reason: String) -> Mistake {
            Mistake(index: index, reason: next == nil ? "\(reason), found the end" : reason)
        }

        private mutating func skipSpace() {
            while let byte = next, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { index += 1 }
        }

        private mutating func take(_ character: Unicode.Scalar) -> Bool {
            guard next == UInt8(ascii: character) else { return false }
            index += 1
            return true
        }

        mutating func document() throws(Mistake) {
            try value()
            skipSpace()
            guard next == nil else { throw mistake("expected nothing more") }
        }

        private mutating func value() throws(Mistake) {
            skipSpace()
            switch next {
            case UInt8(ascii: "{"): try members(until: "}") { (scanner) throws(Mistake) in try scanner.member() }
            case UInt8(ascii: "["): try members(until: "]") { (scanner) throws(Mistake) in try scanner.value() }
            case UInt8(ascii: "\""): try string()
            case UInt8(ascii: "-"), (UInt8(ascii: "0")...UInt8(ascii: "9"))?: try number()
            case UInt8(ascii: "t"): try word("true")
            case UInt8(ascii: "f"): try word("false")
            case UInt8(ascii: "n"): try word("null")
            case UInt8(ascii: "'"): throw mistake("text stands in double quotes")
            default: throw mistake("expected a value")
            }
        }

        private mutating func members(
            until end: Unicode.Scalar, _ member: (inout Scanner) throws(Mistake) -> Void
        ) throws(Mistake) {
            index += 1
            depth += 1
            guard depth <= Self.maximumDepth else { throw mistake("nested deeper than \(Self.maximumDepth)") }
            defer { depth -= 1 }
            skipSpace()
            if take(end) { return }
            while true {
                try member(&self)
                skipSpace()
                if take(end) { return }
                guard take(",") else { throw mistake("expected ',' or '\(end)'") }
                skipSpace()
                if next == UInt8(ascii: end) { throw mistake("nothing follows the ',' before") }
            }
        }

        private mutating func member() throws(Mistake) {
            skipSpace()
            guard next == UInt8(ascii: "\"") else { throw mistake("expected a key in double quotes") }
            try string()
            skipSpace()
            guard take(":") else { throw mistake("expected ':'") }
            try value()
        }

        private mutating func string() throws(Mistake) {
            index += 1
            while let byte = next {
                switch byte {
                case UInt8(ascii: "\""):
                    index += 1
                    return
                case UInt8(ascii: "\\"):
                    index += 1
                    try escape()
                case 0..<0x20: throw mistake("a line break or control character cannot stand in text as it is")
                default: index += 1
                }
            }
            throw mistake("expected '\"'")
        }

        private mutating func escape() throws(Mistake) {
            guard let byte = next, "\"\\/bfnrtu".utf8.contains(byte) else { throw mistake("no such escape after '\\'") }
            index += 1
            guard byte == UInt8(ascii: "u") else { return }
            for _ in 0..<4 {
                guard let digit = next, Character(Unicode.Scalar(digit)).isHexDigit else {
                    throw mistake("expected four hexadecimal digits after '\\u'")
                }
                index += 1
            }
        }

        private mutating func number() throws(Mistake) {
            _ = take("-")
            if !take("0") { try digits() }
            if take(".") { try digits() }
            if take("e") || take("E") {
                if !take("+") { _ = take("-") }
                try digits()
            }
        }

        private mutating func digits() throws(Mistake) {
            let start = index
            while let byte = next, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) { index += 1 }
            guard index > start else { throw mistake("expected a digit") }
        }

        private mutating func word(_ word: String) throws(Mistake) {
            guard bytes[index...].starts(with: word.utf8) else { throw mistake("expected a value") }
            index += word.utf8.count
        }
    }
}
