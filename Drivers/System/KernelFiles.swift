import SensorKit

/// What the kernel says under /proc and /sys. Where it says nothing, or nothing that makes sense, a value is nil.
struct KernelFiles {
    /// Stands before /proc and /sys; for tests.
    var root = ""

    /// `/proc/stat`; its first line is enough.
    func cpuTimes() -> CPUTimes? { text("/proc/stat", limit: 512).flatMap { CPUTimes(stat: $0) } }

    func load1Minute() -> Double? { text("/proc/loadavg").flatMap { $0.words.first?.number } }

    func uptimeSeconds() -> Double? { text("/proc/uptime").flatMap { $0.words.first?.number } }

    func memory() -> Memory? { text("/proc/meminfo").flatMap { Memory(meminfo: $0) } }

    /// The highest of the machine's temperatures.
    func hottestCelsius() -> Double? {
        let zones = names(in: "/sys/class/thermal").filter { $0.hasPrefix("thermal_zone") }
            .map { "/sys/class/thermal/\($0)/temp" }
        let chips = names(in: "/sys/class/hwmon").flatMap { chip in
            names(in: "/sys/class/hwmon/\(chip)").filter(Self.isTemperatureInput)
                .map { "/sys/class/hwmon/\(chip)/\($0)" }
        }
        return (zones + chips).compactMap { text($0).flatMap { Self.celsius($0) } }.max()
    }

    private func names(in folder: String) -> [String] { (try? Folder.names(in: root + folder)) ?? [] }

    private func text(_ path: String, limit: Int = 1 << 14) -> KernelText? {
        (try? File.beginning(of: root + path, limit: limit)).map { KernelText($0[...]) }
    }

    /// `temp1_input`, `temp2_input` …
    static func isTemperatureInput(_ name: String) -> Bool {
        name.hasPrefix("temp") && name.hasSuffix("_input")
    }

    /// From thousandths of a degree. Drivers in the kernel that have no value give one that cannot be, as -274000.
    static func celsius(_ text: KernelText) -> Double? {
        (text.words.first?.integer).flatMap { $0 > -273_150 ? Double($0) / 1_000 : nil }
    }
}

/// How long the processors of the machine have been doing what since it was started, in ticks (proc_stat(5)).
struct CPUTimes: Hashable {
    let total: Int64
    let idle: Int64

    /// From the line `cpu  user nice system idle iowait irq softirq steal guest guest_nice`. Time of guests is in
    /// `user` and `nice` already.
    init?(stat: KernelText) {
        guard let words = stat.lines.first?.words, words.count >= 5, words[0] == "cpu" else { return nil }
        let ticks = words[1...].prefix(8).compactMap(\.integer)
        guard ticks.count == min(8, words.count - 1) else { return nil }
        total = ticks.reduce(0, &+)
        idle = ticks[3] &+ (ticks.count > 4 ? ticks[4] : 0)
    }

    /// Busy part of all processors' time between two samples, 0 to 100; nil where no tick lies between them.
    func busyPercent(since earlier: CPUTimes) -> Double? {
        let elapsed = total &- earlier.total
        guard elapsed > 0 else { return nil }
        // The kernel's count of waiting for input and output can go back a little.
        let idle = min(max(0, idle &- earlier.idle), elapsed)
        return 100 * Double(elapsed - idle) / Double(elapsed)
    }
}

/// The machine's memory, in bytes.
struct Memory: Hashable {
    let total: Int64
    /// What programs could get without swapping, the kernel's estimate `MemAvailable`.
    let available: Int64

    /// From lines as `MemTotal:       16384256 kB`.
    init?(meminfo: KernelText) {
        let lines = meminfo.lines.map(\.words)
        func bytes(_ key: StaticString) -> Int64? {
            guard let line = lines.first(where: { $0.count >= 2 && $0[0] == key }), let kibibytes = line[1].integer
            else { return nil }
            return (0...1 << 50).contains(kibibytes) ? kibibytes * 1_024 : nil
        }
        guard let total = bytes("MemTotal:"), let available = bytes("MemAvailable:"), total > 0 else { return nil }
        self.total = total
        self.available = min(available, total)
    }

    var usedPercent: Double { 100 * Double(total - available) / Double(total) }
}
