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
        case "state":
            try take(ProgramReport(reader), from: node)
        case "credential":
            try acceptCredential(reader, from: node)
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
        }
    }

    private func take(_ report: ProgramReport, from node: Identifier) throws {
        try store(report, from: node)
        if isPlaced(report.program, on: node) { watchForCrashLoop(report) }
        guard report.program.kind == .algorithm, let instance = instances[report.program.id], instance.node == node
        else { return }
        tellOutputStatus(of: instance, report.state, report.reason)
    }

    private func store(_ report: ProgramReport, from node: Identifier) throws {
        let program = report.program
        let kind = Parameter.text(program.kind.rawValue), id = Parameter.text(program.id.text)
        let time = Parameter.double(Double(report.time) / 1e6)
        let reason = Parameter.text(String(report.reason.prefix(2_000)))
        try database.transaction {
            if isPlaced(program, on: node) || report.state.isAlive {
                try database.query(
                    """
                    INSERT INTO hub.program (kind, id, node, state, reason, pid, since, run)
                    VALUES ($1, $2, $3, $4, $5, $6, to_timestamp($7), $8)
                    ON CONFLICT (kind, id) DO UPDATE SET node = EXCLUDED.node, state = EXCLUDED.state,
                        reason = EXCLUDED.reason, pid = EXCLUDED.pid, since = EXCLUDED.since, run = EXCLUDED.run
                    """,
                    kind, id, .text(node.text), .text(report.state.rawValue), reason, .int(report.pid), time,
                    .int(report.run))
            } else {
                // It was stopped for good, and has now ended: the node need not tell any more of it.
                try database.query(
                    "DELETE FROM hub.program WHERE kind = $1 AND id = $2 AND node = $3", kind, id, .text(node.text))
                changeRights()
            }
            if report.pid != nil, report.state == .starting || report.state == .running {
                try database.query(
                    """
                    INSERT INTO hub.run (kind, id, node, run, pid, started_at)
                    VALUES ($1, $2, $3, $4, $5, to_timestamp($6)) ON CONFLICT (kind, id, node, run) DO NOTHING
                    """, kind, id, .text(node.text), .int(report.run), .int(report.pid), time)
            } else if !report.state.isAlive {
                try database.query(
                    """
                    UPDATE hub.run SET ended_at = to_timestamp($5), exit_code = $6, signal = $7, reason = $8
                    WHERE kind = $1 AND id = $2 AND node = $3 AND run <= $4 AND ended_at IS NULL
                    """,
                    kind, id, .text(node.text), .int(report.run), time, .int(report.exitCode), .int(report.signal),
                    reason)
            }
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
        try BrokerAccess.set(hash, of: program.user, in: database)
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
                "SELECT archive FROM hub.app_version WHERE sha256 = $1 LIMIT 1", .text(sha256)
            ).first
        else { return }
        publish(
            OutgoingMessage(
                topic: topics.archive(node: node.text, sha256: sha256), payload: row.bytes("archive")))
    }

    // MARK: Output

    /// Lines that are kept for each program; older ones go.
    private static let keptLines = 5_000

    /// Stores output lines: `{"t", "stream", "text"}` or an array of them.
    func storeLog(_ message: Message, of program: ProgramID) throws {
        let reader = DocumentReader(try JSON(parsing: message.payload))
        let items = reader.value.array == nil ? [reader] : try reader.items()
        var times = BinaryArray(.float8), streams = BinaryArray(.text), texts = BinaryArray(.text)
        for item in items.prefix(10_000) {
            times.append(Double(try item.required("t").int(0...4_102_444_800_000_000)) / 1e6)
            streams.append(try item.required("stream").string().utf8.prefix(16))
            let text = try item.required("text").value.string ?? ""
            texts.append(Array(text.replacing("\0", with: "").utf8.prefix(16_384)))
        }
        try database.query(
            """
            INSERT INTO hub.log_line (kind, id, at, stream, line)
            SELECT $1, $2, to_timestamp(t), s, l FROM unnest($3::float8[], $4::text[], $5::text[]) AS u (t, s, l)
            """, .text(program.kind.rawValue), .text(program.id.text), .array(times), .array(streams), .array(texts))
        linesSinceTrim[program, default: 0] += items.count
        if linesSinceTrim[program]! >= Self.keptLines / 5 {
            linesSinceTrim[program] = 0
            try database.query(
                """
                DELETE FROM hub.log_line WHERE kind = $1 AND id = $2 AND number < (
                    SELECT number FROM hub.log_line WHERE kind = $1 AND id = $2 ORDER BY number DESC OFFSET $3 LIMIT 1)
                """, .text(program.kind.rawValue), .text(program.id.text), .int(Self.keptLines - 1))
        }
    }
}
