/// Base64 with padding (RFC 4648, section 4). Our own: Foundation's and libcrypto's would cost each watch more memory than
/// all the rest of it.
public enum Base64 {
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    private static let padding = UInt8(ascii: "=")
    private static let noDigit: UInt8 = 0xFF
    /// What each character stands for.
    private static let values: [UInt8] = {
        var values = [UInt8](repeating: noDigit, count: 256)
        for (value, character) in alphabet.enumerated() { values[Int(character)] = UInt8(value) }
        return values
    }()

    public static func encode(_ bytes: [UInt8]) -> String {
        let count = (bytes.count + 2) / 3 * 4
        return String(unsafeUninitializedCapacity: count) { out in
            alphabet.withUnsafeBufferPointer { alphabet in
                bytes.withUnsafeBufferPointer { bytes in
                    var place = 0
                    for start in stride(from: 0, to: bytes.count, by: 3) {
                        let second = start + 1 < bytes.count ? bytes[start + 1] : 0
                        let third = start + 2 < bytes.count ? bytes[start + 2] : 0
                        out[place] = alphabet[Int(bytes[start] >> 2)]
                        out[place + 1] = alphabet[Int((bytes[start] & 0x03) << 4 | second >> 4)]
                        out[place + 2] =
                            start + 1 < bytes.count ? alphabet[Int((second & 0x0F) << 2 | third >> 6)] : padding
                        out[place + 3] = start + 2 < bytes.count ? alphabet[Int(third & 0x3F)] : padding
                        place += 4
                    }
                }
            }
            return count
        }
    }

    /// Nil where `text` is no base64.
    public static func decode(_ text: some Collection<UInt8>) -> [UInt8]? {
        let text = Array(text)
        guard text.count % 4 == 0 else { return nil }
        let digits = text.count - text.suffix(2).reversed().prefix { $0 == padding }.count
        return values.withUnsafeBufferPointer { values in
            text.withUnsafeBufferPointer { text -> [UInt8]? in
                var isWrong = false
                let bytes = [UInt8](unsafeUninitializedCapacity: text.count / 4 * 3) { out, count in
                    var bits: UInt32 = 0
                    for place in 0..<digits {
                        let value = values[Int(text[place])]
                        guard value != noDigit else {
                            isWrong = true
                            return
                        }
                        bits = bits << 6 | UInt32(value)
                        // Each digit but the first of four completes a byte.
                        guard place % 4 > 0 else { continue }
                        out[count] = UInt8(truncatingIfNeeded: bits >> UInt32(6 - place % 4 * 2))
                        count += 1
                    }
                }
                return isWrong ? nil : bytes
            }
        }
    }
}
