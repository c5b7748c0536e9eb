/// A value for a placeholder (`$1` …) of a statement.
public struct Parameter: Sendable {
    /// Nil is NULL.
    let bytes: [UInt8]?
    let isBinary: Bool

    public static let null = Parameter(bytes: nil, isBinary: false)

    /// Text that PostgreSQL reads as the placeholder's type.
    public static func text(_ value: String?) -> Parameter {
        Parameter(bytes: value.map { Array($0.utf8) + [0] }, isBinary: false)
    }

    public static func int(_ value: (some BinaryInteger)?) -> Parameter {
        text(value.map { String($0) })
    }

    public static func double(_ value: Double?) -> Parameter {
        text(value.map { String($0) })
    }

    public static func bool(_ value: Bool) -> Parameter {
        text(value ? "t" : "f")
    }

    /// For bytea.
    public static func bytes(_ value: [UInt8]) -> Parameter {
        Parameter(bytes: value, isBinary: true)
    }

    /// For an array type; see `BinaryArray`.
    public static func array(_ value: BinaryArray) -> Parameter {
        Parameter(bytes: value.encoded, isBinary: true)
    }
}
