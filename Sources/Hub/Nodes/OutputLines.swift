import HubModel
import Postgres

/// Output lines of a program, column by column as the database takes them.
struct OutputLines {
    private var times = BinaryArray(.float8)
    private var runs = BinaryArray(.int8)
    private var origins = BinaryArray(.int8)
    private var records = BinaryArray(.int8)
    private var streams = BinaryArray(.text)
    private var texts = BinaryArray(.text)

    /// What is longer is cut, in bytes.
    private static let maximumBytes = 16_384

    var count: Int { times.count }

    /// - Parameters:
    ///   - position: in the journal.
    ///   - time: microseconds since 1970.
    mutating func append(_ position: JournalPosition, at time: Int64, run: Int64, stream: String, text: String) {
        times.append(Double(time) / 1e6)
        runs.append(run)
        origins.append(position.origin)
        records.append(position.number)
        streams.append(stream.utf8)
        let text = text.replacing("\0", with: "")
        // Decoded again: a cut may have gone through a character.
        texts.append(String(decoding: text.utf8.prefix(Self.maximumBytes), as: UTF8.self).utf8)
    }

    var columns: [Parameter] { [times, runs, streams, texts, origins, records].map { .array($0) } }
}

extension HubCore {
    /// Stores output lines.
    func store(_ lines: OutputLines, of program: ProgramID, from node: Identifier) throws(PostgresError) {
        guard lines.count > 0, configuration.keptLines > 0 else { return }
        try database.queryPrepared(
            """
            INSERT INTO hub.log_line (kind, id, node, at, run, stream, line, origin, record)
            SELECT $1, $2, $3, to_timestamp(t), r, s, l, o, n
            FROM unnest($4::float8[], $5::bigint[], $6::text[], $7::text[], $8::bigint[], $9::bigint[])
                WITH ORDINALITY AS u (t, r, s, l, o, n, position)
            ORDER BY position
            """, [.text(program.kind.rawValue), .text(program.id.text), .text(node.text)] + lines.columns)
    }

    /// Of so many algorithm instances and so many drivers that are gone for good, lines and runs are kept.
    private static let goneProgramsKept = 500
    /// So many runs of a program are kept.
    private static let runsKept = 1_000

    /// Removes lines and runs of programs that are gone for good, and the oldest runs of all others.
    func forgetPrograms() throws(PostgresError) {
        try database.query(
            "SELECT hub.forget_programs($1, $2)", .int(Self.goneProgramsKept), .int(Self.runsKept))
    }

    /// Removes the oldest lines of a program, once a fifth more than the bound has come. What an earlier hub has counted
    /// is not known, so the first lines of a program have that done at once.
    func trimLines(of program: ProgramID, added count: Int) throws(PostgresError) {
        guard count > 0 else { return }
        let kept = configuration.keptLines
        let added = linesSinceTrim[program].map { $0 + Int64(count) }
        guard let added, added < max(kept / 5, 1) else {
            try database.queryPrepared(
                """
                DELETE FROM hub.log_line WHERE kind = $1 AND id = $2 AND number <= (
                    SELECT number FROM hub.log_line WHERE kind = $1 AND id = $2 ORDER BY number DESC OFFSET $3 LIMIT 1)
                """, .text(program.kind.rawValue), .text(program.id.text), .int(kept))
            linesSinceTrim[program] = 0
            return
        }
        linesSinceTrim[program] = added
    }
}
