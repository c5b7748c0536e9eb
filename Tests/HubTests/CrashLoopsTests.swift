import HubModel
import Testing

@testable import Hub

@Suite struct CrashLoopsTests {
    private let program = ProgramID(.driver, Identifier("co2")!)

    private func report(
        _ state: ProgramState, at seconds: Int64, exitCode: Int32? = nil, signal: Int32? = nil,
        reason: String = "exit code 1"
    ) -> ProgramReport {
        ProgramReport(
            program: program, state: state, reason: reason, pid: nil, time: seconds * 1_000_000, run: 1,
            exitCode: exitCode, signal: signal)
    }

    /// Those that are over at that time.
    private func over(_ loops: inout CrashLoops, at seconds: Int64, wanted: Bool = true) -> [ProgramID] {
        loops.takeOver(at: seconds * 1_000_000) { _ in wanted }
    }

    @Test func threeBadEndsInTenMinutesAreALoop() {
        var loops = CrashLoops()
        #expect(loops.take(report(.backoff, at: 1)) == nil)
        #expect(loops.take(report(.exited, at: 100, exitCode: 1)) == nil)
        #expect(loops.take(report(.starting, at: 101)) == nil)
        #expect(
            loops.take(report(.exited, at: 119, signal: 9, reason: "signal 9 (killed)"))
                == .loops(
                    reason:
                        "it has ended, or could not be started, 3 times in 2 minutes; the last time: signal 9 (killed)")
        )
    }

    @Test func whatIsToldAgainCountsOnce() {
        var loops = CrashLoops()
        for _ in 1...5 { #expect(loops.take(report(.backoff, at: 7)) == nil) }
    }

    @Test func endsThatAreFarApartAreNoLoop() {
        var loops = CrashLoops()
        for turn in 1...9 as ClosedRange<Int64> {
            #expect(loops.take(report(.exited, at: turn * 400, exitCode: 2)) == nil)
        }
    }

    @Test func aProgramThatEndsWellIsNone() {
        var loops = CrashLoops()
        for turn in 1...9 as ClosedRange<Int64> { #expect(loops.take(report(.exited, at: turn, exitCode: 0)) == nil) }
    }

    @Test func beingGivenUpIsOneAtOnce() {
        var loops = CrashLoops()
        #expect(
            loops.take(report(.fatal, at: 5, reason: "python3.13 is not installed"))
                == .loops(reason: "it is not started again: python3.13 is not installed"))
    }

    @Test func itIsOverWhenTheProgramHasBeenUpForAMinute() {
        var loops = CrashLoops()
        _ = loops.take(report(.fatal, at: 5))
        _ = loops.take(report(.running, at: 10))
        #expect(over(&loops, at: 69) == [])
        #expect(over(&loops, at: 70) == [program])
        #expect(over(&loops, at: 71) == [])
    }

    @Test func aStartAloneEndsNothing() {
        var loops = CrashLoops()
        _ = loops.take(report(.fatal, at: 5))
        _ = loops.take(report(.running, at: 10))
        _ = loops.take(report(.exited, at: 20, exitCode: 1))
        #expect(over(&loops, at: 500) == [])
    }

    @Test func itIsOverAMinuteAfterAGoodEnd() {
        var loops = CrashLoops()
        _ = loops.take(report(.fatal, at: 5))
        _ = loops.take(report(.running, at: 10))
        _ = loops.take(report(.exited, at: 20, exitCode: 0))
        #expect(over(&loops, at: 79) == [])
        #expect(over(&loops, at: 80) == [program])
        // One that is started again meanwhile has to show first that it stays up.
        _ = loops.take(report(.fatal, at: 105))
        _ = loops.take(report(.exited, at: 110, exitCode: 0))
        _ = loops.take(report(.starting, at: 111))
        #expect(over(&loops, at: 500) == [])
    }

    @Test func itIsOverWhenNobodyWantsTheProgramAnyMore() {
        var loops = CrashLoops()
        _ = loops.take(report(.fatal, at: 5))
        #expect(over(&loops, at: 6, wanted: false) == [program])
        _ = loops.take(report(.fatal, at: 7))
        #expect(loops.take(report(.stopped, at: 8)) == .over)
        #expect(loops.take(report(.stopped, at: 9)) == nil)
    }

    @Test func whatAnEarlierHubHasFoundIsEndedByThisOne() {
        var loops = CrashLoops(open: [program])
        _ = loops.take(report(.running, at: 10))
        #expect(over(&loops, at: 100) == [program])
    }
}
