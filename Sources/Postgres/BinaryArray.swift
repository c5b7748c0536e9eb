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

    /// The header's room, then the elements; only the first `used` bytes count.
    private var storage: [UInt8]
    private var used = headerCount
    private let element: Element
    public private(set) var count = 0
    private var hasNull = false
    private static let headerCount = 20

    public init(_ element: Element) {
        self.element = element
        storage = Array(repeating: 0, count: 256)
    }

    public mutating func appendNull() {
        grow(by: 4)
        store(UInt32.max)
        count += 1
        hasNull = true
    }

    /// For int8 and timestamptz.
    public mutating func append(_ value: Int64) {
        grow(by: 12)
        store(UInt32(8))
        store(UInt64(bitPattern: value))
        count += 1
    }

    /// For int4.
    public mutating func append(_ value: Int32) {
        grow(by: 8)
        store(UInt32(4))
        store(UInt32(bitPattern: value))
        count += 1
    }

    /// For float8.
    public mutating func append(_ value: Double) {
        grow(by: 12)
        store(UInt32(8))
        store(value.bitPattern)
        count += 1
    }

    /// For bool.
    public mutating func append(_ value: Bool) {
        grow(by: 5)
        store(UInt32(1))
        store(UInt8(value ? 1 : 0))
        count += 1
    }

    /// For text (UTF-8 without NUL) and bytea.
    public mutating func append(_ bytes: UnsafeBufferPointer<UInt8>) {
        grow(by: 4 + bytes.count)
        store(UInt32(bytes.count))
        storage.withUnsafeMutableBytes {
            UnsafeMutableRawBufferPointer(rebasing: $0[used...]).copyMemory(from: .init(bytes))
        }
        used += bytes.count
        count += 1
    }

    /// For text (UTF-8 without NUL) and bytea.
    public mutating func append(_ bytes: some Collection<UInt8>) {
        if bytes.withContiguousStorageIfAvailable({ append($0) }) == nil {
            Array(bytes).withUnsafeBufferPointer { append($0) }
        }
    }

    private mutating func grow(by more: Int) {
        guard used + more > storage.count else { return }
        storage.append(contentsOf: repeatElement(0, count: max(storage.count, more)))
    }

    private mutating func store(_ value: some FixedWidthInteger) {
        storage.withUnsafeMutableBytes { $0.storeBytes(of: value.bigEndian, toByteOffset: used, as: type(of: value)) }
        used += value.bitWidth / 8
    }

    /// The array in PostgreSQL's format.
    var encoded: [UInt8] {
        var copy = self
        copy.used = 0
        for word in [1, hasNull ? 1 : 0, element.rawValue, UInt32(count), 1] as [UInt32] { copy.store(word) }
        copy.storage.removeSubrange(used...)
        return copy.storage
    }
}
