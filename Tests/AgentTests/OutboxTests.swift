import HubModel
import Testing
import Watch

@testable import Agent

private let one = ProgramID(.driver, Identifier("one")!)
private let two = ProgramID(.algorithm, Identifier("two")!)

private func state(_ run: Int64) -> ProgramReport {
    ProgramReport(program: one, state: .running, reason: "", pid: 1, time: 0, run: run)
}

private func lines(_ texts: [String]) -> [OutputLine] {
    texts.map { OutputLine(time: 7, stream: .stdout, text: $0) }
}

extension Outbox {
    fileprivate mutating func takeAll() -> (runs: [Int64], lines: [String]) {
        var runs: [Int64] = [], texts: [String] = []
        while let item = popFirst() {
            switch item {
            case .state(let state): runs.append(state.run)
            case .log(let program, let lines): texts += lines.map { "\(program.id) \($0.text)" }
            }
        }
        return (runs, texts)
    }
}

@Test func statesGoBeforeLinesAndBothInOrder() {
    var outbox = Outbox()
    #expect(outbox.isEmpty)
    outbox.add(lines(["a", "b"]), of: one)
    outbox.add(state(1))
    outbox.add(lines(["c"]), of: two)
    outbox.add(state(2))
    outbox.add([], of: two)
    let all = outbox.takeAll()
    #expect(all.runs == [1, 2])
    #expect(all.lines == ["one a", "one b", "two c"])
    #expect(outbox.isEmpty)
}

@Test func whatCouldNotBeSentComesFirst() {
    var outbox = Outbox(maximumStates: 3, maximumLines: 2)
    outbox.add(lines(["a", "b"]), of: one)
    outbox.add(lines(["c"]), of: one)
    if let item = outbox.popFirst() { outbox.putBack(item) }
    outbox.add(state(1))
    if let item = outbox.popFirst() { outbox.putBack(item) }
    outbox.add(state(2))
    let all = outbox.takeAll()
    #expect(all.runs == [1, 2])
    #expect(all.lines == ["one … 2 lines dropped: the broker was away", "one c"])
}

@Test func theOldestIsDroppedAndCounted() {
    var outbox = Outbox(maximumStates: 3, maximumLines: 5)
    for run in 1...5 { outbox.add(state(Int64(run))) }
    #expect(outbox.droppedStates == 2)
    outbox.add(lines(["1", "2", "3"]), of: one)
    outbox.add(lines(["4", "5"]), of: two)
    outbox.add(lines(["6", "7"]), of: one)
    outbox.add(lines(["8"]), of: two)
    let all = outbox.takeAll()
    #expect(all.runs == [3, 4, 5])
    #expect(
        all.lines == [
            "two 4", "two 5", "one … 3 lines dropped: the broker was away", "one 6", "one 7", "two 8",
        ])
    outbox.add(lines(["9"]), of: one)
    #expect(outbox.takeAll().lines == ["one 9"])
}
