import ArgumentParser
import HubModel
import SimdJSON

struct DeployCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "deploy", abstract: "Bind algorithms to sensors and start them.",
        discussion:
            "The file is as deployConfig.json in Examples/. It is validated as a whole; then each entry is bound and "
            + "started. The command waits until the algorithms run.")

    @Argument(help: "The file.", completion: .file(extensions: ["json"]))
    var file: String
    @Flag(help: "Only say what would be bound to what.")
    var dryRun = false
    @Flag(help: "Do not wait until the algorithms run.")
    var noWait = false
    @OptionGroup var options: HubOptions

    func run() async throws {
        let document = try Document.read(file)
        let client = try await options.connect()
        let reply = try await client.reply(
            to: "deployments", "deploy", ["document": document, "dry_run": .bool(dryRun)], timeout: .seconds(60))
        if options.json {
            return try options.show(reply) { _ in }
        }
        guard let entries = reply["entries"]?.array else {
            throw CommandError("\(file): \(reply["error"]?.string ?? "refused")")
        }
        for entry in entries { show(entry) }
        if !dryRun, !noWait {
            try await waitUntilRunning(entries.compactMap { $0["instance_id"]?.string }, client)
        }
        if let status = reply["status"]?.int, status >= 300 {
            let refused = entries.count { ($0["status_code"]?.int ?? 0) >= 300 }
            throw CommandError("\(refused) of \(entries.count) entries refused")
        }
    }

    private func show(_ entry: JSON) {
        guard (entry["status_code"]?.int ?? 0) < 300 else {
            let error = entry.plain("error")
            // The hub names the place inside the document in most cases; the entry at least always.
            let place =
                error.hasPrefix(entry.plain("entry")) || error.hasPrefix("entry")
                ? "" : "entry \"\(entry.plain("entry"))\": "
            note("\(file): \(place)\(error)")
            return
        }
        print("entry \"\(entry.plain("entry"))\": \(entry.plain("status")) \(entry.plain("instance_id"))")
        for position in entry["positions"]?.array ?? [] {
            print("  \(position.plain("index"))  \(position.plain("sensor_type")) ← \(position.plain("sensors"))")
        }
        for output in entry["outputs"]?.array ?? [] {
            print("  \(output.plain("index"))  \(output.plain("sensor_type")) → \(output.plain("sensor"))")
        }
    }

    /// Follows the new instances until each runs, rests, has ended, or has failed for good.
    private func waitUntilRunning(_ ids: [String], _ client: HubClient) async throws {
        guard !ids.isEmpty else { return }
        var progress = ProgressLine()
        defer { progress.clear() }
        var waiting = Set(ids)
        let deadline = ContinuousClock.now + .seconds(300)
        while !waiting.isEmpty, ContinuousClock.now < deadline {
            let programs = try await client.request("programs", "list")["programs"]?.array ?? []
            for program in programs {
                let id = program.plain("id")
                guard waiting.contains(id), let state = ProgramState(rawValue: program.plain("state")) else { continue }
                let isSettled =
                    switch state {
                    case .running, .exited, .fatal: true
                    // At its node, that is.
                    case .stopped: program["since"]?.int != nil
                    default: false
                    }
                let reason = program.plain("reason")
                if isSettled {
                    progress.clear()
                    print("\(id): \(state.rawValue)\(reason.isEmpty ? "" : " (\(reason))")")
                    waiting.remove(id)
                } else {
                    progress.show("\(id): \(state.rawValue) \(reason) …")
                }
            }
            if !waiting.isEmpty { try await Task.sleep(for: .milliseconds(250)) }
        }
        if !waiting.isEmpty {
            progress.clear()
            note(
                "not running yet: \(waiting.sorted().joined(separator: ", ")); see 'sensorhub ps' and 'sensorhub logs ID'"
            )
        }
    }
}
