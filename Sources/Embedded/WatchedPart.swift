import Glibc
import HubModel
import Synchronization
import Watch
import WatchInProcess

/// One of the four programs of an embedded hub: restarted when it dies, its output in a log file.
final class WatchedPart: Sendable {
    private struct State {
        var status: ProgramStatus?
        var isStopping = false
        var hasFailed = false
        var wasHastened = false
    }

    private let part: Part
    private let program: WatchedProgram
    private let shared: Shared

    /// What the events of the program go to; apart from the part itself, since the program holds on to it.
    private final class Shared: Sendable {
        let part: Part
        let log: LogFile
        let console: Console
        let state = Mutex(State())

        init(_ part: Part, _ log: LogFile, _ console: Console) {
            self.part = part
            self.log = log
            self.console = console
        }

        func take(_ event: WatchEvent) {
            switch event {
            case .output(let lines): take(lines)
            case .state(let status): take(status)
            }
        }

        private func take(_ lines: [OutputLine]) {
            log.append(lines.lazy.map(\.text))
            guard part == .hub || part == .agent else { return }
            for line in lines {
                if let warning = LogWarning(line.text) { console.warn("\(part): \(warning.text)") }
            }
        }

        private func take(_ status: ProgramStatus) {
            enum News { case none, failed, runsAgain }
            let news: News = state.withLock { state in
                state.status = status
                switch status.state {
                case _ where state.isStopping: return .none
                case .backoff, .fatal, .exited:
                    state.hasFailed = true
                    return .failed
                case .running where state.hasFailed:
                    state.hasFailed = false
                    return .runsAgain
                default: return .none
                }
            }
            switch news {
            case .none: break
            case .failed: console.warn("\(part): \(status.reason)")
            case .runsAgain: console.say("\(part): runs again")
            }
        }
    }

    init(
        _ part: Part, data: DataDirectory, executable: String, arguments: [String], environment: [String: String],
        workingDirectory: String, console: Console
    ) throws(EmbeddedError) {
        self.part = part
        let shared = Shared(part, try LogFile(data.log(of: part)), console)
        self.shared = shared
        program = WatchedProgram(
            name: part.rawValue, recordFile: "\(data.records(of: part))/process.json",
            specification: ProgramSpecification(
                executable: executable, arguments: arguments, environment: environment,
                workingDirectory: workingDirectory,
                restart: RestartPolicy(
                    .always, startRetries: nil, backoffFirst: .milliseconds(200), backoffCap: .seconds(10)),
                stopSignal: part.stopSignal, stopWait: part.stopWait),
            onEvent: { shared.take($0) })
    }

    /// True after a run that has ended by itself.
    var isDown: Bool {
        shared.state.withLock { $0.status.map { $0.run > 0 && !$0.state.isAlive } ?? false }
    }

    func start() async {
        await program.start()
    }

    /// Returns as soon as `isReady` says so, and tells the person when that takes long.
    ///
    /// - Throws: `EmbeddedError` with the end of the log when the program ends for the third time or time is up,
    ///   `CancellationError` when the task is cancelled, and what `isReady` throws.
    func wait(
        atMost limit: Duration, for name: String, until isReady: @Sendable () throws -> Bool
    ) async throws {
        let begin = ContinuousClock.now
        var hasSaidSo = false
        while try !isReady() {
            if let status = shared.state.withLock(\.status), status.run >= 3, !status.state.isAlive {
                throw failure("\(name) does not start (\(status.reason))")
            }
            let elapsed = ContinuousClock.now - begin
            guard elapsed < limit else {
                throw failure("\(name) is not ready after \(limit.components.seconds) seconds")
            }
            if !hasSaidSo, elapsed > .seconds(3) {
                hasSaidSo = true
                shared.console.say("waiting for \(name) …")
            }
            try await Task.sleep(for: .milliseconds(5))
        }
    }

    private func failure(_ reason: String) -> EmbeddedError {
        let tail = LogFile.tail(shared.log.path).map { "\n  " + $0 }.joined()
        return EmbeddedError(.notReady, "\(reason); the end of \(shared.log.path):\(tail)")
    }

    func stop() async {
        shared.state.withLock { $0.isStopping = true }
        await program.stop(reason: "sensorhub up was stopped")
    }

    /// Has it end at once: the first time without work that can be made up for later, the second time by force.
    func hasten() async {
        let isSecond = shared.state.withLock { state in
            state.isStopping = true
            defer { state.wasHastened = true }
            return state.wasHastened
        }
        let program = program
        Task { await program.stop(reason: "sensorhub up was stopped") }
        guard let pid = await program.status.pid else { return }
        kill(-pid, isSecond ? SIGKILL : part.hastySignal)
    }
}
