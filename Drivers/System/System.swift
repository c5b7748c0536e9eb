import Glibc
import SensorKit

/// This machine as a sensor: processor, memory, disk, temperature. README.md has the source of each value.
public struct SystemDriver: Driver {
    public static let name = "system"
    public static let summary = "the machine it runs on: processor, memory, disk, temperature"
    public static let defaultInterval = Duration.seconds(5)

    /// What it can measure; a type has any of these.
    static let fields = [
        Field(name: "cpu_percent", type: .float), Field(name: "load_1m", type: .float),
        Field(name: "memory_used_percent", type: .float), Field(name: "memory_available_bytes", type: .int),
        Field(name: "disk_used_percent", type: .float), Field(name: "disk_free_bytes", type: .int),
        Field(name: "temperature_celsius", type: .float), Field(name: "uptime_seconds", type: .float),
    ]

    /// Below this the counters of the processor, which have steps of 10 ms, say little.
    private static let shortestCPUSample = Duration.milliseconds(200)

    private let wanted: [String]
    private let diskPath: String
    private let kernel: KernelFiles
    private var lastCPU: (times: CPUTimes, at: Instant)?
    private var isFirstRead = true

    public init(_ context: DriverContext) throws(ValidationError) {
        try self.init(context, kernel: KernelFiles())
    }

    init(_ context: DriverContext, kernel: KernelFiles) throws(ValidationError) {
        try context.requireFields(Self.fields)
        try context.requireNoFunctions()
        context.warnOfSimilarAttributes(to: ["path"])
        wanted = context.type.fields.map(\.name)
        if let path = try context.attributes.optional("path") {
            diskPath = try path.string()
            guard diskPath.hasPrefix("/") else { throw path.error("expected a path that begins with '/'") }
        } else {
            diskPath = "/"
        }
        self.kernel = kernel
        if wants("cpu_percent") { lastCPU = kernel.cpuTimes().map { ($0, .now) } }
    }

    public mutating func read() throws(SensorFault) -> [Measurement] {
        var values = JSONObject()
        func put(_ name: String, _ value: JSON?) {
            if let value, wanted.contains(name) { values[name] = value }
        }
        if wants("cpu_percent") { put("cpu_percent", cpuPercent().map(percent)) }
        if wants("load_1m") { put("load_1m", kernel.load1Minute().map(JSON.double)) }
        if wants("memory_used_percent", "memory_available_bytes"), let memory = kernel.memory() {
            put("memory_used_percent", percent(memory.usedPercent))
            put("memory_available_bytes", .int(memory.available))
        }
        if wants("disk_used_percent", "disk_free_bytes") {
            let disk = try DiskSpace(of: diskPath)
            put("disk_used_percent", disk.usedPercent.map(percent))
            put("disk_free_bytes", .int(disk.available))
        }
        if wants("temperature_celsius") { put("temperature_celsius", kernel.hottestCelsius().map(JSON.double)) }
        if wants("uptime_seconds") { put("uptime_seconds", kernel.uptimeSeconds().map(JSON.double)) }

        // With the processor's load there can be an interval too short to say anything; that is no fault.
        guard !values.isEmpty || wanted.contains("cpu_percent") else {
            throw SensorFault("this machine has nothing to read for \(wanted.joined(separator: ", "))")
        }
        return [Measurement(values)]
    }

    private func wants(_ names: String...) -> Bool {
        names.contains(where: wanted.contains)
    }

    /// The load since the last read; the first read waits until there is something to compare.
    private mutating func cpuPercent() -> Double? {
        if isFirstRead, let lastCPU { pause(Self.shortestCPUSample - (.now - lastCPU.at)) }
        isFirstRead = false
        guard let times = kernel.cpuTimes() else { return nil }
        defer { lastCPU = (times, .now) }
        return lastCPU.flatMap { times.busyPercent(since: $0.times) }
    }

    /// Hundredths say all that there is to say of a percentage.
    private func percent(_ percent: Double) -> JSON {
        .double((percent * 100).rounded() / 100)
    }
}
