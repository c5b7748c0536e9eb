/// What a person's side of a terminal tells the programs' side: a byte that says what it is, two numbers of 16 bits or one,
/// the greater half first, and the keys.
public enum TerminalFrame: Sendable, Hashable {
    /// What was typed; 1 to `maximumKeys` bytes.
    case keys([UInt8])
    case size(rows: UInt16, columns: UInt16)

    public static let maximumKeys = 4_096

    private static let keysMark: UInt8 = 1
    private static let sizeMark: UInt8 = 2

    public var bytes: [UInt8] {
        func number(_ value: UInt16) -> [UInt8] { [UInt8(value >> 8), UInt8(value & 0xFF)] }
        return switch self {
        case .keys(let keys): [Self.keysMark] + number(UInt16(keys.count)) + keys
        case .size(let rows, let columns): [Self.sizeMark] + number(rows) + number(columns)
        }
    }

    /// Takes frames out of a stream of bytes.
    public struct Decoder: Sendable {
        private var bytes: [UInt8] = []

        public init() {}

        /// - Returns: the frames that are whole now.
        /// - Throws: `ValidationError` for what is none; nothing more can be read then.
        public mutating func take(_ more: some Sequence<UInt8>) throws(ValidationError) -> [TerminalFrame] {
            bytes += more
            var frames: [TerminalFrame] = []
            var rest = bytes[...]
            while let (frame, count) = try Self.first(rest) {
                frames.append(frame)
                rest = rest.dropFirst(count)
            }
            bytes = Array(rest)
            return frames
        }

        private static func first(_ bytes: ArraySlice<UInt8>) throws(ValidationError) -> (TerminalFrame, Int)? {
            func number(_ offset: Int) -> UInt16 {
                UInt16(bytes[bytes.startIndex + offset]) << 8 | UInt16(bytes[bytes.startIndex + offset + 1])
            }
            guard let mark = bytes.first else { return nil }
            guard mark == keysMark || mark == sizeMark else { throw ValidationError("\(mark) begins no frame") }
            guard bytes.count >= 3 else { return nil }
            if mark == sizeMark {
                guard bytes.count >= 5 else { return nil }
                return (.size(rows: number(1), columns: number(3)), 5)
            }
            let count = Int(number(1))
            guard (1...maximumKeys).contains(count) else { throw ValidationError("\(count) keys are no frame") }
            guard bytes.count >= 3 + count else { return nil }
            return (.keys(Array(bytes.dropFirst(3).prefix(count))), 3 + count)
        }
    }
}
