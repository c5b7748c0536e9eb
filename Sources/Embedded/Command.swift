import Glibc
import Subprocess
import SystemPackage

/// A program that runs to its end.
struct Command: Sendable {
    var executable: String
    var arguments: [String]
    var workingDirectory = "/"

    /// Runs it with the terminal and the standard input cut off.
    ///
    /// - Returns: what it wrote, errors after the rest.
    /// - Throws: `EmbeddedError` with the error that it wrote where it cannot be started or its exit code is not 0.
    @discardableResult
    func run() async throws -> String {
        var options = PlatformOptions()
        // Ctrl-C in the terminal must not reach it: it would leave its work half done.
        options.createSession = true
        // When it is cancelled, what it has started ends with it.
        options.teardownSequence = [.send(signal: .kill, toProcessGroup: true, allowedDurationToNextStep: .seconds(5))]
        let outcome: (status: TerminationStatus, output: String)
        do {
            let result = try await Subprocess.run(
                .path(FilePath(executable)), arguments: Arguments(arguments),
                environment: .custom(
                    Dictionary(uniqueKeysWithValues: childEnvironment().map { (Environment.Key(rawValue: $0)!, $1) })),
                workingDirectory: FilePath(workingDirectory), platformOptions: options,
                output: .string(limit: 1 << 20), error: .string(limit: 1 << 20))
            outcome = (result.terminationStatus, result.standardOutput + result.standardError)
        } catch {
            throw EmbeddedError(.notReady, "cannot run \(executable): \(error)")
        }
        guard outcome.status.isSuccess else {
            throw EmbeddedError(.notReady, Self.reason(in: outcome.output) ?? "\(executable): \(outcome.status)")
        }
        return outcome.output
    }

    /// The first line that names an error, as PostgreSQL's programs write it; else the last line.
    static func reason(in output: String) -> String? {
        let lines = output.split(whereSeparator: \.isNewline)
        for mark in ["PANIC:", "FATAL:", "ERROR:", "error:"] {
            for line in lines {
                guard let range = line.firstRange(of: mark) else { continue }
                return String(line[range.upperBound...].drop { $0.isWhitespace })
            }
        }
        return lines.last { $0.contains { !$0.isWhitespace } }.map(String.init)
    }
}

/// The environment of the programs that are started from here: our own, without what would lead hub, agent or database
/// astray (SENSORHUB_…, PG…) or speaks to a service manager for us (NOTIFY_SOCKET).
func childEnvironment() -> [String: String] {
    var variables: [String: String] = [:]
    var next = environ
    while let entry = next.pointee {
        next += 1
        let parts = String(cString: entry).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, !parts[0].isEmpty else { continue }
        let name = String(parts[0])
        if name.hasPrefix("SENSORHUB_") || name.hasPrefix("PG") || name == "NOTIFY_SOCKET" { continue }
        variables[name] = String(parts[1])
    }
    return variables
}

/// The full path of a program in PATH or in the folders for services, which a normal user has not in PATH on Debian.
func findProgram(_ name: String) -> String? {
    let folders = (environmentVariable("PATH") ?? "").split(separator: ":").map(String.init)
    return (folders + ["/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/bin"]).map { "\($0)/\(name)" }
        .first { access($0, X_OK) == 0 }
}
