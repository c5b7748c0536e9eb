import HubModel
import Postgres
import SimdJSON

extension Registry {
    /// Stores a new type and creates its table. In a transaction of the caller.
    static func store(_ type: SensorType, in database: Connection) throws -> RegisteredType {
        let table = try freeTableName(for: type.name, in: database)
        let row = try database.query(
            "INSERT INTO hub.sensor_type (name, company, table_name, functions) VALUES ($1, $2, $3, $4) RETURNING id",
            .text(type.name.text), .text(type.company), .text(table), .text(type.functions.json.text()))[0]
        let id = Int32(row.int("id"))
        try store(type.fields, from: 0, ofType: id, in: database)
        return RegisteredType(id: id, type: type, table: table)
    }

    /// Stores what has changed of a type, and gives its table columns for the fields that it has gained. In a transaction
    /// of the caller.
    static func update(_ type: RegisteredType, adding added: [Field], in database: Connection) throws {
        // Ingest takes the table first and the type's row then: the other way round each could wait for the other.
        try database.query("LOCK TABLE readings.\(quotedIdentifier(type.table)) IN ACCESS EXCLUSIVE MODE")
        try database.query(
            "UPDATE hub.sensor_type SET company = $2, functions = $3 WHERE id = $1",
            .int(type.id), .text(type.type.company), .text(type.type.functions.json.text()))
        try store(added, from: type.type.fields.count - added.count, ofType: type.id, in: database)
    }

    private static func store(_ fields: [Field], from position: Int, ofType id: Int32, in database: Connection) throws {
        for (index, field) in fields.enumerated() {
            try database.query(
                "INSERT INTO hub.sensor_field (type_id, position, name, type) VALUES ($1, $2, $3, $4)",
                .int(id), .int(position + index), .text(field.name), .text(field.type.rawValue))
        }
        try database.query("SELECT hub.create_readings_table($1)", .int(id))
    }

    /// Lower case and without '-', so that nobody has to quote it in psql; short enough for a partition's suffix, and
    /// numbered where two types would have the same.
    private static func freeTableName(for name: Identifier, in database: Connection) throws -> String {
        let plain = String(name.text.lowercased().map { $0 == "-" ? "_" : $0 }.prefix(48))
        let base = plain.first?.isNumber ?? false ? "t\(plain)" : plain
        // The names of the views that come with the hub are taken.
        let taken = Set(
            try database.query(
                """
                SELECT table_name AS name FROM hub.sensor_type
                UNION SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                WHERE n.nspname IN ('report', 'readings')
                """
            ).map { $0.text("name") })
        guard taken.contains(base) else { return base }
        return (2...).lazy.map { "\(base)_\($0)" }.first { !taken.contains($0) }!
    }

    /// Stores a new sensor under `name`. In a transaction of the caller.
    static func store(
        _ instance: SensorInstance, named name: Identifier, of type: RegisteredType, in database: Connection
    ) throws -> RegisteredSensor {
        let row = try database.query(
            """
            INSERT INTO hub.sensor (name, type_id, driver, wanted_node, interval_seconds, attributes)
            VALUES ($1, $2, $3, $4, $5, $6) RETURNING id
            """,
            .text(name.text), .int(type.id), .text(instance.driver), .text(instance.node?.text),
            .double(instance.interval), .text(JSON.object(instance.attributes).text()))[0]
        return RegisteredSensor(
            id: Int32(row.int("id")), name: name, typeID: type.id, type: type.type.name, driver: instance.driver,
            interval: instance.interval, attributes: instance.attributes, wantedNode: instance.node, node: nil)
    }
}
