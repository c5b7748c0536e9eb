import HubModel
import MQTT
import Postgres
import SimdJSON

/// What is told of a program in lists: the figures of the latest sample.
struct ProgramFigures {
    let node: Identifier
    let run: Int64
    let members: JSONObject

    static let names = [
        "cpu", "memory", "proportional", "private", "threads", "files", "processes", "read", "written", "uptime",
        "sampled", "main", "line", "started", "uid", "user", "nice", "parent", "status",
    ]
}

extension HubCore {
    private static let nodeFigureNames = [
        "cpu", "load", "load_5", "load_15", "memory", "memory_available", "disk", "disk_free", "temperature", "uptime",
        "sampled",
    ]
    /// Clocks of nodes may be this much ahead of ours.
    private static let microsecondsAhead: Int64 = 86_400_000_000

    /// A sample of a node and its programs: stored once, however often it comes, and confirmed to the node.
    func handleStatistics(_ message: Message, of node: Identifier) throws {
        let limit = StatisticsSample.maximumBytes
        guard message.payload.count <= limit else {
            throw DocumentReader(.null).error("a sample of \(message.payload.count) bytes: the most is \(limit)")
        }
        var sample = try StatisticsSample(DocumentReader(try JSON(parsing: message.payload)))
        // A node has nothing to say of what is not placed on it; so others' figures stay true.
        sample.programs.removeAll { !isPlaced($0.program, on: node) }
        let now = microsecondsSince1970()
        let kept = configuration.statisticsDays * 86_400_000_000
        if kept > 0, (now - kept...now + Self.microsecondsAhead).contains(sample.time) { try store(sample, of: node) }
        // Samples that had to wait come after newer ones; but one of a clock that was ahead must not stay for ever.
        let latest = statistics[node]?.time ?? 0
        if sample.time > latest || latest > now + 60_000_000 {
            statistics[node] = sample
            placedSinceSample[node] = nil
        }
        publish(
            OutgoingMessage(
                topic: topics.node(node.text, .command), payload: StatisticsCommitted(time: sample.time).json.bytes()))
    }

    private func store(_ sample: StatisticsSample, of node: Identifier) throws {
        let at = Parameter.double(Double(sample.time) / 1e6)
        var kinds = BinaryArray(.text), ids = BinaryArray(.text), runs = BinaryArray(.int8)
        var cpus = BinaryArray(.float8), uptimes = BinaryArray(.float8)
        // memory, proportional, private, read, written, files, threads, processes
        var counts = Array(repeating: BinaryArray(.int8), count: 8)
        for program in sample.programs {
            kinds.append(Array(program.program.kind.rawValue.utf8))
            ids.append(Array(program.program.id.text.utf8))
            runs.append(program.run)
            let usage = program.usage
            cpus.append(usage.cpuPercent)
            uptimes.append(usage.uptimeSeconds)
            let values: [Int64?] = [
                usage.memory, usage.proportionalMemory, usage.privateMemory, usage.bytesRead, usage.bytesWritten,
                usage.files, usage.threads, usage.processes,
            ]
            for (index, value) in values.enumerated() { counts[index].append(value) }
        }
        let machine = sample.node
        try database.transaction {
            try database.query(
                """
                INSERT INTO hub.node_statistics (node, at, cpu, load_1, load_5, load_15, memory, memory_available, disk,
                    disk_free, temperature, uptime, dropped)
                VALUES ($1, to_timestamp($2), $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) ON CONFLICT DO NOTHING
                """,
                .text(node.text), at, .double(machine.cpuPercent), .double(machine.load[0]), .double(machine.load[1]),
                .double(machine.load[2]), .int(machine.memoryTotal), .int(machine.memoryAvailable),
                .int(machine.diskTotal), .int(machine.diskFree), .double(machine.temperatureCelsius),
                .double(machine.uptimeSeconds), .int(sample.dropped))
            guard !sample.programs.isEmpty else { return }
            try database.query(
                """
                INSERT INTO hub.program_statistics (node, at, kind, id, run, cpu, uptime, memory, proportional, private,
                    read, written, files, threads, processes)
                SELECT $1, to_timestamp($2), * FROM unnest($3::text[], $4::text[], $5::int8[], $6::float8[], $7::float8[],
                    $8::int8[], $9::int8[], $10::int8[], $11::int8[], $12::int8[], $13::int8[], $14::int8[], $15::int8[])
                ON CONFLICT DO NOTHING
                """,
                [.text(node.text), at, .array(kinds), .array(ids), .array(runs), .array(cpus), .array(uptimes)]
                    + counts.map { .array($0) })
        }
    }

    /// Removes samples whose time is over.
    func keepStatistics() throws {
        try database.query("SELECT hub.keep_statistics($1::integer)", .int(configuration.statisticsDays))
    }

    // MARK: For lists

    /// Of every program that is in its node's latest sample.
    func programFigures() -> [ProgramID: ProgramFigures] {
        var figures: [ProgramID: ProgramFigures] = [:]
        for (node, sample) in statistics {
            for program in sample.programs {
                var members = program.usage.figures
                members["sampled"] = .int(sample.time)
                figures[program.program] = ProgramFigures(node: node, run: program.run, members: members)
            }
        }
        return figures
    }

    /// Of a node's latest sample; every figure null where there is none.
    func nodeFigures(_ node: Identifier?) -> JSONObject {
        var members = JSONObject(Self.nodeFigureNames.map { ($0, JSON.null) })
        guard let sample = node.flatMap({ statistics[$0] }) else { return members }
        for figure in sample.node.figures where figure.key != "load" { members[figure.key] = figure.value }
        for (name, average) in zip(["load", "load_5", "load_15"], sample.node.load) { members[name] = .double(average) }
        members["sampled"] = .int(sample.time)
        return members
    }
}

extension BinaryArray {
    fileprivate mutating func append(_ value: Int64?) {
        if let value { append(value) } else { appendNull() }
    }

    fileprivate mutating func append(_ value: Double?) {
        if let value { append(value) } else { appendNull() }
    }
}
