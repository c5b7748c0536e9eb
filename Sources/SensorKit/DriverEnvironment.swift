import Glibc
public import MQTT

/// Where a driver's readings go, from its environment variables.
public struct DriverEnvironment: Sendable {
    public var hub: Identifier
    public var broker: BrokerAddress
    public var user: String
    public var password: String
    /// A folder in which the driver remembers what must outlive it; nil where there is none.
    public var stateDirectory: String?

    public init(
        hub: Identifier, broker: BrokerAddress, user: String, password: String, stateDirectory: String? = nil
    ) {
        self.hub = hub
        self.broker = broker
        self.user = user
        self.password = password
        self.stateDirectory = stateDirectory
    }

    /// Reads `SENSORHUB_HUB` (`main`), `SENSORHUB_BROKER` (`mqtt://localhost:1883`), `SENSORHUB_USER` (the instance's
    /// id), `SENSORHUB_PASSWORD` and `SENSORHUB_STATE`; in brackets what holds where one is missing or empty.
    ///
    /// - Throws: `ValidationError` whose path is the variable's name.
    public init(
        instance: Identifier, variable: (String) -> String? = Self.variable
    ) throws(ValidationError) {
        func value(_ name: String) -> String? { variable(name).flatMap { $0.isEmpty ? nil : $0 } }

        let hub = value("SENSORHUB_HUB") ?? "main"
        guard let id = Identifier(hub) else {
            throw ValidationError(path: "SENSORHUB_HUB", "'\(hub.prefix(80))' is no id: \(Identifier.rule)")
        }
        let address = value("SENSORHUB_BROKER") ?? "mqtt://localhost:1883"
        let broker: BrokerAddress
        do throws(InvalidAddress) {
            broker = try BrokerAddress(address)
        } catch {
            throw ValidationError(path: "SENSORHUB_BROKER", "'\(address.prefix(80))' \(error)")
        }
        self.init(
            hub: id, broker: broker, user: value("SENSORHUB_USER") ?? instance.text,
            password: value("SENSORHUB_PASSWORD") ?? "", stateDirectory: value("SENSORHUB_STATE"))
    }

    /// A variable of the process.
    public static func variable(_ name: String) -> String? {
        getenv(name).map { String(cString: $0) }
    }
}
