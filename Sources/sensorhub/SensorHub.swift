import ArgumentParser
import Glibc
import Hub

@main
struct SensorHub: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sensorhub",
        abstract: "A hub for sensors and the algorithms that use them.",
        discussion: """
            Start with 'sensorhub up': a hub with its own broker and database, all under one folder. The other commands \
            talk to the running hub.
            """,
        version: sensorhubVersion,
        groupedSubcommands: [
            CommandGroup(
                name: "Run",
                subcommands: [Up.self, HubCommand.self, AgentCommand.self, EnrollCommand.self, DoctorCommand.self]),
            CommandGroup(
                name: "Look",
                subcommands: [
                    NodesCommand.self, TopCommand.self, EventsCommand.self, IncidentsCommand.self,
                ]),
            CommandGroup(
                name: "Sensors",
                subcommands: [
                    DetectCommand.self, TypesCommand.self, SensorsCommand.self, ReadingsCommand.self,
                    ControlCommand.self,
                    DeadLettersCommand.self,
                ]),
            CommandGroup(
                name: "Apps",
                subcommands: [
                    AppsCommand.self, DeployCommand.self, ProgramsCommand.self, StartCommand.self, StopCommand.self,
                    RestartCommand.self, RunCommand.self, EnableCommand.self, DisableCommand.self, SignalCommand.self,
                    SendCommand.self,
                    LogsCommand.self, NewCommand.self,
                ]),
        ])

    /// As ArgumentParser does it, but for the end: tasks and connections may be at work yet, and `exit` takes from under them
    /// what Swift's libraries have for the whole process, which then may abort.
    static func main() async {
        var code = ExitCode.success
        do {
            var command = try await asyncParseAsRoot()
            if var command = command as? any AsyncParsableCommand {
                try await command.run()
            } else {
                try command.run()
            }
        } catch {
            code = exitCode(for: error)
            let message = fullMessage(for: error)
            if !message.isEmpty { code == .success ? print(message) : note(message) }
        }
        flushOutput()
        _exit(code.rawValue)
    }
}
