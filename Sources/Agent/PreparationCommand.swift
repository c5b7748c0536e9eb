import Glibc
import Synchronization
import Watch
import WatchInProcess

/// A command that prepares a program, of pip for example, run to its end.
struct PreparationCommand: Sendable {
    let name: String
    let recordFile: String
    let specification: ProgramSpecification
    /// Called with what it writes.
    let output: @Sendable ([OutputLine]) -> Void

    /// A package index that does not answer must not hold an environment for ever.
    private static let timeout = Duration.seconds(1_800)

    init(
        name: String, recordFile: String, executable: String, arguments: [String], environment: [String: String],
        workingDirectory: String = "/", output: @escaping @Sendable ([OutputLine]) -> Void
    ) {
        self.name = name
        self.recordFile = recordFile
        self.output = output
        specification = ProgramSpecification(
            executable: executable, arguments: arguments, environment: environment,
            workingDirectory: workingDirectory,
            restart: RestartPolicy(.never, startSeconds: .zero), stopWait: .seconds(3))
    }

    /// - Returns: what it wrote on stdout, the last lines of it where there is much.
    /// - Throws: `PreparationError` with the reason that the command itself gives.
    func run() async throws(PreparationError) -> [String] {
        let lines = Lines()
        let program = WatchedProgram(name: name, recordFile: recordFile, specification: specification) {
            [output] event in
            guard case .output(let batch) = event else { return }
            lines.add(batch)
            output(batch)
        }
        await program.start()
        let status = await withTaskCancellationHandler {
            let timer = Task {
                try await Task.sleep(for: Self.timeout)
                await program.stop(reason: "it took longer than \(Self.timeout.components.seconds / 60) minutes")
            }
            defer { timer.cancel() }
            return await program.waitUntilIdle()
        } onCancel: {
            Task { await program.stop(reason: "the agent stops") }
        }
        guard status.state == .exited, status.exitCode == 0 else {
            let itsOwnReason = status.state == .exited ? Self.reason(lines.all) : nil
            throw PreparationError("\(name): \(itsOwnReason ?? status.reason)")
        }
        return lines.all.filter { $0.stream == .stdout }.map(\.text)
    }

    /// pip's last error, or else everything that was said.
    static func reason(_ lines: [OutputLine]) -> String? {
        let mark = "ERROR: "
        if let error = lines.last(where: { $0.text.hasPrefix(mark) }) {
            return String(error.text.dropFirst(mark.count))
        }
        let text = lines.map(\.text).joined(separator: " ").split(separator: " ").joined(separator: " ")
        guard !text.isEmpty else { return nil }
        return text.count > 500 ? "…\(text.suffix(500))" : text
    }

    private final class Lines: Sendable {
        private let lines = Mutex<[OutputLine]>([])

        var all: [OutputLine] { lines.withLock { $0 } }

        func add(_ batch: [OutputLine]) {
            lines.withLock { lines in
                lines += batch
                if lines.count > 200 { lines.removeFirst(lines.count - 200) }
            }
        }
    }
}
