/// From the system, for passwords and for names that nobody guesses.
public func randomBytes(_ count: Int) -> [UInt8] {
    var system = SystemRandomNumberGenerator()
    return (0..<count).map { _ in .random(in: .min ... .max, using: &system) }
}

/// A name that nobody else makes: 128 random bits in hexadecimal.
public func makeUniqueID() -> String {
    Hexadecimal.encode(randomBytes(16))
}

/// Two digits for each byte.
public enum Hexadecimal {
    public static func encode(_ bytes: [UInt8]) -> String {
        let digits = Array("0123456789abcdef".utf8)
        return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }
}
