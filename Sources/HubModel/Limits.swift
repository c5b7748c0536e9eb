public import SimdJSON

/// What a program may take of its machine, it and everything that it starts together. Nil is no limit.
public struct Limits: Sendable, Hashable {
    /// In bytes.
    public var memory: Int64?
    /// 100 is one core.
    public var cpuPercent: Int64?
    /// At the same time.
    public var processes: Int64?
    /// Open at the same time, for each process.
    public var files: Int64?

    public static let none = Limits()

    // Below these no program would get as far as its first line.
    public static let memoryRange: ClosedRange<Int64> = (1 << 20)...(1 << 50)
    public static let cpuRange: ClosedRange<Int64> = 1...100_000
    public static let processesRange: ClosedRange<Int64> = 1...4_000_000
    public static let filesRange: ClosedRange<Int64> = 16...1_000_000

    public init(memory: Int64? = nil, cpuPercent: Int64? = nil, processes: Int64? = nil, files: Int64? = nil) {
        self.memory = memory
        self.cpuPercent = cpuPercent
        self.processes = processes
        self.files = files
    }

    /// Reads `{"memory": "64M", "cpu": 50, "processes": 20, "files": 256}`, each of them optional; memory also in bytes.
    public init(_ reader: DocumentReader) throws(ValidationError) {
        try reader.allowOnly(["memory", "cpu", "processes", "files"])
        memory = try reader.optional("memory").map(Self.memory)
        cpuPercent = try reader.optional("cpu")?.int(Self.cpuRange)
        processes = try reader.optional("processes")?.int(Self.processesRange)
        files = try reader.optional("files")?.int(Self.filesRange)
    }

    private static func memory(_ reader: DocumentReader) throws(ValidationError) -> Int64 {
        let number: Int64
        if let text = reader.value.string {
            guard let bytes = bytes(text) else {
                throw reader.error("'\(text.prefix(80))' is no amount of memory: bytes, or as 512K, 64M, 1G")
            }
            number = bytes
        } else {
            number = try reader.int()
        }
        guard memoryRange.contains(number) else {
            throw reader.error("must be from 1M to 1024T, is \(number) bytes")
        }
        return number
    }

    /// `64M` in bytes; the units are K, M, G and T, powers of 1024. Nil for what is no amount.
    public static func bytes(_ text: String) -> Int64? {
        let units: [Character: Int64] = ["K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40]
        var digits = text[...]
        var unit: Int64 = 1
        if let last = text.last, let factor = units[Character(last.uppercased())] {
            unit = factor
            digits.removeLast()
        }
        guard !digits.isEmpty, digits.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }),
            let number = Int64(digits)
        else { return nil }
        let (bytes, isTooMuch) = number.multipliedReportingOverflow(by: unit)
        return isTooMuch ? nil : bytes
    }

    public var json: JSON {
        var object = JSONObject()
        if let memory { object["memory"] = .int(memory) }
        if let cpuPercent { object["cpu"] = .int(cpuPercent) }
        if let processes { object["processes"] = .int(processes) }
        if let files { object["files"] = .int(files) }
        return .object(object)
    }

    /// These, and `defaults` where they say nothing.
    public func filled(from defaults: Limits) -> Limits {
        Limits(
            memory: memory ?? defaults.memory, cpuPercent: cpuPercent ?? defaults.cpuPercent,
            processes: processes ?? defaults.processes, files: files ?? defaults.files)
    }
}
