import HubModel

/// One process at one moment.
struct ProcessSample: Equatable {
    struct Memory: Equatable {
        let proportional: Int64
        let `private`: Int64
    }

    struct Transfer: Equatable {
        let read: Int64
        let written: Int64
    }

    let stat: ProcessStat
    var memory: Memory?
    var files: Int64?
    var transfer: Transfer?
}

/// Makes one program's usage of what its processes have counted, from one measurement to the next. Counters never run
/// backwards, though processes come and go: what a child has counted is its parent's once the parent has waited for it.
struct ProgramMeter {
    /// A number is given again; with its start it names a process for good.
    private struct Key: Hashable {
        let pid: Int32
        let startTime: Int64

        init(_ stat: ProcessStat) {
            pid = stat.pid
            startTime = stat.startTime
        }
    }

    private struct Counters {
        var ownTicks: Int64
        var childTicks: Int64
        var read: Int64
        var written: Int64

        static let zero = Counters(ownTicks: 0, childTicks: 0, read: 0, written: 0)

        /// - Parameter before: for what cannot be read now, as the bytes of a process that has just ended.
        init(_ sample: ProcessSample, before: Counters?) {
            ownTicks = sample.stat.ownTicks
            childTicks = sample.stat.childTicks
            read = sample.transfer?.read ?? before?.read ?? 0
            written = sample.transfer?.written ?? before?.written ?? 0
        }

        private init(ownTicks: Int64, childTicks: Int64, read: Int64, written: Int64) {
            self.ownTicks = ownTicks
            self.childTicks = childTicks
            self.read = read
            self.written = written
        }
    }

    /// Of the measurement before.
    private var known: [Key: Counters] = [:]
    private var leader: Key?
    private var read: Int64 = 0
    private var written: Int64 = 0

    /// - Parameters:
    ///   - leader: the program's first process.
    ///   - processes: it and the others that belong to the program.
    ///   - now: seconds since the machine's start.
    ///   - before: when the machine's processes were last looked at; nil where they were not.
    mutating func measure(
        leader: ProcessStat, _ processes: [ProcessSample], at now: Double, since before: Double?,
        ticksPerSecond: Double, pageSize: Int64
    ) -> ProgramUsage {
        func began(_ stat: ProcessStat) -> Double { Double(stat.startTime) / ticksPerSecond }
        // The kernel cuts the start to a tick.
        func isNew(_ stat: ProcessStat) -> Bool { before.map { began(stat) >= $0 - 1 / ticksPerSecond } ?? false }

        let isSameRun = self.leader == Key(leader)
        if !isSameRun {
            self.leader = Key(leader)
            known = [:]
            read = 0
            written = 0
        }
        let isMeasured = isSameRun || isNew(leader)

        var present: [Key: Counters] = [:]
        var own: Int64 = 0, children: Int64 = 0, newRead: Int64 = 0, newWritten: Int64 = 0
        for process in processes {
            let key = Key(process.stat)
            let counters = Counters(process, before: known[key])
            present[key] = counters
            // Of one that was there already, and was not the program's, nothing counts that it did before. But with the
            // first look at a program all the bytes do: they are told since its start.
            let old = known[key] ?? (isNew(process.stat) ? .zero : counters)
            own += max(0, counters.ownTicks - old.ownTicks)
            children += max(0, counters.childTicks - old.childTicks)
            newRead += counters.read - (isSameRun ? old.read : 0)
            newWritten += counters.written - (isSameRun ? old.written : 0)
        }
        for (key, counters) in known where present[key] == nil {
            children -= counters.ownTicks + counters.childTicks
            newRead -= counters.read
            newWritten -= counters.written
        }
        known = present
        read += max(0, newRead)
        written += max(0, newWritten)

        let interval = before.map { now - $0 } ?? 0
        let alive = processes.filter { !$0.stat.isZombie }
        let memories = alive.compactMap(\.memory), files = alive.compactMap(\.files)
        let hasTransfer = alive.contains { $0.transfer != nil }
        return ProgramUsage(
            cpuPercent: isMeasured && interval > 0
                ? Double(own + max(0, children)) / ticksPerSecond / interval * 100 : nil,
            memory: alive.reduce(0) { $0 + $1.stat.residentPages } * pageSize,
            proportionalMemory: memories.isEmpty ? nil : memories.reduce(0) { $0 + $1.proportional },
            privateMemory: memories.isEmpty ? nil : memories.reduce(0) { $0 + $1.private },
            threads: alive.reduce(0) { $0 + $1.stat.threads },
            files: files.isEmpty ? nil : files.reduce(0, +), processes: Int64(alive.count),
            bytesRead: hasTransfer ? read : nil, bytesWritten: hasTransfer ? written : nil,
            uptimeSeconds: max(0, now - began(leader)))
    }
}
