import Credentials
import HubModel
import MQTT
import Postgres
import SimdJSON

extension HubCore {
    /// `sensors/register`: each instance of the document by itself.
    func registerSensors(_ parameters: DocumentReader) throws -> Reply {
        try parameters.allowOnly(["document"])
        let document = DocumentReader(try parameters.required("document").value)
        let items = try SensorInstance.documents(in: document)
        guard !items.isEmpty else { throw document.error("there is no sensor in it") }
        let before = registry.sensors
        let reply = Reply(results: try items.map(registerSensor))
        let added = registry.sensors.values.filter { before[$0.name] == nil }
        if !added.isEmpty {
            changeCatalog()
            try placeWaiting()
            let names = added.map(\.name.text).sorted().joined(separator: ", ")
            try rebind(Set(added.map(\.type)), because: "registered: \(names.prefix(200))")
        }
        return reply
    }

    private func registerSensor(_ item: DocumentReader) throws -> JSONObject {
        var result: JSONObject = ["name": .text(item.value["name"]?.string ?? item.value["Name"]?.string)]
        do {
            let instance = try SensorInstance(
                item, types: { registry.type(named: $0)?.type }, typeNames: registry.typeNames)
            if let name = instance.name, let known = registry.sensors[name] {
                guard known.instance == instance else {
                    throw Refusal(
                        .conflict,
                        "\(prefix(item))sensor '\(name)' is already registered, and not the same; "
                            + "remove it first: sensorhub sensors remove \(name)")
                }
                result["status"] = 200
            } else {
                let name = instance.name ?? freeName(for: instance.type)
                result["name"] = .string(name.text)
                try register(instance, named: name)
                result["status"] = 201
            }
            let name = result["name"]?.string ?? ""
            result["data_topic"] = .string(topics.sensor(name, .data))
            if let type = registry.types[instance.type], !type.type.functions.isEmpty {
                result["control_topic"] = .string(topics.sensor(name, .control))
            }
        } catch {
            try add(error, to: &result)
        }
        return result
    }

    private func register(_ instance: SensorInstance, named name: Identifier) throws {
        guard let type = registry.types[instance.type] else { throw unknownType(instance.type.text) }
        let sensor = try database.transaction {
            // The driver that ran under this name before is another one's.
            try database.query("DELETE FROM hub.program WHERE kind = 'driver' AND id = $1", .text(name.text))
            let sensor = try Registry.store(instance, named: name, of: type, in: database)
            try record("sensor.registered", name.text, ["type": .string(instance.type.text)])
            return sensor
        }
        registry.add(sensor)
    }

    private func freeName(for type: Identifier) -> Identifier {
        let base = type.text.prefix(56)
        return (1...).lazy.compactMap { Identifier("\(base)-\($0)") }.first { registry.sensors[$0] == nil }!
    }

    /// `sensors/list`
    func listSensors(_ parameters: DocumentReader) throws -> Reply {
        try parameters.allowOnly(["type", "where"])
        let type = try parameters.optional("type")?.string()
        if let type, registry.type(named: type) == nil { throw unknownType(type) }
        let filter = try parameters.optional("where")?.object() ?? [:]
        return Reply(["sensors": .array(try sensors(named: nil, type: type, filter: filter))])
    }

    /// `sensors/show`
    func showSensor(_ parameters: DocumentReader) throws -> Reply {
        try parameters.allowOnly(["name"])
        let sensor = try requiredSensor(parameters.required("name"))
        return Reply(["sensor": try sensors(named: sensor.name.text, type: nil, filter: [:])[0]])
    }

    /// The registered sensor that a parameter names.
    func requiredSensor(_ parameter: DocumentReader) throws -> RegisteredSensor {
        let name = try parameter.string()
        guard let sensor = registry.sensor(named: name) else {
            let hint = didYouMean(name, among: registry.sensors.keys.map(\.text))
            throw Refusal(.notFound, "sensor '\(name.prefix(80))' is not registered\(hint)")
        }
        return sensor
    }

    private func sensors(named name: String?, type: String?, filter: JSONObject) throws -> [JSON] {
        let rows = try database.query(
            """
            SELECT s.name, s.state, s.state_reason, (extract(epoch FROM s.registered_at) * 1000000)::bigint AS registered_at,
                   (extract(epoch FROM l.event_time) * 1000000)::bigint AS last_reading_at
            FROM hub.sensor s
            JOIN hub.sensor_type t ON t.id = s.type_id
            LEFT JOIN hub.latest l ON l.sensor_id = s.id
            WHERE s.removed_at IS NULL AND ($1::text IS NULL OR s.name = $1) AND ($2::text IS NULL OR t.name = $2)
              AND s.attributes @> $3
            ORDER BY s.name
            """, .text(name), .text(type), .text(JSON.object(filter).text()))
        return rows.compactMap { row in
            guard let known = registry.sensor(named: row.text("name")), let type = registry.types[known.type] else {
                return nil
            }
            return [
                "name": .string(known.name.text), "type": .string(known.type.text), "driver": .text(known.driver),
                "node": .text(known.node ?? known.wantedNode), "interval": known.interval.map { .double($0) } ?? .null,
                "attributes": .object(known.attributes), "state": .string(row.text("state")),
                "reason": .string(row.text("state_reason")),
                "last_reading_at": row.optional("last_reading_at").flatMap { Int64($0) }.map { .int($0) } ?? .null,
                "registered_at": .int(row.int("registered_at")),
                "data_topic": .string(topics.sensor(known.name.text, .data)),
                "control_topic": type.type.functions.isEmpty
                    ? .null : .string(topics.sensor(known.name.text, .control)),
            ]
        }
    }

    /// `sensors/remove`: its driver stops, its rights end, what was bound to it is bound anew; its readings stay.
    func removeSensor(_ parameters: DocumentReader) throws -> Reply {
        try parameters.allowOnly(["name"])
        let sensor = try requiredSensor(parameters.required("name"))
        try database.transaction {
            try database.query("UPDATE hub.sensor SET removed_at = now() WHERE id = $1", .int(sensor.id))
            try database.query("DELETE FROM hub.latest WHERE sensor_id = $1", .int(sensor.id))
            try database.query("DELETE FROM hub.progress WHERE sensor_id = $1", .int(sensor.id))
            try BrokerAccess.revoke(.sensor(sensor.name), in: database)
            try ProgramWish.forget(ProgramID(.driver, sensor.name), in: database)
            try record("sensor.removed", sensor.name.text, ["type": .string(sensor.type.text)])
        }
        registry.remove(sensor.name)
        for kind in ["sensor-fault", "sensor-alert"] { close(kind, sensor.name.text) }
        changeCatalog()
        changeRights()
        changePlan(of: sensor.node)
        for leaf in [Topics.SensorLeaf.status, .committed] {
            publish(OutgoingMessage(topic: topics.sensor(sensor.name.text, leaf), payload: [], isRetained: true))
        }
        try rebind([sensor.type], because: "sensor '\(sensor.name)' was removed")
        return Reply()
    }

    /// `sensors/credentials`: for a device that is not ours.
    func sensorCredentials(_ parameters: DocumentReader) throws -> Reply {
        try parameters.allowOnly(["name", "rotate"])
        let sensor = try requiredSensor(parameters.required("name"))
        let rotate = try parameters.optional("rotate")?.bool() ?? false
        guard sensor.driver == nil else {
            throw Refusal(
                .conflict,
                "sensor '\(sensor.name)' is read by the driver '\(sensor.driver!)', whose password never leaves its "
                    + "node; credentials are for sensors that are registered without a driver")
        }
        if let writer = instances.values.first(where: { $0.writes(sensor.name) }) {
            throw Refusal(
                .conflict,
                "sensor '\(sensor.name)' is written by '\(writer.id)', and has one source at a time: "
                    + "sensorhub stop \(writer.id)")
        }
        guard let type = registry.types[sensor.type]?.type else { throw unknownType(sensor.type.text) }
        let user = BrokerUser.sensor(sensor.name)
        var reply = Reply([
            "user": .string(user.description),
            "brokers": .array(configuration.advertised.map(Self.place)),
            "data_topic": .string(topics.sensor(sensor.name.text, .data)),
            "example": Self.example(of: type),
        ])
        if !type.functions.isEmpty {
            reply.set("control_topic", .string(topics.sensor(sensor.name.text, .control)))
            reply.set("reply_topic", .string(topics.sensor(sensor.name.text, .reply)))
        }
        let isKnown = try BrokerAccess.hash(of: user, in: database) != nil
        if rotate || !isKnown {
            let password = Credential.makePassword()
            try database.transaction {
                try BrokerAccess.set(Credential.hash(password), of: user, in: database)
                try record(isKnown ? "credentials.rotated" : "credentials.made", sensor.name.text)
            }
            changeRights()
            reply.set("password", .string(password))
        }
        return reply
    }

    /// One way to the broker, as a member of `brokers`.
    private static func place(_ address: BrokerAddress) -> JSON {
        switch address {
        case .tcp(let address): ["host": .string(address.host), "port": .int(Int64(address.port))]
        case .unix(let socket): ["socket": .string(socket.path)]
        }
    }

    /// A payload that the type accepts.
    private static func example(of type: SensorType) -> JSON {
        .object(
            JSONObject(
                type.fields.map { field in
                    switch field.type {
                    case .string: (field.name, "text")
                    case .int: (field.name, 1)
                    case .float: (field.name, 1.5)
                    case .bool: (field.name, true)
                    }
                }))
    }

    // MARK: Status

    /// A driver's birth, last will or fault.
    func handleStatus(_ message: Message, ofSensor name: Identifier) throws {
        guard let sensor = registry.sensors[name], !message.payload.isEmpty else { return }
        let reader = DocumentReader(try JSON(parsing: message.payload))
        let status = try reader.required("status").string()
        guard ["online", "offline", "fault"].contains(status) else { throw reader.error("'\(status)' is no status") }
        let alerts = try Self.alerts(reader)
        let reason = try reader.optional("reason")?.string() ?? alerts
        for (kind, isSo) in [("sensor-fault", status == "fault"), ("sensor-alert", !alerts.isEmpty)] {
            if isSo {
                open(kind, name.text, reason: "sensor '\(name)': \(reason.prefix(1_000))")
            } else if status == "online" {
                close(kind, name.text)
            }
        }
        let changed = try database.query(
            """
            UPDATE hub.sensor SET state = $2, state_reason = $3, state_since = now()
            WHERE id = $1 AND (state, state_reason) IS DISTINCT FROM ($2, $3)
            """, .int(sensor.id), .text(status), .text(String(reason.prefix(1_000)))
        ).affected
        if changed > 0, !message.isRetained {
            try record("sensor.\(status)", name.text, reason.isEmpty ? [:] : ["reason": .string(reason)])
        }
    }

    /// What a status says of values that are not as they should be, in one line; empty where it says nothing.
    private static func alerts(_ reader: DocumentReader) throws(ValidationError) -> String {
        let alerts = try reader.optional("alerts")?.items() ?? []
        guard alerts.count <= 100 else { throw reader.error("\(alerts.count) alerts are too many: at most 100") }
        var lines: [String] = []
        for alert in alerts {
            let level = try alert.required("level").string()
            guard ["warning", "error"].contains(level) else { throw alert.error("'\(level.prefix(80))' is no level") }
            lines.append("\(level): \(try alert.required("reason").nonEmptyString().prefix(500))")
        }
        return lines.joined(separator: "; ")
    }
}
