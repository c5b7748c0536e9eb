/// What a driver is told about the sensor instance that it is for.
public struct DriverContext: Sendable {
    public let instance: Identifier
    public let type: SensorType
    /// The instance's attributes. Most are there for filters and mean nothing to the driver.
    public let attributes: DocumentReader
    /// The machine's buses and lines.
    public let hardware: any Hardware
    public let clock: WallClock
    public let log: Log
    /// What the driver must remember over its restarts.
    public let state: StateFile

    /// - Parameter stateDirectory: nil where nothing can be remembered.
    public init(
        instance: Identifier, type: SensorType, attributes: JSONObject, hardware: any Hardware = NoHardware(),
        clock: WallClock = .system, log: Log = .standard, stateDirectory: String? = nil
    ) {
        self.instance = instance
        self.type = type
        self.attributes = DocumentReader(.object(attributes))
        self.hardware = hardware
        self.clock = clock
        self.log = log
        state = StateFile(directory: stateDirectory, instance: instance, log: log)
    }

    /// Checks that the driver can deliver every field of the type. The type may leave fields out.
    ///
    /// - Parameter offered: what the driver can measure. An `int` may also stand in a `float` field.
    public func requireFields(_ offered: [Field]) throws(ValidationError) {
        for field in type.fields {
            guard let match = offered.first(where: { $0.name == field.name }) else {
                let names = offered.map(\.name)
                throw ValidationError(
                    path: "type.fields.\(field.name)",
                    "this driver has no such field, but \(names.joined(separator: ", "))"
                        + didYouMean(field.name, among: names))
            }
            guard field.type == match.type || (field.type, match.type) == (.float, .int) else {
                throw ValidationError(
                    path: "type.fields.\(field.name)",
                    "is \(match.type.rawValue) with this driver, not \(field.type.rawValue)")
            }
        }
    }

    /// Checks that the type has no control functions, for a driver that has none.
    public func requireNoFunctions() throws(ValidationError) {
        guard let function = type.functions.first else { return }
        throw ValidationError(
            path: "type.functions", "this driver has no control functions, but the type has '\(function.name)'")
    }

    /// Checks that the driver has every control function of the type. The type may leave functions out.
    public func requireFunctions(among offered: [ControlFunction]) throws(ValidationError) {
        for function in type.functions {
            guard let match = offered.first(where: { $0.name == function.name }) else {
                let names = offered.map(\.name)
                throw ValidationError(
                    path: "type.functions.\(function.name)",
                    "this driver has no such control function, but \(names.joined(separator: ", "))"
                        + didYouMean(function.name, among: names))
            }
            guard Set(function.parameters) == Set(match.parameters) else {
                let list = match.parameters.map { "\($0.name) (\($0.type.rawValue))" }.joined(separator: ", ")
                throw ValidationError(
                    path: "type.functions.\(function.name)",
                    "has \(list.isEmpty ? "no parameters" : "the parameters \(list)") with this driver")
            }
        }
    }

    /// Logs attributes that look like a slip of the pen for one that the driver reads. It cannot be an error: any
    /// attribute may be there for filters.
    public func warnOfSimilarAttributes(to known: [String]) {
        for key in attributes.value.object?.keys ?? []
        where !known.contains(where: { DocumentReader.matches(key, $0) }) {
            let hint = didYouMean(key, among: known)
            if !hint.isEmpty { log.error("attribute '\(key)' means nothing to this driver\(hint)") }
        }
    }
}
