import Postgres

/// The ledger of gaps in the database: `hub.gap`, and of `hub.progress` what `hub.latest` does not say.
enum GapTable {
    typealias Range = SequenceLedger.Changes.Range

    /// How many ranges a driver is told of at once.
    private static let toldRanges = 20

    /// Beyond so many gaps in one batch a sensor's gaps of a boot are one row, so that a device that counts wildly cannot
    /// fill the database.
    private static let rowsInBatch = 100

    /// Writes what a batch changes, of each sensor. In a transaction of the caller.
    static func write(
        _ changes: [(sensor: Int32, changes: SequenceLedger.Changes)], to database: Connection
    ) throws(PostgresError) {
        var progress = Columns(), gaps = Columns(), late = Columns(), lost = Columns()
        // In the order of the key, so that two writers never wait for each other in a circle.
        for (sensor, change) in changes.sorted(by: { $0.sensor < $1.sensor }) {
            let reached =
                change.earlier.sorted { $0.key < $1.key } + (change.furthest.map { [($0.boot, $0.sequence)] } ?? [])
            for (boot, sequence) in reached { progress.append(sensor, Range(boot: boot, bounds: sequence...sequence)) }
            for range in change.gaps { gaps.append(sensor, range, group: change.gaps.count > rowsInBatch ? 0 : nil) }
            for range in change.late { late.append(sensor, range) }
            for range in change.lost { lost.append(sensor, range) }
        }
        if progress.count > 0 {
            try database.queryPrepared(
                """
                INSERT INTO hub.progress AS p (sensor_id, boot, seq)
                SELECT s, b, l FROM unnest($1::int4[], $2::int8[], $3::int8[], $4::int8[], $5::int4[]) AS u (s, b, f, l, g)
                WHERE EXISTS (SELECT FROM hub.sensor WHERE id = s AND removed_at IS NULL)
                ON CONFLICT (sensor_id, boot) DO UPDATE SET seq = EXCLUDED.seq WHERE EXCLUDED.seq > p.seq
                """, progress.parameters)
        }
        if gaps.count > 0 {
            try database.queryPrepared(
                """
                INSERT INTO hub.gap (sensor_id, boot, first_seq, last_seq, missing)
                SELECT s, b, min(f), max(l), range_agg(int8range(f, l, '[]'))
                FROM unnest($1::int4[], $2::int8[], $3::int8[], $4::int8[], $5::int4[]) AS u (s, b, f, l, g)
                GROUP BY s, b, g
                """, gaps.parameters)
        }
        if late.count > 0 {
            try database.queryPrepared(
                """
                UPDATE hub.gap SET missing = missing - came,
                    closed_at = CASE WHEN isempty(missing - came) THEN now() END
                FROM (\(Self.ranges("came"))) AS late
                WHERE sensor_id = s AND boot = b AND closed_at IS NULL AND missing && came
                """, late.parameters)
        }
        if lost.count > 0 {
            try database.queryPrepared(
                """
                UPDATE hub.gap SET missing = missing - gone, lost = lost + missing * gone,
                    closed_at = CASE WHEN isempty(missing - gone) THEN now() END
                FROM (\(Self.ranges("gone"))) AS lost
                WHERE sensor_id = s AND boot = b AND closed_at IS NULL AND missing && gone
                """, lost.parameters)
        }
    }

    private static func ranges(_ name: String) -> String {
        """
        SELECT s, b, range_agg(int8range(f, l, '[]')) AS \(name)
        FROM unnest($1::int4[], $2::int8[], $3::int8[], $4::int8[], $5::int4[]) AS u (s, b, f, l, g) GROUP BY s, b
        """
    }

    /// What is missing of these sensors, lowest first.
    static func missing(of sensors: [Int32], in database: Connection) throws(PostgresError) -> [Int32: [Range]] {
        var array = BinaryArray(.int4)
        for sensor in sensors { array.append(sensor) }
        let rows = try database.queryPrepared(
            """
            SELECT s AS sensor_id, boot, lower(r) AS first, upper(r) - 1 AS last
            FROM unnest($1::int4[]) AS s, LATERAL (
                SELECT boot, r FROM hub.gap, unnest(missing) AS r
                WHERE sensor_id = s AND closed_at IS NULL ORDER BY boot, lower(r) LIMIT \(toldRanges)) AS open
            """, .array(array))
        var missing: [Int32: [Range]] = [:]
        for row in rows {
            missing[Int32(row.int("sensor_id")), default: []].append(
                Range(boot: row.int("boot"), bounds: row.int("first")...row.int("last")))
        }
        return missing
    }

    private struct Columns {
        private var sensors = BinaryArray(.int4), boots = BinaryArray(.int8)
        private var first = BinaryArray(.int8), last = BinaryArray(.int8), groups = BinaryArray(.int4)
        private(set) var count = 0

        /// - Parameter group: rows of the same group become one; nil for a row of its own.
        mutating func append(_ sensor: Int32, _ range: Range, group: Int32? = nil) {
            count += 1
            sensors.append(sensor)
            boots.append(range.boot)
            first.append(range.bounds.lowerBound)
            last.append(range.bounds.upperBound)
            groups.append(group ?? Int32(count))
        }

        var parameters: [Parameter] { [sensors, boots, first, last, groups].map { .array($0) } }
    }
}
