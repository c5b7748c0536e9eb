import HubModel
import Postgres
import SimdJSON

extension HubCore {
    /// Whatever `open` is called with.
    static let incidentKinds = ["broker-drops", "broker-queue", crashLoop, "ingest", "sensor-alert", "sensor-fault"]

    /// `incidents/list`: the newest incidents, newest first; only the open ones unless all are asked for.
    func listIncidents(_ parameters: DocumentReader) throws -> Reply {
        try parameters.allowOnly(["all", "kind", "last"])
        let isAll = try parameters.optional("all")?.bool() ?? false
        let last = try parameters.optional("last")?.int(1...10_000) ?? 100
        let reader = try parameters.optional("kind")
        let kind = try reader?.string()
        if let reader, let kind, !Self.incidentKinds.contains(kind) {
            throw reader.error(
                "there are no incidents of kind '\(kind.prefix(80))'\(didYouMean(kind, among: Self.incidentKinds)): "
                    + "there are \(Self.incidentKinds.joined(separator: ", "))")
        }
        let rows = try incidents(
            "($1 OR closed_at IS NULL) AND ($2::text IS NULL OR kind = $2) ORDER BY id DESC LIMIT $3",
            .bool(isAll), .text(kind), .int(last))
        return Reply(["incidents": .array(rows.map { .object(Self.incident($0)) })])
    }

    /// `incidents/show`: one incident, with the lines that were kept with it.
    func showIncident(_ parameters: DocumentReader) throws -> Reply {
        try parameters.allowOnly(["id"])
        let id = try parameters.required("id").int()
        guard let row = try incidents("id = $1", .int(id)).first else {
            throw Refusal(.notFound, "there is no incident \(id): sensorhub incidents --all")
        }
        var incident = Self.incident(row)
        let lines = try database.query(
            "SELECT line FROM hub.incident, unnest(log) WITH ORDINALITY AS u (line, number) WHERE id = $1 ORDER BY number",
            .int(id))
        incident["log"] = .array(lines.map { .string($0.text("line")) })
        return Reply(["incident": .object(incident)])
    }

    private func incidents(_ condition: String, _ parameters: Parameter...) throws(PostgresError) -> Rows {
        try database.query(
            """
            SELECT id, kind, subject, reason, (extract(epoch FROM opened_at) * 1000000)::bigint AS opened_at,
                   (extract(epoch FROM closed_at) * 1000000)::bigint AS closed_at
            FROM hub.incident WHERE \(condition)
            """, parameters)
    }

    private static func incident(_ row: Rows.Row) -> JSONObject {
        [
            "id": .int(row.int("id")), "kind": .string(row.text("kind")), "subject": .string(row.text("subject")),
            "opened_at": .int(row.int("opened_at")),
            "closed_at": row.optional("closed_at").flatMap { Int64($0) }.map { .int($0) } ?? .null,
            "reason": .string(row.text("reason")),
        ]
    }
}
