public import SimdJSON

/// What an algorithm instance is told of its sensors; see docs/topics.md.
public struct BindingDocument: Sendable, Hashable {
    public struct Sensor: Sendable, Hashable {
        public let id: Identifier
        public let dataTopic: String
        /// Nil for a sensor without control functions.
        public let controlTopic: String?
        public let replyTopic: String?
        public let fields: [Field]
        public let functions: [ControlFunction]
        public let attributes: JSONObject

        /// A sensor of `type` as it is bound.
        public init(id: Identifier, type: SensorType, attributes: JSONObject, topics: Topics) {
            self.id = id
            self.attributes = attributes
            fields = type.fields
            functions = type.functions
            dataTopic = topics.sensor(id.text, .data)
            controlTopic = type.functions.isEmpty ? nil : topics.sensor(id.text, .control)
            replyTopic = type.functions.isEmpty ? nil : topics.sensor(id.text, .reply)
        }
    }

    public struct Position: Sendable, Hashable {
        public let sensorType: Identifier
        public let sensors: [Sensor]

        public init(sensorType: Identifier, sensors: [Sensor]) {
            self.sensorType = sensorType
            self.sensors = sensors
        }
    }

    /// A position at which the algorithm publishes readings of its own.
    public struct Output: Sendable, Hashable {
        public let sensorType: Identifier
        /// Nil while it is not registered.
        public let sensor: OutputSensor?

        public init(sensorType: Identifier, sensor: OutputSensor?) {
            self.sensorType = sensorType
            self.sensor = sensor
        }
    }

    /// The sensor that is published, and where the hub says how far its readings have come.
    public struct OutputSensor: Sendable, Hashable {
        public let sensor: Sensor
        public let committedTopic: String

        public init(id: Identifier, type: SensorType, attributes: JSONObject, topics: Topics) {
            sensor = Sensor(id: id, type: type, attributes: attributes, topics: topics)
            committedTopic = topics.sensor(id.text, .committed)
        }
    }

    public let instance: Identifier
    public let app: Identifier
    public let algorithm: Identifier
    /// Grows with each change.
    public let version: Int64
    public let reason: String
    public let positions: [Position]
    public let outputs: [Output]

    public init(
        instance: Identifier, app: Identifier, algorithm: Identifier, version: Int64, reason: String,
        positions: [Position], outputs: [Output] = []
    ) {
        self.instance = instance
        self.app = app
        self.algorithm = algorithm
        self.version = version
        self.reason = reason
        self.positions = positions
        self.outputs = outputs
    }
}

extension BindingDocument {
    public var json: JSON {
        let positions = positions.enumerated().map { index, position -> JSON in
            [
                "index": .int(Int64(index)), "sensor_type": .string(position.sensorType.text),
                "sensors": .array(position.sensors.map(\.json)),
            ]
        }
        var object: JSONObject = [
            "instance": .string(instance.text), "app": .string(app.text), "algorithm": .string(algorithm.text),
            "version": .int(version), "reason": .string(reason), "positions": .array(positions),
        ]
        guard !outputs.isEmpty else { return .object(object) }
        object["outputs"] = .array(
            outputs.enumerated().map { index, output in
                var item: JSONObject = ["index": .int(Int64(index)), "sensor_type": .string(output.sensorType.text)]
                if let sensor = output.sensor { item["sensor"] = sensor.json }
                return .object(item)
            })
        return .object(object)
    }

    public init(json: JSON) throws(ValidationError) {
        let reader = DocumentReader(json)
        instance = try reader.required("instance").identifier()
        app = try reader.required("app").identifier()
        algorithm = try reader.required("algorithm").identifier()
        version = try reader.required("version").int()
        reason = try reader.required("reason").string()
        var positions: [Position] = []
        for item in try reader.required("positions").items() {
            var sensors: [Sensor] = []
            for sensor in try item.required("sensors").items() { sensors.append(try Sensor(sensor)) }
            positions.append(Position(sensorType: try item.required("sensor_type").identifier(), sensors: sensors))
        }
        self.positions = positions
        var outputs: [Output] = []
        for item in try reader.optional("outputs")?.items() ?? [] {
            let sensor = try item.optional("sensor")
            outputs.append(
                Output(
                    sensorType: try item.required("sensor_type").identifier(),
                    sensor: try sensor.map { (sensor) throws(ValidationError) in try OutputSensor(sensor) }))
        }
        self.outputs = outputs
    }
}

extension BindingDocument.OutputSensor {
    var json: JSON {
        guard var object = sensor.json.object else { return sensor.json }
        object["committed"] = .string(committedTopic)
        return .object(object)
    }

    init(_ reader: DocumentReader) throws(ValidationError) {
        sensor = try BindingDocument.Sensor(reader)
        committedTopic = try reader.required("committed").string()
    }
}

extension BindingDocument.Sensor {
    var json: JSON {
        var object: JSONObject = ["id": .string(id.text), "data": .string(dataTopic)]
        if let controlTopic { object["control"] = .string(controlTopic) }
        if let replyTopic { object["reply"] = .string(replyTopic) }
        object["fields"] = fields.json
        object["functions"] = functions.json
        object["attributes"] = .object(attributes)
        return .object(object)
    }

    init(_ reader: DocumentReader) throws(ValidationError) {
        id = try reader.required("id").identifier()
        dataTopic = try reader.required("data").string()
        controlTopic = try reader.optional("control")?.string()
        replyTopic = try reader.optional("reply")?.string()
        fields = try SensorType.fields(try reader.required("fields"))
        functions = try SensorType.functions(try reader.required("functions"))
        attributes = try reader.required("attributes").object()
    }
}
