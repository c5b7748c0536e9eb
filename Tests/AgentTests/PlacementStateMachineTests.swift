import HubModel
import Testing

@testable import Agent

private func program(_ id: String) -> ProgramID { ProgramID(.algorithm, Identifier(id)!) }

private let runtime = try! Runtime(DocumentReader(["name": "py3", "entry": "app.py", "start": ["{ENTRY}"]]))

private func planned(_ id: String, script: String = "main.py", credential: String? = nil) -> PlannedProgram {
    PlannedProgram(
        program: program(id), credential: credential,
        work: .app(
            AppWork(
                app: Identifier("bus")!, sha256: "", script: script, runtime: runtime, requirements: [],
                arguments: [id])))
}

private func plan(_ programs: PlannedProgram..., refused: [(ProgramID, String)] = []) -> Plan {
    Plan(programs: programs, refused: refused)
}

@Test func programsComeAndGo() {
    var machine = PlacementStateMachine()
    #expect(machine.follow(plan(planned("b"), planned("a"))) == [.start(planned("a")), .start(planned("b"))])
    #expect(
        machine.follow(plan(planned("a", credential: "x"), planned("b"))) == [
            .tellCredential(program("a"), "x"), .tellCredential(program("b"), nil),
        ])
    #expect(
        machine.follow(plan(planned("b"))) == [
            .end(program("a"), reason: "it is not to run on this node any more"), .tellCredential(program("b"), nil),
        ])
    #expect(machine.ended(program("a")) == [.forget(program("a"))])
    #expect(machine.ended(program("a")) == [])
    #expect(machine.ended(program("b")) == [])
}

@Test func aSuccessorWaitsForTheEnd() {
    var machine = PlacementStateMachine()
    _ = machine.follow(plan(planned("a")))
    #expect(machine.follow(plan(planned("a", script: "2.py"))) == [.end(program("a"), reason: "its plan has changed")])
    // Only the last wish counts.
    #expect(machine.follow(plan()) == [])
    #expect(machine.follow(plan(planned("a", script: "3.py"))) == [])
    #expect(machine.ended(program("a")) == [.start(planned("a", script: "3.py"))])
    #expect(machine.follow(plan()) == [.end(program("a"), reason: "it is not to run on this node any more")])
    #expect(machine.follow(plan(planned("a", script: "3.py"))) == [])
    #expect(machine.ended(program("a")) == [.start(planned("a", script: "3.py"))])
}

@Test func whatIsRefused() {
    var machine = PlacementStateMachine()
    let refusal = plan(refused: [(program("a"), "no type")])
    #expect(machine.follow(refusal) == [.refuse(program("a"), reason: "no type")])
    // Said once.
    #expect(machine.follow(refusal) == [])
    #expect(
        machine.follow(plan(refused: [(program("a"), "no driver")])) == [.refuse(program("a"), reason: "no driver")])
    #expect(machine.follow(plan(planned("a"))) == [.start(planned("a"))])
    #expect(machine.follow(refusal) == [.end(program("a"), reason: "its plan is not valid")])
    #expect(machine.ended(program("a")) == [.refuse(program("a"), reason: "no type")])
    #expect(machine.follow(plan()) == [.forget(program("a"))])
    #expect(machine.follow(plan()) == [])
}

private func disabled(_ id: String) -> PlannedProgram {
    let other = planned(id)
    return PlannedProgram(program: other.program, credential: nil, work: other.work, isEnabled: false)
}

private func planned(_ id: String, generation: Int64) -> PlannedProgram {
    let other = planned(id)
    return PlannedProgram(program: other.program, credential: nil, work: other.work, generation: generation)
}

@Test func whatIsDisabledRestsAndIsNotForgotten() {
    var machine = PlacementStateMachine()
    #expect(machine.follow(plan(disabled("a"))) == [.rest(program("a"))])
    // Said once.
    #expect(machine.follow(plan(disabled("a"))) == [])
    #expect(machine.follow(plan(planned("a"))) == [.start(planned("a"))])
    #expect(machine.follow(plan(disabled("a"))) == [.end(program("a"), reason: "it is disabled")])
    #expect(machine.ended(program("a")) == [.rest(program("a"))])
    #expect(machine.follow(plan()) == [.forget(program("a"))])
}

@Test func anotherGenerationIsANewStart() {
    var machine = PlacementStateMachine()
    _ = machine.follow(plan(planned("a")))
    #expect(
        machine.follow(plan(planned("a", generation: 1))) == [.end(program("a"), reason: "a new start was asked for")])
    #expect(machine.ended(program("a")) == [.start(planned("a", generation: 1))])
    #expect(machine.follow(plan(planned("a", generation: 1))) == [.tellCredential(program("a"), nil)])
}
