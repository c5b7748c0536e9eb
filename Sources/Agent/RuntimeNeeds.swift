import Files
import Glibc
import HubModel
import Watch

/// Looks whether this machine has what a runtime needs, and runs its commands.
struct RuntimeNeeds: Sendable {
    let runtime: Runtime
    let program: ProgramID
    let site: ProgramSite
    let environment: [String: String]

    /// - Throws: `PreparationError` that names what is missing and says how it is installed.
    func checkPrograms() throws(PreparationError) {
        for need in runtime.needs {
            if case .program(let name) = need.check, !isInPath(name) { throw missing(need) }
        }
    }

    /// - Throws: `PreparationError` as `checkPrograms`.
    func checkCommands(_ values: [Runtime.Placeholder: String]) async throws(PreparationError) {
        for need in runtime.needs {
            guard case .command(let command) = need.check else { continue }
            do throws(PreparationError) {
                _ = try await run(Runtime.fill(command, values)) { _ in }
            } catch {
                guard !Task.isCancelled else { throw error }
                site.logger.info("\(program): \(error.reason)")
                throw missing(need)
            }
        }
    }

    /// - Parameter output: told what the command writes.
    func run(
        _ command: [String], output: @escaping @Sendable ([OutputLine]) -> Void
    ) async throws(PreparationError) -> [String] {
        try await PreparationCommand(
            name: command[0], recordFile: "\(site.folders.records)/prepare-\(program).json", executable: command[0],
            arguments: Array(command.dropFirst()), environment: environment,
            workingDirectory: site.folders.state(of: program), output: output
        ).run()
    }

    private func missing(_ need: Runtime.Need) -> PreparationError {
        PreparationError(
            "'\(runtime.name)' needs \(need.name), which this machine has not: \(need.install)", isFinal: true)
    }

    private func isInPath(_ name: String) -> Bool {
        if name.contains("/") { return access(name, X_OK) == 0 }
        return (environment["PATH"] ?? defaultPath).split(separator: ":")
            .contains { access("\($0)/\(name)", X_OK) == 0 && !File.isFolder("\($0)/\(name)") }
    }
}
