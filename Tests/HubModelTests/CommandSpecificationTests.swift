import SimdJSON
import Testing

@testable import HubModel

@Suite struct CommandSpecificationTests {
    private let program = ProgramID(.command, Identifier("ls-1")!)

    @Test(arguments: [true, false])
    func aPlansEntryIsReadBack(hasInput: Bool) throws {
        let specification = CommandSpecification(
            arguments: ["sh", "-c", "echo \"à\"\n"], environment: ["A": "", "b": "1=2"], hasInput: hasInput)
        let planned = PlannedProgram(program: program, credential: nil, work: .command(specification))
        let json = planned.json
        #expect(json["program"] == "command" && json["input"] == (hasInput ? "pipe" : "none"))
        #expect(try PlannedProgram(DocumentReader(json)) == planned)
    }

    @Test(arguments: [
        #"{"command": [], "input": "none"}"#, #"{"command": [""], "input": "none"}"#,
        #"{"command": "ls", "input": "none"}"#, #"{"command": ["ls", 7], "input": "none"}"#,
        #"{"command": ["ls", "a\u0000b"], "input": "none"}"#, #"{"command": ["ls"]}"#,
        #"{"command": ["ls"], "input": "open"}"#, #"{"command": ["ls"], "input": "none", "environment": {"": "x"}}"#,
        #"{"command": ["ls"], "input": "none", "environment": {"A=B": "x"}}"#,
        #"{"command": ["ls"], "input": "none", "environment": {"A": 7}}"#,
    ])
    func whatIsNoCommandIsRefused(text: String) throws {
        let json = try JSON(parsing: text)
        #expect(throws: ValidationError.self) { try CommandSpecification(DocumentReader(json)) }
    }

    @Test func aCommandIsBounded() {
        func read(_ arguments: [String]) throws -> CommandSpecification {
            let json: JSON = ["command": .array(arguments.map { .string($0) }), "input": "none"]
            return try CommandSpecification(DocumentReader(json))
        }
        #expect(throws: Never.self) { try read(Array(repeating: "x", count: 256)) }
        #expect(throws: ValidationError.self) { try read(Array(repeating: "x", count: 257)) }
        #expect(throws: ValidationError.self) { try read([String(repeating: "x", count: 65_537)]) }
    }

    @Test func aCommandHasNoUserAtTheBroker() {
        #expect(program.user == nil && program.description == "command-ls-1")
    }
}
