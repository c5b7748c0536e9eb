public import HubModel
public import MQTT

/// What a hub needs to know to start.
public struct HubConfiguration: Sendable {
    public var hub: Identifier
    public var broker: BrokerAddress
    /// Of the broker's user `hub.{hub}`.
    public var brokerPassword: String
    /// The broker's user and rights files, where the hub is to keep them; nil leaves rights to somebody else.
    public var accessFiles: BrokerAccessFiles?
    /// Where devices find the broker, for people to read.
    public var advertised: [BrokerAddress]
    /// A connection string or URI as libpq has them.
    public var database: String
    /// The text of schema.sql, applied at the start.
    public var schema: String
    /// mosquitto's `max_queued_messages`: beyond it the broker throws messages away.
    public var brokerQueueLimit: Int64
    /// A folder on the database's disk, and how many bytes are to stay free there: with less, no readings are stored, so
    /// that the hub can still be controlled. Nil where the hub does not see that disk.
    public var reserve: (folder: String, bytes: UInt64)?
    /// How many days samples of programs and nodes are kept; with 0 only the latest, in memory.
    public var statisticsDays: Int64
    /// How many output lines of each program are kept.
    public var keptLines: Int64
    /// How many days events are kept, and incidents that are over.
    public var eventDays: Int64
    /// How the apps of devices are reached and what is told of them.
    public var devices: DeviceSettings
    /// How programs are run, by type.
    public var runtimes: [Identifier: Runtime]

    public init(
        hub: Identifier, broker: BrokerAddress, brokerPassword: String, accessFiles: BrokerAccessFiles?,
        advertised: [BrokerAddress], database: String, schema: String, brokerQueueLimit: Int64 = 500_000,
        reserve: (folder: String, bytes: UInt64)? = nil, statisticsDays: Int64 = 2,
        keptLines: Int64 = 10_000, eventDays: Int64 = 365, devices: DeviceSettings = .standard,
        runtimes: [Identifier: Runtime] = [:]
    ) {
        self.hub = hub
        self.broker = broker
        self.brokerPassword = brokerPassword
        self.accessFiles = accessFiles
        self.advertised = advertised
        self.database = database
        self.schema = schema
        self.brokerQueueLimit = brokerQueueLimit
        self.reserve = reserve
        self.statisticsDays = statisticsDays
        self.keptLines = keptLines
        self.eventDays = eventDays
        self.devices = devices
        self.runtimes = runtimes
    }
}

/// The version of hub, agent and command line.
public let sensorhubVersion = "0.1.0"
