import HubModel
import MQTT
import PlatformLib
import SimdJSON
import Synchronization
import Testing
import TestSupport

/// The place of hub and node in a test: answers requests of algorithm `a-1`, and tells what its one command does.
private final class CommandPeer: Sendable {
    typealias Answer = @Sendable (_ service: String, _ method: String, _ parameters: JSON, CommandPeer) -> JSON?

    private final class Requests: Sendable {
        let list = Mutex<[String]>([])
        let peer = Mutex<CommandPeer?>(nil)
    }

    let topics = Topics(hub: Identifier("main")!)
    private let client: Client
    private let requests: Requests

    init(_ address: BrokerAddress, answer: @escaping Answer) {
        let requests = Requests()
        self.requests = requests
        let topics = topics
        client = Client(ClientConfiguration(address: address, clientID: "peer", user: "peer", password: "")) { event in
            guard case .message(let message) = event, let parts = topics.parts(of: message.topic), parts.count == 5,
                let parameters = try? JSON(parsing: message.payload), let peer = requests.peer.withLock({ $0 })
            else { return }
            // Each has another name.
            var asked = parameters.object ?? [:]
            asked["request"] = nil
            requests.list.withLock { $0.append("\(parts[3])/\(parts[4]) \(JSON.object(asked).text())") }
            guard let reply = answer(String(parts[3]), String(parts[4]), parameters, peer),
                let topic = message.responseTopic, topic.hasPrefix("sensorhub/main/clients/algorithm.a-1/")
            else { return }
            peer.publish(topic, reply)
        }
        client.subscribe(topics.request(of: "a-1", "+", "+"))
        client.start()
        requests.peer.withLock { $0 = self }
    }

    func stop() {
        client.stop()
        requests.peer.withLock { $0 = nil }
    }

    var received: [String] { requests.list.withLock { $0 } }

    func publish(_ topic: String, _ payload: JSON) {
        _ = try? client.publish(OutgoingMessage(topic: topic, payload: payload.bytes()))
    }

    func write(_ lines: (stream: String, text: String)..., by id: String = "ls-1") {
        publish(
            topics.command(id, .log),
            .array(lines.map { ["t": 5, "stream": .string($0.stream), "text": .string($0.text)] }))
    }

    func tell(_ state: String, code: Int64? = nil, signal: Int64? = nil, of id: String = "ls-1") {
        publish(
            topics.command(id, .events),
            [
                "state": .string(state), "reason": "told", "exit_code": code.map { .int($0) } ?? .null,
                "signal": signal.map { .int($0) } ?? .null,
            ])
    }
}

@Suite(.timeLimit(.minutes(5))) struct NodeCommandTests {
    private static let started: JSON = ["status": 200, "id": "ls-1", "node": "pi"]
    private static let running: JSON = ["status": 200, "command": ["state": "RUNNING", "pid": 7]]

    private func withPlatform(
        answer: @escaping CommandPeer.Answer, _ body: (Platform, CommandPeer) async throws -> Void
    ) async throws {
        let broker = try TestBroker()
        try broker.start()
        let peer = CommandPeer(broker.address, answer: answer)
        let platform = Platform(
            PlatformEnvironment(
                hub: Identifier("main")!, broker: broker.address, user: "algorithm.a-1", password: "",
                instance: Identifier("a-1")!, app: Identifier("bus")!))
        defer {
            platform.close()
            peer.stop()
        }
        try await body(platform, peer)
    }

    /// Until the platform and the peer are connected.
    private func run(_ platform: Platform, hasInput: Bool = false) async throws -> NodeCommand {
        var attempt = await attempt(platform, hasInput)
        for _ in 0..<100 {
            guard case .failure(let error) = attempt, error.code == .undelivered || error.code == .timeout else {
                break
            }
            try await Task.sleep(for: .milliseconds(50))
            attempt = await self.attempt(platform, hasInput)
        }
        return try attempt.get()
    }

    private func attempt(_ platform: Platform, _ hasInput: Bool) async -> Result<NodeCommand, PlatformError> {
        do throws(PlatformError) {
            return .success(
                try await platform.run(
                    on: "pi", ["ls", "-l"], environment: ["A": "b"], hasInput: hasInput, timeout: .seconds(20)))
        } catch {
            return .failure(error)
        }
    }

    @Test func aCommandHasItsLinesAndItsEnd() async throws {
        try await withPlatform { service, method, parameters, peer in
            guard (service, method) == ("commands", "run") else { return Self.running }
            var asked = parameters.object ?? [:]
            #expect(asked["request"]?.string?.count == 32, "the hub knows by it what comes twice")
            asked["request"] = nil
            #expect(
                asked == ["node": "pi", "command": ["ls", "-l"], "input": false, "environment": ["A": "b"]])
            // Before the reply, which names the command; and another one's.
            peer.write(("stdout", "early"))
            peer.write(("stdout", "another's"), by: "ls-2")
            return Self.started
        } _: { platform, peer in
            let command = try await run(platform)
            #expect(command.id.text == "ls-1" && command.node.text == "pi" && command.end == nil)
            peer.write(("stderr", "à"), ("stdout", "last"))
            peer.tell("RUNNING")
            peer.tell("EXITED", code: 3)
            var lines: [String] = []
            for await line in command.lines { lines.append((line.isError ? "!" : "") + line.text) }
            #expect(lines == ["early", "!à", "last"])
            #expect(try await command.wait() == .exited(code: 3))
            #expect(command.end == .exited(code: 3))
            // To one that has ended nothing is sent.
            try await command.kill()
            #expect(!peer.received.contains { $0.hasPrefix("programs/") })
        }
    }

    @Test func aSignalIsAnEndOfItsOwnKind() async throws {
        try await withPlatform { service, method, _, peer in
            switch (service, method) {
            case ("commands", "run"): return Self.started
            case ("programs", "signal"):
                peer.tell("EXITED", signal: 15)
                return ["status": 200]
            default: return Self.running
            }
        } _: { platform, peer in
            let command = try await run(platform)
            await #expect(throws: PlatformError.self) { try await command.wait(timeout: .milliseconds(50)) }
            #expect(command.end == nil)
            try await command.terminate()
            #expect(try await command.wait() == .signalled(Signal(number: 15)!))
            #expect(
                peer.received.contains(
                    #"programs/signal {"id":"ls-1","kind":"command","signal":15}"#))
        }
    }

    @Test func inputIsSentInPieces() async throws {
        try await withPlatform { service, method, _, _ in
            (service, method) == ("commands", "run") ? Self.started : Self.running
        } _: { platform, peer in
            let command = try await run(platform, hasInput: true)
            try await command.write("hello\n")
            try await command.write([UInt8](repeating: 7, count: 70_000))
            try await command.closeInput()
            let sent = try peer.received.filter { $0.hasPrefix("programs/send ") }
                .map { try JSON(parsing: String($0.dropFirst(14))) }
            let bytes = sent.map { $0["data"]?.string.flatMap { Base64.decode($0.utf8)?.count } }
            #expect(bytes == [6, 65_536, 4_464, nil] && sent.last?["eof"] == true)
        }
    }

    @Test func whatIsRefusedOrCannotBeStartedIsAnError() async throws {
        let isRefused = Mutex(true)
        try await withPlatform { service, method, _, peer in
            guard (service, method) == ("commands", "run") else {
                return ["status": 200, "command": ["state": "FATAL", "reason": "no such file"]]
            }
            if isRefused.withLock({ $0 }) { return ["status": 403, "error": "node 'pi' takes no commands"] }
            peer.tell("FATAL")
            return Self.started
        } _: { platform, _ in
            let refusal = await #expect(throws: PlatformError.self) { try await run(platform) }
            #expect(refusal?.code == .refused && refusal?.reason == "node 'pi' takes no commands")
            isRefused.withLock { $0 = false }
            let failure = await #expect(throws: PlatformError.self) { try await run(platform) }
            #expect(failure?.code == .failed)
            let empty = await #expect(throws: PlatformError.self) { try await platform.run(on: "pi", []) }
            #expect(empty?.code == .invalid)
        }
    }

    @Test func nobodyWaitsForEver() async throws {
        try await withPlatform { service, method, _, _ in
            (service, method) == ("commands", "run") ? Self.started : Self.running
        } _: { platform, _ in
            let command = try await run(platform)
            let cancelled = Task { try await command.wait() }
            cancelled.cancel()
            await #expect(throws: PlatformError.self) { try await cancelled.value }
            let waiting = Task { try await command.wait() }
            platform.close()
            await #expect(throws: PlatformError.self) { try await waiting.value }
            for await _ in command.lines {}
            let error = await #expect(throws: PlatformError.self) { try await command.write("x") }
            #expect(error?.code == .closed)
        }
    }

    @Test func theBrokersRefusalSaysWhatIsMissing() async throws {
        let folder = TemporaryFolder()
        try folder.write("acl", "topic read #\n")
        let broker = try TestBroker(configuration: "allow_anonymous true\nacl_file \(folder.path)/acl")
        try broker.start()
        let platform = Platform(
            PlatformEnvironment(
                hub: Identifier("main")!, broker: broker.address, user: "algorithm.a-1", password: "",
                instance: Identifier("a-1")!, app: Identifier("bus")!))
        defer { platform.close() }
        var error: PlatformError?
        repeat {
            error = await #expect(throws: PlatformError.self) {
                try await platform.run(on: "pi", ["ls"], timeout: .seconds(5))
            }
            try await Task.sleep(for: .milliseconds(20))
        } while error?.reason.contains("no connection") == true
        #expect(error?.reason.contains("\"commands\": true") == true, "\(error?.reason ?? "")")
    }
}
