import Archive
import Embedded
import HubModel
import MQTT
import SimdJSON

/// `sensorhub up --demo`: what a newcomer would do by hand with two of the examples, through the same requests, and then
/// a view of what happens.
struct Demo {
    let data: DataDirectory
    let installation: Installation
    let terminal: Terminal

    private static let examples = ["load-alarm", "bus-management"]

    /// Runs until the task is cancelled.
    func run() async throws {
        let client = try await HubClient(ConnectionFile(data: data))
        for example in Self.examples {
            try await deploy("\(installation.examples)/\(example)", named: example, with: client)
        }
        try await show(with: client)
    }

    // MARK: Set-up

    /// Brings one example up; what is there from an earlier run stays as it is.
    private func deploy(_ folder: String, named name: String, with client: HubClient) async throws {
        terminal.show("demo: \(name): registering sensors, installing the app, deploying")
        for (service, file) in [("types", "sensorTypeRegistration.json"), ("sensors", "sensorInstance.json")] {
            let document = try Document.read("\(folder)/\(file)")
            let reply = try await client.reply(to: service, "register", ["document": document])
            try check(reply, "\(folder)/\(file)", entries: "results", acceptable: [200, 201, 409])
        }
        let archive = try AppArchive.make(from: "\(folder)/app")
        _ = try await client.request(
            "apps", "install", ["app_id": .string(name), "archive": .string(Base64.encode(archive))],
            timeout: .seconds(60))
        guard let document = try await notYetDeployed(Document.read("\(folder)/deployConfig.json"), client) else {
            return
        }
        let reply = try await client.reply(
            to: "deployments", "deploy", ["document": document], timeout: .seconds(60))
        try check(reply, "\(folder)/deployConfig.json", entries: "entries", acceptable: 200..<300)
    }

    /// - Throws: `CommandError` with the reason of the first entry that was refused, or of the whole.
    private func check(_ reply: JSON, _ file: String, entries: String, acceptable: some Collection<Int64>) throws {
        guard let entries = reply[entries]?.array else {
            throw CommandError("\(file): \(reply["error"]?.string ?? "refused")")
        }
        for entry in entries {
            let status = entry["status"]?.int ?? entry["status_code"]?.int ?? 0
            if !acceptable.contains(status) { throw CommandError("\(file): \(entry.plain("error"))") }
        }
    }

    /// The entries of a deployment whose algorithms have no instance, numbered anew; nil where all have one.
    private func notYetDeployed(_ document: JSON, _ client: HubClient) async throws -> JSON? {
        let programs = try await client.request("programs", "list")["programs"]?.array ?? []
        let known = Set(programs.map { [$0.plain("app"), $0.plain("algorithm")] })
        let entries = (document.object ?? [:]).filter { Int($0.key) != nil }.map(\.value)
            .filter { !known.contains([$0.plain("application_id"), $0.plain("algorithm_name")]) }
        guard !entries.isEmpty else { return nil }
        var missing: JSONObject = ["noOfAlgo": .int(Int64(entries.count))]
        for (index, entry) in entries.enumerated() { missing[String(index + 1)] = entry }
        return .object(missing)
    }

    // MARK: View

    private func show(with client: HubClient) async throws {
        let topics = client.topics
        let messages = client.follow(
            topics.sensor("+", .data), topics.sensor("+", .control), topics.sensor("+", .events),
            topics.algorithm("+", .events), "\(topics.root)/apps/+/page")
        let view = DemoView(topics: topics, isInteractive: terminal.isInteractive)
        try await withThrowingTaskGroup { tasks in
            tasks.addTask {
                for await message in messages {
                    for line in view.take(message) { terminal.show(line) }
                }
            }
            tasks.addTask {
                while true {
                    // A hub that restarts does not answer; the next second is the next try.
                    if let reply = try? await client.request("programs", "list", timeout: .seconds(2)) {
                        view.take(programs: reply["programs"]?.array ?? [])
                    }
                    terminal.draw(view.picture())
                    try await Task.sleep(for: .seconds(1))
                }
            }
            try await tasks.waitForAll()
        }
    }
}
