import Archive
import Files
import Glibc
import HubModel
import Logging
import MQTT
import SimdJSON
import Synchronization
import TestSupport
import Testing
import Watch

@testable import Agent

/// A broker, an agent with its folder, and a stand-in for the hub that sees what the agent says.
final class Bench {
    var folder: String { temporary.path }
    private let temporary = TemporaryFolder()
    let broker: TestBroker
    let hub: Client
    let topics = Topics(hub: Identifier("main")!)
    private let inbox: Inbox
    private var agent: Task<Void, Never>?

    private final class Inbox: Sendable {
        let messages = Mutex<[Message]>([])
        private let state = Mutex<(progress: [ProgramID: JournalProgress], records: [JournalRecord])>(([:], []))
        /// To be told of what is taken, on the node's topic for commands.
        let answer = Mutex<(@Sendable (JournalCommitted) -> Void)?>(nil)

        /// What the programs' journals have told, each record once.
        var records: [JournalRecord] { state.withLock { $0.records } }

        /// Takes journals as the hub does.
        func take(_ message: Message) {
            guard message.topic.hasSuffix("/report"), let json = try? JSON(parsing: message.payload),
                json["kind"] == "journal", let report = try? JournalReport(DocumentReader(json))
            else { return }
            let position = state.withLock { state in
                var progress = state.progress[report.program] ?? JournalProgress()
                state.records += progress.take(report).records
                state.progress[report.program] = progress
                return progress.position
            }
            answer.withLock { $0 }?(JournalCommitted(report.program, position))
        }
    }

    private init() throws {
        // The hub's session outlives the broker, so that it misses nothing that the agent says before it is back.
        broker = try TestBroker(
            configuration: """
                allow_anonymous true
                persistence true
                persistence_location \(temporary.path)/
                autosave_on_changes true
                autosave_interval 1
                """)
        let inbox = Inbox()
        self.inbox = inbox
        hub = Client(
            ClientConfiguration(
                address: broker.address, clientID: "hub", user: "hub", password: "", sessionExpirySeconds: 3_600)
        ) { event in
            if case .message(let message) = event {
                inbox.messages.withLock { $0.append(message) }
                inbox.take(message)
            }
        }
        hub.subscribe("\(topics.root)/#")
        inbox.answer.withLock { [hub, topics] answer in
            answer = { committed in
                _ = try? hub.publish(
                    OutgoingMessage(topic: topics.node("here", .command), payload: committed.json.bytes()))
            }
        }
    }

    static func run(_ body: (Bench) async throws -> Void) async throws {
        let bench = try Bench()
        try bench.broker.start()
        bench.hub.start()
        var failure: (any Error)?
        do {
            try await bench.waitForSubscription()
            try await body(bench)
        } catch {
            failure = error
        }
        await bench.stopAgent()
        await onThread { [hub = bench.hub] in hub.stop() }
        if let failure { throw failure }
    }

    // MARK: The agent

    var data: String { "\(folder)/data" }

    func startAgent(
        planWait: Duration = .seconds(60), pythonLibrary: String = "/nowhere", python: String = "python3"
    ) {
        let service = Self.agent(
            folder: folder, port: broker.port, planWait: planWait, pythonLibrary: pythonLibrary, python: python)
        agent = Task {
            do { try await service.run() } catch { Issue.record("the agent does not run: \(error)") }
        }
    }

    static func agent(
        folder: String, port: UInt16, planWait: Duration, pythonLibrary: String = "/nowhere", python: String = "python3"
    ) -> AgentService {
        let configuration = AgentConfiguration(
            node: Identifier("here")!, hub: Identifier("main")!,
            broker: .tcp(TCPAddress(host: "127.0.0.1", port: port)), password: "secret",
            dataDirectory: "\(folder)/data", driverExecutable: "\(folder)/driver",
            watchExecutable: builtProgram("sensorhub-watch"),
            pythonLibrary: pythonLibrary, python: python, version: "1.2.3",
            // What these tests run writes into the bench's folder. Confined programs have the tests of the whole hub.
            isolatesAlgorithms: false, account: "root")
        return AgentService(
            configuration, logger: Logger(label: "agent", factory: { _ in SwiftLogNoOpLogHandler() }),
            planWait: planWait)
    }

    func stopAgent() async {
        agent?.cancel()
        await agent?.value
        agent = nil
    }

    /// The program that is run as driver.
    func setDriver(_ script: String) throws {
        try writeScript(script, as: "driver")
    }

    func writeScript(_ script: String, as name: String) throws {
        try File.replace("\(folder)/\(name)", with: "#!/bin/sh\n\(script)\n".utf8, mode: 0o755)
    }

    // MARK: The hub

    /// What the agent says before the hub listens would be missed.
    private func waitForSubscription() async throws {
        let topic = "\(topics.root)/bench"
        // Retained, as it may overtake the subscription.
        try await publish(topic, [1], isRetained: true)
        try await wait("the hub's subscription") { bench in
            bench.messages.contains { $0.topic == topic }
        }
    }

    func send(plan programs: [JSON]) async throws {
        try await publish(
            topics.node("here", .command), (["kind": "plan", "programs": .array(programs)] as JSON).bytes())
    }

    func publish(_ topic: String, _ payload: [UInt8], isRetained: Bool = false) async throws {
        try await wait("the hub's connection") { $0.hub.isConnected }
        try hub.publish(OutgoingMessage(topic: topic, payload: payload, isRetained: isRetained))
    }

    static func driver(_ id: String, credential: String? = nil, attributes: JSONObject = [:]) -> JSON {
        [
            "id": .string(id), "program": "driver", "credential": credential.map { .string($0) } ?? .null,
            "driver": "system",
            "type": ["name": "lux", "company": "", "fields": ["lux": "float"], "functions": []],
            "instance": [
                "name": .string(id), "type": "lux", "driver": "system", "node": nil, "interval": nil,
                "attributes": .object(attributes),
            ],
        ]
    }

    static func algorithm(
        _ id: String, credential: String? = nil, sha256: String, script: String, language: String = "executable",
        requirements: [JSON] = []
    ) -> JSON {
        [
            "id": .string(id), "program": "algorithm", "credential": credential.map { .string($0) } ?? .null,
            "app": "bus", "sha256": .string(sha256), "script": .string(script), "requirements": .array(requirements),
            "arguments": [.string(id)], "runtime": runtime(language),
        ]
    }

    /// As the hub has it declared.
    private static func runtime(_ language: String) -> JSON {
        let command: JSON = language == "python" ? ["{PYTHON}", "-u", "{ENTRY}"] : ["{ENTRY}"]
        return ["name": .string(language), "entry": "main", "start": command]
    }

    /// An app's archive with these files.
    func archive(_ files: [String: String]) throws -> [UInt8] {
        let source = "\(folder)/app-\(makeUniqueID())"
        try Folder.make(source)
        for (name, content) in files { try File.replace("\(source)/\(name)", with: content.utf8) }
        return try AppArchive.make(from: source)
    }

    /// The hash that the agent has made a password for.
    func credential(of program: String, at location: SourceLocation = #_sourceLocation) async throws -> String {
        try await wait("the credential of \(program)", at: location) { $0.credentials(of: program).first }
    }

    func credentials(of program: String) -> [String] {
        reports("credential").filter { "\($0["program"]?.string ?? "")-\($0["id"]?.string ?? "")" == program }
            .compactMap { $0["hash"]?.string }
    }

    // MARK: What was heard

    var messages: [Message] { inbox.messages.withLock { $0 } }

    func payloads(on topic: String) -> [JSON] {
        messages.filter { $0.topic == topic }.compactMap { try? JSON(parsing: $0.payload) }
    }

    func reports(_ kind: String) -> [JSON] {
        payloads(on: topics.node("here", .report)).filter { $0["kind"]?.string == kind }
    }

    /// The states that a program's journal has told, each once.
    func reports(of id: String) -> [ProgramReport] {
        inbox.records.compactMap { record in
            if case .state(let report) = record.content, report.program.id.text == id { report } else { nil }
        }
    }

    func states(of id: String) -> [String] { reports(of: id).map(\.state.rawValue) }

    func last(of id: String) -> JSON? { reports(of: id).last?.json }

    /// The lines that the programs' journals have told, each once.
    var journaledLines: [String] {
        inbox.records.compactMap { if case .line(_, let text) = $0.content { text } else { nil } }
    }

    func lines(on topic: String) -> [String] {
        payloads(on: topic).flatMap { $0.array ?? [] }.compactMap { $0["text"]?.string }
    }

    // MARK: Waiting

    @discardableResult
    func wait<Result>(
        _ what: String, seconds: Int = 60, at location: SourceLocation = #_sourceLocation, _ look: (Bench) -> Result?
    ) async throws -> Result {
        let deadline = ContinuousClock.now + .seconds(seconds)
        while true {
            if let result = look(self) { return result }
            if ContinuousClock.now > deadline {
                let heard = messages.map {
                    "\($0.topic) \(String(decoding: $0.payload.prefix(500), as: UTF8.self).replacing("\0", with: ""))"
                }
                Issue.record("\(what) never came\n\(heard.joined(separator: "\n"))", sourceLocation: location)
                throw CancellationError()
            }
            try await Task.sleep(for: .milliseconds(20))
        }
    }

    func wait(
        _ what: String, seconds: Int = 60, at location: SourceLocation = #_sourceLocation, _ look: (Bench) -> Bool
    ) async throws {
        let _: Bool = try await wait(what, seconds: seconds, at: location) { look($0) ? true : nil }
    }
}
