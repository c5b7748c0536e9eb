import Credentials
import HubModel
import MQTT
import Postgres
import SimdJSON

extension HubCore {
    /// What an agent tells of its node.
    func handleReport(_ message: Message, of node: Identifier) throws {
        let reader = DocumentReader(try JSON(parsing: message.payload))
        let kind = try reader.required("kind")
        switch try kind.string() {
        case "snapshot":
            let reports = try reader.required("programs").items().map { try ProgramReport($0) }
            for report in reports { try take(report, from: node) }
            try forgetPrograms(on: node, besides: reports.map(\.program))
            changePlan(of: node)
        case "journal":
            try takeJournal(message, reader, from: node)
        case "credential":
            try acceptCredential(reader, from: node)
        case RequestHeard.kind: try takeHeard(reader, from: node)
        case "archive_wanted":
            try sendArchive(reader, to: node)
        case let other:
            throw kind.error("'\(other.prefix(80))' is no report")
        }
    }

    /// True where `program` is this node's business.
    func isPlaced(_ program: ProgramID, on node: Identifier) -> Bool {
        switch program.kind {
        case .driver: registry.sensors[program.id]?.node == node
        case .algorithm: instances[program.id]?.node == node
        case .command: commands[program.id]?.node == node
        }
    }

    /// What a node says of a program's present state. Where the program has a journal, that alone tells what happened,
    /// and this only how it is.
    private func take(_ report: ProgramReport, from node: Identifier) throws {
        let isPresent = try database.transaction {
            if report.position == nil {
                try storeRun(report, from: node)
                try storeEnd(of: report, from: node)
            }
            return try storeState(report, from: node)
        }
        // That a program is well ends its crash loop, and a hub that has just started hears of it nowhere else.
        if isPlaced(report.program, on: node), report.position == nil || isPresent && report.isWell {
            watchForCrashLoop(report)
        }
        if report.position == nil { try closeCommand(report, from: node) }
        if isPresent {
            tellOutputStatus(report, from: node)
            try removePassing(report, on: node)
        }
    }

    /// Says of the outputs of an algorithm instance how it is.
    func tellOutputStatus(_ report: ProgramReport, from node: Identifier) {
        guard report.program.kind == .algorithm, let instance = instances[report.program.id], instance.node == node
        else { return }
        tellOutputStatus(of: instance, report.state, report.reason)
    }

    /// Stores how a program is, unless something newer of the same node is known, or this node is only left with what has
    /// moved to another one. In a transaction.
    ///
    /// - Returns: false where it was not stored.
    func storeState(_ report: ProgramReport, from node: Identifier) throws(PostgresError) -> Bool {
        let program = report.program
        let kind = Parameter.text(program.kind.rawValue), id = Parameter.text(program.id.text)
        let origin = Parameter.int(report.position?.origin), number = Parameter.int(report.position?.number)
        let isPlaced = isPlaced(program, on: node)
        if isPlaced || report.state.isAlive {
            return try database.queryPrepared(
                """
                INSERT INTO hub.program AS p (kind, id, node, state, reason, pid, since, run, origin, number)
                VALUES ($1, $2, $3, $4, $5, $6, to_timestamp($7), $8, $9, $10)
                ON CONFLICT (kind, id) DO UPDATE SET node = EXCLUDED.node, state = EXCLUDED.state,
                    reason = EXCLUDED.reason, pid = EXCLUDED.pid, since = EXCLUDED.since, run = EXCLUDED.run,
                    origin = CASE WHEN p.node = EXCLUDED.node THEN coalesce(EXCLUDED.origin, p.origin)
                        ELSE EXCLUDED.origin END,
                    number = CASE WHEN p.node = EXCLUDED.node THEN coalesce(EXCLUDED.number, p.number)
                        ELSE EXCLUDED.number END
                WHERE CASE WHEN p.node <> EXCLUDED.node THEN $11
                    ELSE p.origin IS NULL OR EXCLUDED.origin IS NULL
                        OR (p.origin, p.number) <= (EXCLUDED.origin, EXCLUDED.number) END
                """,
                kind, id, .text(node.text), .text(report.state.rawValue), .text(report.storedReason), .int(report.pid),
                .double(report.seconds), .int(report.run), origin, number, .bool(isPlaced)
            ).affected > 0
        }
        // It was stopped for good, and has now ended: the node need not tell any more of it.
        let removed = try database.queryPrepared(
            """
            DELETE FROM hub.program WHERE kind = $1 AND id = $2 AND node = $3
                AND (origin IS NULL OR $4::bigint IS NULL OR (origin, number) <= ($4, $5))
            """, kind, id, .text(node.text), origin, number
        ).affected
        if removed > 0 { changeRights() }
        return removed > 0
    }

    /// Stores that a run has begun or ended, where the report says so. In a transaction.
    func storeRun(_ report: ProgramReport, from node: Identifier) throws(PostgresError) {
        let program = report.program
        let kind = Parameter.text(program.kind.rawValue), id = Parameter.text(program.id.text)
        let time = Parameter.double(report.seconds)
        if report.pid != nil, report.state == .starting || report.state == .running {
            try database.queryPrepared(
                """
                INSERT INTO hub.run (kind, id, node, run, pid, started_at)
                VALUES ($1, $2, $3, $4, $5, to_timestamp($6)) ON CONFLICT (kind, id, node, run) DO NOTHING
                """, kind, id, .text(node.text), .int(report.run), .int(report.pid), time)
        } else if !report.state.isAlive {
            // Of an earlier run nothing was told: what is known of this one's end is not true of it.
            try database.queryPrepared(
                """
                UPDATE hub.run SET ended_at = to_timestamp($5), exit_code = CASE WHEN run = $4 THEN $6::integer END,
                    signal = CASE WHEN run = $4 THEN $7::integer END,
                    reason = CASE WHEN run = $4 THEN $8 ELSE 'its end was not told' END
                WHERE kind = $1 AND id = $2 AND node = $3 AND run <= $4 AND ended_at IS NULL
                """,
                kind, id, .text(node.text), .int(report.run), time, .int(report.exitCode), .int(report.signal),
                .text(report.storedReason))
        }
    }

    /// Ends the record of programs that the node knows nothing of: they ended while nobody was there to tell.
    private func forgetPrograms(on node: Identifier, besides known: [ProgramID]) throws {
        let rows = try database.query("SELECT kind, id FROM hub.program WHERE node = $1", .text(node.text))
        for row in rows {
            guard let kind = ProgramID.Kind(rawValue: row.text("kind")), let id = Identifier(row.text("id")) else {
                continue
            }
            let program = ProgramID(kind, id)
            guard !known.contains(program), !isPlaced(program, on: node) else { continue }
            try database.query(
                "DELETE FROM hub.program WHERE kind = $1 AND id = $2", .text(kind.rawValue), .text(id.text))
            try database.query(
                """
                UPDATE hub.run SET ended_at = now(), reason = 'the node does not know it any more'
                WHERE kind = $1 AND id = $2 AND node = $3 AND ended_at IS NULL
                """, .text(kind.rawValue), .text(id.text), .text(node.text))
            changeRights()
        }
    }

    /// The node made a password for a program that it is to run.
    private func acceptCredential(_ reader: DocumentReader, from node: Identifier) throws {
        let program = try ProgramID(reader)
        let hash = try reader.required("hash").string()
        guard Credential.isHash(hash) else { throw reader.error("'hash' is no hash of a password") }
        guard isPlaced(program, on: node) else {
            logger.warning("node \(node) sent a credential for \(program), which is not placed there")
            changePlan(of: node)
            return
        }
        guard let user = program.user else { throw reader.error("\(program) has no password") }
        try BrokerAccess.set(hash, of: user, in: database)
        changeRights()
        changePlan(of: node)
    }

    /// The bytes of an app that the node is to run.
    private func sendArchive(_ reader: DocumentReader, to node: Identifier) throws {
        let sha256 = try reader.required("sha256").identifier().text
        guard instances.values.contains(where: { $0.node == node && $0.sha256 == sha256 }) else {
            throw reader.error("node \(node) has nothing to run from '\(sha256)'")
        }
        guard
            let row = try database.query(
                "SELECT archive FROM hub.app_version WHERE sha256 = $1 AND archive <> '' LIMIT 1", .text(sha256)
            ).first
        else { return }
        publish(
            OutgoingMessage(
                topic: topics.archive(node: node.text, sha256: sha256), payload: row.bytes("archive")))
    }
}

extension ProgramReport {
    fileprivate var seconds: Double { Double(time) / 1e6 }
    fileprivate var storedReason: String { String(reason.prefix(2_000)) }
}
