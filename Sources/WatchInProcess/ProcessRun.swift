import Glibc
import Subprocess
import SystemPackage
import Watch

/// A program that could not be started, with the reason.
struct LaunchError: Error {
    let reason: String
}

/// One run of a program, from its start to its end.
struct ProcessRun: Sendable {
    let specification: ProgramSpecification
    /// Called as soon as there is a process.
    let launched: @Sendable (ProcessGroup, _ pid: Int32) async -> Void
    /// Called with what the program writes, one call at a time for a stream.
    let output: @Sendable ([UInt8], OutputLine.Stream) async -> Void

    /// What may come from a pipe after the program has ended: as much as a pipe holds, twice. Whoever still writes then
    /// is another process that has inherited it.
    private static let maximumBytesAfterEnd = 128 << 10

    /// Runs the program in a session of its own and returns when it has ended and its output has been read, also where
    /// another process keeps the output open. What is left of the process group then has been killed.
    func callAsFunction() async throws(LaunchError) -> ProgramEnding {
        var options = PlatformOptions()
        options.createSession = true
        options.userID = specification.userID
        options.groupID = specification.groupID
        // Our own further groups are not for somebody else.
        if specification.userID != nil || specification.groupID != nil { options.supplementaryGroups = [] }

        var wasLaunched = false
        do {
            let result = try await Subprocess.run(
                try executable(), arguments: Arguments(specification.arguments), environment: try environment(),
                workingDirectory: specification.workingDirectory.map { FilePath($0) }, platformOptions: options,
                input: .none, output: .sequence, error: .sequence
            ) { execution in
                wasLaunched = true
                let pid = execution.processIdentifier.value
                let group = ProcessGroup(leader: pid)
                await launched(group, pid)
                await withTaskGroup { tasks in
                    let stdout = execution.standardOutput, stderr = execution.standardError
                    tasks.addTask { await read(stdout, .stdout, of: group) }
                    tasks.addTask { await read(stderr, .stderr, of: group) }
                }
                // Mostly it is a matter of microseconds; but a program can close its output and live on.
                var pause = Duration.milliseconds(1)
                while !group.hasEnded {
                    try? await Task.sleep(for: pause)
                    pause = min(pause * 2, .milliseconds(200))
                }
                group.close()
            }
            return switch result.terminationStatus {
            case .exited(let code): .exited(code)
            case .signaled(let signal): .signaled(signal)
            }
        } catch let error as LaunchError {
            throw error
        } catch {
            if wasLaunched { return .unknown("\(error)") }
            throw LaunchError(reason: reason(error))
        }
    }

    private func read(_ stream: SubprocessOutputSequence, _ name: OutputLine.Stream, of group: ProcessGroup) async {
        var bytesLeft = Self.maximumBytesAfterEnd
        do {
            for try await buffer in stream {
                await output(buffer.withUnsafeBytes { Array($0) }, name)
                if group.hasEnded {
                    group.close()
                    bytesLeft -= buffer.count
                    if bytesLeft < 0 { break }
                }
            }
        } catch {
            // The program's end is told by its process, not by its pipe.
        }
    }

    // MARK: What is asked for

    private func executable() throws(LaunchError) -> Executable {
        let name = specification.executable
        guard !name.isEmpty, !name.utf8.contains(0) else { throw LaunchError(reason: "no program is named") }
        return name.contains("/") ? .path(FilePath(name)) : .name(name)
    }

    private func environment() throws(LaunchError) -> Environment {
        guard !specification.arguments.contains(where: { $0.utf8.contains(0) }) else {
            throw LaunchError(reason: "an argument has the character NUL in it")
        }
        var variables: [Environment.Key: String] = [:]
        for (name, value) in specification.environment {
            guard !name.isEmpty, !name.utf8.contains(UInt8(ascii: "=")), !name.utf8.contains(0),
                !value.utf8.contains(0),
                let key = Environment.Key(rawValue: name)
            else { throw LaunchError(reason: "the environment variable '\(name)' cannot be passed on") }
            variables[key] = value
        }
        return .custom(variables)
    }

    /// Names what is missing.
    private func reason(_ error: any Error) -> String {
        let name = specification.executable
        guard let error = error as? SubprocessError else { return "'\(name)' cannot be started: \(error)" }
        switch error.code {
        case .executableNotFound:
            if !name.contains("/") { return "the program '\(name)' is not in PATH" }
            if access(name, F_OK) != 0 { return "the program '\(name)' does not exist" }
            if access(name, X_OK) != 0 { return "the program '\(name)' may not be executed" }
            return "the program '\(name)' cannot be executed: is the interpreter that it names installed?"
        case .failedToChangeWorkingDirectory:
            return "'\(name)' cannot be started: there is no folder '\(specification.workingDirectory ?? "")'"
        default:
            let cause = error.underlyingError.map { "\($0)" } ?? "\(error)"
            return "'\(name)' cannot be started: \(cause)"
        }
    }
}
