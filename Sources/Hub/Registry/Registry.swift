import HubModel
import Postgres
import SimdJSON

/// A sensor type as the hub has it.
struct RegisteredType {
    let id: Int32
    let type: SensorType
    /// Its table in schema `readings`.
    let table: String
}

/// A sensor instance as the hub has it.
struct RegisteredSensor {
    let id: Int32
    let name: Identifier
    let typeID: Int32
    let type: Identifier
    let driver: String?
    let interval: Double?
    let attributes: JSONObject
    /// What the registration asked for.
    let wantedNode: Identifier?
    /// Where its driver runs; nil without a driver, and as long as no node is there.
    var node: Identifier?

    var candidate: Candidate { Candidate(id: name, type: type, attributes: attributes) }

    var instance: SensorInstance {
        SensorInstance(
            name: name, type: type, driver: driver, node: wantedNode, interval: interval, attributes: attributes)
    }
}

/// The registered types and sensors, held in memory as they are in the database; the hub's other parts ask here.
struct Registry {
    private(set) var types: [Identifier: RegisteredType] = [:]
    private(set) var sensors: [Identifier: RegisteredSensor] = [:]

    /// Sensor ids grow with registration, and that order decides who is bound first.
    var candidates: [Candidate] {
        sensors.values.sorted { $0.id < $1.id }.map(\.candidate)
    }

    var typeNames: [String] { types.keys.map(\.text).sorted() }

    func type(named name: String) -> RegisteredType? {
        Identifier(name).flatMap { types[$0] }
    }

    func sensor(named name: String) -> RegisteredSensor? {
        Identifier(name).flatMap { sensors[$0] }
    }

    mutating func add(_ type: RegisteredType) { types[type.type.name] = type }
    mutating func add(_ sensor: RegisteredSensor) { sensors[sensor.name] = sensor }
    mutating func remove(_ sensor: Identifier) { sensors[sensor] = nil }
    mutating func place(_ sensor: Identifier, on node: Identifier) { sensors[sensor]?.node = node }
}

extension Registry {
    init(from database: Connection) throws {
        let fields = try database.query("SELECT type_id, name, type FROM hub.sensor_field ORDER BY type_id, position")
        let fieldsByType = Dictionary(grouping: fields, by: { $0.int("type_id") })
        for row in try database.query("SELECT id, name, company, table_name, functions FROM hub.sensor_type") {
            let fields = fieldsByType[row.int("id")] ?? []
            let type = try SensorType(json: [
                "name": .string(row.text("name")), "company": .string(row.text("company")),
                "fields": .object(JSONObject(fields.map { ($0.text("name"), .string($0.text("type"))) })),
                "functions": try JSON(parsing: row.text("functions")),
            ])
            add(RegisteredType(id: Int32(row.int("id")), type: type, table: row.text("table_name")))
        }
        let sensors = try database.query(
            """
            SELECT s.id, s.name, s.type_id, t.name AS type, s.driver, s.interval_seconds, s.attributes, s.wanted_node,
                   s.node
            FROM hub.sensor s JOIN hub.sensor_type t ON t.id = s.type_id WHERE s.removed_at IS NULL
            """)
        for row in sensors {
            guard let name = Identifier(row.text("name")), let type = Identifier(row.text("type")) else { continue }
            add(
                RegisteredSensor(
                    id: Int32(row.int("id")), name: name, typeID: Int32(row.int("type_id")), type: type,
                    driver: row.optional("driver"), interval: row.optional("interval_seconds").flatMap { Double($0) },
                    attributes: try JSON(parsing: row.text("attributes")).object ?? [:],
                    wantedNode: row.optional("wanted_node").flatMap { Identifier($0) },
                    node: row.optional("node").flatMap { Identifier($0) }))
        }
    }
}
