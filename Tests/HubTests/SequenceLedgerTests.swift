import Testing

@testable import Hub

@Suite struct SequenceLedgerTests {
    private func notes(_ list: SequenceNotes.Note...) -> SequenceNotes {
        var notes = SequenceNotes()
        list.forEach { notes.add($0) }
        return notes
    }

    private func range(_ boot: Int64, _ bounds: ClosedRange<Int64>) -> SequenceLedger.Changes.Range {
        .init(boot: boot, bounds: bounds)
    }

    @Test func numbersInOrderAreOneNote() {
        var notes = SequenceNotes()
        for sequence in [1, 2, 3, 5, 6, 4] as [Int64] { notes.came(boot: 7, sequence) }
        notes.came(boot: 8, 5)
        #expect(
            notes.notes == [
                .came(boot: 7, 1...3), .came(boot: 7, 5...6), .came(boot: 7, 4...4), .came(boot: 8, 5...5),
            ])
    }

    @Test func whatComesInOrderLeavesNoGap() {
        var ledger = SequenceLedger()
        let changes = ledger.take(notes(.came(boot: 1, 1...100)))
        #expect(changes.progress == [1: 100])
        #expect(ledger.take(notes(.came(boot: 1, 101...101))).progress == [1: 101])
        #expect(changes.gaps.isEmpty)
        #expect(!ledger.hasOpenGaps)
        #expect(ledger.furthest! == (1, 101))
    }

    @Test func aJumpIsAGapAndWhatComesLateIsTold() {
        var ledger = SequenceLedger()
        _ = ledger.take(notes(.came(boot: 1, 1...3)))
        let jump = ledger.take(notes(.came(boot: 1, 6...8)))
        #expect(jump.gaps == [range(1, 4...5)])
        #expect(ledger.hasOpenGaps)
        let late = ledger.take(notes(.came(boot: 1, 5...9)))
        #expect(late.gaps.isEmpty)
        #expect(late.late == [range(1, 5...8)])
        #expect(late.progress == [1: 9])
    }

    @Test func repeatsMeanNothingWhileNoGapIsOpen() {
        var ledger = SequenceLedger()
        _ = ledger.take(notes(.came(boot: 1, 1...9)))
        #expect(ledger.take(notes(.came(boot: 1, 2...9))).isEmpty)
    }

    @Test func onlyNumbersBeyondTheHighestAreSureToBeNew() {
        var ledger = SequenceLedger(progress: [4: 9], hasOpenGaps: false)
        #expect(!ledger.take(notes(.came(boot: 4, 10...12), .came(boot: 5, 1...3))).mayRepeat)
        #expect(ledger.take(notes(.came(boot: 4, 12...14))).mayRepeat)
        #expect(
            !ledger.take(notes(.came(boot: 4, 20...20), .lost(boot: 4, 15...16), .ended(boot: 4, at: 21))).mayRepeat)
        // A late one of a gap is new, but the ledger in memory does not know the gaps.
        #expect(ledger.take(notes(.came(boot: 4, 17...17))).mayRepeat)
    }

    @Test func whatComesOfAForgottenBootMayBeARepeat() {
        var ledger = SequenceLedger()
        for boot in 1...20 { _ = ledger.take(notes(.came(boot: Int64(boot), 1...1))) }
        #expect(ledger.take(notes(.came(boot: 2, 2...2))).mayRepeat)
    }

    @Test func aBootBeginsAtOne() {
        var ledger = SequenceLedger(progress: [1: 50], hasOpenGaps: false)
        #expect(ledger.take(notes(.came(boot: 2, 3...4))).gaps == [range(2, 1...2)])
        #expect(ledger.furthest! == (2, 4))
    }

    @Test func theEndOfABootShowsWhatItsTailLacks() {
        var ledger = SequenceLedger(progress: [1: 50], hasOpenGaps: false)
        let changes = ledger.take(notes(.ended(boot: 1, at: 53), .came(boot: 2, 1...1)))
        #expect(changes.gaps == [range(1, 51...53)])
        #expect(changes.progress == [1: 53, 2: 1])
        #expect(ledger.take(notes(.ended(boot: 1, at: 53), .ended(boot: 2, at: 0))).isEmpty)
    }

    @Test func aLossIsAGapThatIsClosedAtOnce() {
        var ledger = SequenceLedger(progress: [1: 4], hasOpenGaps: false)
        let changes = ledger.take(notes(.lost(boot: 1, 5...9), .came(boot: 1, 10...11)))
        #expect(changes.gaps == [range(1, 5...9)])
        #expect(changes.lost == [range(1, 5...9)])
        #expect(changes.progress == [1: 11])
    }

    @Test func aLossOfWhatWasNoticedAddsNoGap() {
        var ledger = SequenceLedger(progress: [1: 20], hasOpenGaps: true)
        let changes = ledger.take(notes(.lost(boot: 1, 5...9)))
        #expect(changes.gaps.isEmpty)
        #expect(changes.lost == [range(1, 5...9)])
    }

    @Test func aForgottenBootOnlyFillsGaps() {
        var ledger = SequenceLedger(
            progress: Dictionary(uniqueKeysWithValues: (10...17).map { ($0, 1) }), hasOpenGaps: true)
        let changes = ledger.take(notes(.came(boot: 3, 7...8), .ended(boot: 3, at: 99)))
        #expect(changes.gaps.isEmpty)
        #expect(changes.late == [range(3, 7...8)])
        #expect(changes.progress.isEmpty)
    }

    @Test func whatWasTheNewestBootIsWrittenWhenItNoLongerIs() {
        var ledger = SequenceLedger(progress: [4: 9], hasOpenGaps: false)
        let changes = ledger.take(notes(.came(boot: 5, 1...2)))
        #expect(changes.earlier == [4: 9])
        #expect(changes.furthest! == (5, 2))
        #expect(ledger.take(notes(.came(boot: 5, 3...3))).earlier.isEmpty)
    }

    @Test func anOlderBootThatIsNewToUsIsTaken() {
        var ledger = SequenceLedger(progress: [5: 1], hasOpenGaps: false)
        #expect(ledger.take(notes(.came(boot: 4, 2...2))).gaps == [range(4, 1...1)])
        #expect(ledger.furthest!.boot == 5)
    }

    @Test func onlyTheNewestBootsAreRemembered() {
        var ledger = SequenceLedger()
        for boot in 1...20 as ClosedRange<Int64> { _ = ledger.take(notes(.came(boot: boot, 1...1))) }
        #expect(ledger.take(notes(.came(boot: 1, 5...5))).gaps.isEmpty)
        #expect(ledger.take(notes(.came(boot: 20, 3...3))).gaps == [range(20, 2...2)])
    }
}

extension SequenceLedger.Changes {
    /// The highest number of each boot that is to be written.
    fileprivate var progress: [Int64: Int64] {
        earlier.merging(furthest.map { [$0.boot: $0.sequence] } ?? [:]) { $1 }
    }
}
