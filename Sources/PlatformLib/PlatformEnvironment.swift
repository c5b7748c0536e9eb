import Glibc
public import HubModel
public import MQTT

/// Who an algorithm is and how it reaches its hub, as the hub puts it into the environment; see docs/topics.md.
public struct PlatformEnvironment: Sendable {
    public var hub: Identifier
    public var broker: BrokerAddress
    public var user: String
    public var password: String
    public var instance: Identifier
    public var app: Identifier

    public init(
        hub: Identifier, broker: BrokerAddress, user: String, password: String, instance: Identifier, app: Identifier
    ) {
        self.hub = hub
        self.broker = broker
        self.user = user
        self.password = password
        self.instance = instance
        self.app = app
    }

    /// Reads the process's environment.
    ///
    /// - Throws: `PlatformError` that names the variable that is missing or wrong.
    public init() throws(PlatformError) {
        func variable(_ name: String) throws(PlatformError) -> String {
            guard let value = getenv(name) else {
                throw PlatformError(
                    .environment,
                    """
                    \(name) is not set: this program is meant to be started by a hub ('sensorhub deploy'); to try it by \
                    hand, set the variables that docs/topics.md lists
                    """)
            }
            return String(cString: value)
        }
        func identifier(_ name: String) throws(PlatformError) -> Identifier {
            let text = try variable(name)
            guard let id = Identifier(text) else {
                throw PlatformError(.environment, "\(name) is '\(text)', which is no id")
            }
            return id
        }
        let address = try variable("SENSORHUB_BROKER")
        let broker: BrokerAddress
        do throws(InvalidAddress) {
            broker = try BrokerAddress(address)
        } catch {
            throw PlatformError(.environment, "SENSORHUB_BROKER is '\(address)', which \(error)")
        }
        self.init(
            hub: try identifier("SENSORHUB_HUB"), broker: broker, user: try variable("SENSORHUB_USER"),
            password: try variable("SENSORHUB_PASSWORD"), instance: try identifier("SENSORHUB_INSTANCE"),
            app: try identifier("SENSORHUB_APP"))
    }
}

/// Why something could not be done for an algorithm.
public struct PlatformError: Error, Hashable, CustomStringConvertible {
    public enum Code: Sendable, Hashable {
        /// The environment is not as the hub makes it.
        case environment
        /// No binding came in time.
        case noBinding
        /// The binding has no such position or sensor, or the value does not fit the sensor's functions.
        case invalid
        /// There is no connection to the broker, or it did not take the message.
        case undelivered
        /// The driver refused the call, as it does not fit the sensor; or the hub refused the request.
        case refused
        /// The driver, or the node that was to run a command, tried and could not do it.
        case failed
        /// No reply in time: whether it was done is unknown.
        case timeout
        /// The platform has been closed.
        case closed
    }

    public let code: Code
    public let reason: String

    init(_ code: Code, _ reason: String) {
        self.code = code
        self.reason = reason
    }

    public var description: String { reason }
}
