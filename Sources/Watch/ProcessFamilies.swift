/// Says which process belongs to which program: all of the session or process group of its leader, and the descendants
/// of those that have left both, as far as their parents still live.
struct ProcessFamilies {
    private let stats: [ProcessStat]
    private let index: [Int32: Int]
    private let leaders: Set<Int32>

    /// - Parameter leaders: the numbers of the programs' first processes.
    init(_ stats: [ProcessStat], leaders: Set<Int32>) {
        self.stats = stats
        self.leaders = leaders
        index = Dictionary(stats.enumerated().map { ($1.pid, $0) }, uniquingKeysWith: { first, _ in first })
    }

    func stat(of pid: Int32) -> ProcessStat? { index[pid].map { stats[$0] } }

    /// The processes of each leader.
    func members() -> [Int32: [ProcessStat]] {
        var owners: [Int32?] = Array(repeating: nil, count: stats.count)
        var isKnown = Array(repeating: false, count: stats.count)
        var members: [Int32: [ProcessStat]] = [:]
        for start in stats.indices {
            // Upwards until one is known; all on the way belong to the same. Read one after the other, processes might
            // even seem to be each other's parents.
            var path: [Int] = []
            var owner: Int32?
            var next: Int? = start
            while let current = next {
                if isKnown[current] {
                    owner = owners[current]
                    break
                }
                isKnown[current] = true
                path.append(current)
                owner = ownLeader(stats[current])
                next = owner == nil ? index[stats[current].parent] : nil
            }
            for place in path { owners[place] = owner }
        }
        for (stat, owner) in zip(stats, owners) { if let owner { members[owner, default: []].append(stat) } }
        return members
    }

    /// The program's own process.
    ///
    /// - Parameters:
    ///   - leader: the first of `family`.
    ///   - wrappers: how many processes there are above it, see `ProgramSpecification`.
    /// - Returns: the last of the wrappers that has a child, while it is being made.
    static func wrapped(in leader: ProcessStat, wrappers: Int, of family: [ProcessStat]) -> ProcessStat {
        var process = leader
        for _ in 0..<wrappers {
            // The eldest: a wrapper inherits what is orphaned in it, later.
            let children = family.filter { $0.parent == process.pid }
            guard let child = children.min(by: { ($0.startTime, $0.pid) < ($1.startTime, $1.pid) }) else { break }
            process = child
        }
        return process
    }

    private func ownLeader(_ stat: ProcessStat) -> Int32? {
        [stat.pid, stat.session, stat.group].first(where: leaders.contains)
    }
}
