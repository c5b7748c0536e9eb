import HubModel
import Postgres
import SimdJSON

extension HubCore {
    /// `types/register`: each type of the document by itself.
    func registerTypes(_ parameters: DocumentReader) throws -> Reply {
        try parameters.allowOnly(["document"])
        let document = DocumentReader(try parameters.required("document").value)
        let items = try SensorType.documents(in: document)
        guard !items.isEmpty else { throw document.error("there is no sensor type in it") }
        return Reply(results: try items.map(registerType))
    }

    private func registerType(_ item: DocumentReader) throws -> JSONObject {
        var result: JSONObject = ["name": .text(item.value["name"]?.string ?? item.value["Name"]?.string)]
        do {
            let type = try SensorType(item)
            if let known = registry.types[type.name] {
                result["changed"] = .bool(try evolve(known, into: type, item))
                result["status"] = 200
                return result
            }
            let registered = try database.transaction {
                let registered = try Registry.store(type, in: database)
                try record("type.registered", type.name.text, ["fields": type.fields.json])
                return registered
            }
            registry.add(registered)
            changeCatalog()
            result["status"] = 201
        } catch {
            try add(error, to: &result)
        }
        return result
    }

    /// A registered type may gain fields, and change its company and control functions. What its readings have stays.
    ///
    /// - Returns: false where nothing is new.
    private func evolve(_ known: RegisteredType, into type: SensorType, _ item: DocumentReader) throws -> Bool {
        for field in known.type.fields {
            guard let new = type.field(field.name) else {
                throw Refusal(
                    .conflict,
                    "\(prefix(item))type '\(type.name)' is registered with a field '\(field.name)', which is missing here: "
                        + "its readings would lose it; register another type instead")
            }
            guard new.type == field.type else {
                throw Refusal(
                    .conflict,
                    "\(prefix(item))sensor_data_structure.\(field.name): is registered as \(field.type.rawValue), and cannot "
                        + "become \(new.type.rawValue): its readings are stored so; register another type instead")
            }
        }
        let added = type.fields.filter { known.type.field($0.name) == nil }
        // New fields come last, as their columns do, whatever their place in the document.
        let merged = SensorType(
            name: type.name, company: type.company, fields: known.type.fields + added, functions: type.functions)
        guard merged != known.type else { return false }
        let registered = RegisteredType(id: known.id, type: merged, table: known.table)
        try database.transaction {
            try Registry.update(registered, adding: added, in: database)
            try record("type.changed", type.name.text, ["added": added.json, "functions": type.functions.json])
        }
        registry.add(registered)
        changeCatalog()
        // Drivers and algorithms are told of a type with their plan and their binding.
        for sensor in registry.sensors.values where sensor.type == type.name { changePlan(of: sensor.node) }
        for instance in instances.values {
            let isWritten = instance.outputs.contains { $0.sensorType == type.name }
            guard isWritten || instance.positions.contains(where: { $0.sensorType == type.name }) else { continue }
            // A type may have gained its first control function.
            if isWritten { changeRights() }
            publish(bindingMessage(of: instance))
        }
        return true
    }

    /// `types/retention`: how long the readings of a type are kept.
    func setRetention(_ parameters: DocumentReader) throws -> Reply {
        try parameters.allowOnly(["name", "keep"])
        let name = try parameters.required("name").string()
        guard let type = registry.type(named: name) else { throw unknownType(name) }
        let keep = try parameters.required("keep")
        let retention = try Retention(keep)
        try database.transaction {
            try database.query(
                "UPDATE hub.sensor_type SET retention = make_interval(hours => $2) WHERE id = $1",
                .int(type.id), .int(retention.hours))
            try record("type.retention", name, ["keep": keep.value])
        }
        return Reply(["name": .string(name), "keep": .string(retention.text), "removed": .array(try removeExpired())])
    }

    /// `types/list`
    func listTypes(_ parameters: DocumentReader) throws -> Reply {
        try parameters.allowOnly([])
        return Reply(["types": .array(try types(named: nil))])
    }

    /// `types/show`
    func showType(_ parameters: DocumentReader) throws -> Reply {
        try parameters.allowOnly(["name"])
        let name = try parameters.required("name").string()
        guard let type = try types(named: name).first else { throw unknownType(name) }
        return Reply(["type": type])
    }

    func unknownType(_ name: String) -> Refusal {
        Refusal(.notFound, "type '\(name.prefix(80))' is not registered\(didYouMean(name, among: registry.typeNames))")
    }

    private func types(named name: String?) throws -> [JSON] {
        let rows = try database.query(
            """
            SELECT t.name, (extract(epoch FROM t.registered_at) * 1000000)::bigint AS registered_at, t.readings,
                   extract(epoch FROM t.retention)::bigint / 3600 AS keep,
                   (SELECT count(*) FROM hub.sensor s WHERE s.type_id = t.id AND s.removed_at IS NULL) AS sensors
            FROM hub.sensor_type t WHERE $1::text IS NULL OR t.name = $1 ORDER BY t.name
            """, .text(name))
        return rows.compactMap { row in
            guard let known = registry.type(named: row.text("name")), var object = known.type.json.object else {
                return nil
            }
            object["sensors"] = .int(row.int("sensors"))
            object["readings"] = .int(row.int("readings"))
            object["keep"] = .string(Retention(hours: row.optional("keep").flatMap { Int64($0) }).text)
            object["table"] = .string("readings.\(known.table)")
            object["view"] = .string("report.\(known.table)")
            object["registered_at"] = .int(row.int("registered_at"))
            return .object(object)
        }
    }

    // MARK: Shared by the requests that register

    /// Puts the reason for a refused item into its result; what concerns more than the item goes on.
    func add(_ error: any Error, to result: inout JSONObject) throws {
        if isTransient(error) { throw error }
        let refusal = Refusal(error)
        result["status"] = .int(refusal.status.rawValue)
        result["error"] = .string(refusal.reason)
    }

    /// `[3]: ` for the fourth item of a document.
    func prefix(_ item: DocumentReader) -> String {
        item.path.isEmpty ? "" : "\(item.path): "
    }
}
