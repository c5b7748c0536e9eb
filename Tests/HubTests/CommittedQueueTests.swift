import HubModel
import Testing

@testable import Hub

@Suite struct CommittedQueueTests {
    private func committed(_ sequence: Int64, missing: Bool = false) -> Committed {
        Committed(boot: 1, sequence: sequence, missing: missing ? [(1, 1...1)] : [])
    }

    private func take(_ queue: inout CommittedQueue, _ count: Int) -> [String] {
        queue.take(atMost: count).map { "\($0.0) \($0.1.sequence)" }
    }

    private let a = Identifier("a")!, b = Identifier("b")!, c = Identifier("c")!

    @Test func whoHasWaitedLongestIsToldFirstAndTheNewest() {
        var queue = CommittedQueue()
        queue.add([(a, committed(1))])
        queue.add([(b, committed(1))])
        queue.add([(a, committed(2))])
        #expect(take(&queue, 1) == ["a 2"])
        queue.add([(a, committed(3))])
        #expect(take(&queue, 5) == ["b 1", "a 3"])
        #expect(take(&queue, 5) == [])
    }

    @Test func whatIsMissingIsToldBeforeTheOthersAndOnce() {
        var queue = CommittedQueue()
        queue.add([(a, committed(1))])
        queue.add([(b, committed(1))])
        queue.add([(c, committed(1, missing: true))])
        queue.add([(b, committed(2, missing: true))])
        #expect(take(&queue, 1) == ["c 1"])
        #expect(take(&queue, 9) == ["b 2", "a 1"])
        queue.add([(b, committed(3))])
        #expect(take(&queue, 9) == ["b 3"])
    }
}
