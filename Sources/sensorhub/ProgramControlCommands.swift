import ArgumentParser
import HubModel
import MQTT
import SimdJSON

/// Which program a command is about.
struct ProgramArguments: ParsableArguments {
    @Argument(help: "The algorithm instance's, the command's or, for its driver, the sensor's id.") var id: String
    @Option(
        help: ArgumentHelp(
            "Which of them, where several have that id: driver, algorithm or command.", valueName: "kind"))
    var kind: ProgramID.Kind?

    var parameters: JSONObject {
        var parameters: JSONObject = ["id": .string(id)]
        if let kind { parameters["kind"] = .string(kind.rawValue) }
        return parameters
    }
}

extension ProgramID.Kind: ExpressibleByArgument {}

struct StartCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "start",
        abstract: "Start a driver or an algorithm that has ended, was given up, or waits for its next start.")
    @OptionGroup var program: ProgramArguments
    @OptionGroup var options: HubOptions

    func run() async throws {
        try await begin(program, "start", options)
    }
}

struct RestartCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "restart", abstract: "End a driver or an algorithm and start it anew.")
    @OptionGroup var program: ProgramArguments
    @OptionGroup var options: HubOptions

    func run() async throws {
        try await begin(program, "restart", options)
    }
}

struct SignalCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "signal",
        abstract: "Send a signal to a driver or an algorithm, and to all processes of its group.",
        discussion: "What ends by it is started again as after any other end; see stop and disable.")
    @OptionGroup var program: ProgramArguments
    @Argument(help: "The signal: HUP, USR1, TERM … or its number.") var signal: String
    @OptionGroup var options: HubOptions

    func validate() throws {
        do {
            _ = try Signal(signal)
        } catch {
            throw ArgumentParser.ValidationError("\(error)")
        }
    }

    func run() async throws {
        var parameters = program.parameters
        parameters["signal"] = .string(signal)
        let reply = try await options.connect().reply(to: "programs", "signal", parameters)
        try options.show(reply) { reply in
            let process = "process \(reply.plain("pid")) on \(reply.plain("node"))"
            print("\(program.id): \(reply.plain("signal")) is on its way to \(process)")
        }
    }
}

struct EnableCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "enable", abstract: "Have a driver or an algorithm run again that was disabled.")
    @OptionGroup var program: ProgramArguments
    @OptionGroup var options: HubOptions

    func run() async throws {
        let client = try await options.connect()
        let reports = ProgramReports(of: program.id, client)
        let reply = try await client.reply(to: "programs", "enable", program.parameters)
        if options.json { return try options.show(reply) { _ in } }
        try options.show(reply) { _ in }
        guard reply["changed"] == true else { return print("\(program.id): is enabled already") }
        guard reply["reachable"] == true else {
            return print("\(program.id): enabled; starts when it has a node that is online")
        }
        try await reports.waitForStart(reply)
    }
}

struct DisableCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "disable", abstract: "Have a driver or an algorithm not run until it is enabled again.",
        discussion: "It keeps its place, its rights and what it has stored, also while hub and agent are started anew.")
    @OptionGroup var program: ProgramArguments
    @OptionGroup var options: HubOptions

    func run() async throws {
        let client = try await options.connect()
        let reports = ProgramReports(of: program.id, client)
        let reply = try await client.reply(to: "programs", "disable", program.parameters)
        if options.json { return try options.show(reply) { _ in } }
        try options.show(reply) { _ in }
        guard reply["changed"] == true else { return print("\(program.id): is disabled already") }
        guard reply["reachable"] == true else { return print("\(program.id): disabled") }
        let report = await reports.first(within: .seconds(15), waiting: "its end") { !$0.state.isAlive }
        print("\(program.id): \(report == nil ? "is to stop; its node has not told yet" : "stopped and disabled")")
    }
}

/// Asks for a new start and waits for what comes of it.
private func begin(_ program: ProgramArguments, _ method: String, _ options: HubOptions) async throws {
    let client = try await options.connect()
    let reports = ProgramReports(of: program.id, client)
    let reply = try await client.reply(to: "programs", method, program.parameters)
    if options.json { return try options.show(reply) { _ in } }
    try options.show(reply) { _ in }
    try await reports.waitForStart(reply)
}

/// What the node tells of a program, from now on.
struct ProgramReports {
    private let id: String
    private let client: HubClient
    private let messages: AsyncStream<Message>

    init(of id: String, _ client: HubClient) {
        self.id = id
        self.client = client
        messages = client.follow(
            client.topics.algorithm(id, .events), client.topics.sensor(id, .events), client.topics.command(id, .events))
    }

    /// The first report that is `wanted`, which the hub then knows, too; nil where none comes in time. To be called once.
    func first(
        within duration: Duration, waiting what: String, _ wanted: @escaping @Sendable (ProgramReport) -> Bool
    ) async -> ProgramReport? {
        var progress = ProgressLine()
        progress.show("\(id): waiting for \(what) …")
        defer { progress.clear() }
        let search = Task { [messages] () -> ProgramReport? in
            for await message in messages {
                guard let report = try? ProgramReport(DocumentReader(JSON(parsing: message.payload))) else { continue }
                if wanted(report) { return report }
            }
            return nil
        }
        let timer = Task {
            do { try await Task.sleep(for: duration) } catch { return }
            search.cancel()
        }
        defer { timer.cancel() }
        guard let report = await search.value else { return nil }
        await waitForHub(toKnow: report)
        return report
    }

    /// Whoever asks the hub next, or has it send a signal, builds on what was told here; but the node tells everybody before
    /// the hub has it in its database. A hub that takes long is not waited for.
    private func waitForHub(toKnow report: ProgramReport) async {
        guard let told = report.position else { return }
        let deadline = ContinuousClock.now + .seconds(10)
        while ContinuousClock.now < deadline,
            let reply = try? await client.request(
                "logs", "get", ["id": .string(id), "kind": .string(report.program.kind.rawValue), "last": 1]),
            (try? JournalPosition(DocumentReader(reply))).map({ $0 < told }) ?? true
        {
            guard (try? await Task.sleep(for: .milliseconds(20))) != nil else { return }
        }
    }

    /// Waits until a later run than the one of `reply` has succeeded or failed, and says so.
    ///
    /// - Throws: `CommandError` where it has failed.
    func waitForStart(_ reply: JSON) async throws {
        let kind = reply["kind"]?.string
        let before = reply["run"]?.int ?? 0
        let report = await first(within: .seconds(30), waiting: "its start") { report in
            guard report.program.kind.rawValue == kind else { return false }
            // A preparation that fails has no run.
            let isOver = report.run > before && !report.state.isAlive
            return isOver || report.state == .fatal || (report.state == .running && report.run > before)
        }
        guard let report else {
            return print("\(id): is to start; its node has not told yet whether it has: sensorhub ps")
        }
        guard report.state == .running || report.state == .exited && report.exitCode == 0 else {
            throw CommandError("\(id): \(report.state.rawValue) (\(report.reason))")
        }
        let pid = report.pid.map { ", process \($0)" } ?? ""
        print("\(id): \(report.state.rawValue) (\(report.reason)), run \(report.run)\(pid)")
    }
}
