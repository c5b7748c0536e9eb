import Glibc
public import Logging
import HubModel
import Watch
import WatchInProcess

/// The agent of a machine: runs the drivers and algorithms that the hub's plan names, and goes on with them while the
/// hub or the broker is away.
public final class AgentService: Sendable {
    private let configuration: AgentConfiguration
    private let logger: Logger
    /// How long the hub has to send its plan at the start before the last one is taken up again.
    let planWait: Duration

    public convenience init(_ configuration: AgentConfiguration, logger: Logger) {
        self.init(configuration, logger: logger, planWait: .seconds(5))
    }

    init(_ configuration: AgentConfiguration, logger: Logger, planWait: Duration) {
        var configuration = configuration
        // The programs run in folders of their own.
        configuration.dataDirectory = Self.absolute(configuration.dataDirectory)
        configuration.driverExecutable = Self.absolute(configuration.driverExecutable)
        configuration.watchExecutable = Self.absolute(configuration.watchExecutable)
        configuration.pythonLibrary = Self.absolute(configuration.pythonLibrary)
        if configuration.python.contains("/") { configuration.python = Self.absolute(configuration.python) }
        self.configuration = configuration
        self.logger = logger
        self.planWait = planWait
    }

    /// Runs until the task is cancelled; all programs are stopped then.
    ///
    /// - Throws: `AgentError` where the data folder cannot be used.
    public func run() async throws {
        let folders = AgentFolders(root: configuration.dataDirectory)
        let lock = try folders.prepare()
        defer { folders.release(lock) }
        let leftovers = await endLeftovers(in: folders.records)
        if !leftovers.isEmpty {
            logger.warning("ended what an earlier agent was preparing: \(leftovers.joined(separator: ", "))")
        }
        let confinement = try await onThread { [configuration] () throws(AgentError) in
            try MachineConfinement.find(configuration)
        }
        do { try ConfinementReport.write(confinement.capabilities, folder: folders.root) } catch {
            logger.warning("what can be held to limits here cannot be written down: \(error)")
        }
        for report in ConfinementReport.reports(of: confinement.capabilities) {
            logger.info("\(report.subject): \(report.detail)\(report.advice.isEmpty ? "" : " (\(report.advice))")")
        }
        await onThread {
            AppStore.removeIncomplete(in: folders)
            PythonEnvironments.removeIncomplete(in: folders)
        }

        let messages = AgentMessages(
            topics: Topics(hub: configuration.hub), node: configuration.node, version: configuration.version,
            takesCommands: configuration.takesCommands)
        let link = Link(configuration, messages: messages)
        let journals = try Journals(folders) { link.wake() }
        defer { journals.stop() }
        let site = ProgramSite(
            configuration: configuration, folders: folders, secrets: Secrets(folder: folders.secrets),
            journals: journals, watches: Watches(configuration, folders), link: link, messages: messages,
            apps: AppStore(folders: folders, link: link, messages: messages),
            environments: PythonEnvironments(configuration, folders: folders),
            device: DevicePublisher(node: configuration.node, folders: folders), confinement: confinement,
            logger: logger)
        await AgentCore(site, planWait: planWait).serve()
    }

    private static func absolute(_ path: String) -> String {
        guard !path.hasPrefix("/"), let folder = getcwd(nil, 0) else { return path }
        defer { free(folder) }
        return "\(String(cString: folder))/\(path)"
    }
}
