import HubModel
import Postgres
import SimdJSON

extension HubCore {
    /// Whatever `open` is called with.
    static let incidentKinds = ["broker-drops", "broker-queue", "ingest", "sensor-alert", "sensor-fault"]

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
        let rows = try database.query(
            """
            SELECT id, kind, subject, reason, (extract(epoch FROM opened_at) * 1000000)::bigint AS opened_at,
                   (extract(epoch FROM closed_at) * 1000000)::bigint AS closed_at
            FROM hub.incident WHERE ($1 OR closed_at IS NULL) AND ($2::text IS NULL OR kind = $2)
            ORDER BY id DESC LIMIT $3
            """, .bool(isAll), .text(kind), .int(last))
        return Reply([
            "incidents": .array(
                rows.map { row in
                    [
                        "id": .int(row.int("id")), "kind": .string(row.text("kind")),
                        "subject": .string(row.text("subject")),
                        "opened_at": .int(row.int("opened_at")),
                        "closed_at": row.optional("closed_at").flatMap { Int64($0) }.map { .int($0) } ?? .null,
                        "reason": .string(row.text("reason")),
                    ]
                })
        ])
    }
}
