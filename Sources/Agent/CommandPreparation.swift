import Files
import HubModel
import Watch

/// Makes what a command needs to run.
struct CommandPreparation: Sendable {
    let program: ProgramID
    let site: ProgramSite

    /// - Throws: `PreparationError`.
    func specification(_ command: CommandSpecification) throws(PreparationError) -> ProgramSpecification {
        guard site.configuration.takesCommands else {
            throw PreparationError(
                "node '\(site.configuration.node)' takes no commands: set agent.commands to true in the configuration "
                    + "of its agent", isFinal: true)
        }
        let state = site.folders.state(of: program)
        do { try Folder.make(state) } catch {
            throw PreparationError("\(state) cannot be made: \(error)", isFinal: true)
        }
        let environment = site.environment(of: program, password: "")
            .merging(command.environment) { _, asked in asked }
        var specification = ProgramSpecification(
            executable: command.arguments[0], arguments: Array(command.arguments.dropFirst()), environment: environment,
            workingDirectory: state, input: command.hasInput ? .pipe : .none,
            restart: RestartPolicy(.never, startSeconds: .zero, startRetries: 0))
        specification.overflow = .held
        return try site.confine(specification, of: program, limits: .none)
    }
}
