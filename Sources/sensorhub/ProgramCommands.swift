import ArgumentParser
import HubModel
import SimdJSON

struct ProgramsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ps", abstract: "List the drivers, algorithms and commands that run or are to run.",
        discussion: """
            Columns: \(columns.map(\.name).joined(separator: ", ")). RUNS counts how often it was started. CPU is in percent \
            of one core, with that of children; it, memory, files and the like are of the latest sample, taken at SAMPLED. \
            USER, NICE, STATUS and LINE (the command line) are of the program's own process, whose number is MAIN: where it is \
            isolated, PID is that of what isolates it.
            Such as --columns id,cpu,memory --sort=-cpu --where 'cpu>50' --where 'memory>50M'
            """)
    @OptionGroup var list: ListOptions
    @OptionGroup var options: HubOptions

    private static let columns = [
        Column("id"), Column("kind", .words(["driver", "algorithm", "command"])),
        Column(
            "program",
            compute: { program in
                if let words = program["command"]?.array { return .string(words.map(\.plain).joined(separator: " ")) }
                return program["driver"] ?? .string("\(program.plain("app"))/\(program.plain("algorithm"))")
            }),
        Column("app", isUsual: false), Column("algorithm", isUsual: false), Column("driver", isUsual: false),
        Column("node"), Column("state", .words(ProgramState.allCases.map(\.rawValue))),
        Column("code", .number, isUsual: false), Column("pid", .number),
        Column("since", .time), Column("runs", .number), Column("enabled", .words(["true", "false"]), isUsual: false),
        ProgramColumns.cpu, ProgramColumns.memory, Column("reason"),
        Column(
            "sensors",
            text: { program in
                let outputs = program.plain("outputs")
                return program.plain("sensors") + (outputs.isEmpty ? "" : " → \(outputs)")
            }),
        Column("outputs", isUsual: false),
        Column("proportional", .bytes, isUsual: false), Column("private", .bytes, isUsual: false),
        Column("threads", .number, isUsual: false), Column("files", .number, isUsual: false),
        Column("processes", .number, isUsual: false), Column("read", .bytes, isUsual: false),
        Column("written", .bytes, isUsual: false), Column("uptime", .seconds, isUsual: false),
        Column("sampled", .time, isUsual: false),
        Column("main", .number, isUsual: false), Column("started", .time, isUsual: false),
        Column("user", isUsual: false), Column("uid", .number, isUsual: false), Column("nice", .number, isUsual: false),
        Column("parent", .number, isUsual: false), Column("status", isUsual: false), Column("line", isUsual: false),
    ]

    func validate() throws {
        _ = try Listing(list, of: Self.columns)
    }

    func run() async throws {
        let listing = try Listing(list, of: Self.columns)
        let reply = try await options.connect().reply(to: "programs", "list")
        try listing.show(
            reply, "programs", options,
            whenEmpty: "nothing is to run: register a sensor with a driver, or deploy an app")
    }
}

/// Columns that are in more than one list.
enum ProgramColumns {
    static let cpu = Column("cpu", .number, text: { Figure.percent($0["cpu"]) })
    static let memory = Column("memory", .bytes)
}

struct StopCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stop",
        abstract: "Stop an algorithm instance for good, its rights end at once; or end a command.")
    @OptionGroup var program: ProgramArguments
    @OptionGroup var options: HubOptions

    func run() async throws {
        let client = try await options.connect()
        let id = program.id
        let reports = ProgramReports(of: id, client)
        let reply = try await client.reply(to: "programs", "stop", program.parameters)
        if options.json { return try options.show(reply) { _ in } }
        try options.show(reply) { _ in }
        let kind = reply["kind"]?.string
        // The agent gives it ten seconds before it kills it.
        let end = await reports.first(within: .seconds(15), waiting: "its end") { report in
            report.program.kind.rawValue == kind && !report.state.isAlive
        }
        print(
            end.map { "\(id): stopped\($0.reason.isEmpty ? "" : " (\($0.reason))")" }
                ?? "\(id): is to stop; its node has not told yet")
    }
}

struct LogsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "logs", abstract: "Show what a driver, an algorithm or a command printed.")
    @OptionGroup var program: ProgramArguments
    @Option(help: "How many lines, the newest (1 to 10000; 100 unless a time or a run is given).") var last: Int?
    @OptionGroup var times: TimeOptions
    @Option(help: ArgumentHelp("Only those of this run, which ps counts as RUNS.", valueName: "number")) var run: Int64?
    @Flag(help: "Go on with what comes.") var follow = false
    @OptionGroup var options: HubOptions

    private static let most = 10_000

    func validate() throws {
        if let last, !(1...Self.most).contains(last) {
            throw ArgumentParser.ValidationError("--last must be from 1 to \(Self.most)")
        }
        if let run, run < 1 { throw ArgumentParser.ValidationError("--run counts from 1") }
        if follow, times.until != nil || run != nil {
            throw ArgumentParser.ValidationError("--follow has no end: leave out --until and --run")
        }
    }

    func run() async throws {
        let client = try await options.connect()
        let count = last ?? (times.isGiven || run != nil ? Self.most : 100)
        var parameters = program.parameters
        parameters["last"] = .int(Int64(count))
        if let since = times.since { parameters["since"] = .int(since.microseconds) }
        if let until = times.until { parameters["until"] = .int(until.microseconds) }
        if let run { parameters["run"] = .int(run) }
        let reply = try await client.reply(to: "logs", "get", parameters)
        if options.json, !follow { return try options.show(reply) { _ in } }
        if let error = reply["error"]?.string { throw CommandError(error) }
        let lines = reply["lines"]?.array ?? []
        lines.forEach(show)
        guard follow else {
            if lines.isEmpty {
                note("\(program.id) has printed nothing\(times.isGiven || run != nil ? " in that time" : "")")
            }
            return
        }
        flushOutput()
        guard let kind = reply["kind"]?.string.flatMap({ ProgramID.Kind(rawValue: $0) }),
            let id = Identifier(program.id)
        else { throw CommandError("the hub did not say what kind of program '\(program.id)' is") }
        var following = ProgramFollowing(
            ProgramID(kind, id), client, isToItsEnd: false, after: try? JournalPosition(DocumentReader(reply)),
            show: { line in
                show(line.json)
                flushOutput()
            }, tell: { note($0) })
        _ = try await following.run()
    }

    private func show(_ line: JSON) {
        if options.json {
            print(line.text())
        } else {
            let mark = line["stream"] == "stderr" ? "!" : " "
            print("\(line.time("t")) \(mark) \(line.plain("text"))")
        }
    }
}
