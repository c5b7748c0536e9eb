import HubModel
import MQTT
import Postgres
import SimdJSON

extension HubCore {
    /// A piece of a program's journal: each of its records is stored once, however often it comes, and the node is told
    /// how far the hub has come. While the database is away nothing is told, and the node says it again.
    func takeJournal(_ message: Message, _ reader: DocumentReader, from node: Identifier) throws {
        guard message.payload.count <= JournalReport.maximumBytes else {
            throw reader.error("\(message.payload.count) bytes of a journal: the most is \(JournalReport.maximumBytes)")
        }
        let report = try JournalReport(reader)
        let taken = try database.transaction { try store(report, from: node) }
        if taken.isNew {
            for fault in report.faults.prefix(5) {
                logger.warning("node \(node), journal of \(report.program) after \(report.after): \(fault)")
            }
        }
        try trimLines(of: report.program, added: taken.lineCount)
        if isPlaced(report.program, on: node) { taken.states.forEach(watchForCrashLoop) }
        for state in taken.states { try closeCommand(state, from: node) }
        if let present = taken.present {
            tellOutputStatus(present, from: node)
            try removePassing(present, on: node)
        }
        publish(
            OutgoingMessage(
                topic: topics.node(node.text, .command),
                payload: JournalCommitted(report.program, taken.position).json.bytes()))
    }

    /// What became of a report.
    private struct Taken {
        var position: JournalPosition
        /// True where it was not known already.
        var isNew = false
        var lineCount = 0
        var states: [ProgramReport] = []
        /// The last of them, where it says how the program is now.
        var present: ProgramReport?
    }

    /// In a transaction.
    private func store(_ report: JournalReport, from node: Identifier) throws(PostgresError) -> Taken {
        let program = report.program
        let key: [Parameter] = [.text(program.kind.rawValue), .text(program.id.text), .text(node.text)]
        let row = try database.queryPrepared(
            "SELECT origin, number FROM hub.journal WHERE kind = $1 AND id = $2 AND node = $3", key
        ).first
        let before = JournalProgress(row.map { JournalPosition(origin: $0.int("origin"), number: $0.int("number")) })
        var progress = before
        let (records, lost) = progress.take(report)
        var taken = Taken(position: progress.position, isNew: progress != before)
        guard taken.isNew else { return taken }
        var lines = OutputLines()
        if lost > 0, let first = records.first {
            lines.append(
                // In the place of the last of them.
                JournalPosition(origin: report.origin, number: first.number - 1), at: first.time, run: first.run,
                stream: JournalRecord.Stream.stderr.rawValue,
                text: "… \(lost) lines dropped: the node had no more room for them")
        }
        for record in records {
            switch record.content {
            case .line(let stream, let text):
                lines.append(
                    JournalPosition(origin: report.origin, number: record.number), at: record.time, run: record.run,
                    stream: stream.rawValue, text: text)
            case .state(let state): taken.states.append(state)
            }
        }
        guard try isBusiness(of: node, program) || taken.states.contains(where: \.state.isAlive) else {
            logger.warning("node \(node) sent a journal of \(program), which never was placed there")
            taken.states = []
            return taken
        }
        try store(lines, of: program, from: node)
        taken.lineCount = lines.count
        for state in taken.states {
            try storeRun(state, from: node)
            try storeEnd(of: state, from: node)
        }
        if let last = taken.states.last, try storeState(last, from: node) { taken.present = last }
        try database.queryPrepared(
            """
            INSERT INTO hub.journal (kind, id, node, origin, number) VALUES ($1, $2, $3, $4, $5)
            ON CONFLICT (kind, id, node) DO UPDATE SET origin = EXCLUDED.origin, number = EXCLUDED.number
            """, key + [.int(progress.position.origin), .int(progress.position.number)])
        return taken
    }

    /// True where a program is placed on the node, or was.
    private func isBusiness(of node: Identifier, _ program: ProgramID) throws(PostgresError) -> Bool {
        if isPlaced(program, on: node) { return true }
        return try database.queryPrepared(
            """
            SELECT EXISTS (SELECT FROM hub.journal WHERE kind = $1 AND id = $2 AND node = $3)
                OR EXISTS (SELECT FROM hub.program WHERE kind = $1 AND id = $2 AND node = $3)
                OR EXISTS (SELECT FROM hub.run WHERE kind = $1 AND id = $2 AND node = $3)
                OR $1 = 'algorithm' AND EXISTS (SELECT FROM hub.algorithm_instance WHERE id = $2 AND node = $3)
                OR $1 = 'command' AND EXISTS (SELECT FROM hub.command WHERE id = $2 AND node = $3)
                OR $1 = 'driver' AND EXISTS (SELECT FROM hub.sensor WHERE name = $2 AND node = $3) AS known
            """, .text(program.kind.rawValue), .text(program.id.text), .text(node.text)
        )[0].bool("known")
    }
}
