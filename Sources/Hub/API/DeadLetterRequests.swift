import HubModel
import Postgres
import SimdJSON

extension HubCore {
    /// `dead_letters/list`: the newest, newest first.
    func listDeadLetters(_ parameters: DocumentReader) throws -> Reply {
        try parameters.allowOnly(["sensor", "ids", "last"])
        let selection = try DeadLetterSelection(parameters, topics: topics, isOptional: true)
        let last = try parameters.optional("last")?.int(1...10_000) ?? 50
        let rows = try database.query(
            """
            SELECT id, (extract(epoch FROM received_at) * 1000000)::bigint AS t, topic, field, reason, payload
            FROM hub.dead_letter WHERE \(DeadLetterSelection.condition) ORDER BY id DESC LIMIT $3
            """, selection.parameters + [.int(last)])
        let count = try database.query(
            "SELECT count(*) AS count FROM hub.dead_letter WHERE \(DeadLetterSelection.condition)", selection.parameters
        )
        return Reply([
            "count": .int(count[0].int("count")),
            "letters": .array(
                rows.map { row in
                    [
                        "id": .int(row.int("id")), "t": .int(row.int("t")), "topic": .string(row.text("topic")),
                        "field": .string(row.text("field")), "reason": .string(row.text("reason")),
                        "payload": .string(String(decoding: row.bytes("payload"), as: UTF8.self)),
                    ]
                }),
        ])
    }

    /// `dead_letters/replay`: has ingest take them up again. Those that still cannot be stored become new dead letters.
    func replayDeadLetters(_ parameters: DocumentReader) throws -> Reply {
        try parameters.allowOnly(["sensor", "ids", "all"])
        let selection = try DeadLetterSelection(parameters, topics: topics, isOptional: false)
        let ids = try database.query(
            "SELECT id FROM hub.dead_letter WHERE \(DeadLetterSelection.condition) ORDER BY id", selection.parameters
        ).map { $0.int("id") }
        replay.add(ids)
        try record("dead_letters.replayed", "", ["count": .int(Int64(ids.count))])
        return Reply(["ids": .array(ids.map { .int($0) })])
    }

    /// `dead_letters/drop`
    func dropDeadLetters(_ parameters: DocumentReader) throws -> Reply {
        try parameters.allowOnly(["sensor", "ids", "all"])
        let selection = try DeadLetterSelection(parameters, topics: topics, isOptional: false)
        let dropped = try database.query(
            "DELETE FROM hub.dead_letter WHERE \(DeadLetterSelection.condition)", selection.parameters
        ).affected
        try record("dead_letters.dropped", "", ["count": .int(Int64(dropped))])
        return Reply(["count": .int(Int64(dropped))])
    }
}

/// Which dead letters a request is about: those of a sensor, some by number, or all.
private struct DeadLetterSelection {
    /// With `parameters` as $1 and $2.
    static let condition = "($1::text IS NULL OR topic = $1) AND ($2::int8[] IS NULL OR id = ANY ($2))"

    let parameters: [Parameter]

    /// - Parameter isOptional: true where nothing said stands for all.
    init(_ reader: DocumentReader, topics: Topics, isOptional: Bool) throws(ValidationError) {
        let sensor = try reader.optional("sensor")?.identifier()
        var ids: BinaryArray?
        if let list = try reader.optional("ids") {
            var array = BinaryArray(.int8)
            for item in try list.items() { array.append(try item.int(1...Int64.max)) }
            ids = array
        }
        let isAll = try reader.optional("all")?.bool() ?? false
        guard isOptional || isAll || sensor != nil || ids != nil else {
            throw reader.error("say which: 'sensor', 'ids' or 'all'")
        }
        parameters = [.text(sensor.map { topics.sensor($0.text, .data) }), ids.map { .array($0) } ?? .null]
    }
}
