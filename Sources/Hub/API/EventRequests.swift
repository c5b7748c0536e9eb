import HubModel
import Postgres
import SimdJSON

extension HubCore {
    /// Whatever `record` and the incidents tell of.
    static let eventKinds = [
        "app.deleted", "app.installed", "app.started", "app.stopped", "command.ended", "command.started",
        "credentials.made", "credentials.rotated",
        "dead_letters.dropped",
        "dead_letters.replayed", "deployment.refused", "incident.closed", "incident.opened", "instance.deployed",
        "instance.placed", "instance.rebound", "instance.stopped", "node.offline", "node.online", "program.disabled",
        "program.enabled", "program.restarted", "program.signalled", "program.started", "readings.expired",
        "sensor.fault", "sensor.offline", "sensor.online", "sensor.registered", "sensor.removed", "type.changed",
        "type.registered", "type.retention",
    ]

    /// `events/list`: the newest events, oldest first.
    func listEvents(_ parameters: DocumentReader) throws -> Reply {
        try parameters.allowOnly(["kinds", "since", "until", "last"])
        let kinds = try Self.eventKinds(parameters.optional("kinds"))
        let range = try TimeRange(parameters)
        let last = try parameters.optional("last")?.int(0...10_000) ?? 50
        var wanted = BinaryArray(.text)
        for kind in kinds { wanted.append(Array(kind.utf8)) }
        // An incident is on record with its two ends; each of them is an event.
        let rows = try database.query(
            """
            SELECT (extract(epoch FROM at) * 1000000)::bigint AS t, kind, subject, detail FROM (
                (SELECT at, number, kind, subject, detail FROM hub.event
                 WHERE kind = ANY ($1::text[]) AND at >= to_timestamp($2) AND at < to_timestamp($3)
                 ORDER BY number DESC LIMIT $4)
                UNION ALL
                (SELECT at, id, 'incident.' || change, subject, jsonb_build_object('incident', kind, 'reason', reason)
                 FROM hub.incident, LATERAL (VALUES (opened_at, 'opened'), (closed_at, 'closed')) AS v (at, change)
                 WHERE 'incident.' || change = ANY ($1::text[]) AND at >= to_timestamp($2) AND at < to_timestamp($3)
                 ORDER BY at DESC LIMIT $4)
            ) AS event ORDER BY at DESC, number DESC LIMIT $4
            """, [.array(wanted)] + range.parameters + [.int(last)])
        let events = try rows.map { row -> JSON in
            Self.event(
                row.text("kind"), row.text("subject"), try JSON(parsing: row.text("detail")).object ?? [:],
                at: row.int("t"))
        }
        return Reply(["kinds": .array(kinds.map { .string($0) }), "events": .array(events.reversed())])
    }

    /// An event as it is published and listed.
    static func event(_ kind: String, _ subject: String, _ detail: JSONObject, at time: Int64) -> JSON {
        var event: JSONObject = ["kind": .string(kind), "subject": .string(subject), "t": .int(time)]
        for member in detail { event[member.key] = member.value }
        return .object(event)
    }

    /// The kinds that a request names, each by itself or, as `node`, all those of a group; all of them where it names
    /// none.
    private static func eventKinds(_ reader: DocumentReader?) throws -> [String] {
        guard let reader else { return eventKinds }
        var kinds: Set<String> = []
        for item in try reader.items() {
            let name = try item.string()
            let named = eventKinds.filter { $0 == name || $0.hasPrefix("\(name).") }
            guard !named.isEmpty else {
                let known = Set(eventKinds.compactMap { $0.split(separator: ".").first.map { String($0) } }).sorted()
                let hint = didYouMean(name, among: eventKinds + known)
                let choice = hint.isEmpty ? ": there are \(eventKinds.joined(separator: ", "))" : hint
                throw item.error("there are no events of kind '\(name.prefix(80))'\(choice)")
            }
            kinds.formUnion(named)
        }
        return kinds.isEmpty ? eventKinds : kinds.sorted()
    }
}
