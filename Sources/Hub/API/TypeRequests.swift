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
                guard known.type == type else {
                    throw Refusal(
                        .conflict, "\(prefix(item))type '\(type.name)' is already registered with other fields or functions")
                }
                result["status"] = 200
                return result
            }
            let registered = try database.transaction {
                let registered = try Registry.store(type, in: database)
                try record("type.registered", type.name.text, ["fields": type.fields.json])
                return registered
            }
            registry.add(registered)
            publishCatalog()
            result["status"] = 201
        } catch {
            try add(error, to: &result)
        }
        return result
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
            SELECT t.name, t.registered_at, t.readings,
                   (SELECT count(*) FROM hub.sensor s WHERE s.type_id = t.id AND s.removed_at IS NULL) AS sensors
            FROM hub.sensor_type t WHERE $1::text IS NULL OR t.name = $1 ORDER BY t.name
            """, .text(name))
        return rows.compactMap { row in
            guard let known = registry.type(named: row.text("name")), var object = known.type.json.object else {
                return nil
            }
            object["sensors"] = .int(row.int("sensors"))
            object["readings"] = .int(row.int("readings"))
            object["table"] = .string("readings.\(known.table)")
            object["view"] = .string("report.\(known.table)")
            object["registered_at"] = .string(row.text("registered_at"))
            return .object(object)
        }
    }

    // MARK: Shared by the requests that register

    /// Puts the reason for a refused item into its result; what concerns more than the item goes on.
    func add(_ error: any Error, to result: inout JSONObject) throws {
        if let error = error as? PostgresError, error.isUnavailable { throw error }
        let refusal = Refusal(error)
        result["status"] = .int(refusal.status.rawValue)
        result["error"] = .string(refusal.reason)
    }

    /// `[3]: ` for the fourth item of a document.
    func prefix(_ item: DocumentReader) -> String {
        item.path.isEmpty ? "" : "\(item.path): "
    }
}
