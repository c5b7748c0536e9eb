/// Reads the records of a segment in order, a block of the file at a time. A record is the length of its body and the
/// body's CRC-32, four bytes each in little-endian order, and the body.
struct RecordReader {
    private let segment: Segment
    /// Where the next record begins.
    private(set) var offset: Int
    private var block: [UInt8] = []
    private var blockStart = 0

    private static let blockBytes = 16 << 10
    private static let prefixBytes = 8
    /// Larger than any record that is written.
    static let maximumBody = 128 << 10

    init(_ segment: Segment, at offset: Int = Segment.header.count) {
        self.segment = segment
        self.offset = offset
    }

    /// The record of an entry.
    static func append(_ entry: Entry, to bytes: inout [UInt8]) {
        let start = bytes.count
        bytes.append(contentsOf: repeatElement(0, count: prefixBytes))
        entry.encode(to: &bytes)
        let body = bytes[(start + prefixBytes)...]
        let prefix = [UInt32(body.count), crc32(body)]
        for (index, number) in prefix.enumerated() {
            withUnsafeBytes(of: number.littleEndian) { number in
                bytes.replaceSubrange(start + index * 4..<start + index * 4 + 4, with: number)
            }
        }
    }

    /// - Returns: nil at the end, and at a record that is torn or damaged.
    mutating func next() -> Entry? {
        guard let prefix = bytes(at: offset, count: Self.prefixBytes) else { return nil }
        let (length, checksum) = prefix.withUnsafeBytes {
            (
                UInt32(littleEndian: $0.loadUnaligned(as: UInt32.self)),
                UInt32(littleEndian: $0.loadUnaligned(fromByteOffset: 4, as: UInt32.self))
            )
        }
        guard length <= Self.maximumBody, let body = bytes(at: offset + Self.prefixBytes, count: Int(length)),
            crc32(body) == checksum, let entry = Entry(body)
        else { return nil }
        offset += Self.prefixBytes + Int(length)
        return entry
    }

    private mutating func bytes(at position: Int, count: Int) -> ArraySlice<UInt8>? {
        if position < blockStart || position + count > blockStart + block.count {
            blockStart = position
            block = segment.read(at: position, count: max(count, Self.blockBytes))
        }
        let start = position - blockStart
        return start + count <= block.count ? block[start..<start + count] : nil
    }
}
