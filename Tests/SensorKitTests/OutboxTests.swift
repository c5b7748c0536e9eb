import Testing

@testable import SensorKit

/// Moments in milliseconds.
private func ms(_ milliseconds: Int64) -> Instant { Instant(nanoseconds: milliseconds * 1_000_000) }

extension Outbox {
    fileprivate mutating func take(_ count: Int) {
        for _ in 0..<count { _ = take() }
    }

    /// Sends what is to be sent at `moment`, 200 readings in a message.
    fileprivate mutating func send(firstID: Int32, at moment: Instant = ms(0)) -> [Span] {
        var id = firstID
        var sent: [Span] = []
        while case .send(let span) = next(at: moment) {
            let part = span.through(Position(boot: span.boot, seq: span.first.seq + 199))!
            self.sent(part, id: id, at: moment)
            sent.append(part)
            id += 1
        }
        return sent
    }
}

private func connectedOutbox(boot: Int64 = 100, limits: Outbox.Limits = .init()) -> Outbox {
    var outbox = Outbox(boot: boot, limits: limits)
    outbox.settle()
    outbox.connected()
    return outbox
}

@Suite struct OutboxTests {
    @Test func sendsAReadingAtOnceWhenConnected() {
        var outbox = connectedOutbox()
        #expect(outbox.next(at: ms(0)) == .idle)
        outbox.take(1)
        #expect(outbox.send(firstID: 1) == [span(100, 1...1)])
        #expect(outbox.next(at: ms(0)) == .idle)
        outbox.take(1)
        #expect(outbox.send(firstID: 2) == [span(100, 2...2)])
    }

    @Test func keepsReadingsUntilTheyAreCommitted() {
        var outbox = connectedOutbox()
        outbox.take(5)
        _ = outbox.send(firstID: 1)
        outbox.acknowledged(1)
        #expect(outbox.kept.count == 5)
        #expect(outbox.committed(Mark(boot: 100, seq: 4, missing: [span(100, 2...3)])) == false)
        #expect(outbox.kept.spans == [span(100, 2...3), span(100, 5...5)])
        // Of a boot that is none of ours.
        #expect(outbox.committed(Mark(boot: 99, seq: 1_000)) == false)
        #expect(outbox.kept.count == 3)
    }

    @Test func sendsEverythingUncommittedAgainAfterAReconnect() {
        var outbox = connectedOutbox()
        outbox.take(3)
        _ = outbox.send(firstID: 1)
        _ = outbox.committed(Mark(boot: 100, seq: 1))
        outbox.disconnected()
        #expect(outbox.next(at: ms(0)) == .idle)
        outbox.take(2)
        #expect(outbox.unsentCount == 4)
        outbox.connected()
        #expect(outbox.send(firstID: 2) == [span(100, 2...5)])
    }

    @Test func beginsAgainWhenTheHubReturns() {
        var outbox = connectedOutbox()
        outbox.take(2)
        _ = outbox.send(firstID: 1)
        outbox.hubReturned()
        #expect(outbox.send(firstID: 2) == [span(100, 1...2)])
        outbox.disconnected()
        outbox.hubReturned()
        #expect(outbox.next(at: ms(0)) == .idle)
    }

    @Test func sendsWhatEarlierStartsLeftFirst() {
        var outbox = Outbox(
            boot: 102, after: [at(100, 60), at(101, 5)], kept: SpanSet([span(100, 51...60), span(101, 1...5)]))
        outbox.take(2)
        outbox.connected()
        #expect(outbox.next(at: ms(0)) == .idle)
        #expect(outbox.committed(Mark(boot: 100, seq: 55)) == false)
        #expect(outbox.send(firstID: 1, at: ms(0)) == [span(100, 56...60)])
        #expect(outbox.send(firstID: 2, at: ms(100)) == [span(101, 1...5)])
        #expect(outbox.send(firstID: 3, at: ms(200)) == [span(102, 1...2)])
        #expect(outbox.end(before: 102) == at(101, 5))
        #expect(outbox.committed(Mark(boot: 102, seq: 2, missing: [span(101, 2...2)])) == false)
        #expect(outbox.kept.spans == [span(101, 2...2)])
    }

    @Test func doesNotBelieveThatAnEarlierBootIsWholeWhileTheBeginningOfTheNextIsMissing() {
        var outbox = Outbox(boot: 101, after: [at(100, 60)], kept: SpanSet([span(100, 51...60)]))
        outbox.settle()
        outbox.connected()
        outbox.take(9)
        _ = outbox.committed(Mark(boot: 101, seq: 5, missing: [span(101, 1...2)]))
        #expect(outbox.kept.spans == [span(100, 51...60), span(101, 1...2), span(101, 6...9)])
    }

    @Test func aListOfTwentyMissingRangesSaysNothingOfWhatLiesBehind() {
        var outbox = connectedOutbox()
        outbox.take(100)
        _ = outbox.send(firstID: 1)
        _ = outbox.committed(Mark(boot: 100, seq: 100, missing: (1...20).map { span(100, $0 * 2...$0 * 2) }))
        #expect(outbox.kept.count == 20 + 60)
    }

    @Test func sendsWhatIsMissingAgainButNotTooOften() {
        var outbox = connectedOutbox()
        outbox.take(9)
        _ = outbox.send(firstID: 1, at: ms(0))
        outbox.take(3)
        let mark = Mark(boot: 100, seq: 9, missing: [span(100, 2...3), span(100, 6...6)])
        _ = outbox.committed(mark)
        // 10...12 have yet to be sent, and come behind.
        #expect(outbox.send(firstID: 2, at: ms(0)) == [span(100, 2...3)])
        #expect(outbox.send(firstID: 3, at: ms(1)) == [span(100, 6...6), span(100, 10...12)])
        _ = outbox.committed(mark)
        #expect(outbox.next(at: ms(1_000)) == .wait(until: ms(2_000)))
        // Meanwhile it has come.
        _ = outbox.committed(Mark(boot: 100, seq: 12, missing: [span(100, 6...6)]))
        #expect(outbox.send(firstID: 5, at: ms(2_000)) == [span(100, 6...6)])
        _ = outbox.committed(Mark(boot: 100, seq: 12))
        #expect(outbox.kept.isEmpty)
        #expect(outbox.next(at: ms(9_000)) == .idle)
    }

    @Test func saysWhichOfTheMissingAreGone() {
        var outbox = Outbox(boot: 100, after: [at(90, 7)])
        outbox.settle()
        outbox.connected()
        outbox.take(9)
        _ = outbox.send(firstID: 1)
        #expect(outbox.dropped([span(100, 2...4), span(80, 1...1)]) == 3)
        let foreign = span(95, 1...9)
        _ = outbox.committed(
            Mark(boot: 100, seq: 9, missing: [span(90, 6...7), foreign, span(100, 3...5)]))
        #expect(outbox.next(at: ms(10)) == .giveUp([span(90, 6...7), span(100, 3...4)]))
        outbox.gaveUp(id: 2)
        #expect(outbox.send(firstID: 3, at: ms(10)) == [span(100, 5...5)])
        _ = outbox.committed(Mark(boot: 100, seq: 9))
        #expect(outbox.next(at: ms(9_000)) == .idle)
    }

    @Test func catchesUpInPacedBatchesAndThenSendsAtOnce() {
        var outbox = Outbox(boot: 1)
        outbox.settle()
        outbox.take(450)
        outbox.connected()
        #expect(outbox.send(firstID: 1, at: ms(0)) == [span(1, 1...200)])
        #expect(outbox.next(at: ms(49)) == .wait(until: ms(50)))
        outbox.take(1)
        #expect(outbox.send(firstID: 2, at: ms(50)) == [span(1, 201...400)])
        #expect(outbox.send(firstID: 3, at: ms(100)) == [span(1, 401...451)])
        outbox.take(1)
        #expect(outbox.send(firstID: 4, at: ms(200)) == [span(1, 452...452)])
        outbox.take(1)
        #expect(outbox.send(firstID: 5, at: ms(200)) == [span(1, 453...453)])
    }

    @Test func waitsForTheBrokerWhenEnoughIsInFlight() {
        var outbox = connectedOutbox(limits: .init(messagesInFlight: 2))
        for id in 1...3 {
            outbox.take(1)
            _ = outbox.send(firstID: Int32(id))
        }
        #expect(outbox.unsentCount == 1)
        #expect(outbox.next(at: ms(0)) == .idle)
        outbox.acknowledged(99)
        #expect(outbox.next(at: ms(0)) == .idle)
        outbox.acknowledged(1)
        outbox.take(1)
        #expect(outbox.send(firstID: 4) == [span(100, 3...4)])
    }

    @Test func sendsNothingBeforeTheBootNumberIsSettled() {
        var outbox = Outbox(boot: 100)
        outbox.take(1)
        outbox.connected()
        #expect(outbox.next(at: ms(0)) == .idle)
        outbox.settle()
        #expect(outbox.send(firstID: 1) == [span(100, 1...1)])
    }

    @Test(arguments: [(99, 100), (100, 101), (200, 201)])
    func bootIsAboveThatOfTheReadingsInTheHub(committed: Int64, expected: Int64) {
        var outbox = Outbox(boot: 100)
        outbox.connected()
        #expect(outbox.committed(Mark(boot: committed, seq: 7)) == (expected != 100))
        #expect(outbox.isSettled)
        outbox.take(1)
        #expect(outbox.send(firstID: 1) == [span(expected, 1...1)])
    }

    @Test(arguments: [Mark(boot: 150, seq: 1), Mark(boot: 100, seq: 4)])
    func goesOnUnderANewBootWhenTheHubHasReadingsFromElsewhere(mark: Mark) {
        var outbox = connectedOutbox(boot: 100)
        outbox.take(3)
        #expect(outbox.committed(mark) == true)
        #expect(outbox.last == at(mark.position.boot + 1, 0))
        outbox.take(1)
        let new = mark.position.boot + 1
        #expect(outbox.kept.spans == [span(100, 1...3), span(new, 1...1)])
        #expect(outbox.committed(Mark(boot: new, seq: 1)) == false)
        #expect(outbox.kept.isEmpty)
    }

    @Test func pausesAndBeginsAgainAfterARefusal() {
        var outbox = connectedOutbox()
        outbox.take(2)
        _ = outbox.send(firstID: 1, at: ms(0))
        outbox.take(1)
        _ = outbox.send(firstID: 2, at: ms(0))
        #expect(outbox.refused(77, at: ms(0)) == false)
        #expect(outbox.refused(1, at: ms(0)) == true)
        #expect(outbox.next(at: ms(9_999)) == .wait(until: ms(10_000)))
        #expect(outbox.send(firstID: 3, at: ms(10_000)) == [span(100, 1...3)])
    }

    @Test func goesOnBehindWhatWasDroppedBeforeItCouldBeSent() {
        var outbox = connectedOutbox(limits: .init(messagesInFlight: 1))
        outbox.take(1)
        _ = outbox.send(firstID: 1)
        outbox.take(4)
        #expect(outbox.dropped([span(100, 1...3)]) == 3)
        #expect(outbox.unsentCount == 2)
        outbox.acknowledged(1)
        #expect(outbox.send(firstID: 2) == [span(100, 4...5)])
    }
}
