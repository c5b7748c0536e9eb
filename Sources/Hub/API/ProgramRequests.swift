import HubModel
import Postgres
import SimdJSON

extension HubCore {
    /// `programs/list`: every driver, algorithm and command that is to run.
    func listPrograms(_ parameters: DocumentReader) throws -> Reply {
        try parameters.allowOnly([])
        var states: [ProgramID: Rows.Row] = [:]
        for row in try database.query(
            """
            SELECT kind, id, state, pid, (extract(epoch FROM since) * 1000000)::bigint AS since, run, reason
            FROM hub.program
            """)
        {
            guard let kind = ProgramID.Kind(rawValue: row.text("kind")), let id = Identifier(row.text("id")) else {
                continue
            }
            states[ProgramID(kind, id)] = row
        }
        let wishes = try ProgramWish.all(in: database)
        let figures = programFigures()
        func describe(_ program: ProgramID, node: Identifier?, _ members: JSONObject) -> JSON {
            var object: JSONObject = ["id": .string(program.id.text), "kind": .string(program.kind.rawValue)]
            for member in members { object[member.key] = member.value }
            let row = states[program]
            let waiting = node == nil ? "waiting for a node" : "waiting for node '\(node!)'"
            object["node"] = .text(node)
            let isEnabled = wishes[program]?.isEnabled ?? true
            let state =
                row.map { ProgramState(rawValue: $0.text("state")) ?? .unknown } ?? (isEnabled ? .waiting : .stopped)
            object["state"] = .string(state.rawValue)
            object["code"] = .int(Int64(state.code))
            object["pid"] = row?.optional("pid").flatMap { Int64($0) }.map { .int($0) } ?? .null
            object["since"] = row.map { .int($0.int("since")) } ?? .null
            object["runs"] = .int(row?.int("run") ?? 0)
            object["reason"] = .string(row?.text("reason") ?? (isEnabled ? waiting : "it is disabled"))
            object["enabled"] = .bool(isEnabled)
            for name in ProgramFigures.names { object[name] = .null }
            if let row, let node, state.isAlive, row.optional("pid") != nil,
                let found = figures[program], found.node == node, found.run == row.int("run")
            {
                for member in found.members { object[member.key] = member.value }
            }
            return .object(object)
        }
        var programs: [JSON] = []
        for instance in instances.values.sorted(by: { $0.id.text < $1.id.text }) {
            programs.append(
                describe(
                    ProgramID(.algorithm, instance.id), node: instance.node,
                    [
                        "app": .string(instance.app.text), "algorithm": .string(instance.algorithm.text),
                        "sensors": .array(instance.boundSensors.map { .string($0.text) }),
                        "outputs": .array(instance.outputs.map { .string($0.sensor.text) }),
                    ]))
        }
        for sensor in registry.sensors.values.sorted(by: { $0.name.text < $1.name.text }) {
            guard let driver = sensor.driver else { continue }
            programs.append(
                describe(
                    ProgramID(.driver, sensor.name), node: sensor.node ?? sensor.wantedNode,
                    [
                        "driver": .string(driver), "sensors": [.string(sensor.name.text)], "outputs": [],
                    ]))
        }
        for command in commands.values.sorted(by: { $0.id.text < $1.id.text }) {
            programs.append(
                describe(
                    command.program, node: command.node,
                    [
                        "command": .array(command.specification.arguments.map { .string($0) }),
                        "instance": .text(command.instance), "sensors": [], "outputs": [],
                    ]))
        }
        return Reply(["programs": .array(programs)])
    }

    /// `logs/get`: the newest lines of a program, oldest first, of those that ran before, too; or the next ones after a
    /// record of its journal.
    func getLog(_ parameters: DocumentReader) throws -> Reply {
        try parameters.allowOnly(["id", "kind", "last", "since", "until", "run", "after"])
        let reader = try parameters.required("id")
        let id = try reader.string()
        let last = try parameters.optional("last")?.int(1...10_000) ?? 100
        let range = try TimeRange(parameters)
        let run = try parameters.optional("run").map { try requiredRun($0, of: id) }
        let wantedKind = try programKind(parameters)?.rawValue
        let after = try parameters.optional("after").map { try JournalPosition($0) }
        let rows = try database.query(
            """
            SELECT * FROM (
                SELECT number, (extract(epoch FROM at) * 1000000)::bigint AS t, stream, line, kind, run, origin, record
                FROM hub.log_line WHERE kind IN ('driver', 'algorithm', 'command') AND id = $1
                    AND at >= to_timestamp($2) AND at < to_timestamp($3)
                    AND ($4::text IS NULL OR kind = $4 AND run = $5 AND node = $6)
                    AND ($8::text IS NULL OR kind = $8) AND ($9::bigint IS NULL OR (origin, record) > ($9, $10))
                ORDER BY CASE WHEN $9::bigint IS NULL THEN -number ELSE number END LIMIT $7) AS selected
            ORDER BY number
            """,
            [.text(id)] + range.parameters
                + [
                    .text(run?.kind), .int(run?.number), .text(run?.node), .int(last), .text(wantedKind),
                    .int(after?.origin), .int(after?.number),
                ])
        if rows.isEmpty {
            let known = try database.query(
                """
                SELECT id FROM (
                    SELECT 'algorithm' AS kind, id FROM hub.algorithm_instance
                    UNION ALL SELECT 'command', id FROM hub.command
                    UNION ALL SELECT 'driver', name FROM hub.sensor WHERE driver IS NOT NULL AND removed_at IS NULL
                ) AS program WHERE $1::text IS NULL OR kind = $1
                """, .text(wantedKind)
            ).map { $0.text("id") }
            guard known.contains(id) else {
                let what = wantedKind ?? "program"
                throw Refusal(.notFound, "no \(what) '\(id.prefix(80))'\(didYouMean(id, among: known))")
            }
        }
        let kind =
            wantedKind
            ?? (instances.keys.contains { $0.text == id } ? "algorithm" : rows.last?.text("kind") ?? "driver")
        func number(_ row: Rows.Row, _ column: String) -> JSON {
            row.optional(column).flatMap { Int64($0) }.map { .int($0) } ?? .null
        }
        // The lines are all that there are up to here, unless there are more of them than were asked for.
        let journal = try database.query(
            "SELECT origin, number FROM hub.journal WHERE kind = $1 AND id = $2 ORDER BY origin DESC LIMIT 1",
            .text(kind), .text(id)
        ).first
        return Reply([
            "kind": .string(kind), "origin": journal.map { number($0, "origin") } ?? .null,
            "n": journal.map { number($0, "number") } ?? .null,
            "lines": .array(
                rows.map { row in
                    [
                        "t": .int(row.int("t")),
                        "run": number(row, "run"), "origin": number(row, "origin"), "n": number(row, "record"),
                        "stream": .string(row.text("stream")), "text": .string(row.text("line")),
                    ]
                }),
        ])
    }

    /// One run of a program; the latest with that number, where it ran on several nodes.
    private func requiredRun(
        _ reader: DocumentReader, of id: String
    ) throws -> (kind: String, node: String, number: Int64) {
        let number = try reader.int(1...Int64.max)
        let row = try database.query(
            """
            SELECT kind, node FROM hub.run WHERE kind IN ('driver', 'algorithm', 'command') AND id = $1 AND run = $2
            ORDER BY started_at DESC LIMIT 1
            """, .text(id), .int(number)
        ).first
        guard let row else {
            let newest = try database.query(
                """
                SELECT run FROM hub.run WHERE kind IN ('driver', 'algorithm', 'command') AND id = $1
                ORDER BY started_at DESC LIMIT 1
                """, .text(id)
            ).first
            throw Refusal(
                .notFound,
                "'\(id.prefix(80))' has no run \(number) on record"
                    + (newest.map { "; its last one is \($0.int("run"))" } ?? ""))
        }
        return (row.text("kind"), row.text("node"), number)
    }

    /// `readings/get`: the newest readings of a sensor by event time, newest last.
    func getReadings(_ parameters: DocumentReader) throws -> Reply {
        try parameters.allowOnly(["sensor", "last"])
        let sensor = try requiredSensor(parameters.required("sensor"))
        let last = try parameters.optional("last")?.int(1...10_000) ?? 10
        guard let type = registry.types[sensor.type] else { throw unknownType(sensor.type.text) }
        let columns = type.type.fields.map { quotedIdentifier($0.name) }.joined(separator: ", ")
        let rows = try database.query(
            """
            SELECT (extract(epoch FROM event_time) * 1000000)::bigint AS t, boot, seq, row_to_json(v) AS v FROM (
                SELECT * FROM readings.\(quotedIdentifier(type.table))
                WHERE instance_id = $1 ORDER BY event_time DESC, boot DESC, seq DESC LIMIT $2) AS r,
                LATERAL (SELECT \(columns)) AS v
            ORDER BY event_time, boot, seq
            """, .int(sensor.id), .int(last))
        return Reply([
            "type": .string(type.type.name.text), "fields": type.type.fields.json,
            "readings": .array(
                try rows.map { row in
                    [
                        "t": .int(row.int("t")), "boot": .int(row.int("boot")), "seq": .int(row.int("seq")),
                        "v": try JSON(parsing: row.text("v")),
                    ]
                }),
        ])
    }
}
