import Glibc
import HubModel
import Synchronization
import Testing

@testable import Watch
@testable import WatchInProcess

/// A watched shell script, and what was told of it.
final class Watched: Sendable {
    let program: WatchedProgram
    private let log: Log

    private final class Log: Sendable {
        let events = Mutex<[WatchEvent]>([])
    }

    init(_ specification: ProgramSpecification, recordFile: String? = nil) {
        let log = Log()
        self.log = log
        program = WatchedProgram(name: "test", recordFile: recordFile, specification: specification) { event in
            log.events.withLock { $0.append(event) }
        }
    }

    convenience init(_ script: String, _ restart: RestartPolicy? = nil) {
        self.init(shell(script, restart))
    }

    var events: [WatchEvent] { log.events.withLock { $0 } }
    var statuses: [ProgramStatus] {
        events.compactMap { if case .state(let status) = $0 { status } else { nil } }
    }
    var states: [ProgramState] { statuses.map(\.state) }
    func lines(_ stream: OutputLine.Stream) -> [String] {
        events.flatMap { event -> [OutputLine] in if case .output(let lines) = event { lines } else { [] } }
            .filter { $0.stream == stream }.map(\.text)
    }

    /// Waits until something is so, two minutes at most.
    func wait(_ condition: (Watched) -> Bool, at location: SourceLocation = #_sourceLocation) async throws {
        let deadline = ContinuousClock.now + .seconds(120)
        while !condition(self) {
            try #require(
                ContinuousClock.now < deadline, "it never came: \(states) \(lines(.stdout)) \(lines(.stderr))",
                sourceLocation: location)
            try await Task.sleep(for: .milliseconds(10))
        }
    }
}

/// A shell script as a program; without start seconds unless a policy says otherwise.
func shell(_ script: String, _ restart: RestartPolicy? = nil) -> ProgramSpecification {
    var restart = restart ?? .unexpected
    if restart == .never || restart == .unexpected { restart.startSeconds = .zero }
    return ProgramSpecification(
        executable: "/bin/sh", arguments: ["-c", script], environment: ["PATH": "/usr/bin:/bin"], restart: restart,
        stopWait: .seconds(60))
}

func waitUntilGone(_ pid: Int32, at location: SourceLocation = #_sourceLocation) async throws {
    let deadline = ContinuousClock.now + .seconds(120)
    while let process = ProcessStat(pid: pid), !process.isZombie {
        try #require(ContinuousClock.now < deadline, "process \(pid) is still there", sourceLocation: location)
        try await Task.sleep(for: .milliseconds(10))
    }
}
