/// What a JSON value is.
public enum JSONKind: Sendable {
    case null, bool, int, double, string, array, object

    /// As a person would name it in an error.
    public var name: String {
        switch self {
        case .null: "null"
        case .bool: "true or false"
        case .int: "a whole number"
        case .double: "a number"
        case .string: "text"
        case .array: "a list"
        case .object: "an object"
        }
    }
}

/// A JSON value. Objects keep the order of their members.
public enum JSON: Sendable, Hashable {
    case null
    case bool(Bool)
    /// A whole number that fits 64 bits and was written without fraction or exponent.
    case int(Int64)
    case double(Double)
    case string(String)
    case array([JSON])
    case object(JSONObject)

    /// The value's kind as a person would name it in an error.
    public var kind: String {
        switch self {
        case .null: JSONKind.null.name
        case .bool: JSONKind.bool.name
        case .int: JSONKind.int.name
        case .double: JSONKind.double.name
        case .string: JSONKind.string.name
        case .array: JSONKind.array.name
        case .object: JSONKind.object.name
        }
    }

    public var string: String? {
        if case .string(let value) = self { value } else { nil }
    }

    public var int: Int64? {
        if case .int(let value) = self { value } else { nil }
    }

    /// Any number, whole ones included.
    public var double: Double? {
        switch self {
        case .int(let value): Double(value)
        case .double(let value): value
        default: nil
        }
    }

    public var bool: Bool? {
        if case .bool(let value) = self { value } else { nil }
    }

    public var array: [JSON]? {
        if case .array(let value) = self { value } else { nil }
    }

    public var object: JSONObject? {
        if case .object(let value) = self { value } else { nil }
    }

    /// The member of an object; nil if this is no object or has no such member.
    public subscript(key: String) -> JSON? {
        object?[key]
    }
}

extension JSON: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByFloatLiteral,
    ExpressibleByBooleanLiteral, ExpressibleByNilLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
    public init(stringLiteral value: String) { self = .string(value) }
    public init(integerLiteral value: Int64) { self = .int(value) }
    public init(floatLiteral value: Double) { self = .double(value) }
    public init(booleanLiteral value: Bool) { self = .bool(value) }
    public init(nilLiteral: ()) { self = .null }
    public init(arrayLiteral elements: JSON...) { self = .array(elements) }
    public init(dictionaryLiteral elements: (String, JSON)...) { self = .object(JSONObject(elements)) }
}

extension JSON: CustomStringConvertible {
    /// The value as compact JSON text.
    public var description: String { text() }
}
