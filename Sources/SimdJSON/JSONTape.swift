/// A value of a parsed document, read in place: simdjson's tape (simdjson, doc/tape.md). Valid only inside
/// `JSONParser.parse`.
public struct JSONTape {
    let words: UnsafePointer<UInt64>
    let strings: UnsafePointer<UInt8>
    let index: Int

    public var kind: JSONKind {
        switch tag {
        case UInt8(ascii: "{"): .object
        case UInt8(ascii: "["): .array
        case UInt8(ascii: "\""): .string
        case UInt8(ascii: "l"): .int
        case UInt8(ascii: "d"), UInt8(ascii: "u"): .double
        case UInt8(ascii: "t"), UInt8(ascii: "f"): .bool
        default: .null
        }
    }

    private var tag: UInt8 { UInt8(truncatingIfNeeded: words[index] >> 56) }
    private var payload: UInt64 { words[index] & 0x00FF_FFFF_FFFF_FFFF }

    /// For kind `.int`.
    public var int: Int64 { Int64(bitPattern: words[index + 1]) }

    /// For kinds `.int` and `.double`; whole numbers beyond Int64 come rounded.
    public var double: Double {
        switch tag {
        case UInt8(ascii: "l"): Double(int)
        case UInt8(ascii: "u"): Double(words[index + 1])
        default: Double(bitPattern: words[index + 1])
        }
    }

    /// For kind `.bool`.
    public var bool: Bool { tag == UInt8(ascii: "t") }

    /// For kind `.string`: its bytes, valid UTF-8, without escapes.
    public var utf8: UnsafeBufferPointer<UInt8> {
        let start = strings + Int(payload)
        let count = UnsafeRawPointer(start).loadUnaligned(as: UInt32.self)
        return UnsafeBufferPointer(start: start + 4, count: Int(count))
    }

    /// For kind `.string`.
    public var string: String { String(decoding: utf8, as: UTF8.self) }

    /// The index just past this value.
    private var next: Int {
        switch tag {
        case UInt8(ascii: "{"), UInt8(ascii: "["): Int(payload & 0xFFFF_FFFF)
        case UInt8(ascii: "l"), UInt8(ascii: "d"), UInt8(ascii: "u"): index + 2
        default: index + 1
        }
    }

    private func at(_ index: Int) -> JSONTape {
        JSONTape(words: words, strings: strings, index: index)
    }

    /// For kind `.array`: each item in turn.
    public func forEachItem(_ body: (JSONTape) throws -> Void) rethrows {
        var cursor = firstChild
        while let item = cursor {
            try body(item)
            cursor = item.sibling(in: self)
        }
    }

    /// For kind `.object`: each key, as bytes, with its value.
    public func forEachMember(_ body: (UnsafeBufferPointer<UInt8>, JSONTape) throws -> Void) rethrows {
        var cursor = firstChild
        while let key = cursor {
            let value = key.valueOfKey
            try body(key.utf8, value)
            cursor = value.sibling(in: self)
        }
    }

    var firstChild: JSONTape? {
        index + 1 < next - 1 ? at(index + 1) : nil
    }

    var valueOfKey: JSONTape { at(index + 1) }

    func sibling(in container: JSONTape) -> JSONTape? {
        next < container.next - 1 ? at(next) : nil
    }
}

extension JSON {
    /// Copies a value out of a parsed document.
    ///
    /// - Throws: `JSONSyntaxError` for an object with the same key twice.
    public init(_ tape: JSONTape) throws {
        switch tape.kind {
        case .null: self = .null
        case .bool: self = .bool(tape.bool)
        case .int: self = .int(tape.int)
        case .double: self = .double(tape.double)
        case .string: self = .string(tape.string)
        case .array:
            var items: [JSON] = []
            try tape.forEachItem { items.append(try JSON($0)) }
            self = .array(items)
        case .object:
            var members: [JSONObject.Member] = []
            var seen: Set<String> = []
            try tape.forEachMember { key, value in
                let key = String(decoding: key, as: UTF8.self)
                guard seen.insert(key).inserted else {
                    throw JSONSyntaxError(reason: "the key '\(key)' stands twice in one object")
                }
                members.append(JSONObject.Member(key: key, value: try JSON(value)))
            }
            self = .object(JSONObject(members: members))
        }
    }
}
