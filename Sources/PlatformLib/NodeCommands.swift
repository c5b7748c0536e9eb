import HubModel
import MQTT
import SimdJSON
import Synchronization

/// The commands of this program that have not ended, and what comes of them from the broker.
final class NodeCommands: Sendable {
    private struct State {
        weak var client: Client?
        var isClosed = false
        var commands: [Identifier: NodeCommand] = [:]
        /// What a command writes may be there before the hub's reply with its id.
        var starting = 0
        var early: [(id: Identifier, leaf: Substring, payload: [UInt8])] = []
    }

    private let requests: HubRequests
    private let topics: Topics
    private let state = Mutex(State())
    private static let maximumEarly = 1_000

    init(_ environment: PlatformEnvironment) {
        requests = HubRequests(environment)
        topics = Topics(hub: environment.hub)
    }

    func setClient(_ client: Client) {
        state.withLock { $0.client = client }
        requests.setClient(client)
    }

    func close() {
        requests.close()
        let commands = state.withLock { state in
            state.isClosed = true
            defer { state.commands = [:] }
            return state.commands.values
        }
        commands.forEach { $0.close() }
    }

    /// Starts a command, and returns when it has a process.
    func run(_ parameters: JSONObject, _ arguments: [String], timeout: Duration) async throws(PlatformError)
        -> NodeCommand
    {
        let client = state.withLock { state in
            state.starting += 1
            return state.client
        }
        defer {
            state.withLock { state in
                state.starting -= 1
                if state.starting == 0 { state.early = [] }
            }
        }
        client?.subscribe(topics.command("+", .log), topics.command("+", .events))
        let deadline = ContinuousClock.now + timeout
        let reply = try await requests.request("commands", "run", parameters, timeout: timeout)
        guard let id = reply["id"]?.string.flatMap({ Identifier($0) }),
            let node = reply["node"]?.string.flatMap({ Identifier($0) })
        else { throw PlatformError(.refused, "the hub's reply names no command") }
        let command = NodeCommand(id: id, node: node, arguments: arguments, requests: requests)
        let isClosed = state.withLock { state in
            // Under the lock: what comes meanwhile is not to overtake it.
            for early in state.early where early.id == id { Self.deliver(early.payload, early.leaf, to: command) }
            if command.end == nil, !state.isClosed { state.commands[id] = command }
            return state.isClosed
        }
        if isClosed { command.close() }
        var pause = Duration.milliseconds(20)
        while try await !command.look() {
            guard ContinuousClock.now < deadline else {
                throw PlatformError(.timeout, "'\(id)' did not start within \(timeout)")
            }
            do { try await Task.sleep(for: pause) } catch {
                throw PlatformError(.closed, "nobody waits for '\(id)' any more")
            }
            pause = min(pause * 2, .milliseconds(500))
        }
        forgetEnded()
        if case .unknown(let reason)? = command.end {
            throw PlatformError(.failed, "'\(arguments[0])' could not be started on '\(node)': \(reason)")
        }
        return command
    }

    private func forgetEnded() {
        state.withLock { state in state.commands = state.commands.filter { $0.value.end == nil } }
    }

    // MARK: From the broker

    func handle(_ event: Client.Event) {
        requests.handle(event)
        switch event {
        case .connected:
            // What has ended meanwhile has told nobody.
            let commands = Array(state.withLock { $0.commands.values })
            guard !commands.isEmpty else { return }
            Task {
                for command in commands { _ = try? await command.look() }
                forgetEnded()
            }
        case .message(let message):
            guard let parts = topics.parts(of: message.topic), parts.count == 3, parts[0] == "commands",
                let id = Identifier(parts[1])
            else { return }
            state.withLock { state in
                guard let command = state.commands[id] else {
                    if state.starting > 0, state.early.count < Self.maximumEarly {
                        state.early.append((id, parts[2], message.payload))
                    }
                    return
                }
                Self.deliver(message.payload, parts[2], to: command)
                if command.end != nil { state.commands[id] = nil }
            }
        default: break
        }
    }

    private static func deliver(_ payload: [UInt8], _ leaf: Substring, to command: NodeCommand) {
        guard let json = try? JSON(parsing: payload) else { return }
        guard leaf != "log" else { return command.take(lines: json) }
        if NodeCommand.isEndWithoutCause(json) {
            // How it ended may have been told while we were not connected. The hub knows, or is about to.
            Task {
                for _ in 0..<50 where try await !command.hasEnded() { try await Task.sleep(for: .milliseconds(200)) }
            }
        } else {
            command.take(state: json)
        }
    }
}
