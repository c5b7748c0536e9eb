import Agent
import ArgumentParser
import Embedded
import Hub
import HubModel
import Logging
import ServiceLifecycle

struct AgentCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "agent", abstract: "Run the agent: it runs drivers and algorithms on this machine for a hub.",
        discussion: """
            Options, variables and file are as for 'sensorhub hub'. The password of the broker's user node.{id} comes by \
            SENSORHUB_BROKER_PASSWORD or the file; 'sensorhub enroll node ID' makes it.
            """)

    @Option(help: ArgumentHelp("A JSON file.", valueName: "file")) var config: String?
    @Option(help: "The hub's id (hub.id, default main).") var hub: String?
    @Option(help: "This machine's id (node.id).") var node: String?
    @Option(
        help: ArgumentHelp("The broker (broker.address): mqtt://host:port or unix:///path.", valueName: "address"))
    var broker: String?
    @Option(help: ArgumentHelp("Where the agent keeps its things (agent.data).", valueName: "dir")) var data: String?
    @OptionGroup var logging: LoggingOptions

    func run() async throws {
        let settings = try await ServiceConfiguration(
            file: config,
            options: [("hub.id", hub), ("node.id", node), ("broker.address", broker), ("agent.data", data)])
        let installation = try Installation.find()
        let logger = logging.logger("agent")
        let service = AgentService(
            AgentConfiguration(
                node: try settings.identifier("node.id"), hub: try settings.identifier("hub.id", default: "main"),
                broker: try settings.address("broker.address"), password: try settings.required("broker.password"),
                dataDirectory: settings.optional("agent.data") ?? "\(DataDirectory.standard().path)/agent",
                driverExecutable: settings.optional("agent.driver") ?? installation.driver,
                watchExecutable: installation.watch,
                pythonLibrary: settings.optional("agent.python") ?? installation.python,
                version: sensorhubVersion,
                statisticsInterval: .seconds(min(try settings.number("agent.statisticsSeconds", default: 5), 86_400)),
                takesCommands: try settings.bool("agent.commands", default: false),
                limits: try settings.limits("agent.limits"),
                isolatesAlgorithms: try settings.bool("agent.isolation", default: true),
                account: settings.optional("agent.user")),
            logger: logger)
        try await runService(TaskService(body: service.run), logger: logger)
    }
}

/// A service that runs until its task is cancelled.
struct TaskService: Service {
    let body: @Sendable () async throws -> Void

    func run() async throws {
        try await cancelWhenGracefulShutdown { try await body() }
    }
}
