extension JSONTape {
    /// Appends the value as JSON text, without making a `JSON` of it first.
    public func write(to out: inout [UInt8]) {
        switch kind {
        case .null: out.append(contentsOf: "null".utf8)
        case .bool: out.append(contentsOf: (bool ? "true" : "false").utf8)
        case .int: out.append(contentsOf: String(int).utf8)
        case .double: JSON.double(double).write(to: &out)
        case .string: JSON.write(utf8, to: &out)
        case .array:
            var separator = UInt8(ascii: "[")
            forEachItem { item in
                out.append(separator)
                separator = UInt8(ascii: ",")
                item.write(to: &out)
            }
            if separator == UInt8(ascii: "[") { out.append(separator) }
            out.append(UInt8(ascii: "]"))
        case .object:
            var separator = UInt8(ascii: "{")
            forEachMember { key, value in
                out.append(separator)
                separator = UInt8(ascii: ",")
                JSON.write(key, to: &out)
                out.append(UInt8(ascii: ":"))
                value.write(to: &out)
            }
            if separator == UInt8(ascii: "{") { out.append(separator) }
            out.append(UInt8(ascii: "}"))
        }
    }
}
