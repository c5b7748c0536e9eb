import Files
import Glibc

/// How the machine is.
public struct MachineUsage: Sendable, Equatable {
    /// Over the time since the measurement before; 100 is all cores. Nil where there was none.
    public var cpuPercent: Double?
    /// Load averages of 1, 5 and 15 minutes.
    public var load: [Double]
    /// In bytes.
    public var memoryTotal: Int64
    public var memoryAvailable: Int64
    /// In degrees Celsius, of the hottest thermal zone; nil where there is none.
    public var temperatureCelsius: Double?
    public var uptimeSeconds: Double
}

/// What `/proc/stat` counts in its first line (proc(5)), all cores together.
struct CPUTicks: Equatable {
    let busy: Int64
    let total: Int64

    init?(parsing bytes: ArraySlice<UInt8>) {
        var text = ProcText(bytes)
        guard let name = text.word(), name.elementsEqual("cpu".utf8) else { return nil }
        var ticks: [Int64] = []
        // user, nice, system, idle, iowait, irq, softirq, steal; what guests take is in user and nice already.
        while ticks.count < 8, let number = text.number() { ticks.append(max(0, number)) }
        guard ticks.count >= 4 else { return nil }
        total = ticks.reduce(0, &+)
        busy = total &- ticks[3] &- (ticks.count > 4 ? ticks[4] : 0)
    }

    /// Nil where no time has passed, or the counters were set back.
    func percent(since before: CPUTicks) -> Double? {
        let total = self.total &- before.total
        guard total > 0 else { return nil }
        return min(100, Double(max(0, busy &- before.busy)) / Double(total) * 100)
    }
}

/// Measures the machine, from one time to the next.
struct MachineMeter {
    private var before: CPUTicks?
    private let temperatureFiles: [String] = {
        let root = "/sys/class/thermal"
        let zones = ((try? Folder.names(in: root)) ?? []).filter { $0.hasPrefix("thermal_zone") }
        return zones.prefix(64).map { "\(root)/\($0)/temp" }
    }()

    mutating func measure(at uptime: Double) -> MachineUsage {
        let ticks = CPUTicks(parsing: Self.bytes(of: "/proc/stat")[...])
        let percent = ticks.flatMap { now in before.flatMap { now.percent(since: $0) } }
        before = ticks
        var load = ProcText(Self.bytes(of: "/proc/loadavg")[...])
        let memory = Self.bytes(of: "/proc/meminfo")[...]
        return MachineUsage(
            cpuPercent: percent, load: (0..<3).map { _ in load.fraction() ?? 0 },
            memoryTotal: kibibytes(ProcText.value(of: "MemTotal", in: memory)) ?? 0,
            memoryAvailable: kibibytes(ProcText.value(of: "MemAvailable", in: memory)) ?? 0,
            temperatureCelsius: temperatureFiles.compactMap(Self.temperature).max(), uptimeSeconds: uptime)
    }

    /// Thousandths of a degree (the kernel's Documentation/driver-api/thermal/sysfs-api.rst); some sensors that are off
    /// say what no machine can be.
    private static func temperature(_ file: String) -> Double? {
        var text = ProcText(bytes(of: file)[...])
        return text.number().map { Double($0) / 1_000 }.flatMap { (-100...250).contains($0) ? $0 : nil }
    }

    private static func bytes(of path: String) -> [UInt8] { (try? File.beginning(of: path, limit: 8_192)) ?? [] }
}

/// Bytes.
func kibibytes(_ number: Int64?) -> Int64? {
    number.map { $0.multipliedReportingOverflow(by: 1_024) }.map { $0.overflow ? .max : $0.partialValue }
}
