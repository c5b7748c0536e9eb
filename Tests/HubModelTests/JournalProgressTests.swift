import HubModel
import Testing

@Suite struct JournalProgressTests {
    private let program = ProgramID(.driver, Identifier("co2")!)

    private func report(_ origin: Int64, after: Int64, _ numbers: [Int64], last: Int64? = nil) -> JournalReport {
        JournalReport(
            program: program, origin: origin, after: after,
            records: numbers.map { JournalRecord(number: $0, time: 1, run: 1, content: .line(.stdout, "\($0)")) },
            last: last)
    }

    private func take(_ report: JournalReport, _ progress: inout JournalProgress) -> [Int64] {
        progress.take(report).records.map(\.number)
    }

    private func position(_ origin: Int64, _ number: Int64) -> JournalPosition {
        JournalPosition(origin: origin, number: number)
    }

    @Test func theFirstReportIsTakenWhole() {
        var progress = JournalProgress()
        #expect(take(report(50, after: 7, [8, 9]), &progress) == [8, 9])
        #expect(progress.position == position(50, 9))
    }

    @Test func whatIsKnownIsNotTakenAgain() {
        var progress = JournalProgress(position(50, 9))
        #expect(take(report(50, after: 7, [8, 9]), &progress) == [])
        #expect(take(report(50, after: 0, [1, 2]), &progress) == [])
        #expect(progress.position == position(50, 9))
        #expect(take(report(50, after: 7, [8, 9, 10, 11]), &progress) == [10, 11])
        #expect(take(report(50, after: 11, [12]), &progress) == [12])
        #expect(progress.position == position(50, 12))
    }

    @Test func nothingIsTakenWhereSomethingIsMissingInBetween() {
        var progress = JournalProgress(position(50, 9))
        #expect(take(report(50, after: 10, [11, 12]), &progress) == [])
        #expect(progress.position == position(50, 9))
    }

    @Test func whatTheJournalHasGivenUpIsPassedOver() {
        var progress = JournalProgress(position(50, 9))
        let taken = progress.take(report(50, after: 9, [500, 501, 504]))
        #expect(taken.records.map(\.number) == [500, 501, 504] && taken.lost == 492)
        #expect(progress.position == position(50, 504))
        let again = progress.take(report(50, after: 9, [500, 501, 504, 505]))
        #expect(again.records.map(\.number) == [505] && again.lost == 0)
        // What an earlier hub has had is not lost.
        let other = progress.take(report(51, after: 20, [21, 22]))
        #expect(other.records.count == 2 && other.lost == 0)
    }

    @Test func whatIsAtFaultIsNotLost() {
        var progress = JournalProgress()
        let report = JournalReport(
            program: program, origin: 50, after: 0, records: self.report(50, after: 0, [1, 3]).records,
            faults: [ValidationError("no")], last: 3)
        let taken = progress.take(report)
        #expect(taken.records.count == 2 && taken.lost == 0)
    }

    @Test func aLaterJournalIsTakenFromWhereverItBegins() {
        var progress = JournalProgress(position(50, 9))
        #expect(take(report(51, after: 3, [4]), &progress) == [4])
        #expect(progress.position == position(51, 4))
    }

    @Test func anEarlierJournalIsNotTaken() {
        var progress = JournalProgress(position(50, 9))
        #expect(take(report(49, after: 0, [1, 2]), &progress) == [])
        #expect(take(report(49, after: 9, [10]), &progress) == [])
        #expect(progress.position == position(50, 9))
    }

    @Test func recordsThatAreLeftOutCountAsTaken() {
        var progress = JournalProgress(position(50, 9))
        #expect(take(report(50, after: 9, [10], last: 12), &progress) == [10])
        #expect(progress.position == position(50, 12))
        #expect(take(report(50, after: 12, [], last: 15), &progress) == [])
        #expect(progress.position == position(50, 15))
    }

    @Test func aReportOfNothingMovesNothing() {
        var progress = JournalProgress(position(50, 9))
        #expect(take(report(50, after: 4, []), &progress) == [])
        #expect(progress.position == position(50, 9))
    }

    /// Whatever windows come in whatever order, each record is taken once and in order.
    @Test func everyRecordIsTakenOnce() {
        var generator = SystemRandomNumberGenerator()
        var progress = JournalProgress()
        var taken: [Int64] = []
        while progress.position.number < 2_000 {
            let known = progress.position.number
            let after = max(0, known + Int64.random(in: -60...15, using: &generator))
            let numbers = (after + 1)...(after + Int64.random(in: 1...50, using: &generator))
            // Only the node's own first message may leave something out.
            guard known > 0 || after == 0 else { continue }
            taken += take(report(50, after: after, Array(numbers)), &progress)
        }
        #expect(taken == Array(1...Int64(taken.count)))
    }
}
