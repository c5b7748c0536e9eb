import ArgumentParser
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
}
