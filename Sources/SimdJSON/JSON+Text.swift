extension JSON {
    /// The value as JSON text: on one line, or indented by two spaces a level for people.
    public func text(indented: Bool = false) -> String {
        var out: [UInt8] = []
        write(to: &out, indented: indented)
        return String(decoding: out, as: UTF8.self)
    }

    /// The value as JSON text in UTF-8.
    public func bytes() -> [UInt8] {
        var out: [UInt8] = []
        write(to: &out)
        return out
    }

    /// Appends the value as JSON text. A number that JSON cannot say (NaN, infinity) becomes null.
    public func write(to out: inout [UInt8], indented: Bool = false, level: Int = 0) {
        switch self {
        case .null: out.append(contentsOf: "null".utf8)
        case .bool(let value): out.append(contentsOf: (value ? "true" : "false").utf8)
        case .int(let value): out.append(contentsOf: String(value).utf8)
        case .double(let value): out.append(contentsOf: (value.isFinite ? value.description : "null").utf8)
        case .string(let value): JSON.write(value, to: &out)
        case .array(let items):
            Self.writeList(items, "[", "]", to: &out, indented: indented, level: level) { item, out in
                item.write(to: &out, indented: indented, level: level + 1)
            }
        case .object(let members):
            Self.writeList(members, "{", "}", to: &out, indented: indented, level: level) { member, out in
                JSON.write(member.key, to: &out)
                out.append(UInt8(ascii: ":"))
                if indented { out.append(UInt8(ascii: " ")) }
                member.value.write(to: &out, indented: indented, level: level + 1)
            }
        }
    }

    /// Appends `text` as a JSON string, quotes included.
    public static func write(_ text: String, to out: inout [UInt8]) {
        write(text.utf8, to: &out)
    }

    /// Appends UTF-8 as a JSON string, quotes included.
    static func write(_ utf8: some Sequence<UInt8>, to out: inout [UInt8]) {
        out.append(UInt8(ascii: "\""))
        for byte in utf8 {
            switch byte {
            case UInt8(ascii: "\""): out.append(contentsOf: #"\""#.utf8)
            case UInt8(ascii: "\\"): out.append(contentsOf: #"\\"#.utf8)
            case UInt8(ascii: "\n"): out.append(contentsOf: #"\n"#.utf8)
            case UInt8(ascii: "\r"): out.append(contentsOf: #"\r"#.utf8)
            case UInt8(ascii: "\t"): out.append(contentsOf: #"\t"#.utf8)
            case 0..<0x20:
                out.append(contentsOf: #"\u00"#.utf8)
                out.append(contentsOf: [byte >> 4, byte & 15].map { $0 < 10 ? $0 + 0x30 : $0 + 0x57 })
            default: out.append(byte)
            }
        }
        out.append(UInt8(ascii: "\""))
    }

    private static func writeList<Items: Collection>(
        _ items: Items, _ open: Unicode.Scalar, _ close: Unicode.Scalar, to out: inout [UInt8], indented: Bool,
        level: Int, writeItem: (Items.Element, inout [UInt8]) -> Void
    ) {
        func newLine(_ level: Int) {
            guard indented, !items.isEmpty else { return }
            out.append(UInt8(ascii: "\n"))
            out.append(contentsOf: repeatElement(UInt8(ascii: " "), count: 2 * level))
        }
        out.append(UInt8(ascii: open))
        var isFirst = true
        for item in items {
            if !isFirst { out.append(UInt8(ascii: ",")) }
            isFirst = false
            newLine(level + 1)
            writeItem(item, &out)
        }
        newLine(level)
        out.append(UInt8(ascii: close))
    }
}
