import SimdJSON
import Testing

@testable import HubModel

@Suite struct InputRequestTests {
    private let program = ProgramID(.algorithm, Identifier(String(repeating: "x", count: 64))!)

    @Test(arguments: [[], Array("hello\n".utf8), [0, 255, 10, 13], Array(repeating: 7, count: 64 << 10)] as [[UInt8]])
    func aRequestIsReadBack(input: [UInt8]) throws {
        let request = InputRequest(
            program, input, isLast: input.isEmpty, run: .max,
            name: String(repeating: "n", count: 200))
        #expect(try InputRequest(DocumentReader(request.json)) == request)
        #expect(request.json.bytes().count <= InputRequest.maximumBytes)
    }

    @Test func whatIsNoInputIsRefused() {
        for (key, value) in [
            ("data", "***"), ("data", 7), ("data", .string(Base64.encode(Array(repeating: 7, count: 65_537)))),
            ("eof", "yes"), ("eof", .null), ("run", .null), ("id", "a/b"),
            ("request", .null), ("request", 7), ("request", ""),
            ("request", .string(String(repeating: "n", count: 201))),
        ] as [(String, JSON)] {
            var object = InputRequest(program, [1], isLast: false, run: 1, name: "n").json.object!
            object[key] = value
            #expect(throws: ValidationError.self, "\(key)") { try InputRequest(DocumentReader(.object(object))) }
        }
    }
}
