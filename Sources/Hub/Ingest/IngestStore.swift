import HubModel
import Logging
import Postgres

/// Writes batches: readings, latest values, progress and dead letters in one transaction.
final class IngestStore {
    private let database: Connection
    private let topics: Topics
    private let logger: Logger
    /// Names of prepared statements by type.
    private var prepared: [Int32: String] = [:]
    private var preparedCount = 0

    init(_ database: Connection, topics: Topics, logger: Logger) {
        self.database = database
        self.topics = topics
        self.logger = logger
    }

    /// Connects again after the connection was lost.
    func reconnect() throws(PostgresError) {
        prepared = [:]
        try database.reset()
    }

    /// Commits `batch`. When it returns, all of it is in the database.
    ///
    /// A type whose rows the database refuses for a reason of their own (its table was changed by hand, say) must not
    /// hold up the others: its messages become dead letters.
    ///
    /// - Throws: `PostgresError` when the database is gone or cannot write: nothing is stored then.
    func store(_ batch: IngestBatch) throws {
        do {
            try write(batch)
        } catch let error as PostgresError where error.isRefusalOfRows {
            logger.warning("a batch was refused, trying each type by itself: \(error)")
            prepared = [:]
            try write(try withoutRefused(batch))
        }
    }

    private func write(_ batch: IngestBatch) throws {
        for columns in batch.columns.values where prepared[columns.type.id] == nil {
            try prepare(columns)
        }
        try database.transaction {
            for columns in batch.columns.values {
                let stored = try database.execute(prepared[columns.type.id]!, columns.parameters).affected
                try database.query(
                    "UPDATE hub.sensor_type SET readings = readings + $2 WHERE id = $1",
                    .int(columns.type.id), .int(stored))
            }
            try writeLatest(batch)
            try writeProgress(batch)
            try writeDeadLetters(batch)
        }
    }

    private func prepare(_ columns: ReadingColumns) throws {
        // Each under a name of its own: after a refusal the former one is still taken.
        preparedCount += 1
        let name = "insert_\(preparedCount)"
        try database.prepare(name, columns.insertStatement)
        prepared[columns.type.id] = name
    }

    /// The batch without the types whose rows are refused.
    private func withoutRefused(_ batch: IngestBatch) throws -> IngestBatch {
        var rest = batch
        for columns in batch.columns.values {
            do {
                try database.transaction {
                    try database.query(columns.insertStatement, columns.parameters)
                    throw Probe()
                }
            } catch is Probe {
                continue
            } catch let error as PostgresError where error.isRefusalOfRows {
                rest.refuse(
                    type: columns.type.id, reason: "the database refused it: \(error)", topics: topics,
                    receivedAt: microsecondsSince1970())
            }
        }
        return rest
    }

    /// Ends a transaction that was only a try.
    private struct Probe: Error {}

    private func writeLatest(_ batch: IngestBatch) throws {
        guard !batch.latest.isEmpty else { return }
        var sensors = BinaryArray(.int4), times = BinaryArray(.float8), received = BinaryArray(.float8)
        var boots = BinaryArray(.int8), sequences = BinaryArray(.int8), values = BinaryArray(.text)
        // In the order of the key, so that two writers never wait for each other in a circle.
        for (sensor, latest) in batch.latest.sorted(by: { $0.key < $1.key }) {
            sensors.append(sensor)
            times.append(Double(latest.key.time) / 1e6)
            received.append(Double(latest.receivedAt) / 1e6)
            boots.append(latest.key.boot)
            sequences.append(latest.key.sequence)
            values.append(latest.value)
        }
        try database.query(
            """
            INSERT INTO hub.latest AS l (sensor_id, event_time, received_at, boot, seq, value)
            SELECT s, to_timestamp(t), to_timestamp(r), b, q, v::jsonb
            FROM unnest($1::int4[], $2::float8[], $3::float8[], $4::int8[], $5::int8[], $6::text[]) AS u (s, t, r, b, q, v)
            WHERE EXISTS (SELECT FROM hub.sensor WHERE id = s AND removed_at IS NULL)
            ON CONFLICT (sensor_id) DO UPDATE SET event_time = EXCLUDED.event_time, received_at = EXCLUDED.received_at,
                boot = EXCLUDED.boot, seq = EXCLUDED.seq, value = EXCLUDED.value
            WHERE (EXCLUDED.event_time, EXCLUDED.boot, EXCLUDED.seq) > (l.event_time, l.boot, l.seq)
            """,
            .array(sensors), .array(times), .array(received), .array(boots), .array(sequences), .array(values))
    }

    private func writeProgress(_ batch: IngestBatch) throws {
        guard !batch.progress.isEmpty else { return }
        var sensors = BinaryArray(.int4), boots = BinaryArray(.int8), sequences = BinaryArray(.int8)
        for (sensor, progress) in batch.progress.sorted(by: { $0.key < $1.key }) {
            sensors.append(sensor)
            boots.append(progress.boot)
            sequences.append(progress.sequence)
        }
        try database.query(
            """
            INSERT INTO hub.progress AS p (sensor_id, boot, seq)
            SELECT s, b, q FROM unnest($1::int4[], $2::int8[], $3::int8[]) AS u (s, b, q)
            WHERE EXISTS (SELECT FROM hub.sensor WHERE id = s AND removed_at IS NULL)
            ON CONFLICT (sensor_id) DO UPDATE SET boot = EXCLUDED.boot, seq = EXCLUDED.seq
            WHERE (EXCLUDED.boot, EXCLUDED.seq) > (p.boot, p.seq)
            """, .array(sensors), .array(boots), .array(sequences))
    }

    private func writeDeadLetters(_ batch: IngestBatch) throws {
        guard !batch.deadLetters.isEmpty else { return }
        var times = BinaryArray(.float8), topics = BinaryArray(.text), fields = BinaryArray(.text)
        var reasons = BinaryArray(.text), payloads = BinaryArray(.bytea)
        for letter in batch.deadLetters {
            times.append(Double(letter.receivedAt) / 1e6)
            topics.append(letter.topic.utf8)
            // The name of a field that nobody knows came from outside, NUL perhaps included.
            fields.append(letter.fault.field.replacing("\0", with: "").utf8)
            reasons.append(letter.fault.reason.replacing("\0", with: "").utf8)
            payloads.append(letter.payload)
        }
        try database.query(
            """
            INSERT INTO hub.dead_letter (received_at, topic, field, reason, payload)
            SELECT to_timestamp(t), c, f, r, p
            FROM unnest($1::float8[], $2::text[], $3::text[], $4::text[], $5::bytea[]) AS u (t, c, f, r, p)
            """, .array(times), .array(topics), .array(fields), .array(reasons), .array(payloads))
    }
}

extension PostgresError {
    /// The rows or the table are at fault, and another try would end the same way: data exceptions (22), violated
    /// constraints (23), unknown tables and columns (42).
    fileprivate var isRefusalOfRows: Bool {
        ["22", "23", "42"].contains { state.hasPrefix($0) }
    }
}
