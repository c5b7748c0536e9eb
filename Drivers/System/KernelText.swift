/// A text from /proc or /sys, or a part of one. It is ASCII, and is taken apart as bytes: doing so as `Character` would
/// bring the tables of Unicode into the memory of the process.
struct KernelText: ExpressibleByStringLiteral {
    private let bytes: ArraySlice<UInt8>

    init(_ bytes: ArraySlice<UInt8>) {
        self.bytes = bytes
    }

    init(stringLiteral text: String) {
        self.init(Array(text.utf8)[...])
    }

    var lines: [KernelText] {
        bytes.split(separator: UInt8(ascii: "\n")).map(KernelText.init)
    }

    /// What stands between spaces and line ends.
    var words: [KernelText] {
        bytes.split { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\n") }.map(KernelText.init)
    }

    static func == (text: KernelText, literal: StaticString) -> Bool {
        literal.withUTF8Buffer { text.bytes.elementsEqual($0) }
    }

    /// The text as a whole number; nil where it is none.
    var integer: Int64? {
        let isNegative = bytes.first == UInt8(ascii: "-")
        guard let magnitude = Self.digits(isNegative ? bytes.dropFirst() : bytes) else { return nil }
        return isNegative ? -magnitude : magnitude
    }

    /// The text as a number of the form `2337.99`; nil where it is none.
    var number: Double? {
        let parts = bytes.split(separator: UInt8(ascii: "."), maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2 else { return integer.map(Double.init) }
        // Up to 15 digits are exact in a double, and then so is the division, up to the last bit.
        guard !parts[0].isEmpty, !parts[1].isEmpty, parts[0].count + parts[1].count <= 15,
            let digits = Self.digits(parts[0] + parts[1])
        else { return nil }
        return Double(digits) / parts[1].reduce(1.0) { scale, _ in scale * 10 }
    }

    private static func digits(_ bytes: ArraySlice<UInt8>) -> Int64? {
        guard (1...18).contains(bytes.count) else { return nil }
        var value: Int64 = 0
        for byte in bytes {
            guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) else { return nil }
            value = value * 10 + Int64(byte - UInt8(ascii: "0"))
        }
        return value
    }
}
