import ArgumentParser
import HubModel
import SimdJSON

struct ProgramsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ps", abstract: "List the drivers and algorithms that run or are to run.")
    @OptionGroup var options: HubOptions

    func run() async throws {
        let reply = try await options.connect().reply(to: "programs", "list")
        try options.show(reply) { reply in
            var table = Table(["id", "kind", "runs", "node", "state", "pid", "since", "starts", "reason", "sensors"])
            for program in reply["programs"]?.array ?? [] {
                let runs = program["driver"]?.string ?? "\(program.plain("app"))/\(program.plain("algorithm"))"
                table.add([
                    program.plain("id"), program.plain("kind"), runs, program.plain("node"), program.plain("state"),
                    program.plain("pid"), program.plain("since"), program.plain("runs"), program.plain("reason"),
                    program.plain("outputs").isEmpty
                        ? program.plain("sensors") : "\(program.plain("sensors")) → \(program.plain("outputs"))",
                ])
            }
            table.print(whenEmpty: "nothing is to run: register a sensor with a driver, or deploy an app")
        }
    }
}

struct StopCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stop", abstract: "Stop an algorithm instance for good; its rights end at once.")
    @Argument(help: "The algorithm instance's id.") var id: String
    @OptionGroup var options: HubOptions

    func run() async throws {
        let client = try await options.connect()
        let events = client.follow(client.topics.algorithm(id, .events))
        let reply = try await client.reply(to: "programs", "stop", ["id": .string(id)])
        if options.json { return try options.show(reply) { _ in } }
        try options.show(reply) { _ in }
        var progress = ProgressLine()
        progress.show("\(id): waiting for its end …")
        defer { progress.clear() }
        // The agent gives it ten seconds before it kills it.
        let timer = Task { try await Task.sleep(for: .seconds(15)) }
        let end = Task { () -> String? in
            for await event in events {
                guard let report = try? ProgramReport(DocumentReader(JSON(parsing: event.payload))) else { continue }
                if !report.state.isAlive { return report.reason }
            }
            return nil
        }
        Task {
            _ = await timer.result
            end.cancel()
        }
        let reason = await end.value
        timer.cancel()
        progress.clear()
        print(reason.map { "\(id): stopped\($0.isEmpty ? "" : " (\($0))")" } ?? "\(id): is to stop; its node has not told yet")
    }
}

struct LogsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "logs", abstract: "Show what a driver or an algorithm printed.")
    @Argument(help: "The algorithm instance's or the sensor's id.") var id: String
    @Option(help: "How many lines.") var last = 100
    @Flag(help: "Go on with what comes.") var follow = false
    @OptionGroup var options: HubOptions

    func run() async throws {
        let client = try await options.connect()
        // Followed first, so that no line is lost in between.
        let messages = follow
            ? client.follow(client.topics.algorithm(id, .log), client.topics.sensor(id, .log)) : nil
        let reply = try await client.reply(to: "logs", "get", ["id": .string(id), "last": .int(Int64(last))])
        if options.json, !follow { return try options.show(reply) { _ in } }
        if let error = reply["error"]?.string { throw CommandError(error) }
        let lines = reply["lines"]?.array ?? []
        lines.forEach(show)
        if lines.isEmpty, !follow { note("\(id) has printed nothing") }
        guard let messages else { return }
        flushOutput()
        let newest = lines.last?["t"]?.int ?? 0
        for await message in messages {
            guard let value = try? JSON(parsing: message.payload) else { continue }
            for line in value.array ?? [value] where (line["t"]?.int ?? 0) > newest { show(line) }
            flushOutput()
        }
    }

    private func show(_ line: JSON) {
        if options.json {
            print(line.text())
        } else {
            let mark = line["stream"] == "stderr" ? "!" : " "
            print("\(localTime(microseconds: line["t"]?.int ?? 0)) \(mark) \(line.plain("text"))")
        }
    }
}
