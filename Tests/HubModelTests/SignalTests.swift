import SimdJSON
import Testing

@testable import HubModel

@Test(arguments: [("HUP", 1), ("SIGHUP", 1), ("hup", 1), ("sigusr1", 10), ("15", 15), ("64", 64)])
func signalsAreReadByNameAndNumber(text: String, number: Int32) throws {
    #expect(try Signal(text).number == number)
}

@Test(arguments: ["", "SIG", "0", "65", "-1", "USR9", "HUP ", "SIGSIGHUP"])
func whatIsNoSignalIsRefused(text: String) {
    #expect(throws: ValidationError.self) { try Signal(text) }
}

@Test func aSlipOfTheFingerIsRecognised() {
    let error = #expect(throws: ValidationError.self) { try Signal("SIGUSR9") }
    #expect(error?.description == "'SIGUSR9' is no signal (did you mean 'USR1'?)")
}

@Test func signalsHaveTheirNames() {
    #expect(Signal(number: 9)?.description == "SIGKILL")
    #expect(Signal(number: 40)?.description == "40")
    #expect(Signal(number: 0) == nil && Signal(number: 65) == nil)
}

@Test func aRequestForASignalIsReadBack() throws {
    let request = SignalRequest(ProgramID(.driver, Identifier("a")!), Signal(number: 1)!, run: 7, name: "n")
    #expect(try SignalRequest(DocumentReader(request.json)) == request)
    #expect(request.json.bytes().count < SignalRequest.maximumBytes)
    for wrong in [
        ("signal", 0), ("signal", .null), ("run", .null), ("program", "robot"), ("request", .null), ("request", ""),
    ] as [(String, JSON)] {
        var object = request.json.object!
        object[wrong.0] = wrong.1
        #expect(throws: ValidationError.self, "\(wrong)") { try SignalRequest(DocumentReader(.object(object))) }
    }
}

@Test func whatANodeSaysOfARequestIsReadBack() throws {
    for heard in [RequestHeard("n"), RequestHeard("n", error: "it is not here")] {
        #expect(try RequestHeard(DocumentReader(heard.json)) == heard)
    }
    let long = RequestHeard("n", error: String(repeating: "x", count: 5_000))
    #expect(try RequestHeard(DocumentReader(long.json)).error?.count == 400)
    for wrong in [["request": .null], ["request": 7], ["request": "n", "error": 7]] as [JSON] {
        #expect(throws: ValidationError.self) { try RequestHeard(DocumentReader(wrong)) }
    }
}
