import HubModel
import Testing

@Suite struct RecordSequenceTests {
    private var sequence = RecordSequence<String>()

    private func position(_ number: Int64, _ origin: Int64 = 50) -> JournalPosition {
        JournalPosition(origin: origin, number: number)
    }

    private func onRecord(_ numbers: ClosedRange<Int64>, _ origin: Int64 = 50) -> [(JournalPosition, String)] {
        numbers.map { (position($0, origin), "\($0)") }
    }

    @Test mutating func whatComesInOrderIsGivenOutAtOnce() {
        #expect(sequence.take("1", at: position(1)) == ["1"])
        #expect(sequence.take("2", at: position(2)) == ["2"])
        #expect(!sequence.isIncomplete)
    }

    @Test mutating func whatIsKnownAtFirstIsNotGivenOut() {
        sequence = RecordSequence(after: position(7))
        #expect(sequence.take("7", at: position(7)) == [])
        #expect(sequence.take("9", at: position(9)) == [])
        #expect(sequence.isIncomplete)
        #expect(sequence.take("8", at: position(8)) == ["8", "9"])
    }

    @Test mutating func nothingIsGivenOutTwice() {
        _ = sequence.take(onRecord: onRecord(1...3), upTo: position(5))
        for number: Int64 in 1...5 { #expect(sequence.take("again", at: position(number)) == []) }
        #expect(sequence.take(onRecord: onRecord(1...3), upTo: position(4)) == [])
        #expect(sequence.take("6", at: position(6)) == ["6"])
    }

    @Test mutating func whatComesBeforeItsTurnWaits() {
        #expect(sequence.take("3", at: position(3)) == [])
        #expect(sequence.take("5", at: position(5)) == [])
        #expect(sequence.isIncomplete)
        #expect(sequence.take(onRecord: onRecord(1...2), upTo: position(2)) == ["1", "2", "3"])
        #expect(sequence.isIncomplete && sequence.position == position(3))
        #expect(sequence.take("4", at: position(4)) == ["4", "5"])
        #expect(!sequence.isIncomplete)
    }

    @Test mutating func whatIsGoneForGoodIsPassedOver() {
        _ = sequence.take(onRecord: onRecord(1...2), upTo: position(2))
        #expect(sequence.take("400", at: position(400)) == [])
        // The hub has it, too, and nothing of what was between.
        #expect(sequence.take(onRecord: [(position(400), "400")], upTo: position(400)) == ["400"])
        #expect(!sequence.isIncomplete)
    }

    @Test mutating func anotherJournalBeginsWhereTheHubSaysSo() {
        _ = sequence.take(onRecord: onRecord(1...2), upTo: position(2))
        #expect(sequence.take("new", at: position(1, 60)) == [])
        #expect(sequence.isIncomplete)
        let both = onRecord(3...4) + [(position(1, 60), "new")]
        #expect(sequence.take(onRecord: both, upTo: position(1, 60)) == ["3", "4", "new"])
        #expect(sequence.take("old", at: position(9)) == [])
        #expect(sequence.take("next", at: position(2, 60)) == ["next"])
    }

    @Test mutating func itKeepsLittle() {
        for number: Int64 in 2...30_000 { _ = sequence.take("x", at: position(number)) }
        let given = sequence.take("1", at: position(1)).count
        // What was not kept comes from the hub.
        #expect(given == 10_001)
        let all = given + sequence.take(onRecord: onRecord(Int64(given + 1)...30_000), upTo: position(30_000)).count
        #expect(all == 30_000)
    }
}
