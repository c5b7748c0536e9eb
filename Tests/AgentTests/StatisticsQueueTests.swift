import HubModel
import SimdJSON
import Testing

@testable import Agent

private func sample(_ time: Int64) -> StatisticsSample {
    StatisticsSample(
        time: time,
        node: NodeStatistics(
            cpuPercent: 1, load: [0, 0, 0], memoryTotal: 2, memoryAvailable: 1, diskTotal: 2, diskFree: 1,
            temperatureCelsius: nil, uptimeSeconds: 3), programs: [])
}

extension StatisticsQueue {
    /// Sends all that waits.
    fileprivate mutating func send() -> [StatisticsSample] {
        var sent: [StatisticsSample] = []
        while let bytes = next {
            do { sent.append(try StatisticsSample(DocumentReader(JSON(parsing: bytes)))) } catch { Issue.record(error) }
            self.sent()
        }
        return sent
    }
}

@Test func aSampleIsKeptUntilItIsConfirmed() {
    var queue = StatisticsQueue()
    for time in 1...3 { queue.add(sample(Int64(time))) }
    #expect(queue.send().map(\.time) == [1, 2, 3])
    #expect(queue.next == nil)
    queue.committed(1)
    queue.committed(7)
    #expect(queue.next == nil && queue.count == 2)
    queue.add(sample(4))
    queue.sendAgain()
    #expect(queue.send().map(\.time) == [2, 3, 4])
    for time in 2...4 { queue.committed(Int64(time)) }
    #expect(queue.count == 0)
}

@Test func whatOthersOvertakeIsSentAgainThreeTimesAtMost() {
    var queue = StatisticsQueue()
    queue.add(sample(1))
    for time in 2...3 {
        queue.add(sample(Int64(time)))
        #expect(queue.send().map(\.time) == [1, Int64(time)])
        queue.committed(Int64(time))
    }
    queue.add(sample(4))
    #expect(queue.send().map(\.time) == [1, 4])
    queue.committed(4)
    #expect(queue.count == 0)
    queue.add(sample(5))
    #expect(queue.send().map(\.dropped) == [1])
}

@Test func theOldestSamplesGoAndAreCounted() {
    let bytes = sample(100).json.bytes().count
    var queue = StatisticsQueue(maximumBytes: 3 * bytes)
    for time in 101...106 { queue.add(sample(Int64(time))) }
    let sent = queue.send()
    #expect(sent.map(\.time) == [104, 105, 106])
    // 101 went for 104, 102 for 105, 103 for 106; each is told of by the next one.
    #expect(sent.map(\.dropped) == [0, 1, 1])
    // 104 goes for it, which the next one will tell.
    queue.add(sample(107))
    let last = queue.send()
    #expect(last.map(\.time) == [107] && last[0].dropped == 1)
    for time in 105...107 { queue.committed(Int64(time)) }
    queue.add(sample(108))
    #expect(queue.send().map(\.dropped) == [1])
}
