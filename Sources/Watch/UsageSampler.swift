import Files
import Glibc
public import HubModel
import Synchronization

/// Looks at a machine and at programs that this process has started, from time to time. Reads a file of every process of
/// the machine, and some more of the programs' own. May be called from any thread, and blocks it for that long.
public final class UsageSampler: Sendable {
    private struct State {
        var machine = MachineMeter()
        var programs: [String: ProgramMeter] = [:]
        var memories: [Int32: (startTime: Int64, memory: ProcessSample.Memory?, at: Double)] = [:]
        var before: Double?
        /// By the numbers of users.
        var names: [UInt32: String] = [:]
    }

    public struct Sample: Sendable {
        public let machine: MachineUsage
        /// Without those whose process has ended.
        public let programs: [String: ProgramUsage]
        /// What taking it has cost, of one core.
        public let cost: Duration
    }

    private let state = Mutex(State())
    private let ticksPerSecond = Double(sysconf(Int32(_SC_CLK_TCK)))
    private let pageSize = Int64(sysconf(Int32(_SC_PAGESIZE)))

    /// Of more processes, as a fork bomb has them, only what `stat` says is read.
    private static let maximumDetailed = 2_000
    /// The kernel walks through all of a process's memory to say what is shared: not with each sample.
    private static let memorySeconds = 30.0

    public init() {}

    /// - Parameter records: of the programs' first processes, each the leader of its session, by name.
    package func sample(_ records: [String: ProcessRecord]) -> Sample {
        state.withLock { state in
            let began = Self.threadTime()
            let now = Self.uptime()
            let stats = Self.processNumbers().compactMap { ProcessStat(pid: $0) }
            let families = ProcessFamilies(stats, leaders: Set(records.values.map(\.pid)))
            let members = families.members()
            let memories = state.memories
            state.memories = [:]
            var detailed = 0
            var usages: [String: ProgramUsage] = [:]
            for (name, record) in records {
                guard let leader = families.stat(of: record.pid), leader.session == record.pid else { continue }
                let family = members[record.pid] ?? []
                let processes = family.map { stat in
                    var sample = ProcessSample(stat: stat)
                    guard !stat.isZombie, detailed < Self.maximumDetailed else { return sample }
                    detailed += 1
                    sample.files = Self.openFiles(of: stat.pid)
                    sample.transfer = Self.transfer(of: stat.pid)
                    if let known = memories[stat.pid], known.startTime == stat.startTime,
                        now - known.at < Self.memorySeconds
                    {
                        state.memories[stat.pid] = known
                    } else {
                        state.memories[stat.pid] = (stat.startTime, Self.memory(of: stat.pid), now)
                    }
                    sample.memory = state.memories[stat.pid]?.memory
                    return sample
                }
                var usage = state.programs[name, default: ProgramMeter()].measure(
                    leader: leader, processes, at: now, since: state.before, ticksPerSecond: ticksPerSecond,
                    pageSize: pageSize)
                let main = ProcessFamilies.wrapped(in: leader, wrappers: record.wrappers, of: family)
                usage.process = describe(main, at: now, &state.names)
                usages[name] = usage
            }
            state.programs = state.programs.filter { usages[$0.key] != nil }
            state.before = now
            let machine = state.machine.measure(at: now)
            return Sample(machine: machine, programs: usages, cost: Self.threadTime() - began)
        }
    }

    /// Nil for a process that has just gone.
    private func describe(
        _ process: ProcessStat, at now: Double, _ names: inout [UInt32: String]
    ) -> ProcessDescription? {
        var folder = stat()
        guard stat("/proc/\(process.pid)", &folder) == 0 else { return nil }
        if names[folder.st_uid] == nil { names[folder.st_uid] = Self.userName(folder.st_uid) }
        let file = "/proc/\(process.pid)/cmdline"
        var line = (try? File.beginning(of: file, limit: ProcessDescription.maximumBytes)) ?? []
        // There is one after each word.
        if line.last == 0 { line.removeLast() }
        let seconds = max(0, now - Double(process.startTime) / ticksPerSecond)
        return ProcessDescription(
            pid: Int64(process.pid),
            commandLine: String(decoding: line.map { $0 == 0 ? UInt8(ascii: " ") : $0 }, as: UTF8.self),
            startTime: microsecondsNow() - Int64(seconds * 1e6), userID: Int64(folder.st_uid),
            user: names[folder.st_uid]!, niceness: process.niceness, parent: Int64(process.parent),
            status: String(UnicodeScalar(process.state)))
    }

    private static func userName(_ number: UInt32) -> String {
        var entry = passwd()
        var found: UnsafeMutablePointer<passwd>?
        var buffer = [CChar](repeating: 0, count: 16 << 10)
        guard getpwuid_r(number, &entry, &buffer, buffer.count, &found) == 0, found != nil else { return "\(number)" }
        return String(cString: entry.pw_name)
    }

    // MARK: /proc

    private static func processNumbers() -> [Int32] {
        guard let stream = opendir("/proc") else { return [] }
        defer { closedir(stream) }
        var numbers: [Int32] = []
        while let entry = readdir(stream) {
            let number = withUnsafeBytes(of: &entry.pointee.d_name) { name -> Int32? in
                var number: Int32 = 0
                for byte in name.prefix(while: { $0 != 0 }) {
                    guard (0x30...0x39).contains(byte), number < 100_000_000 else { return nil }
                    number = number * 10 + Int32(byte - 0x30)
                }
                return number > 0 ? number : nil
            }
            if let number { numbers.append(number) }
        }
        return numbers
    }

    /// Nil where we may not look, as everything of another user's process.
    private static func openFiles(of pid: Int32) -> Int64? {
        guard let stream = opendir("/proc/\(pid)/fd") else { return nil }
        defer { closedir(stream) }
        // The number of entries since Linux 6.2, 0 before.
        var status = stat()
        if fstat(dirfd(stream), &status) == 0, status.st_size > 0 { return Int64(status.st_size) }
        var count: Int64 = -2
        // A limit, as for the processes: nobody reads a million names each time.
        while count < 100_000, readdir(stream) != nil { count += 1 }
        return max(0, count)
    }

    private static func transfer(of pid: Int32) -> ProcessSample.Transfer? {
        guard let bytes = try? File.beginning(of: "/proc/\(pid)/io", limit: 4_096)[...],
            let read = ProcText.value(of: "read_bytes", in: bytes),
            let written = ProcText.value(of: "write_bytes", in: bytes)
        else { return nil }
        return ProcessSample.Transfer(read: max(0, read), written: max(0, written))
    }

    private static func memory(of pid: Int32) -> ProcessSample.Memory? {
        guard let bytes = try? File.beginning(of: "/proc/\(pid)/smaps_rollup", limit: 8_192) else { return nil }
        return ProcessSample.Memory(rollup: bytes[...])
    }

    // MARK: Clocks

    /// Seconds since the machine's start, as the kernel counts the start of processes.
    private static func uptime() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_BOOTTIME, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    private static func threadTime() -> Duration {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return .seconds(time.tv_sec) + .nanoseconds(time.tv_nsec)
    }
}

extension ProcessSample.Memory {
    /// Of `/proc/PID/smaps_rollup` (the kernel's Documentation/filesystems/proc.rst); nil where it does not say.
    init?(rollup bytes: ArraySlice<UInt8>) {
        guard let proportional = kibibytes(ProcText.value(of: "Pss", in: bytes)),
            let clean = kibibytes(ProcText.value(of: "Private_Clean", in: bytes)),
            let dirty = kibibytes(ProcText.value(of: "Private_Dirty", in: bytes))
        else { return nil }
        self.init(proportional: proportional, private: clean.addingReportingOverflow(dirty).partialValue)
    }
}
