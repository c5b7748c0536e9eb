public import HubModel
public import MQTT

/// What an agent needs to know to start.
public struct AgentConfiguration: Sendable {
    /// The id of this machine.
    public var node: Identifier
    public var hub: Identifier
    public var broker: BrokerAddress
    /// Of the broker's user `node.{node}`.
    public var password: String
    /// The folder that the agent keeps everything in. Nobody else may use it.
    public var dataDirectory: String
    /// The path of `sensor-driver`.
    public var driverExecutable: String
    /// The path of `sensorhub-watch`.
    public var watchExecutable: String
    /// The folder of the platform library for Python, the one with its `pyproject.toml`.
    public var pythonLibrary: String
    /// The interpreter that the algorithms' environments are made with: a path, or a name that is looked up in `PATH`.
    public var python: String
    /// Told to the hub.
    public var version: String
    /// How often it is told what the machine and its programs take; zero for never.
    public var statisticsInterval: Duration
    /// Whether it runs commands that somebody else asks for: any program, as the agent's own user.
    public var takesCommands: Bool
    /// Of every program whose deployment does not say its own.
    public var limits: Limits
    /// Whether algorithms are isolated, where the machine can do it and their deployment does not say.
    public var isolatesAlgorithms: Bool
    /// The user that a root's agent runs algorithms as; nil for the first of the usual ones.
    public var account: String?

    public init(
        node: Identifier, hub: Identifier, broker: BrokerAddress, password: String, dataDirectory: String,
        driverExecutable: String, watchExecutable: String, pythonLibrary: String, python: String = "python3",
        version: String = "",
        statisticsInterval: Duration = .seconds(5), takesCommands: Bool = false,
        limits: Limits = .none, isolatesAlgorithms: Bool = true,
        account: String? = nil
    ) {
        self.node = node
        self.hub = hub
        self.broker = broker
        self.password = password
        self.dataDirectory = dataDirectory
        self.driverExecutable = driverExecutable
        self.watchExecutable = watchExecutable
        self.pythonLibrary = pythonLibrary
        self.python = python
        self.version = version
        self.statisticsInterval = statisticsInterval
        self.takesCommands = takesCommands
        self.limits = limits
        self.isolatesAlgorithms = isolatesAlgorithms
        self.account = account
    }
}

/// An agent that cannot start, with the reason.
public struct AgentError: Error, CustomStringConvertible {
    public let reason: String
    public var description: String { reason }

    init(_ reason: String) {
        self.reason = reason
    }
}
