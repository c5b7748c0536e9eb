import ArgumentParser
import CShims
import Embedded
import Files
import Hub
import HubModel
import Logging
import MQTT
import ServiceLifecycle

struct HubCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "hub", abstract: "Run the hub service against an existing broker and database.",
        discussion: """
            Every option is also a key of the configuration file and a variable of the environment, such as broker.address \
            and SENSORHUB_BROKER_ADDRESS; options are stronger than variables, variables than the file. The password of the \
            broker's user hub.{id} comes by SENSORHUB_BROKER_PASSWORD or the file, never by an option.
            """)

    @Option(help: ArgumentHelp("A JSON file.", valueName: "file")) var config: String?
    @Option(help: "The hub's id (hub.id, default main).") var id: String?
    @Option(
        help: ArgumentHelp("The broker (broker.address): mqtt://host:port or unix:///path.", valueName: "address"))
    var broker: String?
    @Option(help: ArgumentHelp("The database (database): a connection string as psql takes it.", valueName: "string"))
    var database: String?
    @OptionGroup var logging: LoggingOptions

    func run() async throws {
        sh_use_one_heap()
        let configuration = try await Self.configuration(
            file: config, options: [("hub.id", id), ("broker.address", broker), ("database", database)])
        let service = HubService(configuration, logger: logging.logger("hub"))
        try await runService(ThreadService(body: service.run, stop: service.stop), logger: logging.logger("hub"))
    }

    /// What the hub is told, with everything that it needs from the installation.
    static func configuration(file: String?, options: [(key: String, value: String?)]) async throws -> HubConfiguration
    {
        let settings = try await ServiceConfiguration(file: file, options: options)
        let broker = try settings.address("broker.address")
        let advertised = try settings.addresses("broker.advertised")
        let installation = try Installation.find()
        return HubConfiguration(
            hub: try settings.identifier("hub.id", default: "main"), broker: broker,
            brokerPassword: try settings.required("broker.password"), accessFiles: try settings.accessFiles(),
            advertised: advertised.isEmpty ? [broker] : advertised, database: try settings.required("database"),
            schema: String(decoding: try File.bytes(of: installation.schema), as: UTF8.self),
            brokerQueueLimit: try settings.number("broker.queueLimit", default: 500_000),
            reserve: try settings.optional("storage.folder").map { folder in
                (folder, UInt64(try settings.number("storage.reserveMiB", default: 128)) << 20)
            },
            statisticsDays: min(try settings.number("statistics.days", default: 2), 3_650),
            keptLines: min(try settings.number("logs.lines", default: 10_000), 10_000_000),
            eventDays: min(try settings.number("events.days", default: 365), 36_500),
            devices: try DeviceFiles.settings(settings.optional("devices.file")),
            runtimes: try DeviceFiles.runtimes(installation, folder: settings.optional("devices.runtimes")))
    }
}

struct LoggingOptions: ParsableArguments {
    @Option(help: "How much to log: debug, info, notice, warning or error.")
    var logLevel: Logger.Level = .info

    func logger(_ label: String) -> Logger {
        var logger = Logger(label: label) { StreamLogHandler.standardError(label: $0) }
        logger.logLevel = logLevel
        return logger
    }
}

extension Logger.Level: @retroactive ExpressibleByArgument {}

/// A service that blocks a thread of its own until it is told to stop.
struct ThreadService: Service {
    let body: @Sendable () throws -> Void
    let stop: @Sendable () -> Void

    func run() async throws {
        try await withGracefulShutdownHandler {
            try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
                _ = startThread { continuation.resume(with: Result { try body() }) }
            }
        } onGracefulShutdown: {
            stop()
        }
    }
}

/// Runs a service until it ends, or until SIGINT or SIGTERM has it end.
func runService(_ service: some Service, logger: Logger) async throws {
    // The group's own lines would tell a person nothing that the service does not.
    var quiet = logger
    quiet.logLevel = .error
    let group = ServiceGroup(
        configuration: .init(
            services: [.init(service: service, successTerminationBehavior: .gracefullyShutdownGroup)],
            gracefulShutdownSignals: [.sigint, .sigterm], logger: quiet))
    do {
        try await group.run()
    } catch {
        throw CommandError("\(error)")
    }
}
