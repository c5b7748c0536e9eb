/// A one-dimensional array in PostgreSQL's binary format, built element by element (source: `array_send` in
/// PostgreSQL's src/backend/utils/adt/arrayfuncs.c): dimensions, null flag, element type, length, lower bound, then for
/// each element its length and its bytes, all big-endian.
public struct BinaryArray: Sendable {
    /// Types of elements, by their OID in pg_type.
    public enum Element: UInt32, Sendable {
        case bool = 16
        case bytea = 17
        case int8 = 20
        case int4 = 23
        case text = 25
        case float8 = 701
        /// Appended as an Int64 of microseconds since 2000-01-01 UTC.
        case timestamptz = 1184
    }

    private var storage: [UInt8] = []
    private let element: Element
    public private(set) var count = 0
    private var hasNull = false
    private static let headerCount = 20

    public init(_ element: Element) {
        self.element = element
        storage = Array(repeating: 0, count: Self.headerCount)
    }

    /// Empties the array and keeps its memory.
    public mutating func removeAll() {
        storage.removeSubrange(Self.headerCount...)
        count = 0
        hasNull = false
    }

    public mutating func appendNull() {
        appendBigEndian(UInt32.max)
        count += 1
        hasNull = true
    }

    /// For int8 and timestamptz.
    public mutating func append(_ value: Int64) {
        appendBigEndian(UInt32(8))
        appendBigEndian(UInt64(bitPattern: value))
        count += 1
    }

    /// For int4.
    public mutating func append(_ value: Int32) {
        appendBigEndian(UInt32(4))
        appendBigEndian(UInt32(bitPattern: value))
        count += 1
    }

    /// For float8.
    public mutating func append(_ value: Double) {
        appendBigEndian(UInt32(8))
        appendBigEndian(value.bitPattern)
        count += 1
    }

    /// For bool.
    public mutating func append(_ value: Bool) {
        appendBigEndian(UInt32(1))
        storage.append(value ? 1 : 0)
        count += 1
    }

    /// For text (UTF-8 without NUL) and bytea.
    public mutating func append(_ bytes: some Collection<UInt8>) {
        appendBigEndian(UInt32(bytes.count))
        storage.append(contentsOf: bytes)
        count += 1
    }

    private mutating func appendBigEndian(_ value: some FixedWidthInteger) {
        withUnsafeBytes(of: value.bigEndian) { storage.append(contentsOf: $0) }
    }

    var encoded: [UInt8] {
        var bytes = storage
        let header: [UInt32] = [1, hasNull ? 1 : 0, element.rawValue, UInt32(count), 1]
        for (index, word) in header.enumerated() {
            withUnsafeBytes(of: word.bigEndian) { bytes.replaceSubrange(index * 4..<index * 4 + 4, with: $0) }
        }
        return bytes
    }
}
