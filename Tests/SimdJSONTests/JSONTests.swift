import SimdJSON
import Testing

@Suite struct JSONTests {
    @Test(arguments: [
        "null", "true", "-12", "9223372036854775807", "1.5", #""text \"quoted\" \\ and ü""#, "[]", "[1,[2,[]],{}]",
        #"{"a":1,"b":{"c":[true,null]}}"#, #""\u0001\n\t""#,
    ])
    func textSurvivesParsingAndWriting(_ text: String) throws {
        #expect(try JSON(parsing: text).text() == text)
        var out: [UInt8] = []
        try Array(text.utf8).withUnsafeBytes { bytes in try JSONParser().parse(bytes) { $0.write(to: &out) } }
        #expect(String(decoding: out, as: UTF8.self) == text)
    }

    @Test func membersKeepTheirOrderButItDoesNotCount() throws {
        let left = try JSON(parsing: #"{"b":1,"a":2}"#), right = try JSON(parsing: #"{"a":2,"b":1}"#)
        #expect(left.object?.keys == ["b", "a"])
        #expect(left == right)
        #expect(left.hashValue == right.hashValue)
    }

    @Test func wholeNumbersBeyond64BitsBecomeDoubles() throws {
        #expect(try JSON(parsing: "9223372036854775808") == .double(9223372036854775808))
        #expect(try JSON(parsing: "5") != JSON(parsing: "5.0"))
    }

    @Test(arguments: [
        "", " ", "{", "[1,]", #"{"a":1,"a":2}"#, "nul", "1e999", "\u{FEFF}{}x", #"{"a" 1}"#, "01", "'a'",
        String(repeating: "[", count: 2_000),
    ])
    func whatIsNotJSONIsRefused(_ text: String) {
        #expect(throws: JSONSyntaxError.self) { try JSON(parsing: text) }
    }

    @Test func invalidUTF8IsRefused() {
        #expect(throws: JSONSyntaxError.self) { try JSON(parsing: [0x22, 0xFF, 0x22] as [UInt8]) }
    }

    @Test func aLargeDocumentDoesNotKeepItsMemory() throws {
        let parser = JSONParser(maximumBytes: 4 << 20)
        let large = Array("[\(Array(repeating: "1", count: 1 << 20).joined(separator: ","))]".utf8)
        let count = try large.withUnsafeBytes { bytes in
            try parser.parse(bytes) { root in
                var count = 0
                root.forEachItem { _ in count += 1 }
                return count
            }
        }
        #expect(count == 1 << 20)
        #expect(throws: JSONSyntaxError.self) {
            try [UInt8](repeating: UInt8(ascii: " "), count: 5 << 20).withUnsafeBytes { try parser.parse($0) { _ in } }
        }
        // It goes on working after both.
        try Array("[]".utf8).withUnsafeBytes { try parser.parse($0) { #expect($0.kind == .array) } }
    }
}
