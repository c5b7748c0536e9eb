import HubModel
import Logging
import Postgres

/// Writes batches: readings, latest values, gaps, progress and dead letters in one transaction.
final class IngestStore {
    private let database: Connection
    private let topics: Topics
    private let logger: Logger
    private let parser = ReadingParser()

    init(_ database: Connection, topics: Topics, logger: Logger) {
        self.database = database
        self.topics = topics
        self.logger = logger
    }

    /// Connects again after the connection was lost.
    func reconnect() throws(PostgresError) {
        try database.reset()
    }

    /// What is known of each sensor's numbers.
    func ledgers() throws(PostgresError) -> [Int32: SequenceLedger] {
        var progress: [Int32: [Int64: Int64]] = [:]
        for row in try database.query("SELECT sensor_id, boot, seq FROM hub.reached") {
            progress[Int32(row.int("sensor_id")), default: [:]][row.int("boot")] = row.int("seq")
        }
        let open = Set(
            try database.query("SELECT DISTINCT sensor_id FROM hub.gap WHERE closed_at IS NULL")
                .map { Int32($0.int("sensor_id")) })
        var ledgers: [Int32: SequenceLedger] = [:]
        for (sensor, progress) in progress {
            ledgers[sensor] = SequenceLedger(progress: progress, hasOpenGaps: open.contains(sensor))
        }
        return ledgers
    }

    /// All known clock corrections.
    func corrections() throws(PostgresError) -> [Int32: [ClockCorrection]] {
        var corrections: [Int32: [ClockCorrection]] = [:]
        let rows = try database.query(
            "SELECT sensor_id, boot, first_seq, last_seq, offset_us FROM hub.clock_correction")
        for row in rows {
            corrections[Int32(row.int("sensor_id")), default: []].append(
                ClockCorrection(
                    boot: row.int("boot"), sequences: row.int("first_seq")...row.int("last_seq"),
                    offset: row.int("offset_us")))
        }
        return corrections
    }

    /// Dead letters by their numbers; those that are gone are left out.
    func deadLetters(_ numbers: [Int64]) throws(PostgresError) -> [(number: Int64, letter: IngestBatch.DeadLetter)] {
        var array = BinaryArray(.int8)
        for number in numbers { array.append(number) }
        return try database.query(
            """
            SELECT id, (extract(epoch FROM received_at) * 1000000)::bigint AS t, topic, payload
            FROM hub.dead_letter WHERE id = ANY ($1::int8[]) ORDER BY id
            """, .array(array)
        ).map { row in
            (
                row.int("id"),
                IngestBatch.DeadLetter(
                    receivedAt: row.int("t"), topic: row.text("topic"), fault: ReadingFault(field: "", reason: ""),
                    payload: row.bytes("payload"))
            )
        }
    }

    /// Commits `batch`. When it returns, all of it is in the database.
    ///
    /// A type whose rows the database refuses for a reason of their own (its table was changed by hand, say) must not
    /// hold up the others: its messages become dead letters.
    ///
    /// - Parameters:
    ///   - changes: what the batch means for the ledger, for each of its sensors.
    ///   - mayRepeat: false where all its readings are expected to be new.
    /// - Returns: what is still missing of the sensors that have open gaps, lowest first.
    /// - Throws: `PostgresError` when the database is gone or cannot write: nothing is stored then.
    func store(
        _ batch: IngestBatch, _ changes: [SequenceLedger.Changes], openGaps: [Int32], mayRepeat: Bool
    ) throws -> [Int32: [SequenceLedger.Changes.Range]] {
        do {
            return try write(batch, changes, openGaps, leavingRepeats: mayRepeat)
        } catch let error as PostgresError where error.isRepeat && !mayRepeat {
            return try store(batch, changes, openGaps: openGaps, mayRepeat: true)
        } catch let error as PostgresError where error.isRefusalOfRows {
            logger.warning("a batch was refused, trying each type by itself: \(error)")
            return try write(try withoutRefused(batch), changes, openGaps, leavingRepeats: true)
        }
    }

    private func write(
        _ batch: IngestBatch, _ changes: [SequenceLedger.Changes], _ openGaps: [Int32], leavingRepeats: Bool
    ) throws -> [Int32: [SequenceLedger.Changes.Range]] {
        try database.transaction {
            var stored: [(columns: ReadingColumns, rows: Int64)] = []
            for columns in batch.columns where columns.count > 0 {
                let rows = try database.queryPrepared(
                    columns.insertStatement(leavingRepeats: leavingRepeats), columns.parameters
                ).affected
                if rows > 0 { stored.append((columns, Int64(rows))) }
            }
            try count(stored)
            let late = try writeLatest(batch)
            for part in batch.sensors {
                for correction in part.corrections { try write(correction, of: part.entry) }
            }
            try GapTable.write(progress(changes, of: batch, late: late), to: database)
            try writeDeadLetters(batch)
            return openGaps.isEmpty ? [:] : try GapTable.missing(of: openGaps, in: database)
        }
    }

    /// Writes how many readings came of each type, and which hours are to be rolled up.
    private func count(_ stored: [(columns: ReadingColumns, rows: Int64)]) throws {
        guard !stored.isEmpty else { return }
        var types = BinaryArray(.int4), counts = BinaryArray(.int8)
        var dueTypes = BinaryArray(.int4), hours = BinaryArray(.int8)
        // In the order of the key, so that two writers never wait for each other in a circle.
        for (columns, rows) in stored.sorted(by: { $0.columns.type.id < $1.columns.type.id }) {
            types.append(columns.type.id)
            counts.append(rows)
            for hour in columns.hours.sorted() {
                dueTypes.append(columns.type.id)
                hours.append(hour)
            }
        }
        // A type stands there more than once where some of its clocks are not right.
        try database.queryPrepared(
            """
            UPDATE hub.sensor_type SET readings = readings + n
            FROM (SELECT i, sum(n)::int8 AS n FROM unnest($1::int4[], $2::int8[]) AS u (i, n) GROUP BY i) AS stored
            WHERE id = i
            """, .array(types), .array(counts))
        try database.queryPrepared(
            """
            INSERT INTO hub.rollup_due (type_id, hour)
            SELECT i, to_timestamp(h * 3600) FROM unnest($1::int4[], $2::int8[]) AS u (i, h) ON CONFLICT DO NOTHING
            """, .array(dueTypes), .array(hours))
    }

    /// The batch without the types whose rows are refused.
    private func withoutRefused(_ batch: IngestBatch) throws -> IngestBatch {
        var rest = batch
        for columns in batch.columns where columns.count > 0 {
            do {
                try database.transaction {
                    try database.query(columns.insertStatement(leavingRepeats: true), columns.parameters)
                    throw Probe()
                }
            } catch is Probe {
                continue
            } catch let error as PostgresError where error.isRefusalOfRows {
                rest.refuse(
                    columns, reason: "the database refused it: \(error)", topics: topics,
                    receivedAt: microsecondsSince1970())
            }
        }
        return rest
    }

    /// Ends a transaction that was only a try.
    private struct Probe: Error {}

    /// What of `changes` is to be written: where the newest reading of a sensor is also the furthest of its newest boot,
    /// which is nearly always so, its row in `hub.latest` says how far the sensor has come.
    private func progress(
        _ changes: [SequenceLedger.Changes], of batch: IngestBatch, late: Set<Int32>
    ) -> [(sensor: Int32, changes: SequenceLedger.Changes)] {
        var rest: [(sensor: Int32, changes: SequenceLedger.Changes)] = []
        for index in changes.indices {
            var change = changes[index]
            let part = batch.sensors[index], sensor = part.entry.sensorID
            if let furthest = change.furthest, let latest = part.latest?.key,
                furthest == (latest.boot, latest.sequence),
                !late.contains(sensor)
            {
                change.furthest = nil
            }
            if !change.isEmpty { rest.append((sensor, change)) }
        }
        return rest
    }

    /// Writes the newest readings.
    ///
    /// - Returns: the sensors whose newest reading in the batch is not their latest, because it came late.
    private func writeLatest(_ batch: IngestBatch) throws -> Set<Int32> {
        var sensors = BinaryArray(.int4), times = BinaryArray(.timestamptz), received = BinaryArray(.timestamptz)
        var boots = BinaryArray(.int8), sequences = BinaryArray(.int8), values = BinaryArray(.text)
        // In the order of the key, so that two writers never wait for each other in a circle.
        let order = batch.sensors.enumerated().map { (id: $1.entry.sensorID, index: $0) }.sorted { $0.id < $1.id }
        for (id, index) in order {
            guard let latest = batch.sensors[index].latest else { continue }
            sensors.append(id)
            times.append(latest.key.time - ReadingColumns.postgresEpoch)
            received.append(latest.receivedAt - ReadingColumns.postgresEpoch)
            boots.append(latest.key.boot)
            sequences.append(latest.key.sequence)
            values.append(batch.value(of: latest, parser: parser))
        }
        guard sensors.count > 0 else { return [] }
        let parameters = [sensors, times, received, boots, sequences, values].map { Parameter.array($0) }
        let rows = "unnest($1::int4[], $2::timestamptz[], $3::timestamptz[], $4::int8[], $5::int8[], $6::text[])"
        // An update is cheaper than an insert that becomes one, and nearly always all there is to do.
        let updated = try database.queryPrepared(
            """
            UPDATE hub.latest AS l SET event_time = t, received_at = r, boot = b, seq = q, value = v::jsonb
            FROM \(rows) AS u (s, t, r, b, q, v)
            WHERE sensor_id = s AND (t, b, q) > (l.event_time, l.boot, l.seq)
            """, parameters
        ).affected
        if updated == sensors.count { return [] }
        try database.queryPrepared(
            """
            INSERT INTO hub.latest AS l (sensor_id, event_time, received_at, boot, seq, value)
            SELECT s, t, r, b, q, v::jsonb FROM \(rows) AS u (s, t, r, b, q, v)
            WHERE NOT EXISTS (SELECT FROM hub.latest WHERE sensor_id = s)
                AND EXISTS (SELECT FROM hub.sensor WHERE id = s AND removed_at IS NULL)
            ON CONFLICT (sensor_id) DO NOTHING
            """, parameters)
        let late = try database.queryPrepared(
            """
            SELECT s FROM \(rows) AS u (s, t, r, b, q, v) LEFT JOIN hub.latest AS l ON l.sensor_id = s
            WHERE (l.boot, l.seq) IS DISTINCT FROM (b, q)
            """, parameters)
        return Set(late.map { Int32($0.int("s")) })
    }

    /// Moves readings that were stamped with a wrong clock to their right time, and remembers the offset for repeats.
    private func write(_ correction: ClockCorrection, of entry: IngestCatalog.Entry) throws {
        let parameters: [Parameter] = [
            .int(entry.sensorID), .int(correction.boot), .int(correction.sequences.lowerBound),
            .int(correction.sequences.upperBound), .double(Double(correction.offset) / 1e6),
        ]
        try database.query(
            """
            INSERT INTO hub.clock_correction (sensor_id, boot, first_seq, last_seq, offset_us)
            VALUES ($1, $2, $3, $4, $5) ON CONFLICT (sensor_id, boot, first_seq) DO NOTHING
            """, Array(parameters.prefix(4)) + [.int(correction.offset)])
        try database.query(
            """
            WITH moved AS (
                UPDATE readings.\(quotedIdentifier(entry.type.table))
                SET event_time = event_time + make_interval(secs => $5), clock = 'corrected'
                WHERE instance_id = $1 AND boot = $2 AND seq BETWEEN $3 AND $4 AND clock = 'uncertain'
                RETURNING event_time)
            INSERT INTO hub.rollup_due (type_id, hour)
            SELECT DISTINCT \(entry.type.id), to_timestamp(floor(extract(epoch FROM t) / 3600) * 3600)
            FROM moved, unnest(ARRAY[event_time, event_time - make_interval(secs => $5)]) AS u (t) ON CONFLICT DO NOTHING
            """, parameters)
        try database.query(
            """
            UPDATE hub.latest SET event_time = event_time + make_interval(secs => $5)
            WHERE sensor_id = $1 AND boot = $2 AND seq BETWEEN $3 AND $4
            """, parameters)
    }

    private func writeDeadLetters(_ batch: IngestBatch) throws {
        if !batch.replayed.isEmpty {
            var numbers = BinaryArray(.int8)
            for number in batch.replayed { numbers.append(number) }
            try database.query("DELETE FROM hub.dead_letter WHERE id = ANY ($1::int8[])", .array(numbers))
        }
        guard !batch.deadLetters.isEmpty else { return }
        var times = BinaryArray(.timestamptz), topics = BinaryArray(.text), fields = BinaryArray(.text)
        var reasons = BinaryArray(.text), payloads = BinaryArray(.bytea)
        for letter in batch.deadLetters {
            times.append(letter.receivedAt - ReadingColumns.postgresEpoch)
            topics.append(letter.topic.utf8)
            // The name of a field that nobody knows came from outside, NUL perhaps included.
            fields.append(letter.fault.field.replacing("\0", with: "").utf8)
            reasons.append(letter.fault.reason.replacing("\0", with: "").utf8)
            payloads.append(letter.payload)
        }
        try database.queryPrepared(
            """
            INSERT INTO hub.dead_letter (received_at, topic, field, reason, payload)
            SELECT * FROM unnest($1::timestamptz[], $2::text[], $3::text[], $4::text[], $5::bytea[])
            """, .array(times), .array(topics), .array(fields), .array(reasons), .array(payloads))
    }
}

extension PostgresError {
    /// A row is in the table already.
    fileprivate var isRepeat: Bool { state == "23505" }

    /// The rows or the table are at fault, and another try would end the same way: data exceptions (22), violated
    /// constraints (23), unknown tables and columns (42).
    fileprivate var isRefusalOfRows: Bool {
        ["22", "23", "42"].contains { state.hasPrefix($0) }
    }
}
