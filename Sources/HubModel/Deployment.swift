public import SimdJSON

/// How many sensors a position takes.
public struct SensorCount: Sendable, Hashable {
    public let minimum: Int
    /// Nil for no upper limit.
    public let maximum: Int?

    public static let one = SensorCount(minimum: 1, maximum: 1)

    public init(minimum: Int, maximum: Int?) {
        self.minimum = minimum
        self.maximum = maximum
    }

    /// Reads a number, a range as `"2-5"` or `{"min", "max"}`, or `"all"` (one or more, and all that there are).
    init(_ reader: DocumentReader) throws(ValidationError) {
        let limit: Int64 = 10_000
        if reader.value.object != nil {
            try reader.allowOnly(["min", "max"])
            minimum = Int(try reader.required("min").int(0...limit))
            maximum = try reader.optional("max").map { (max) throws(ValidationError) in
                Int(try max.int(Int64(max.path.isEmpty ? 0 : 1)...limit))
            }
        } else if let text = reader.value.string {
            let bounds = text.split(separator: "-").map { Int($0) }
            if text == "all" {
                self = SensorCount(minimum: 1, maximum: nil)
            } else if bounds.count == 2, let low = bounds[0], let high = bounds[1], high <= limit {
                self = SensorCount(minimum: low, maximum: high)
            } else {
                throw reader.error("expected a number, a range as \"2-5\", or \"all\", found '\(text.prefix(80))'")
            }
        } else {
            let number = Int(try reader.int(1...limit))
            self = SensorCount(minimum: number, maximum: number)
        }
        if let maximum, maximum < max(minimum, 1) { throw reader.error("the range is empty") }
    }

    public var json: JSON {
        ["min": .int(Int64(minimum)), "max": maximum.map { .int(Int64($0)) } ?? .null]
    }

    /// As a person would write it.
    public var text: String {
        switch maximum {
        case nil: minimum == 1 ? "all" : "\(minimum) or more"
        case minimum: String(minimum)
        case let maximum?: "\(minimum)-\(maximum)"
        }
    }
}

/// What a deployment asks for at one position of an algorithm: a standing query for sensors.
public struct PositionQuery: Sendable, Hashable {
    public let sensorType: Identifier
    /// All must be among the instance's attributes.
    public let filter: JSONObject
    public let count: SensorCount

    public init(sensorType: Identifier, filter: JSONObject = [:], count: SensorCount = .one) {
        self.sensorType = sensorType
        self.filter = filter
        self.count = count
    }

    /// Reads one entry of `sensor_info`.
    init(_ reader: DocumentReader) throws(ValidationError) {
        try reader.allowOnly(["sensor_type", "filter_sensors", "count"])
        sensorType = try reader.required("sensor_type").identifier()
        filter = try reader.optional("filter_sensors").map(Self.filter) ?? [:]
        count = try reader.optional("count").map { (count) throws(ValidationError) in try SensorCount(count) } ?? .one
    }

    /// An object, or a list of objects that are merged.
    private static func filter(_ reader: DocumentReader) throws(ValidationError) -> JSONObject {
        guard reader.value.array != nil else { return try reader.object() }
        var merged = JSONObject()
        for item in try reader.items() {
            for (key, value) in try item.members() {
                if let other = merged[key], other != value.value {
                    throw value.error("asks for \(value.value), but an earlier filter for \(other): no sensor has both")
                }
                merged[key] = value.value
            }
        }
        return merged
    }

    public var json: JSON {
        ["sensor_type": .string(sensorType.text), "filter": .object(filter), "count": count.json]
    }

    /// Reads `json` back, as the database has it.
    public init(json: JSON) throws(ValidationError) {
        let reader = DocumentReader(json)
        sensorType = try reader.required("sensor_type").identifier()
        filter = try reader.required("filter").object()
        count = try SensorCount(try reader.required("count"))
    }
}

/// A sensor that an algorithm publishes the readings of, at one position of its outputs.
public struct OutputPosition: Sendable, Hashable {
    public let sensorType: Identifier
    public let sensor: Identifier

    public init(sensorType: Identifier, sensor: Identifier) {
        self.sensorType = sensorType
        self.sensor = sensor
    }

    public var json: JSON {
        ["sensor_type": .string(sensorType.text), "sensor": .string(sensor.text)]
    }

    /// Reads `json` back, as the database has it.
    public init(json: JSON) throws(ValidationError) {
        let reader = DocumentReader(json)
        sensorType = try reader.required("sensor_type").identifier()
        sensor = try reader.required("sensor").identifier()
    }
}

/// One entry of `deployConfig.json`: an algorithm of an app, the sensors it is to have, and how it runs.
public struct DeploymentEntry: Sendable, Hashable {
    public let application: Identifier
    public let algorithm: Identifier
    /// Nil where the app's own `input_sensors` are to be used, without filters.
    public let positions: [PositionQuery]?
    /// The sensors that it publishes readings of, one for each of the app's `output_sensors`.
    public let outputs: [Identifier]
    /// The name of its runtime: how the script is run.
    public let runtime: Identifier
    public let requirements: [String]
    /// True where it may have nodes run commands.
    public let mayRunCommands: Bool
    public let conditions: RunConditions

    /// Splits `deployConfig.json` into its entries, in order.
    ///
    /// - Throws: `ValidationError` where `noOfAlgo` and the numbered entries disagree.
    public static func documents(in reader: DocumentReader) throws(ValidationError) -> [(
        key: String, entry: DocumentReader
    )] {
        let countReader = try reader.required("noOfAlgo")
        let count = Int(try countReader.int(1...1_000))
        try reader.allowOnly(["noOfAlgo"] + (1...count).map(String.init))
        var entries: [(key: String, entry: DocumentReader)] = []
        for number in 1...count {
            guard let entry = try reader.optional(String(number)) else {
                throw countReader.error("says \(count), but there is no entry \"\(number)\"")
            }
            entries.append((String(number), entry))
        }
        return entries
    }

    /// Reads one entry.
    public init(_ reader: DocumentReader) throws(ValidationError) {
        try reader.allowOnly(
            [
                "application_id", "algorithm_name", "sensor_info", "output_info", "scheduling_info", "environment",
                "commands",
            ] + RunConditions.keys)
        application = try reader.required("application_id").identifier()
        algorithm = try reader.required("algorithm_name").identifier()
        if let info = try reader.optional("sensor_info") {
            var positions: [PositionQuery] = []
            for item in try info.items() { positions.append(try PositionQuery(item)) }
            self.positions = positions
        } else {
            positions = nil
        }
        outputs = try Self.outputs(try reader.optional("output_info"))
        mayRunCommands = try reader.optional("commands")?.bool() ?? false
        if let scheduling = try reader.optional("scheduling_info") { try Self.checkScheduling(scheduling) }
        if let environment = try reader.optional("environment") {
            try environment.allowOnly(["lang", "dependencies"])
            runtime = try environment.optional("lang").map(Self.runtime) ?? Self.python
            requirements = try environment.optional("dependencies").map(Requirement.list) ?? []
        } else {
            runtime = Self.python
            requirements = []
        }
        conditions = try RunConditions(reader)
    }

    private static let python = Identifier("py3")!
    private static let executable = Identifier("executable")!

    /// `lang`: a runtime, also by the names that languages have.
    private static func runtime(_ reader: DocumentReader) throws(ValidationError) -> Identifier {
        switch try reader.string().lowercased() {
        case "python", "python3", "py": return python
        case "executable", "exec", "binary": return executable
        default: return try reader.identifier()
        }
    }

    /// The ids of `output_info`. No sensor has two positions: an algorithm could not tell them apart.
    private static func outputs(_ reader: DocumentReader?) throws(ValidationError) -> [Identifier] {
        var outputs: [Identifier] = []
        for item in try reader?.items() ?? [] {
            let sensor = try item.identifier()
            guard !outputs.contains(sensor) else { throw item.error("'\(sensor)' stands here twice") }
            outputs.append(sensor)
        }
        return outputs
    }

    private static func checkScheduling(_ reader: DocumentReader) throws(ValidationError) {
        let later = ["start_time", "end_time", "days", "interval", "repeat", "job_id"]
        try reader.allowOnly(["request_type"] + later)
        if let type = try reader.optional("request_type"), try type.string().lowercased() != "start" {
            throw type.error("only 'start' is possible here; to stop an instance: sensorhub stop ID")
        }
        for key in later {
            guard let value = try reader.optional(key), value.value.string != "", value.value != .array([]) else {
                continue
            }
            throw value.error("schedules are not possible yet: leave '\(key)' out, and the algorithm starts at once")
        }
    }
}
