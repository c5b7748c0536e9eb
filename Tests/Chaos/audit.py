"""What became of every reading, by SQL: stored once, recorded as lost, or unexplained."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Iterable, Mapping

import psycopg

from witness import Boot, Witness, ranges

_QUERY = """
WITH stored AS (
    SELECT s.name AS sensor, r.instance_id AS sensor_id, r.boot, count(*) AS rows, count(DISTINCT r.seq) AS stored,
           range_agg(int8range(r.seq, r.seq, '[]')) AS numbers
    FROM readings.{table} r JOIN hub.sensor s ON s.id = r.instance_id GROUP BY 1, 2, 3
), gap AS (
    SELECT s.name AS sensor, g.boot, range_agg(missing) AS missing, range_agg(lost) AS lost
    FROM (SELECT sensor_id, boot, unnest(missing) AS missing, NULL::int8range AS lost FROM hub.gap
          UNION ALL SELECT sensor_id, boot, NULL, unnest(lost) FROM hub.gap) g
    JOIN hub.sensor s ON s.id = g.sensor_id GROUP BY 1, 2
), told AS (
    SELECT sensor, boot, last, seen FROM unnest(%(sensors)s::text[], %(boots)s::int8[], %(lasts)s::int8[],
        %(seen)s::int8multirange[]) AS u (sensor, boot, last, seen)
), progress AS (
    SELECT s.name AS sensor, p.boot, p.seq FROM hub.reached p JOIN hub.sensor s ON s.id = p.sensor_id
), boot AS (
    SELECT sensor, boot, coalesce(stored.rows, 0) AS rows, coalesce(stored.stored, 0) AS stored,
           coalesce(numbers, '{{}}') AS numbers, coalesce(missing, '{{}}') AS missing, coalesce(lost, '{{}}') AS lost,
           coalesce(seen, '{{}}') AS seen, told.last AS own,
           greatest(told.last, progress.seq, upper(numbers) - 1, upper(lost) - 1, upper(missing) - 1, 0) AS last
    FROM stored FULL JOIN gap USING (sensor, boot) FULL JOIN told USING (sensor, boot)
        FULL JOIN progress USING (sensor, boot)
)
SELECT sensor, boot, rows, stored, last, own,
       size(lost) AS lost, size(missing) AS open, size(lost * numbers) AS lost_and_stored,
       (int8multirange(int8range(1, last + 1)) - numbers - lost)::text AS unexplained,
       size(int8multirange(int8range(1, last + 1)) - numbers - lost) AS unexplained_count,
       size(seen - numbers - lost) AS seen_only
FROM boot
"""

_SIZE = """
CREATE OR REPLACE FUNCTION pg_temp.size(ranges int8multirange) RETURNS bigint LANGUAGE sql IMMUTABLE AS
$$ SELECT coalesce(sum(upper(r) - lower(r)), 0)::bigint FROM unnest(ranges) AS r $$
"""


@dataclass
class Result:
    taken: int = 0
    stored: int = 0
    doubled: int = 0
    lost: int = 0
    # By drivers that were stopped for the audit, for want of a moment to send it.
    kept: int = 0
    unexplained: int = 0
    seen: int = 0
    boots: int = 0
    # Boots that are over, and whose driver has never said how many readings it took.
    untold: int = 0
    dead_letters: int = 0
    open_gaps: int = 0
    longest_outage: float = 0
    # In words, what must not be.
    findings: list[str] = field(default_factory=list)


def audit(
    database: str, table: str, witness: Witness, own: Mapping[Boot, int], running: Iterable[Boot],
    kept: Mapping[Boot, int],
) -> Result:
    """Looks at everything in one snapshot. No driver may send meanwhile.

    Args:
        own: the drivers' own counts of the boots that are over, from wherever they are known.
        running: the boots that have not ended: of these the last number is what has been sent.
        kept: the last number of boots that have not ended in their drivers' files, where they have any.
    """
    result = Result()
    findings = result.findings
    told = sorted(set(witness.seen) | set(own))
    running = set(running)
    result.seen = sum(map(len, witness.seen.values()))
    parameters = {
        "sensors": [sensor for sensor, _ in told], "boots": [boot for _, boot in told],
        "lasts": [own.get(boot) for boot in told],
        "seen": ["{%s}" % ",".join(f"[{a},{b}]" for a, b in ranges(witness.seen.get(boot, ()))) for boot in told],
    }
    with psycopg.connect(database) as connection:
        connection.execute(_SIZE)
        connection.commit()
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        rows = connection.execute(
            _QUERY.format(table=table).replace("size(", "pg_temp.size("), parameters).fetchall()
        result.dead_letters = _value(connection, "SELECT count(*) FROM hub.dead_letter")
        result.open_gaps = _value(connection, "SELECT count(*) FROM hub.gap WHERE closed_at IS NULL")
        twice = _value(
            connection, f"SELECT count(*) FROM (SELECT FROM readings.{table} GROUP BY instance_id, event_time "
            "HAVING count(DISTINCT (boot, seq)) > 1) AS t")
        result.longest_outage = float(_value(
            connection, "SELECT coalesce(extract(epoch FROM max(d)), 0) FROM (SELECT received_at - lag(received_at) "
            f"OVER (ORDER BY received_at) AS d FROM readings.{table}) AS t"))
    for (
        sensor, boot, stored_rows, stored, last, own_count, lost, open_count, both, unexplained, number, seen_only
    ) in rows:
        name = f"{sensor}, boot {boot}"
        result.boots += 1
        result.taken += max(last, kept.get((sensor, boot), 0))
        result.stored += stored
        result.doubled += stored_rows - stored
        result.lost += lost - both
        if own_count is None and kept.get((sensor, boot), 0) > last:
            result.kept += kept[sensor, boot] - last
        result.unexplained += number
        if stored_rows != stored:
            findings.append(f"{name}: {stored_rows - stored} rows twice")
        if number:
            findings.append(
                f"{name}: {number} of {last} readings unexplained: {unexplained[:200]}, of which the hub knows "
                f"{open_count} as missing")
        if both:
            findings.append(f"{name}: {both} readings are recorded as lost, though they are stored")
        if seen_only:
            findings.append(f"{name}: {seen_only} readings were seen at the broker, and are neither stored nor lost")
        if own_count is not None and last > own_count:
            findings.append(f"{name}: the driver took {own_count} readings, but number {last} came")
        if own_count is None and (sensor, boot) not in running:
            result.untold += 1
    if twice:
        findings.append(f"{twice} readings are there under two numbers with the same time")
    if result.untold:
        findings.append(f"{result.untold} boots are over without their driver's own count of the readings that it took")
    if result.dead_letters:
        findings.append(f"{result.dead_letters} dead letters")
    if result.open_gaps:
        findings.append(f"{result.open_gaps} gaps are not closed")
    findings += witness.oddities
    return result


def _value(connection: psycopg.Connection, query: str) -> int:
    row = connection.execute(query).fetchone()
    assert row is not None
    return row[0]
