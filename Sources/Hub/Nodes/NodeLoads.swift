import HubModel

/// Which node a program gets that nobody has named one for: the one with the lowest load. A value without I/O.
struct NodeLoads {
    private struct Node {
        /// Nil where the node has not told yet.
        var load: Double?
        var programs: Int
    }

    /// What a program is taken for until a sample shows what it takes: many that are placed at once must not all go to the
    /// same node.
    static let loadOfNewProgram = 0.01

    private var nodes: [Identifier: Node] = [:]

    /// - Parameters:
    ///   - programs: how many are placed on the node.
    ///   - recent: how many of them since the sample.
    mutating func add(_ node: Identifier, _ sample: NodeStatistics?, programs: Int, recent: Int) {
        let load = sample.flatMap { Self.load($0) }.map { $0 + Double(recent) * Self.loadOfNewProgram }
        nodes[node] = Node(load: load, programs: programs)
    }

    /// Half memory and half cpu, each as a share of all that the node has.
    static func load(_ sample: NodeStatistics) -> Double? {
        guard let cpu = sample.cpuPercent, sample.memoryTotal > 0 else { return nil }
        let memory = 1 - Double(sample.memoryAvailable) / Double(sample.memoryTotal)
        return 0.5 * memory + 0.5 * cpu / 100
    }

    /// Nil where there is no node. While the load of one is not known, it is the one with the fewest programs.
    var lowest: Identifier? {
        let areKnown = nodes.values.allSatisfy { $0.load != nil }
        return nodes.min { left, right in
            let a = (areKnown ? left.value.load! : 0, left.value.programs, left.key.text)
            return a < (areKnown ? right.value.load! : 0, right.value.programs, right.key.text)
        }?.key
    }

    mutating func place(on node: Identifier) {
        nodes[node]?.programs += 1
        nodes[node]?.load? += Self.loadOfNewProgram
    }
}
