public import SimdJSON

/// A sensor as it is registered: one thing at one place, of a type.
public struct SensorInstance: Sendable, Hashable {
    /// Nil where the hub is to make one.
    public var name: Identifier?
    public let type: Identifier
    /// The driver that the hub starts for it; nil for a device that publishes by itself.
    public let driver: String?
    /// The node that runs the driver; nil leaves the choice to the hub.
    public var node: Identifier?
    /// How often the driver is to read, in seconds; nil for the driver's own default.
    public let interval: Double?
    /// What filters can ask for: `ip`, `port` and every key that the hub does not know.
    public let attributes: JSONObject

    public init(
        name: Identifier?, type: Identifier, driver: String? = nil, node: Identifier? = nil, interval: Double? = nil,
        attributes: JSONObject = [:]
    ) {
        self.name = name
        self.type = type
        self.driver = driver
        self.node = node
        self.interval = interval
        self.attributes = attributes
    }

    private static let knownKeys = ["name", "sensor_type", "no_of_fields", "driver", "node", "interval"]

    /// Splits `sensorInstance.json` into its instances: an array or a single one.
    public static func documents(in reader: DocumentReader) throws(ValidationError) -> [DocumentReader] {
        reader.value.array == nil ? [reader] : try reader.items()
    }

    /// Reads one instance of `sensorInstance.json`.
    ///
    /// - Parameter types: finds a registered type; nil refuses the instance, with a suggestion from `typeNames`.
    public init(
        _ reader: DocumentReader, types: (String) -> SensorType?, typeNames: @autoclosure () -> [String]
    ) throws(ValidationError) {
        for key in try reader.object().keys {
            // An attribute can have any name, so only what is nearly a known key can be told from one.
            if !Self.knownKeys.contains(where: { DocumentReader.matches(key, $0) }),
                let near = Self.knownKeys.first(where: { editDistance(key.lowercased(), $0) == 1 && $0.count > 4 })
            {
                throw reader.error("unknown key '\(key)' (did you mean '\(near)'?)")
            }
        }
        let typeReader = try reader.required("sensor_type")
        let typeName = try typeReader.string()
        guard let type = types(typeName) else {
            throw typeReader.error(
                "'\(typeName.prefix(80))' is not registered\(didYouMean(typeName, among: typeNames()))")
        }
        self.type = type.name
        name = try reader.optional("name")?.identifier()
        driver = try reader.optional("driver")?.identifier().text
        node = try reader.optional("node")?.identifier()
        if let count = try reader.optional("no_of_fields"), try count.int() != Int64(type.fields.count) {
            throw count.error("says \(try count.int()), but type '\(type.name)' has \(type.fields.count)")
        }
        if let seconds = try reader.optional("interval") {
            interval = try seconds.double()
            guard (0.001...86_400).contains(interval!) else {
                throw seconds.error("must be from 0.001 to 86400 seconds")
            }
        } else {
            interval = nil
        }
        if driver == nil, let placed = try reader.optional("node") {
            throw placed.error("a node is given, but no 'driver' that it could run")
        }
        var attributes = JSONObject()
        for member in try reader.object()
        where !Self.knownKeys.contains(where: { DocumentReader.matches(member.key, $0) }) {
            attributes[member.key] = member.value
        }
        self.attributes = attributes
    }

    /// The instance as the agent's plans have it.
    public var json: JSON {
        [
            "name": name.map { .string($0.text) } ?? .null, "type": .string(type.text),
            "driver": driver.map { .string($0) } ?? .null, "node": node.map { .string($0.text) } ?? .null,
            "interval": interval.map { .double($0) } ?? .null, "attributes": .object(attributes),
        ]
    }

    /// Reads `json` back; for peers that got it from the hub.
    public init(json: JSON) throws(ValidationError) {
        let reader = DocumentReader(json)
        name = try reader.optional("name")?.identifier()
        type = try reader.required("type").identifier()
        driver = try reader.optional("driver")?.string()
        node = try reader.optional("node")?.identifier()
        interval = try reader.optional("interval")?.double()
        attributes = try reader.required("attributes").object()
    }
}
