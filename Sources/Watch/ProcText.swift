/// Reads the words and numbers of the kernel's texts under /proc, one after the other.
struct ProcText {
    private var rest: ArraySlice<UInt8>

    init(_ bytes: ArraySlice<UInt8>) {
        rest = bytes
    }

    private static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 || byte == 0x0A }

    mutating func word() -> ArraySlice<UInt8>? {
        while let first = rest.first, Self.isSpace(first) { rest.removeFirst() }
        let word = rest.prefix { !Self.isSpace($0) }
        rest = rest[word.endIndex...]
        return word.isEmpty ? nil : word
    }

    /// The next word, a whole number. One that has more than 64 bits, as a limit without an end can, is the greatest.
    mutating func number() -> Int64? {
        guard var digits = word() else { return nil }
        let isNegative = digits.first == UInt8(ascii: "-")
        if isNegative { digits.removeFirst() }
        guard !digits.isEmpty else { return nil }
        var number: Int64 = 0
        for digit in digits {
            guard (0x30...0x39).contains(digit) else { return nil }
            let (product, isTooMuch) = number.multipliedReportingOverflow(by: 10)
            let (sum, isTooMuchNow) = product.addingReportingOverflow(Int64(digit - 0x30))
            number = isTooMuch || isTooMuchNow ? .max : sum
            // Once too much, more digits do not make it less.
            if number == .max { break }
        }
        return isNegative ? -number : number
    }

    /// The next word, a decimal fraction as of `/proc/loadavg`.
    mutating func fraction() -> Double? {
        word().flatMap { Double(String(decoding: $0, as: UTF8.self)) }.flatMap { $0.isFinite ? $0 : nil }
    }

    /// The number after `name` and a colon, in a text with a line for each, such as `Pss:   247 kB`. Nil where there is
    /// none.
    static func value(of name: StaticString, in bytes: ArraySlice<UInt8>) -> Int64? {
        let name = UnsafeBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount)
        var line = bytes
        while !line.isEmpty {
            if line.starts(with: name), line.dropFirst(name.count).first == UInt8(ascii: ":") {
                var text = ProcText(line.dropFirst(name.count + 1))
                return text.number()
            }
            guard let end = line.firstIndex(of: 0x0A) else { return nil }
            line = line[(end + 1)...]
        }
        return nil
    }
}
