public import SimdJSON

/// What a program takes of its machine, all processes together that belong to it.
public struct ProgramUsage: Sendable, Hashable {
    /// Over the interval before; 100 is one core. Nil where there was no sample before.
    public var cpuPercent: Double?
    /// Resident memory in bytes; pages that processes share count for each of them.
    public var memory: Int64
    /// In bytes, shared pages divided by those who share them. Nil where the kernel does not say.
    public var proportionalMemory: Int64?
    /// In bytes, what nobody shares.
    public var privateMemory: Int64?
    public var threads: Int64
    /// Open files. Nil where they may not be looked at, as are the bytes.
    public var files: Int64?
    public var processes: Int64
    /// Bytes from and to disks since the program's start.
    public var bytesRead: Int64?
    public var bytesWritten: Int64?
    /// Since the start of its first process.
    public var uptimeSeconds: Double
    /// Its own process, without what isolates it; nil where nothing is told of it.
    public var process: ProcessDescription?

    public init(
        cpuPercent: Double?, memory: Int64, proportionalMemory: Int64?, privateMemory: Int64?, threads: Int64,
        files: Int64?, processes: Int64, bytesRead: Int64?, bytesWritten: Int64?, uptimeSeconds: Double,
        process: ProcessDescription? = nil
    ) {
        self.cpuPercent = cpuPercent
        self.memory = memory
        self.proportionalMemory = proportionalMemory
        self.privateMemory = privateMemory
        self.threads = threads
        self.files = files
        self.processes = processes
        self.bytesRead = bytesRead
        self.bytesWritten = bytesWritten
        self.uptimeSeconds = uptimeSeconds
        self.process = process
    }

    /// The figures, for a message as for a person's list.
    public var figures: JSONObject {
        var object: JSONObject = [
            "cpu": .rounded(cpuPercent), "memory": .int(memory), "proportional": .whole(proportionalMemory),
            "private": .whole(privateMemory), "threads": .int(threads), "files": .whole(files),
            "processes": .int(processes), "read": .whole(bytesRead), "written": .whole(bytesWritten),
            "uptime": .rounded(uptimeSeconds),
        ]
        for member in process?.members ?? [:] { object[member.key] = member.value }
        return object
    }

    public init(_ reader: DocumentReader) throws(ValidationError) {
        cpuPercent = try reader.figure("cpu")
        memory = try reader.required("memory").int(0...Int64.max)
        proportionalMemory = try reader.count("proportional")
        privateMemory = try reader.count("private")
        threads = try reader.required("threads").int(0...Int64(Int32.max))
        files = try reader.count("files")
        processes = try reader.required("processes").int(0...Int64(Int32.max))
        bytesRead = try reader.count("read")
        bytesWritten = try reader.count("written")
        uptimeSeconds = try reader.requiredFigure("uptime")
        process = try reader.optional("status") == nil ? nil : ProcessDescription(reader)
    }
}

/// What the kernel says of a process besides what it takes.
public struct ProcessDescription: Sendable, Hashable {
    /// Its number. A program that is isolated has another than the process that was started for it.
    public let pid: Int64
    /// The words that it was started with, with spaces between; of a long one the beginning.
    public let commandLine: String
    /// Microseconds since 1970.
    public let startTime: Int64
    /// Whose it is, by number, and by name; the number where it has none.
    public let userID: Int64
    public let user: String
    /// As of nice(1).
    public let niceness: Int64
    /// The number of the process that it is a child of.
    public let parent: Int64
    /// The kernel's letter (proc_pid_stat(5)): `S` sleeps, `R` runs, `D` waits for a disk, `T` is stopped, `Z` has ended.
    public let status: String

    /// Of command lines, in bytes.
    public static let maximumBytes = 256

    public init(
        pid: Int64, commandLine: String, startTime: Int64, userID: Int64, user: String, niceness: Int64, parent: Int64,
        status: String
    ) {
        self.pid = pid
        self.commandLine = commandLine
        self.startTime = startTime
        self.userID = userID
        self.user = user
        self.niceness = niceness
        self.parent = parent
        self.status = status
    }

    var members: JSONObject {
        [
            "main": .int(pid), "line": .string(commandLine), "started": .int(startTime), "uid": .int(userID),
            "user": .string(user), "nice": .int(niceness), "parent": .int(parent), "status": .string(status),
        ]
    }

    init(_ reader: DocumentReader) throws(ValidationError) {
        func text(_ key: String) throws(ValidationError) -> String {
            let member = try reader.required(key)
            // It may be anything.
            guard let text = member.value.string else {
                throw member.error("expected text, found \(member.value.kind)")
            }
            return String(decoding: text.replacing("\0", with: "").utf8.prefix(Self.maximumBytes), as: UTF8.self)
        }
        self.init(
            pid: try reader.required("main").int(1...Int64(Int32.max)), commandLine: try text("line"),
            startTime: try reader.required("started").int(0...4_102_444_800_000_000),
            userID: try reader.required("uid").int(0...Int64(UInt32.max)), user: try text("user"),
            niceness: try reader.required("nice").int(-20...19),
            parent: try reader.required("parent").int(0...Int64(Int32.max)), status: try text("status"))
    }
}

/// What one run of a program takes.
public struct ProgramStatistics: Sendable, Hashable {
    public let program: ProgramID
    /// Which start of the program it is of.
    public let run: Int64
    public var usage: ProgramUsage

    public init(program: ProgramID, run: Int64, _ usage: ProgramUsage) {
        self.program = program
        self.run = run
        self.usage = usage
    }

    public var json: JSON {
        var object = usage.figures
        object["id"] = .string(program.id.text)
        object["program"] = .string(program.kind.rawValue)
        object["run"] = .int(run)
        return .object(object)
    }

    public init(_ reader: DocumentReader) throws(ValidationError) {
        program = try ProgramID(reader)
        run = try reader.required("run").int(0...Int64.max)
        usage = try ProgramUsage(reader)
    }
}

/// How a machine is.
public struct NodeStatistics: Sendable, Hashable {
    /// Over the interval before; 100 is all cores. Nil where there was no sample before.
    public var cpuPercent: Double?
    /// The load averages of 1, 5 and 15 minutes.
    public var load: [Double]
    public var memoryTotal: Int64
    /// In bytes, what programs can have without swapping.
    public var memoryAvailable: Int64
    /// In bytes, the disk of the agent's data folder; free is what an ordinary user can have.
    public var diskTotal: Int64
    public var diskFree: Int64
    /// Of the hottest thermal zone, in degrees Celsius. Nil where there is none.
    public var temperatureCelsius: Double?
    public var uptimeSeconds: Double

    public init(
        cpuPercent: Double?, load: [Double], memoryTotal: Int64, memoryAvailable: Int64, diskTotal: Int64,
        diskFree: Int64, temperatureCelsius: Double?, uptimeSeconds: Double
    ) {
        self.cpuPercent = cpuPercent
        self.load = load
        self.memoryTotal = memoryTotal
        self.memoryAvailable = memoryAvailable
        self.diskTotal = diskTotal
        self.diskFree = diskFree
        self.temperatureCelsius = temperatureCelsius
        self.uptimeSeconds = uptimeSeconds
    }

    public var json: JSON { .object(figures) }

    public var figures: JSONObject {
        [
            "cpu": .rounded(cpuPercent), "load": .array(load.map { .rounded($0) }), "memory": .int(memoryTotal),
            "memory_available": .int(memoryAvailable), "disk": .int(diskTotal), "disk_free": .int(diskFree),
            "temperature": .rounded(temperatureCelsius), "uptime": .rounded(uptimeSeconds),
        ]
    }

    public init(_ reader: DocumentReader) throws(ValidationError) {
        cpuPercent = try reader.figure("cpu")
        let load = try reader.required("load")
        let items = try load.items()
        guard items.count == 3 else { throw load.error("must be three numbers") }
        var averages: [Double] = []
        for item in items { averages.append(try item.figure(0...1e9)) }
        self.load = averages
        memoryTotal = try reader.required("memory").int(0...Int64.max)
        memoryAvailable = try reader.required("memory_available").int(0...Int64.max)
        diskTotal = try reader.required("disk").int(0...Int64.max)
        diskFree = try reader.required("disk_free").int(0...Int64.max)
        temperatureCelsius = try reader.figure("temperature", in: -273.15...10_000)
        uptimeSeconds = try reader.requiredFigure("uptime")
    }
}

/// A node and its programs at one moment, as the agent tells it.
public struct StatisticsSample: Sendable, Hashable {
    /// Microseconds since 1970. No two samples of a node have the same.
    public var time: Int64
    public var node: NodeStatistics
    public var programs: [ProgramStatistics]
    /// How many samples the agent has given up since the one before, because the hub was away too long.
    public var dropped: Int64

    /// No sample is longer, in bytes: enough for some thousands of programs.
    public static let maximumBytes = 2 << 20

    public init(time: Int64, node: NodeStatistics, programs: [ProgramStatistics], dropped: Int64 = 0) {
        self.time = time
        self.node = node
        self.programs = programs
        self.dropped = dropped
    }

    public var json: JSON {
        [
            "t": .int(time), "node": node.json, "programs": .array(programs.map(\.json)), "dropped": .int(dropped),
        ]
    }

    /// - Throws: `ValidationError` also for a program that is named twice.
    public init(_ reader: DocumentReader) throws(ValidationError) {
        time = try reader.required("t").int(0...4_102_444_800_000_000)
        node = try NodeStatistics(try reader.required("node"))
        dropped = try reader.optional("dropped")?.int(0...Int64.max) ?? 0
        var programs: [ProgramStatistics] = []
        var seen: Set<ProgramID> = []
        for item in try reader.required("programs").items() {
            let program = try ProgramStatistics(item)
            guard seen.insert(program.program).inserted else { throw item.error("\(program.program) is there twice") }
            programs.append(program)
        }
        self.programs = programs
    }
}

/// What the hub says to a node of a sample that it has in the database.
public struct StatisticsCommitted: Sendable, Hashable {
    /// The sample's time.
    public let time: Int64

    public init(time: Int64) {
        self.time = time
    }

    public var json: JSON { ["kind": "statistics_committed", "t": .int(time)] }

    public init(_ reader: DocumentReader) throws(ValidationError) {
        time = try reader.required("t").int()
    }
}

extension JSON {
    /// To two places: a reader has no use for more, and a message is shorter.
    fileprivate static func rounded(_ number: Double?) -> JSON {
        number.map { .double(($0 * 100).rounded() / 100) } ?? .null
    }

    fileprivate static func whole(_ number: Int64?) -> JSON { number.map { .int($0) } ?? .null }
}

extension DocumentReader {
    fileprivate func figure(_ range: ClosedRange<Double>) throws(ValidationError) -> Double {
        let number = try double()
        guard range.contains(number) else {
            throw error("must be from \(range.lowerBound) to \(range.upperBound), is \(number)")
        }
        return number
    }

    /// A number that may be missing.
    fileprivate func figure(
        _ key: String, in range: ClosedRange<Double> = 0...1e12
    ) throws(ValidationError) -> Double? {
        try optional(key).map { (member) throws(ValidationError) in try member.figure(range) }
    }

    fileprivate func requiredFigure(_ key: String) throws(ValidationError) -> Double {
        try required(key).figure(0...1e12)
    }

    fileprivate func count(_ key: String) throws(ValidationError) -> Int64? {
        try optional(key).map { (member) throws(ValidationError) in try member.int(0...Int64.max) }
    }
}
