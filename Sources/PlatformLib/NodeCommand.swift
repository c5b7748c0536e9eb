public import HubModel
import SimdJSON
import Synchronization

/// A command that `Platform.run` has started on a node.
///
///     let command = try await platform.run(on: "pi-kitchen", ["ls", "-l"])
///     for await line in command.lines { print(line.text) }
///     let end = try await command.wait()
public final class NodeCommand: Sendable {
    /// A line that it has written, without its end.
    public struct Line: Sendable, Hashable {
        public let isError: Bool
        public let text: String
        /// Microseconds since 1970.
        public let time: Int64
    }

    public enum End: Sendable, Hashable {
        case exited(code: Int32)
        case signalled(Signal)
        /// It could not be started, or nobody knows what became of it; with the reason.
        case unknown(String)
    }

    private struct State {
        var end: End?
        var isClosed = false
        var nextID = 0
        var waiting: [Int: CheckedContinuation<Void, Never>] = [:]
    }

    /// As for `sensorhub ps`, `logs` and `stop`.
    public let id: Identifier
    public let node: Identifier
    public let arguments: [String]
    /// What it writes to standard output and standard error, in the order in which it came; for one loop. The stream ends
    /// with the command. When nobody takes them, the newest 10,000 wait.
    public let lines: AsyncStream<Line>

    private let output: AsyncStream<Line>.Continuation
    private let requests: HubRequests
    private let state = Mutex(State())
    private static let requestTimeout = Duration.seconds(10)
    private static let endStates: Set<ProgramState> = [.exited, .fatal, .stopped]

    init(id: Identifier, node: Identifier, arguments: [String], requests: HubRequests) {
        self.id = id
        self.node = node
        self.arguments = arguments
        self.requests = requests
        (lines, output) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(10_000))
    }

    // MARK: Its end

    /// How it has ended; nil while it runs.
    public var end: End? { state.withLock { $0.end } }

    /// Waits for its end.
    ///
    /// - Parameter timeout: nil for as long as it takes.
    /// - Throws: `PlatformError` with `timeout`, or `closed` where the platform is closed or the task is cancelled.
    public func wait(timeout: Duration? = nil) async throws(PlatformError) -> End {
        try await waitForEnd(timeout: timeout)
        if let end { return end }
        throw PlatformError(.closed, "nobody waits for '\(id)' any more")
    }

    private func waitForEnd(timeout: Duration?) async throws(PlatformError) {
        let number = state.withLock { state in
            state.nextID += 1
            return state.nextID
        }
        let hasTimedOut = Atomic(false)
        let timer = Task { [weak self] in
            guard let timeout else { return }
            try await Task.sleep(for: timeout)
            hasTimedOut.store(true, ordering: .relaxed)
            self?.release(number)
        }
        defer { timer.cancel() }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isOver = state.withLock { state in
                    let isOver = state.end != nil || state.isClosed || Task.isCancelled
                    if !isOver { state.waiting[number] = continuation }
                    return isOver
                }
                if isOver { continuation.resume() }
            }
        } onCancel: {
            release(number)
        }
        if end == nil, hasTimedOut.load(ordering: .relaxed) {
            throw PlatformError(.timeout, "'\(id)' has not ended within \(timeout!)")
        }
    }

    private func release(_ number: Int) {
        state.withLock { $0.waiting.removeValue(forKey: number) }?.resume()
    }

    // MARK: Steering

    /// Writes to its standard input, where it was started with `hasInput`.
    ///
    /// - Throws: `PlatformError`.
    public func write(_ text: String) async throws(PlatformError) {
        try await write(Array(text.utf8))
    }

    /// Writes to its standard input, where it was started with `hasInput`.
    ///
    /// - Throws: `PlatformError`.
    public func write(_ bytes: [UInt8]) async throws(PlatformError) {
        for start in stride(from: 0, to: bytes.count, by: InputRequest.maximumInputBytes) {
            let piece = Array(bytes[start...].prefix(InputRequest.maximumInputBytes))
            _ = try await request("programs", "send", ["data": .string(Base64.encode(piece))])
        }
    }

    /// Ends its standard input.
    ///
    /// - Throws: `PlatformError`.
    public func closeInput() async throws(PlatformError) {
        _ = try await request("programs", "send", ["eof": true])
    }

    /// Sends a signal to its process group; to one that has ended, nothing.
    ///
    /// - Throws: `PlatformError`.
    public func send(_ signal: Signal) async throws(PlatformError) {
        guard end == nil else { return }
        do throws(PlatformError) {
            _ = try await request("programs", "signal", ["signal": .int(Int64(signal.number))])
        } catch {
            guard error.code == .refused else { throw error }
            // It may have ended just now, and the hub hears of it before we do.
            try? await waitForEnd(timeout: .seconds(2))
            if end == nil { throw error }
        }
    }

    /// Sends SIGTERM.
    ///
    /// - Throws: `PlatformError`.
    public func terminate() async throws(PlatformError) { try await send(Signal(number: 15)!) }

    /// Sends SIGKILL.
    ///
    /// - Throws: `PlatformError`.
    public func kill() async throws(PlatformError) { try await send(Signal(number: 9)!) }

    private func request(
        _ service: String, _ method: String, _ more: JSONObject = [:]
    ) async throws(PlatformError) -> JSON {
        var parameters: JSONObject = ["id": .string(id.text), "kind": .string(ProgramID.Kind.command.rawValue)]
        for member in more { parameters[member.key] = member.value }
        return try await requests.request(service, method, parameters, timeout: Self.requestTimeout)
    }

    /// Asks the hub how it is, and takes its end from there.
    ///
    /// - Returns: true where it has a process or has ended.
    func look() async throws(PlatformError) -> Bool {
        let command = try await request("commands", "show")["command"] ?? .null
        if Self.end(of: command) != nil {
            // Its own word comes after its last lines.
            try? await waitForEnd(timeout: .seconds(2))
            take(state: command)
        }
        return end != nil || command["pid"]?.int != nil
    }

    /// Asks the hub whether it has ended.
    func hasEnded() async throws(PlatformError) -> Bool {
        if end == nil { _ = try await look() }
        return end != nil
    }

    /// True for a state that is the last, and says neither an exit code nor a signal.
    static func isEndWithoutCause(_ json: JSON) -> Bool {
        if case .unknown? = end(of: json) { true } else { false }
    }

    // MARK: From the broker

    func take(lines json: JSON) {
        for line in json.array ?? [json] {
            guard let text = line["text"]?.string else { continue }
            output.yield(Line(isError: line["stream"] == "stderr", text: text, time: line["t"]?.int ?? 0))
        }
    }

    func take(state json: JSON) {
        if let end = Self.end(of: json) { finish { $0.end = $0.end ?? end } }
    }

    /// What a state says of the end; nil where there is none yet.
    private static func end(of json: JSON) -> End? {
        guard let word = json["state"]?.string.flatMap({ ProgramState(rawValue: $0) }), endStates.contains(word) else {
            return nil
        }
        if let code = json["exit_code"]?.int { return .exited(code: Int32(truncatingIfNeeded: code)) }
        if let signal = json["signal"]?.int.flatMap({ Signal(number: Int32(truncatingIfNeeded: $0)) }) {
            return .signalled(signal)
        }
        return .unknown(json["reason"]?.string ?? "")
    }

    /// The platform is closed; the command goes on.
    func close() { finish { $0.isClosed = true } }

    private func finish(_ change: (inout State) -> Void) {
        let waiting = state.withLock { state in
            change(&state)
            defer { state.waiting = [:] }
            return state.waiting.values
        }
        output.finish()
        waiting.forEach { $0.resume() }
    }
}
