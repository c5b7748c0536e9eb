public import SimdJSON

/// A call of a sensor's control function.
public struct ControlCall: Sendable, Hashable {
    /// Names the call, so that the caller finds the reply.
    public let id: String
    public let function: String
    public let parameters: JSONObject

    public init(id: String, function: String, parameters: JSONObject) {
        self.id = id
        self.function = function
        self.parameters = parameters
    }

    public var json: JSON {
        ["id": .string(id), "function": .string(function), "params": .object(parameters)]
    }

    /// Reads a call as it came over the broker.
    public init(_ reader: DocumentReader) throws(ValidationError) {
        try reader.allowOnly(["id", "function", "params"])
        id = try reader.required("id").nonEmptyString()
        function = try reader.required("function").string()
        parameters = try reader.optional("params")?.object() ?? [:]
    }

    /// Checks function, parameter names and parameter types against what the sensor can do. All parameters are needed.
    public func check(against functions: [ControlFunction]) throws(ValidationError) {
        guard let known = functions.first(where: { $0.name == function }) else {
            let names = functions.map(\.name)
            let list = names.isEmpty ? "it has none" : "it has \(names.joined(separator: ", "))"
            throw ValidationError(
                path: "function",
                "'\(function.prefix(80))' is no function of this sensor: \(list)\(didYouMean(function, among: names))")
        }
        for member in parameters where !known.parameters.contains(where: { $0.name == member.key }) {
            let names = known.parameters.map(\.name)
            throw ValidationError(
                path: "params",
                "'\(member.key.prefix(80))' is no parameter of '\(function)'\(didYouMean(member.key, among: names))")
        }
        for parameter in known.parameters {
            guard let value = parameters[parameter.name] else {
                throw ValidationError(path: "params", "'\(parameter.name)' (\(parameter.type.rawValue)) is missing")
            }
            guard parameter.type.accepts(value) else {
                throw ValidationError(
                    path: "params.\(parameter.name)", "expected \(parameter.type.expectation), found \(value.kind)")
            }
        }
    }
}

/// What became of a call.
public struct ControlReply: Sendable, Hashable {
    public enum Status: String, Sendable, Hashable {
        case done
        /// The call does not fit the sensor.
        case refused
        /// The sensor could not do it.
        case failed
    }

    public let id: String
    public let status: Status
    /// Nil when done.
    public let error: String?
    /// Microseconds since 1970.
    public let time: Int64

    public init(id: String, status: Status, error: String? = nil, time: Int64) {
        self.id = id
        self.status = status
        self.error = error
        self.time = time
    }

    public var json: JSON {
        var object: JSONObject = ["id": .string(id), "status": .string(status.rawValue)]
        if let error { object["error"] = .string(error) }
        object["t"] = .int(time)
        return .object(object)
    }

    public init(_ reader: DocumentReader) throws(ValidationError) {
        id = try reader.required("id").string()
        let word = try reader.required("status")
        guard let status = Status(rawValue: try word.string()) else { throw word.error("is no status") }
        self.status = status
        error = try reader.optional("error")?.string()
        time = try reader.optional("t")?.int() ?? 0
    }
}
