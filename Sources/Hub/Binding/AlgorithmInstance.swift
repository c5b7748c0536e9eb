import HubModel
import Postgres
import SimdJSON

/// What a sensor is to an algorithm instance, as the database has it.
enum BindingRole: String {
    /// The instance gets its readings.
    case input
    /// The instance publishes its readings.
    case output
}

/// A launched algorithm, as long as it is to run.
struct AlgorithmInstance {
    let id: Identifier
    let app: Identifier
    let sha256: String
    let algorithm: Identifier
    let script: String
    /// The name of its runtime.
    let runtime: Identifier
    let requirements: [String]
    let conditions: RunConditions
    let positions: [PositionQuery]
    /// The sensors that it is to publish readings of.
    let outputs: [OutputPosition]
    /// True where its deployment lets it have nodes run commands.
    let mayRunCommands: Bool
    var node: Identifier?
    /// Sensor ids by position.
    var binding: [[Identifier]]
    /// By output position; nil where the sensor is not there, or not as it must be.
    var boundOutputs: [Identifier?]
    var bindingVersion: Int64
    var bindingReason: String

    var boundSensors: [Identifier] { binding.flatMap { $0 } }

    /// True where `sensor` is this instance's to publish, whether it is there or not.
    func writes(_ sensor: Identifier) -> Bool { outputs.contains { $0.sensor == sensor } }

    /// All that are not stopped.
    static func active(in database: Connection) throws -> [Identifier: AlgorithmInstance] {
        let bindings = try database.query(
            """
            SELECT b.instance_id, b.role, b.position, s.name FROM hub.binding b JOIN hub.sensor s ON s.id = b.sensor_id
            WHERE b.until IS NULL AND s.removed_at IS NULL ORDER BY b.instance_id, b.position, b.ordinal
            """)
        let bindingsByInstance = Dictionary(grouping: bindings, by: { $0.text("instance_id") })
        let rows = try database.query(
            """
            SELECT id, app_id, sha256, algorithm, script, language, to_json(requirements) AS requirements, positions,
                   outputs, commands, node, binding_version, binding_reason, conditions
            FROM hub.algorithm_instance WHERE stopped_at IS NULL
            """)
        var instances: [Identifier: AlgorithmInstance] = [:]
        for row in rows {
            guard let id = Identifier(row.text("id")), let app = Identifier(row.text("app_id")),
                let algorithm = Identifier(row.text("algorithm")),
                let runtime = Identifier(row.text("language"))
            else { continue }
            let positions = try (JSON(parsing: row.text("positions")).array ?? []).map { try PositionQuery(json: $0) }
            let outputs = try (JSON(parsing: row.text("outputs")).array ?? []).map { try OutputPosition(json: $0) }
            var binding = [[Identifier]](repeating: [], count: positions.count)
            var boundOutputs = [Identifier?](repeating: nil, count: outputs.count)
            for bound in bindingsByInstance[id.text] ?? [] {
                let position = Int(bound.int("position"))
                guard let sensor = Identifier(bound.text("name")) else { continue }
                switch BindingRole(rawValue: bound.text("role")) {
                case .input? where binding.indices.contains(position): binding[position].append(sensor)
                case .output? where boundOutputs.indices.contains(position): boundOutputs[position] = sensor
                default: break
                }
            }
            instances[id] = AlgorithmInstance(
                id: id, app: app, sha256: row.text("sha256"), algorithm: algorithm, script: row.text("script"),
                runtime: runtime,
                requirements: (try JSON(parsing: row.text("requirements")).array ?? []).compactMap(\.string),
                conditions: try RunConditions(DocumentReader(try JSON(parsing: row.text("conditions")))),
                positions: positions, outputs: outputs, mayRunCommands: row.bool("commands"),
                node: row.optional("node").flatMap { Identifier($0) },
                binding: binding, boundOutputs: boundOutputs,
                bindingVersion: row.int("binding_version"), bindingReason: row.text("binding_reason"))
        }
        return instances
    }

    /// Stores a new instance with its binding. In a transaction of the caller.
    func store(sensorIDs: [Identifier: Int32], in database: Connection) throws {
        try database.query(
            """
            INSERT INTO hub.algorithm_instance
                (id, app_id, sha256, algorithm, script, language, requirements, positions, outputs, commands,
                 conditions)
            VALUES ($1, $2, $3, $4, $5, $6, ARRAY(SELECT json_array_elements_text($7)), $8, $9, $10, $11)
            """,
            .text(id.text), .text(app.text), .text(sha256), .text(algorithm.text), .text(script),
            .text(runtime.text), .text(JSON.array(requirements.map { .string($0) }).text()),
            .text(JSON.array(positions.map(\.json)).text()), .text(JSON.array(outputs.map(\.json)).text()),
            .bool(mayRunCommands), .text(JSON.object(conditions.members).text()))
        try storeBinding(sensorIDs: sensorIDs, in: database)
    }

    /// Stores an instance without binding, in place of one of its id. In a transaction of the caller.
    func replace(in database: Connection) throws {
        try database.query(
            """
            INSERT INTO hub.algorithm_instance
                (id, app_id, sha256, algorithm, script, language, requirements, positions, outputs, node, binding_reason,
                 conditions)
            VALUES ($1, $2, $3, $4, $5, $6, ARRAY(SELECT json_array_elements_text($7)), '[]', '[]', $8, $9, $10)
            ON CONFLICT (id) DO UPDATE SET sha256 = EXCLUDED.sha256, script = EXCLUDED.script,
                language = EXCLUDED.language, requirements = EXCLUDED.requirements, conditions = EXCLUDED.conditions
            """,
            .text(id.text), .text(app.text), .text(sha256), .text(algorithm.text), .text(script),
            .text(runtime.text), .text(JSON.array(requirements.map { .string($0) }).text()), .text(node?.text),
            .text(bindingReason), .text(JSON.object(conditions.members).text()))
    }

    /// Closes what is no longer bound and opens what is new, so that the history stays. In a transaction of the caller.
    func storeBinding(sensorIDs: [Identifier: Int32], in database: Connection) throws {
        var wanted: [JSON] = []
        func want(_ sensor: Identifier, as role: BindingRole, at position: Int, _ ordinal: Int) {
            guard let sensorID = sensorIDs[sensor] else { return }
            wanted.append([
                "sensor_id": .int(Int64(sensorID)), "role": .string(role.rawValue), "position": .int(Int64(position)),
                "ordinal": .int(Int64(ordinal)),
            ])
        }
        for (position, sensors) in binding.enumerated() {
            for (ordinal, sensor) in sensors.enumerated() { want(sensor, as: .input, at: position, ordinal) }
        }
        for (position, sensor) in boundOutputs.enumerated() {
            if let sensor { want(sensor, as: .output, at: position, 0) }
        }
        let parameters: [Parameter] = [.text(id.text), .text(JSON.array(wanted).text()), .text(bindingReason)]
        try database.query(
            """
            UPDATE hub.binding b SET until = now(), until_reason = $3
            WHERE b.instance_id = $1 AND b.until IS NULL AND NOT EXISTS (
                SELECT FROM json_to_recordset($2)
                    AS w (sensor_id integer, role text, position smallint, ordinal integer)
                WHERE (w.sensor_id, w.role, w.position, w.ordinal) = (b.sensor_id, b.role, b.position, b.ordinal))
            """, parameters)
        try database.query(
            """
            INSERT INTO hub.binding (instance_id, sensor_id, role, position, ordinal, reason)
            SELECT $1, w.sensor_id, w.role, w.position, w.ordinal, $3
            FROM json_to_recordset($2) AS w (sensor_id integer, role text, position smallint, ordinal integer)
            WHERE NOT EXISTS (
                SELECT FROM hub.binding b WHERE b.instance_id = $1 AND b.until IS NULL AND b.sensor_id = w.sensor_id)
            """, parameters)
        try database.query(
            "UPDATE hub.algorithm_instance SET binding_version = $2, binding_reason = $3 WHERE id = $1",
            .text(id.text), .int(bindingVersion), .text(bindingReason))
    }
}
