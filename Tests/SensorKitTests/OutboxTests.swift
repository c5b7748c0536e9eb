import Testing

@testable import SensorKit

/// Moments in milliseconds.
private func at(_ milliseconds: Int64) -> Instant { Instant(nanoseconds: milliseconds * 1_000_000) }

extension Outbox {
    fileprivate mutating func take(_ count: Int) {
        for _ in 0..<count { _ = append(time: 5, values: Array(#"{"x":1}"#.utf8)) }
    }

    /// Sends what is to be sent at `moment`.
    fileprivate mutating func send(firstID: Int32, at moment: Instant = at(0)) -> [ClosedRange<Int64>] {
        var id = firstID
        var sent: [ClosedRange<Int64>] = []
        while case .send(let batch) = next(at: moment) {
            self.sent(batch, id: id, at: moment)
            sent.append(batch.seqs)
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
        #expect(outbox.next(at: at(0)) == .idle)
        outbox.take(1)
        guard case .send(let batch) = outbox.next(at: at(0)) else {
            Issue.record("nothing to send")
            return
        }
        #expect(String(decoding: batch.payload, as: UTF8.self) == #"{"t":5,"boot":100,"seq":1,"v":{"x":1}}"#)
        outbox.sent(batch, id: 1, at: at(0))
        #expect(outbox.next(at: at(0)) == .idle)
        outbox.take(1)
        #expect(outbox.send(firstID: 2) == [2...2])
    }

    @Test func keepsReadingsUntilTheyAreCommitted() {
        var outbox = connectedOutbox()
        outbox.take(3)
        _ = outbox.send(firstID: 1)
        outbox.acknowledged(1)
        #expect(outbox.count == 3)
        #expect(outbox.committed(Mark(boot: 100, seq: 2)) == false)
        #expect(outbox.count == 1)
        #expect(outbox.committed(Mark(boot: 99, seq: 1_000)) == false)
        #expect(outbox.count == 1)
    }

    @Test func sendsEverythingUncommittedAgainAfterAReconnect() {
        var outbox = connectedOutbox()
        outbox.take(3)
        _ = outbox.send(firstID: 1)
        _ = outbox.committed(Mark(boot: 100, seq: 1))
        outbox.disconnected()
        #expect(outbox.next(at: at(0)) == .idle)
        outbox.take(2)
        #expect(outbox.unsentCount == 4)
        outbox.connected()
        guard case .send(let batch) = outbox.next(at: at(0)) else {
            Issue.record("nothing to send")
            return
        }
        #expect(batch.seqs == 2...5)
        let readings = try? JSON(parsing: batch.payload).array
        #expect(readings?.compactMap { $0["seq"]?.int } == [2, 3, 4, 5])
    }

    @Test func aMarkThatAStragglerCanHaveCausedCommitsNothing() {
        var outbox = connectedOutbox()
        outbox.take(3)
        _ = outbox.send(firstID: 1)
        outbox.disconnected()
        outbox.take(1)
        outbox.connected()
        _ = outbox.send(firstID: 2)
        // libmosquitto sent 1...3 again by itself; the broker may not have had our own repeat yet.
        _ = outbox.committed(Mark(boot: 100, seq: 3))
        #expect(outbox.count == 4)
        _ = outbox.committed(Mark(boot: 100, seq: 4))
        #expect(outbox.count == 0)
    }

    @Test func beginsAgainWhenTheHubReturns() {
        var outbox = connectedOutbox()
        outbox.take(2)
        _ = outbox.send(firstID: 1)
        outbox.hubReturned()
        #expect(outbox.send(firstID: 2) == [1...2])
        outbox.acknowledged(2)
        // From the broker's queue: the second message before it was dropped.
        _ = outbox.committed(Mark(boot: 100, seq: 2))
        #expect(outbox.count == 2)
        outbox.disconnected()
        outbox.hubReturned()
        #expect(outbox.next(at: at(0)) == .idle)
    }

    @Test func catchesUpInPacedBatchesAndThenSendsAtOnce() {
        var outbox = Outbox(boot: 1)
        outbox.settle()
        outbox.take(450)
        outbox.connected()
        #expect(outbox.send(firstID: 1, at: at(0)) == [1...200])
        #expect(outbox.next(at: at(49)) == .wait(until: at(50)))
        outbox.take(1)
        #expect(outbox.send(firstID: 2, at: at(50)) == [201...400])
        #expect(outbox.send(firstID: 3, at: at(100)) == [401...451])
        outbox.take(1)
        #expect(outbox.send(firstID: 4, at: at(200)) == [452...452])
        outbox.take(1)
        #expect(outbox.send(firstID: 5, at: at(200)) == [453...453])
    }

    @Test func waitsForTheBrokerWhenEnoughIsInFlight() {
        var outbox = connectedOutbox(limits: .init(messagesInFlight: 2))
        for id in 1...3 {
            outbox.take(1)
            _ = outbox.send(firstID: Int32(id))
        }
        #expect(outbox.unsentCount == 1)
        #expect(outbox.next(at: at(0)) == .idle)
        outbox.acknowledged(99)
        #expect(outbox.next(at: at(0)) == .idle)
        outbox.acknowledged(1)
        outbox.take(1)
        #expect(outbox.send(firstID: 4) == [3...4])
    }

    @Test func aMessageHasABoundInBytesButAtLeastOneReading() {
        var outbox = connectedOutbox(limits: .init(bytesInMessage: 100))
        for _ in 1...3 { _ = outbox.append(time: 0, values: [UInt8](repeating: 0x20, count: 60)) }
        _ = outbox.append(time: 0, values: [UInt8](repeating: 0x20, count: 200))
        #expect(outbox.send(firstID: 1) == [1...1, 2...2, 3...3, 4...4])
    }

    @Test func dropsTheOldestBeyondItsBounds() {
        var outbox = connectedOutbox(limits: .init(readings: 3))
        outbox.take(3)
        #expect(outbox.append(time: 0, values: []) == 1)
        #expect(outbox.send(firstID: 1) == [2...4])

        var small = Outbox(boot: 1, limits: .init(bytes: 10))
        #expect(small.append(time: 0, values: [UInt8](repeating: 0x20, count: 8)) == 0)
        #expect(small.append(time: 0, values: [UInt8](repeating: 0x20, count: 8)) == 1)
        #expect(small.count == 1)
    }

    @Test func goesOnBehindWhatWasDroppedBeforeItCouldBeSent() {
        var outbox = connectedOutbox(limits: .init(readings: 2, messagesInFlight: 1))
        outbox.take(1)
        _ = outbox.send(firstID: 1)
        outbox.take(4)
        #expect(outbox.unsentCount == 2)
        outbox.acknowledged(1)
        #expect(outbox.send(firstID: 2) == [4...5])
    }

    @Test func sendsNothingBeforeTheBootNumberIsSettled() {
        var outbox = Outbox(boot: 100)
        outbox.take(1)
        outbox.connected()
        #expect(outbox.next(at: at(0)) == .idle)
        outbox.settle()
        #expect(outbox.send(firstID: 1) == [1...1])
    }

    @Test(arguments: [(99, 100), (100, 101), (200, 201)])
    func bootIsAboveThatOfTheReadingsInTheHub(committed: Int64, expected: Int64) {
        var outbox = Outbox(boot: 100)
        outbox.take(1)
        outbox.connected()
        #expect(outbox.committed(Mark(boot: committed, seq: 7)) == (expected != 100))
        #expect(outbox.isSettled)
        #expect(outbox.boot == expected)
        #expect(outbox.send(firstID: 1) == [1...1])
    }

    @Test(arguments: [Mark(boot: 150, seq: 1), Mark(boot: 100, seq: 4)])
    func sendsAgainUnderANewBootWhenTheHubHasReadingsFromElsewhere(mark: Mark) {
        var outbox = connectedOutbox(boot: 100)
        outbox.take(3)
        _ = outbox.send(firstID: 1)
        #expect(outbox.committed(mark) == true)
        #expect(outbox.boot == mark.boot + 1)
        #expect(outbox.send(firstID: 2) == [1...3])
        #expect(outbox.committed(Mark(boot: mark.boot + 1, seq: 3)) == false)
        #expect(outbox.count == 0)
    }

    @Test func pausesAndBeginsAgainAfterARefusal() {
        var outbox = connectedOutbox()
        outbox.take(2)
        _ = outbox.send(firstID: 1, at: at(0))
        outbox.take(1)
        _ = outbox.send(firstID: 2, at: at(0))
        #expect(outbox.refused(77, at: at(0)) == false)
        #expect(outbox.refused(1, at: at(0)) == true)
        // The second message may have been taken: what the hub says of it does not tell of the first.
        _ = outbox.committed(Mark(boot: 100, seq: 3))
        #expect(outbox.count == 3)
        #expect(outbox.next(at: at(9_999)) == .wait(until: at(10_000)))
        #expect(outbox.send(firstID: 3, at: at(10_000)) == [1...3])
        outbox.take(1)
        _ = outbox.send(firstID: 4, at: at(20_000))
        _ = outbox.committed(Mark(boot: 100, seq: 4))
        #expect(outbox.count == 0)
    }

}

@Suite struct MarkTests {
    private let parser = JSONParser()

    @Test func readsWhatTheHubSays() throws {
        let text = #"{"boot": 1763677050, "seq": 7, "more": [1]}"#
        #expect(try Mark(Array(text.utf8), with: parser) == Mark(boot: 1_763_677_050, seq: 7))
    }

    @Test(arguments: [
        #"{"boot": -1, "seq": 1}"#, #"{"boot": 1}"#, #"{"boot": 9223372036854775807, "seq": 1}"#, "[]",
        #"{"boot": 1.5, "seq": 1}"#, "",
    ])
    func refusesAMarkThatCannotBe(text: String) throws {
        #expect(throws: (any Error).self) { try Mark(Array(text.utf8), with: parser) }
    }
}

@Suite struct ReadingQueueTests {
    @Test func numbersGoOnWhateverIsRemoved() {
        var queue = ReadingQueue()
        #expect(queue.last == 0)
        var next: Int64 = 1
        // Long enough that the removed part is given back several times.
        for round in 0..<2_000 {
            for _ in 0..<(round % 3 + 1) {
                queue.append(time: next, values: [0])
                next += 1
            }
            queue.removeThrough(next - 400)
            #expect(queue.last == next - 1)
            #expect(queue[queue.first].time == queue.first)
            #expect(queue[queue.last].time == queue.last)
            #expect(queue.bytes == queue.count)
        }
        queue.removeThrough(.max)
        #expect(queue.isEmpty && queue.bytes == 0 && queue.last == next - 1 && queue.first == next)
    }
}
