import HubModel
import Testing

@Suite struct Base64Tests {
    /// RFC 4648, section 10, and the digits that are no letters.
    @Test(arguments: [
        ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="),
        ("foobar", "Zm9vYmFy"), ("~~~?>", "fn5+Pz4="), ("???", "Pz8/"),
    ])
    func textsHaveTheirForm(text: String, encoded: String) {
        #expect(Base64.encode(Array(text.utf8)) == encoded)
        #expect(Base64.decode(encoded.utf8) == Array(text.utf8))
    }

    @Test func allBytesComeBack() {
        for count in 0..<300 {
            let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 167 &+ count) }
            #expect(Base64.decode(Base64.encode(bytes).utf8) == bytes)
        }
    }

    @Test(arguments: [
        "****", "abc", "Zg=", "Zg", "Z===", "====", "Zg==Zg==", "Z=g=", "Zm9v\n", "Zm9v\nZg==", "Zm8-", "Zm8\u{e9}",
        " Zm9v   ",
    ])
    func whatIsNoneIsRefused(text: String) {
        #expect(Base64.decode(text.utf8) == nil)
    }
}
