import HubModel
import Testing

@testable import Hub

@Suite struct NodeLoadsTests {
    private func sample(cpu: Double?, memoryUsed: Double, total: Int64 = 1_000_000) -> NodeStatistics {
        NodeStatistics(
            cpuPercent: cpu, load: [0, 0, 0], memoryTotal: total,
            memoryAvailable: Int64(Double(total) * (1 - memoryUsed)), diskTotal: 0, diskFree: 0,
            temperatureCelsius: nil, uptimeSeconds: 1)
    }

    private let a = Identifier("a")!, b = Identifier("b")!, c = Identifier("c")!

    @Test func loadIsHalfMemoryAndHalfCPU() throws {
        #expect(abs(try #require(NodeLoads.load(sample(cpu: 50, memoryUsed: 0.2))) - 0.35) < 1e-6)
        #expect(NodeLoads.load(sample(cpu: nil, memoryUsed: 0.2)) == nil, "the first sample has no cpu")
        #expect(NodeLoads.load(sample(cpu: 1, memoryUsed: 0, total: 0)) == nil)
    }

    @Test func theLowestLoadWinsWhateverTheNumberOfPrograms() {
        var loads = NodeLoads()
        #expect(loads.lowest == nil)
        loads.add(a, sample(cpu: 10, memoryUsed: 0.6), programs: 0, recent: 0)
        loads.add(b, sample(cpu: 40, memoryUsed: 0.1), programs: 50, recent: 0)
        loads.add(c, sample(cpu: 90, memoryUsed: 0.1), programs: 0, recent: 0)
        #expect(loads.lowest == b)
    }

    @Test func manyAtOnceAreSpread() {
        var loads = NodeLoads()
        loads.add(a, sample(cpu: 10, memoryUsed: 0.1), programs: 3, recent: 0)
        loads.add(b, sample(cpu: 20, memoryUsed: 0.1), programs: 3, recent: 0)
        var counts: [Identifier: Int] = [:]
        for _ in 0..<25 {
            let node = loads.lowest!
            counts[node, default: 0] += 1
            loads.place(on: node)
        }
        #expect((14...16).contains(counts[a] ?? 0) && (9...11).contains(counts[b] ?? 0))
        // Those of a moment ago count as well.
        loads.add(a, sample(cpu: 10, memoryUsed: 0.1), programs: 18, recent: 15)
        loads.add(b, sample(cpu: 20, memoryUsed: 0.1), programs: 3, recent: 0)
        #expect(loads.lowest == b)
    }

    @Test func whereALoadIsNotKnownTheFewestProgramsCount() {
        var loads = NodeLoads()
        loads.add(a, sample(cpu: 0, memoryUsed: 0), programs: 2, recent: 0)
        loads.add(b, nil, programs: 1, recent: 0)
        #expect(loads.lowest == b)
        loads.place(on: b)
        #expect(loads.lowest == a, "of equals the first by name")
    }
}
