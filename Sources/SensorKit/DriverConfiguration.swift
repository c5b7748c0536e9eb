/// Which driver is to run for which sensor instance: the file that `SENSORHUB_CONFIG` names.
public struct DriverConfiguration: Sendable {
    public let driver: String
    public let type: SensorType
    public let instance: SensorInstance
    /// The instance's id.
    public let name: Identifier
    let rules: ReadingRules

    private static let maximumBytes = 1 << 20
    /// Seconds.
    private static let intervals = 0.001...86_400

    /// - Throws: `FileError`, `JSONSyntaxError`, `ValidationError`.
    public init(file path: String) throws {
        try self.init(DocumentReader(try JSON(parsing: try File.bytes(of: path, limit: Self.maximumBytes))))
    }

    /// Reads `{"driver": name, "type": {…}, "instance": {…}}`, with type and instance as the agent's plans have them.
    public init(_ reader: DocumentReader) throws(ValidationError) {
        try reader.allowOnly(["driver", "type", "instance"])
        driver = try reader.required("driver").nonEmptyString()
        let type = try reader.required("type")
        let instance = try reader.required("instance")
        self.type = try Self.under(type) { (json) throws(ValidationError) in try SensorType(json: json) }
        self.instance = try Self.under(instance) { (json) throws(ValidationError) in
            try SensorInstance(json: json)
        }
        name = try instance.required("name").identifier()
        guard self.instance.type == self.type.name else {
            throw ValidationError(
                path: "instance.type", "is '\(self.instance.type)', but the type given is '\(self.type.name)'")
        }
        let attributes = DocumentReader(.object(self.instance.attributes), path: "instance.attributes")
        rules = try ReadingRules(attributes, type: self.type)
        if let interval = self.instance.interval, !Self.intervals.contains(interval) {
            throw ValidationError(path: "instance.interval", "must be from 0.001 to 86400 seconds, is \(interval)")
        }
    }

    /// The driver's type, from those that there are.
    public func driver(among drivers: [any Driver.Type]) throws(ValidationError) -> any Driver.Type {
        if let match = drivers.first(where: { $0.name == driver }) { return match }
        let names = drivers.map { $0.name }
        throw ValidationError(
            path: "driver",
            "there is no driver '\(driver.prefix(80))', but \(names.joined(separator: ", "))"
                + didYouMean(driver, among: names))
    }

    /// What the driver is told of its instance.
    ///
    /// - Parameter stateDirectory: where the driver may remember something; nil for nowhere.
    public func context(
        hardware: any Hardware, clock: WallClock = .system, log: Log = .standard, stateDirectory: String? = nil
    ) -> DriverContext {
        DriverContext(
            instance: name, type: type, attributes: instance.attributes, hardware: hardware, clock: clock, log: log,
            stateDirectory: stateDirectory)
    }

    /// How often to read.
    func interval(default fallback: Duration) -> Duration {
        instance.interval.map { .seconds($0) } ?? fallback
    }

    /// Reads a part of the document, with the part's place in the errors.
    private static func under<Value>(
        _ part: DocumentReader, _ read: (JSON) throws(ValidationError) -> Value
    ) throws(ValidationError) -> Value {
        do throws(ValidationError) {
            return try read(part.value)
        } catch {
            throw ValidationError(path: error.path.isEmpty ? part.path : "\(part.path).\(error.path)", error.reason)
        }
    }
}
