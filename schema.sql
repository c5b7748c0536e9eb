-- The hub's database. Creates what is missing and can be run again at any time:
--   psql -v ON_ERROR_STOP=1 -d sensorhub -f schema.sql
--
-- hub       what the hub knows: registrations, apps, deployments, bindings, programs, rights
-- readings  one table per sensor type, partitioned by week; the partitions are in readings_partitions, one table per type
--           with a row for each hour in readings_hourly
-- report    views for people; the role sensorhub_report reads them and nothing else

SET client_min_messages = warning;

-- Hubs that start at the same moment take turns.
SELECT pg_advisory_xact_lock(hashtext('sensorhub schema'));

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'sensorhub_report') THEN
        CREATE ROLE sensorhub_report LOGIN;
    END IF;
END $$;

CREATE SCHEMA IF NOT EXISTS hub;
CREATE SCHEMA IF NOT EXISTS readings;
CREATE SCHEMA IF NOT EXISTS readings_partitions;
CREATE SCHEMA IF NOT EXISTS readings_hourly;
CREATE SCHEMA IF NOT EXISTS report;

----------------------------------------------------------------------------------------------------------------------
-- Registrations

CREATE TABLE IF NOT EXISTS hub.sensor_type (
    id            integer GENERATED ALWAYS AS IDENTITY,
    registered_at timestamptz NOT NULL DEFAULT now(),
    -- How many rows its table has had; counted by ingest.
    readings      bigint NOT NULL DEFAULT 0,
    -- How long readings are kept; NULL for ever.
    retention     interval,
    name          text NOT NULL,
    company       text NOT NULL,
    -- Its table in schema readings, and its view in schema report.
    table_name    text NOT NULL,
    -- [{"name", "params": [{"name", "type"}]}]
    functions     jsonb NOT NULL,
    CONSTRAINT sensor_type_pk PRIMARY KEY (id),
    CONSTRAINT sensor_type_name_once UNIQUE (name),
    CONSTRAINT sensor_type_table_once UNIQUE (table_name)
);

CREATE TABLE IF NOT EXISTS hub.sensor_field (
    type_id  integer NOT NULL,
    position smallint NOT NULL,
    name     text NOT NULL,
    type     text NOT NULL,
    CONSTRAINT sensor_field_pk PRIMARY KEY (type_id, position),
    CONSTRAINT sensor_field_of_type FOREIGN KEY (type_id) REFERENCES hub.sensor_type ON DELETE CASCADE,
    CONSTRAINT sensor_field_name_once UNIQUE (type_id, name),
    CONSTRAINT sensor_field_type_known CHECK (type IN ('string', 'int', 'float', 'bool'))
);

CREATE TABLE IF NOT EXISTS hub.node (
    since   timestamptz NOT NULL DEFAULT now(),
    name    text NOT NULL,
    status  text NOT NULL,
    version text NOT NULL DEFAULT '',
    CONSTRAINT node_pk PRIMARY KEY (name),
    CONSTRAINT node_status_known CHECK (status IN ('online', 'offline'))
);

CREATE TABLE IF NOT EXISTS hub.sensor (
    id               integer GENERATED ALWAYS AS IDENTITY,
    type_id          integer NOT NULL,
    registered_at    timestamptz NOT NULL DEFAULT now(),
    -- A removed sensor keeps its row, and so its readings their name; the name is free again.
    removed_at       timestamptz,
    state_since      timestamptz,
    interval_seconds double precision,
    name             text NOT NULL,
    -- The driver that the hub runs for it, and where; NULL for a device that publishes by itself.
    driver           text,
    -- What the registration asked for; NULL leaves the choice to the hub.
    wanted_node      text,
    node             text,
    state            text NOT NULL DEFAULT 'unknown',
    state_reason     text NOT NULL DEFAULT '',
    attributes       jsonb NOT NULL,
    CONSTRAINT sensor_pk PRIMARY KEY (id),
    CONSTRAINT sensor_of_type FOREIGN KEY (type_id) REFERENCES hub.sensor_type,
    CONSTRAINT sensor_state_known CHECK (state IN ('unknown', 'online', 'offline', 'fault'))
);
CREATE UNIQUE INDEX IF NOT EXISTS sensor_name_once ON hub.sensor (name) WHERE removed_at IS NULL;
CREATE INDEX IF NOT EXISTS sensor_attributes ON hub.sensor USING gin (attributes jsonb_path_ops);

----------------------------------------------------------------------------------------------------------------------
-- Readings

DO $$
BEGIN
    IF to_regtype('hub.clock') IS NULL THEN
        -- Whether the clock that stamped a reading was right, was not, or was not and the time has been corrected since.
        CREATE TYPE hub.clock AS ENUM ('right', 'uncertain', 'corrected');
    END IF;
END $$;

-- The newest reading of each sensor by event time: a late one never takes its place.
CREATE TABLE IF NOT EXISTS hub.latest (
    sensor_id   integer NOT NULL,
    event_time  timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    boot        bigint NOT NULL,
    seq         bigint NOT NULL,
    value       jsonb NOT NULL,
    CONSTRAINT latest_pk PRIMARY KEY (sensor_id),
    CONSTRAINT latest_of_sensor FOREIGN KEY (sensor_id) REFERENCES hub.sensor ON DELETE CASCADE
) WITH (fillfactor = 50);

-- The highest number of each boot of a driver that has come, where hub.latest does not say it.
CREATE TABLE IF NOT EXISTS hub.progress (
    boot      bigint NOT NULL,
    seq       bigint NOT NULL,
    sensor_id integer NOT NULL,
    CONSTRAINT progress_pk PRIMARY KEY (sensor_id, boot),
    CONSTRAINT progress_of_sensor FOREIGN KEY (sensor_id) REFERENCES hub.sensor ON DELETE CASCADE
) WITH (fillfactor = 50);

-- How far each sensor has come: the highest number of each boot of its driver.
CREATE OR REPLACE VIEW hub.reached AS
SELECT sensor_id, boot, max(seq) AS seq
FROM (SELECT sensor_id, boot, seq FROM hub.progress UNION ALL SELECT sensor_id, boot, seq FROM hub.latest) AS both_tables
GROUP BY sensor_id, boot;

-- Numbers of readings that were left out: noticed when a higher one came. Closed when nothing is missing any more, because
-- the readings came late or the driver said that they are lost.
CREATE TABLE IF NOT EXISTS hub.gap (
    id         bigint GENERATED ALWAYS AS IDENTITY,
    noticed_at timestamptz NOT NULL DEFAULT now(),
    closed_at  timestamptz,
    boot       bigint NOT NULL,
    first_seq  bigint NOT NULL,
    last_seq   bigint NOT NULL,
    sensor_id  integer NOT NULL,
    -- Of these numbers nothing is known yet.
    missing    int8multirange NOT NULL,
    -- These the driver took, and has given up.
    lost       int8multirange NOT NULL DEFAULT '{}',
    CONSTRAINT gap_pk PRIMARY KEY (id),
    CONSTRAINT gap_of_sensor FOREIGN KEY (sensor_id) REFERENCES hub.sensor
);
CREATE INDEX IF NOT EXISTS gap_open ON hub.gap (sensor_id, boot, first_seq) WHERE closed_at IS NULL;

-- What could not be stored as a reading, and why.
CREATE TABLE IF NOT EXISTS hub.dead_letter (
    id          bigint GENERATED ALWAYS AS IDENTITY,
    received_at timestamptz NOT NULL,
    topic       text NOT NULL,
    -- Where in the payload the fault is, as v.temperature; empty for the payload as a whole.
    field       text NOT NULL,
    reason      text NOT NULL,
    payload     bytea NOT NULL,
    CONSTRAINT dead_letter_pk PRIMARY KEY (id)
);
CREATE INDEX IF NOT EXISTS dead_letter_time ON hub.dead_letter USING brin (received_at);

-- Makes the partitions of a type's table, from last week to eight weeks ahead. Readings of a week that lie among those
-- of far-off clocks move to the week's own partition.
CREATE OR REPLACE FUNCTION hub.make_partitions(table_name text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    week      timestamptz;
    next_week timestamptz;
    partition text;
BEGIN
    FOR week, next_week IN
        SELECT monday AT TIME ZONE 'UTC', (monday + interval '1 week') AT TIME ZONE 'UTC'
        FROM date_trunc('week', now() AT TIME ZONE 'UTC') AS this_week,
             generate_series(this_week - interval '1 week', this_week + interval '8 weeks', interval '1 week') AS monday
    LOOP
        partition := table_name || to_char(week AT TIME ZONE 'UTC', '_IYYY"w"IW');
        CONTINUE WHEN to_regclass(format('readings_partitions.%I', partition)) IS NOT NULL;
        EXECUTE format('CREATE TABLE readings_partitions.%I (LIKE readings.%I INCLUDING DEFAULTS)', partition, table_name);
        EXECUTE format(
            'WITH moved AS (DELETE FROM readings_partitions.%I WHERE event_time >= $1 AND event_time < $2 RETURNING *) '
            'INSERT INTO readings_partitions.%I SELECT * FROM moved',
            table_name || '_other', partition) USING week, next_week;
        EXECUTE format('ALTER TABLE readings.%I ATTACH PARTITION readings_partitions.%I FOR VALUES FROM (%L) TO (%L)',
            table_name, partition, week, next_week);
    END LOOP;
END $$;

-- The column type of a field.
CREATE OR REPLACE FUNCTION hub.column_type(field_type text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE field_type
        WHEN 'string' THEN 'text' WHEN 'int' THEN 'bigint' WHEN 'float' THEN 'double precision' WHEN 'bool' THEN 'boolean'
    END
$$;

-- Creates the table of a type, its partitions, its hourly rollup and its view; for a type that has gained fields, adds the
-- columns.
CREATE OR REPLACE FUNCTION hub.create_readings_table(wanted integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    type   hub.sensor_type;
    field  hub.sensor_field;
    fields text;
BEGIN
    SELECT * INTO STRICT type FROM hub.sensor_type WHERE id = wanted;
    IF to_regclass(format('readings.%I', type.table_name)) IS NULL THEN
        -- One row is one reading: the key makes a repeat of it harmless. seq counts up within a boot of the driver.
        EXECUTE format(
            'CREATE TABLE readings.%I (instance_id integer NOT NULL, event_time timestamptz NOT NULL, '
            'boot bigint NOT NULL, seq bigint NOT NULL, received_at timestamptz NOT NULL, '
            'stored_at timestamptz NOT NULL DEFAULT now(), clock hub.clock NOT NULL DEFAULT ''right'', '
            'PRIMARY KEY (instance_id, event_time, boot, seq)) PARTITION BY RANGE (event_time)',
            type.table_name);
        EXECUTE format('CREATE INDEX ON readings.%I USING brin (event_time)', type.table_name);
        -- For clocks that are far off.
        EXECUTE format('CREATE TABLE readings_partitions.%I PARTITION OF readings.%I DEFAULT',
            type.table_name || '_other', type.table_name);
        EXECUTE format(
            'CREATE TABLE readings_hourly.%I (instance_id integer NOT NULL, hour timestamptz NOT NULL, '
            'readings bigint NOT NULL, PRIMARY KEY (instance_id, hour))', type.table_name);
    END IF;
    FOR field IN SELECT * FROM hub.sensor_field WHERE type_id = wanted ORDER BY position LOOP
        EXECUTE format('ALTER TABLE readings.%I ADD COLUMN IF NOT EXISTS %I %s',
            type.table_name, field.name, hub.column_type(field.type));
        IF field.type <> 'string' THEN
            EXECUTE format(
                'ALTER TABLE readings_hourly.%1$I ADD COLUMN IF NOT EXISTS %2$I double precision, '
                'ADD COLUMN IF NOT EXISTS %3$I double precision, ADD COLUMN IF NOT EXISTS %4$I double precision',
                type.table_name, field.name || '.avg', field.name || '.min', field.name || '.max');
        END IF;
    END LOOP;
    PERFORM hub.make_partitions(type.table_name);

    SELECT string_agg(format('r.%I', name), ', ' ORDER BY position) INTO STRICT fields
    FROM hub.sensor_field WHERE type_id = wanted;
    -- The fields stand last: a view can gain columns at its end only.
    EXECUTE format(
        'CREATE OR REPLACE VIEW report.%1$I AS SELECT s.name AS sensor, r.event_time, r.received_at, r.stored_at, r.clock, '
        'r.boot, r.seq, s.attributes, %2$s FROM readings.%1$I r JOIN hub.sensor s ON s.id = r.instance_id',
        type.table_name, fields);
    SELECT coalesce(string_agg(format(', r.%I, r.%I, r.%I', name || '.avg', name || '.min', name || '.max'), '' ORDER BY position), '')
    INTO STRICT fields FROM hub.sensor_field WHERE type_id = wanted AND sensor_field.type <> 'string';
    EXECUTE format(
        'CREATE OR REPLACE VIEW report.%1$I AS SELECT s.name AS sensor, r.hour, s.attributes, r.readings%2$s '
        'FROM readings_hourly.%3$I r JOIN hub.sensor s ON s.id = r.instance_id',
        type.table_name || '_hourly', fields, type.table_name);
    EXECUTE format('GRANT SELECT ON report.%I, report.%I TO sensorhub_report', type.table_name, type.table_name || '_hourly');
END $$;

-- Hours whose rollup is not up to date, because readings of that time have come since.
CREATE TABLE IF NOT EXISTS hub.rollup_due (
    hour    timestamptz NOT NULL,
    type_id integer NOT NULL,
    CONSTRAINT rollup_due_pk PRIMARY KEY (type_id, hour),
    CONSTRAINT rollup_due_of_type FOREIGN KEY (type_id) REFERENCES hub.sensor_type ON DELETE CASCADE
);

-- Makes the rollups of hours that are over and due, `at_most` of them; returns how many. A late reading makes its hour due
-- again. Hours that retention has removed are left as they are.
CREATE OR REPLACE FUNCTION hub.roll_up(at_most integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    due     record;
    columns text;
    values  text;
    done    integer := 0;
BEGIN
    FOR due IN
        SELECT d.type_id, d.hour, t.table_name, t.retention FROM hub.rollup_due d JOIN hub.sensor_type t ON t.id = d.type_id
        WHERE d.hour < date_trunc('hour', now()) ORDER BY d.hour LIMIT at_most
    LOOP
        DELETE FROM hub.rollup_due WHERE type_id = due.type_id AND hour = due.hour;
        done := done + 1;
        CONTINUE WHEN due.hour < date_trunc('hour', now() - due.retention) + interval '1 hour';
        SELECT coalesce(string_agg(format(', %I, %I, %I', name || '.avg', name || '.min', name || '.max'), '' ORDER BY position), ''),
               coalesce(string_agg(format(', avg(%1$s), min(%1$s), max(%1$s)',
                   CASE type WHEN 'bool' THEN format('%I::int', name) ELSE quote_ident(name) END), '' ORDER BY position), '')
        INTO STRICT columns, values FROM hub.sensor_field WHERE type_id = due.type_id AND type <> 'string';
        EXECUTE format('DELETE FROM readings_hourly.%I WHERE hour = $1', due.table_name) USING due.hour;
        EXECUTE format(
            'INSERT INTO readings_hourly.%1$I (instance_id, hour, readings%2$s) SELECT instance_id, $1, count(*)%3$s '
            'FROM readings.%1$I WHERE event_time >= $1 AND event_time < $1 + interval ''1 hour'' GROUP BY instance_id',
            due.table_name, columns, values) USING due.hour;
    END LOOP;
    RETURN done;
END $$;

-- Removes readings that are older than their type's retention: whole partitions, and rows of far-off clocks. Returns the
-- names of the partitions that went.
CREATE OR REPLACE FUNCTION hub.remove_expired() RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    type hub.sensor_type;
    part record;
BEGIN
    FOR type IN SELECT * FROM hub.sensor_type WHERE retention IS NOT NULL LOOP
        FOR part IN
            SELECT c.relname AS name,
                   substring(pg_get_expr(c.relpartbound, c.oid) FROM 'TO \(''(.+)''\)')::timestamptz AS until
            FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
            WHERE i.inhparent = format('readings.%I', type.table_name)::regclass
        LOOP
            IF part.until IS NULL THEN
                EXECUTE format('DELETE FROM readings_partitions.%I WHERE event_time < $1', part.name)
                USING now() - type.retention;
            ELSIF part.until < now() - type.retention THEN
                EXECUTE format('DROP TABLE readings_partitions.%I', part.name);
                RETURN NEXT part.name;
            END IF;
        END LOOP;
    END LOOP;
END $$;

----------------------------------------------------------------------------------------------------------------------
-- Apps, deployments, programs

CREATE TABLE IF NOT EXISTS hub.app_version (
    installed_at timestamptz NOT NULL DEFAULT now(),
    app_id       text NOT NULL,
    sha256       text NOT NULL,
    -- appConfig.json
    manifest     jsonb NOT NULL,
    archive      bytea NOT NULL,
    CONSTRAINT app_version_pk PRIMARY KEY (app_id, sha256)
);
-- Archives are compressed already.
ALTER TABLE hub.app_version ALTER COLUMN archive SET STORAGE EXTERNAL;

CREATE TABLE IF NOT EXISTS hub.app (
    id     text NOT NULL,
    sha256 text NOT NULL,
    CONSTRAINT app_pk PRIMARY KEY (id),
    CONSTRAINT app_has_version FOREIGN KEY (id, sha256) REFERENCES hub.app_version
);

-- One launched algorithm.
CREATE TABLE IF NOT EXISTS hub.algorithm_instance (
    created_at      timestamptz NOT NULL DEFAULT now(),
    -- Set when it was stopped for good.
    stopped_at      timestamptz,
    binding_version bigint NOT NULL DEFAULT 1,
    id              text NOT NULL,
    app_id          text NOT NULL,
    sha256          text NOT NULL,
    algorithm       text NOT NULL,
    script          text NOT NULL,
    language        text NOT NULL,
    binding_reason  text NOT NULL DEFAULT 'deployed',
    node            text,
    requirements    text[] NOT NULL,
    -- What it asks for at each position: [{"sensor_type", "filter", "count": {"min", "max"}}]
    positions       jsonb NOT NULL,
    CONSTRAINT algorithm_instance_pk PRIMARY KEY (id),
    CONSTRAINT algorithm_instance_of_app FOREIGN KEY (app_id, sha256) REFERENCES hub.app_version
);
-- What it publishes readings of, position by position: [{"sensor_type", "sensor"}]
ALTER TABLE hub.algorithm_instance ADD COLUMN IF NOT EXISTS outputs jsonb NOT NULL DEFAULT '[]';
-- True where it may have nodes run commands.
ALTER TABLE hub.algorithm_instance ADD COLUMN IF NOT EXISTS commands boolean NOT NULL DEFAULT false;
-- How it runs: limits, isolation and supervision as its deployment says, see docs/files.md. What is missing is the node's to say.
ALTER TABLE hub.algorithm_instance ADD COLUMN IF NOT EXISTS conditions jsonb NOT NULL DEFAULT '{}';
CREATE INDEX IF NOT EXISTS algorithm_instance_active ON hub.algorithm_instance (id) WHERE stopped_at IS NULL;

-- 'python' was the name of the runtime py3 once.
UPDATE hub.algorithm_instance SET language = 'py3' WHERE language = 'python';

-- The apps that are installed on a device, which run as an instance without binding.
CREATE TABLE IF NOT EXISTS hub.device_app (
    created_at  timestamptz NOT NULL DEFAULT now(),
    updated_at  timestamptz NOT NULL DEFAULT now(),
    -- Grows with each start and stop that was asked for; wanted is what the last one was.
    request     bigint NOT NULL,
    wanted      boolean NOT NULL,
    -- It is removed when it has ended.
    passing     boolean NOT NULL,
    node        text NOT NULL,
    app_id      text NOT NULL,
    instance_id text NOT NULL,
    -- What its archive says: type, app.info, init.conf, exec.conf.
    package     jsonb NOT NULL,
    -- app_args of the last start.
    arguments   jsonb NOT NULL,
    CONSTRAINT device_app_pk PRIMARY KEY (node, app_id),
    CONSTRAINT device_app_of_instance FOREIGN KEY (instance_id) REFERENCES hub.algorithm_instance
);

-- Which sensor stands or stood at which position of an instance, from when to when, and why.
CREATE TABLE IF NOT EXISTS hub.binding (
    since        timestamptz NOT NULL DEFAULT now(),
    until        timestamptz,
    sensor_id    integer NOT NULL,
    position     smallint NOT NULL,
    ordinal      integer NOT NULL,
    instance_id  text NOT NULL,
    reason       text NOT NULL,
    until_reason text,
    CONSTRAINT binding_of_instance FOREIGN KEY (instance_id) REFERENCES hub.algorithm_instance,
    CONSTRAINT binding_to_sensor FOREIGN KEY (sensor_id) REFERENCES hub.sensor
);
-- 'input' where the instance gets the sensor's readings, 'output' where it publishes them: one instance at a time does.
ALTER TABLE hub.binding ADD COLUMN IF NOT EXISTS role text NOT NULL DEFAULT 'input'
    CONSTRAINT binding_role_known CHECK (role IN ('input', 'output'));
CREATE UNIQUE INDEX IF NOT EXISTS binding_output_once ON hub.binding (sensor_id)
    WHERE until IS NULL AND role = 'output';
CREATE UNIQUE INDEX IF NOT EXISTS binding_sensor_once ON hub.binding (instance_id, sensor_id) WHERE until IS NULL;
CREATE INDEX IF NOT EXISTS binding_by_sensor ON hub.binding (sensor_id) WHERE until IS NULL;

-- What somebody has a node run, once.
CREATE TABLE IF NOT EXISTS hub.command (
    created_at  timestamptz NOT NULL DEFAULT now(),
    -- Set when it was asked to end.
    stopped_at  timestamptz,
    ended_at    timestamptz,
    exit_code   integer,
    signal      integer,
    -- Whether its input is what is sent to it.
    has_input   boolean NOT NULL,
    id          text NOT NULL,
    node        text NOT NULL,
    -- The algorithm instance that asked for it; NULL for a person.
    instance    text,
    -- How it has ended; NULL before.
    state       text,
    reason      text NOT NULL DEFAULT '',
    arguments   jsonb NOT NULL,
    environment jsonb NOT NULL,
    CONSTRAINT command_pk PRIMARY KEY (id)
);
-- Known by hub.request now.
ALTER TABLE hub.command DROP COLUMN IF EXISTS request;
CREATE SEQUENCE IF NOT EXISTS hub.command_number;

-- The present state of every driver, algorithm and command, as its node reports it.
CREATE TABLE IF NOT EXISTS hub.program (
    since  timestamptz NOT NULL,
    run    bigint NOT NULL,
    pid    integer,
    kind   text NOT NULL,
    id     text NOT NULL,
    node   text NOT NULL,
    state  text NOT NULL,
    reason text NOT NULL,
    CONSTRAINT program_pk PRIMARY KEY (kind, id)
);
ALTER TABLE hub.program DROP CONSTRAINT IF EXISTS program_kind_known;
ALTER TABLE hub.program ADD CONSTRAINT program_kind_known CHECK (kind IN ('driver', 'algorithm', 'command'));
-- The record of the node's journal that it is from; NULL where it is from none.
ALTER TABLE hub.program ADD COLUMN IF NOT EXISTS origin bigint;
ALTER TABLE hub.program ADD COLUMN IF NOT EXISTS number bigint;

-- How far the journal of each program has been taken: its origin, and the number of its last record that is stored.
CREATE TABLE IF NOT EXISTS hub.journal (
    origin bigint NOT NULL,
    number bigint NOT NULL,
    kind   text NOT NULL,
    id     text NOT NULL,
    node   text NOT NULL,
    CONSTRAINT journal_pk PRIMARY KEY (kind, id, node)
) WITH (fillfactor = 50);

-- What a person wants of a driver or an algorithm, where it is not simply that it runs.
CREATE TABLE IF NOT EXISTS hub.program_wish (
    -- Grows with each start that was asked for.
    generation bigint NOT NULL DEFAULT 0,
    enabled    boolean NOT NULL DEFAULT true,
    kind       text NOT NULL,
    id         text NOT NULL,
    CONSTRAINT program_wish_pk PRIMARY KEY (kind, id),
    CONSTRAINT program_wish_kind_known CHECK (kind IN ('driver', 'algorithm'))
);

-- What ran when, on which node, and how it ended.
CREATE TABLE IF NOT EXISTS hub.run (
    started_at timestamptz NOT NULL,
    ended_at   timestamptz,
    run        bigint NOT NULL,
    pid        integer,
    exit_code  integer,
    signal     integer,
    kind       text NOT NULL,
    id         text NOT NULL,
    node       text NOT NULL,
    reason     text NOT NULL DEFAULT '',
    CONSTRAINT run_pk PRIMARY KEY (kind, id, node, run)
);
CREATE INDEX IF NOT EXISTS run_started ON hub.run USING brin (started_at);

-- The newest output lines of every program.
CREATE TABLE IF NOT EXISTS hub.log_line (
    at     timestamptz NOT NULL,
    number bigint GENERATED ALWAYS AS IDENTITY,
    kind   text NOT NULL,
    id     text NOT NULL,
    stream text NOT NULL,
    line   text NOT NULL,
    CONSTRAINT log_line_pk PRIMARY KEY (kind, id, number)
);
-- Which run wrote it, and where; NULL for lines from before that was known.
ALTER TABLE hub.log_line ADD COLUMN IF NOT EXISTS run bigint;
ALTER TABLE hub.log_line ADD COLUMN IF NOT EXISTS node text;
-- Its record in the journal of its node; NULL likewise.
ALTER TABLE hub.log_line ADD COLUMN IF NOT EXISTS origin bigint;
ALTER TABLE hub.log_line ADD COLUMN IF NOT EXISTS record bigint;

-- Removes all that is known of commands that are over, but for the last `kept` of them.
CREATE OR REPLACE FUNCTION hub.forget_commands(kept integer) RETURNS void LANGUAGE sql AS $$
    WITH gone AS (
        DELETE FROM hub.command WHERE id IN (
            SELECT id FROM hub.command WHERE ended_at IS NOT NULL OR stopped_at IS NOT NULL
            ORDER BY coalesce(ended_at, stopped_at) DESC OFFSET kept)
        RETURNING id),
    runs AS (DELETE FROM hub.run WHERE kind = 'command' AND id IN (SELECT id FROM gone)),
    journals AS (DELETE FROM hub.journal WHERE kind = 'command' AND id IN (SELECT id FROM gone))
    DELETE FROM hub.log_line WHERE kind = 'command' AND id IN (SELECT id FROM gone)
$$;

-- Removes the lines and runs of algorithm instances and drivers that are gone for good, but for the last `kept` of each, and
-- of every program the runs before its last `runs`.
CREATE OR REPLACE FUNCTION hub.forget_programs(kept integer, runs bigint) RETURNS void LANGUAGE sql AS $$
    WITH gone AS (
        (SELECT 'algorithm' AS kind, id FROM hub.algorithm_instance
         WHERE stopped_at IS NOT NULL ORDER BY stopped_at DESC OFFSET kept)
        UNION ALL
        (SELECT 'driver', name FROM hub.sensor GROUP BY name HAVING bool_and(removed_at IS NOT NULL)
         ORDER BY max(removed_at) DESC OFFSET kept)),
    lines AS (DELETE FROM hub.log_line l USING gone g WHERE l.kind = g.kind AND l.id = g.id)
    DELETE FROM hub.run r USING gone g WHERE r.kind = g.kind AND r.id = g.id;

    DELETE FROM hub.run r USING (
        SELECT kind, id, node, max(run) - runs AS before FROM hub.run GROUP BY kind, id, node HAVING count(*) > runs) AS m
    WHERE r.kind = m.kind AND r.id = m.id AND r.node = m.node AND r.run <= m.before;
$$;

-- What each program took, sample by sample; hub.keep_statistics removes what is old.
CREATE TABLE IF NOT EXISTS hub.program_statistics (
    at           timestamptz NOT NULL,
    run          bigint NOT NULL,
    -- Bytes, as the next four.
    memory       bigint NOT NULL,
    proportional bigint,
    private      bigint,
    read         bigint,
    written      bigint,
    files        bigint,
    threads      integer NOT NULL,
    processes    integer NOT NULL,
    -- Percent of one core; NULL for the first sample that the agent took of it.
    cpu          real,
    -- Seconds.
    uptime       real NOT NULL,
    kind         text NOT NULL,
    id           text NOT NULL,
    node         text NOT NULL,
    CONSTRAINT program_statistics_pk PRIMARY KEY (kind, id, at)
);
CREATE INDEX IF NOT EXISTS program_statistics_time ON hub.program_statistics USING brin (at);

-- How each machine was, sample by sample.
CREATE TABLE IF NOT EXISTS hub.node_statistics (
    at               timestamptz NOT NULL,
    -- Bytes, as the next three.
    memory           bigint NOT NULL,
    memory_available bigint NOT NULL,
    disk             bigint NOT NULL,
    disk_free        bigint NOT NULL,
    -- Samples before this one that the agent has given up.
    dropped          bigint NOT NULL,
    -- Percent of all cores.
    cpu              real,
    load_1           real NOT NULL,
    load_5           real NOT NULL,
    load_15          real NOT NULL,
    -- Degrees Celsius.
    temperature      real,
    -- Seconds.
    uptime           real NOT NULL,
    node             text NOT NULL,
    CONSTRAINT node_statistics_pk PRIMARY KEY (node, at)
);
CREATE INDEX IF NOT EXISTS node_statistics_time ON hub.node_statistics USING brin (at);

-- Removes samples that are older than `days` days.
CREATE OR REPLACE FUNCTION hub.keep_statistics(days integer) RETURNS void LANGUAGE sql AS $$
    DELETE FROM hub.program_statistics WHERE at < now() - make_interval(days => days);
    DELETE FROM hub.node_statistics WHERE at < now() - make_interval(days => days);
$$;

-- What was asked for lately and has been done, so that it is done once when the request comes again.
CREATE TABLE IF NOT EXISTS hub.request (
    at    timestamptz NOT NULL DEFAULT now(),
    -- The algorithm instance that asked; empty for a person.
    asker text NOT NULL,
    -- What was asked for, and what the request was called by who asked: service/method/name.
    name  text NOT NULL,
    -- JSON, in which a NUL may stand, as in nothing of type jsonb.
    reply text NOT NULL,
    CONSTRAINT request_pk PRIMARY KEY (asker, name)
);

-- Everything that the hub did, with the reason: registered, deployed, bound, placed, refused …
CREATE TABLE IF NOT EXISTS hub.event (
    at      timestamptz NOT NULL DEFAULT now(),
    number  bigint GENERATED ALWAYS AS IDENTITY,
    kind    text NOT NULL,
    subject text NOT NULL,
    detail  jsonb NOT NULL,
    CONSTRAINT event_pk PRIMARY KEY (number)
);
CREATE INDEX IF NOT EXISTS event_time ON hub.event USING brin (at);

-- What a person should look at, from when to when.
CREATE TABLE IF NOT EXISTS hub.incident (
    id        bigint GENERATED ALWAYS AS IDENTITY,
    opened_at timestamptz NOT NULL DEFAULT now(),
    closed_at timestamptz,
    kind      text NOT NULL,
    subject   text NOT NULL,
    reason    text NOT NULL,
    log       text[],
    CONSTRAINT incident_pk PRIMARY KEY (id)
);
-- Of an incident about a program: the last lines that it wrote.
ALTER TABLE hub.incident ADD COLUMN IF NOT EXISTS log text[];
CREATE UNIQUE INDEX IF NOT EXISTS incident_open_once ON hub.incident (kind, subject) WHERE closed_at IS NULL;

-- Readings that were stamped before the clock was right, and by how much: for repeats of them that come later.
CREATE TABLE IF NOT EXISTS hub.clock_correction (
    offset_us  bigint NOT NULL,
    boot       bigint NOT NULL,
    first_seq  bigint NOT NULL,
    last_seq   bigint NOT NULL,
    sensor_id  integer NOT NULL,
    CONSTRAINT clock_correction_pk PRIMARY KEY (sensor_id, boot, first_seq),
    CONSTRAINT clock_correction_of_sensor FOREIGN KEY (sensor_id) REFERENCES hub.sensor ON DELETE CASCADE
);

----------------------------------------------------------------------------------------------------------------------
-- Rights

-- The broker's users; the password is kept as the hash that the broker itself uses.
CREATE TABLE IF NOT EXISTS hub.broker_user (
    changed_at timestamptz NOT NULL DEFAULT now(),
    name       text NOT NULL,
    hash       text NOT NULL,
    CONSTRAINT broker_user_pk PRIMARY KEY (name)
);

----------------------------------------------------------------------------------------------------------------------
-- Reports

-- The latest value of every sensor.
CREATE OR REPLACE VIEW report.latest AS
SELECT s.name AS sensor, t.name AS type, s.state, l.event_time, now() - l.event_time AS age, l.value, s.attributes
FROM hub.sensor s
JOIN hub.sensor_type t ON t.id = s.type_id
LEFT JOIN hub.latest l ON l.sensor_id = s.id
WHERE s.removed_at IS NULL;

-- Every sensor that is or was registered.
CREATE OR REPLACE VIEW report.sensor AS
SELECT s.name AS sensor, t.name AS type, s.driver, s.node, s.state, s.state_reason, s.state_since, s.attributes,
       s.registered_at, s.removed_at
FROM hub.sensor s
JOIN hub.sensor_type t ON t.id = s.type_id;

-- The sensor types and how many readings each has.
CREATE OR REPLACE VIEW report.sensor_type AS
SELECT t.name AS type, t.company, t.readings, t.retention, 'report.' || quote_ident(t.table_name) AS view, t.registered_at,
       (SELECT jsonb_object_agg(f.name, f.type ORDER BY f.position) FROM hub.sensor_field f WHERE f.type_id = t.id) AS fields,
       t.functions
FROM hub.sensor_type t;

-- Readings per hour of every sensor, for the last hours.
CREATE OR REPLACE FUNCTION report.readings_per_hour(hours integer DEFAULT 24)
RETURNS TABLE (hour timestamptz, sensor text, type text, readings bigint, first timestamptz, last timestamptz)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    kind record;
BEGIN
    FOR kind IN SELECT t.name, t.table_name FROM hub.sensor_type t ORDER BY t.name LOOP
        RETURN QUERY EXECUTE format(
            'SELECT date_trunc(''hour'', r.event_time), s.name, %L::text, count(*), min(r.event_time), max(r.event_time) '
            'FROM readings.%I r JOIN hub.sensor s ON s.id = r.instance_id '
            'WHERE r.event_time >= date_trunc(''hour'', now()) - make_interval(hours => $1 - 1) '
            'GROUP BY 1, 2', kind.name, kind.table_name) USING hours;
    END LOOP;
END $$;

CREATE OR REPLACE VIEW report.readings_per_hour AS SELECT * FROM report.readings_per_hour(24);

-- Who is bound to what, now and before; role says whether the instance gets or publishes the readings.
CREATE OR REPLACE VIEW report.binding AS
SELECT b.instance_id AS instance, i.app_id AS app, i.algorithm, b.position, s.name AS sensor, b.since, b.until,
       b.reason, b.until_reason, b.role
FROM hub.binding b
JOIN hub.algorithm_instance i ON i.id = b.instance_id
JOIN hub.sensor s ON s.id = b.sensor_id;

-- What runs, or is to run, and in which state it is.
CREATE OR REPLACE VIEW report.program AS
SELECT 'driver' AS kind, s.name AS id, NULL AS app, s.driver AS runs, s.node, p.state, p.pid, p.since, p.run, p.reason
FROM hub.sensor s
LEFT JOIN hub.program p ON p.kind = 'driver' AND p.id = s.name
WHERE s.driver IS NOT NULL AND s.removed_at IS NULL
UNION ALL
SELECT 'algorithm', i.id, i.app_id, i.algorithm, i.node, p.state, p.pid, p.since, p.run, p.reason
FROM hub.algorithm_instance i
LEFT JOIN hub.program p ON p.kind = 'algorithm' AND p.id = i.id
WHERE i.stopped_at IS NULL
UNION ALL
SELECT 'command', c.id, NULL, c.arguments ->> 0, c.node, p.state, p.pid, p.since, p.run, p.reason
FROM hub.command c
LEFT JOIN hub.program p ON p.kind = 'command' AND p.id = c.id
WHERE c.ended_at IS NULL AND c.stopped_at IS NULL;

-- What ran when.
CREATE OR REPLACE VIEW report.run AS
SELECT kind, id, node, run, pid, started_at, ended_at, coalesce(ended_at, now()) - started_at AS duration, exit_code,
       signal, reason
FROM hub.run;

-- What programs and machines took, sample by sample. Memory and disk in bytes, cpu in percent: of one core for a program,
-- of all cores for a node.
CREATE OR REPLACE VIEW report.program_statistics AS
SELECT at, node, kind, id, run, cpu, memory, proportional, private, threads, files, processes, read, written,
       make_interval(secs => uptime) AS uptime
FROM hub.program_statistics;
CREATE OR REPLACE VIEW report.node_statistics AS
SELECT at, node, cpu, load_1, load_5, load_15, memory, memory_available, disk, disk_free, temperature,
       make_interval(secs => uptime) AS uptime, dropped
FROM hub.node_statistics;

-- Readings that are missing or lost, with their bounds.
CREATE OR REPLACE VIEW report.gap AS
SELECT s.name AS sensor, g.boot, g.first_seq, g.last_seq, g.last_seq - g.first_seq + 1 AS readings,
       (SELECT coalesce(sum(upper(r) - lower(r)), 0) FROM unnest(g.missing) AS r) AS missing,
       (SELECT coalesce(sum(upper(r) - lower(r)), 0) FROM unnest(g.lost) AS r) AS lost, g.noticed_at, g.closed_at
FROM hub.gap g
JOIN hub.sensor s ON s.id = g.sensor_id;

CREATE OR REPLACE VIEW report.incident AS SELECT opened_at, closed_at, kind, subject, reason, log FROM hub.incident;
CREATE OR REPLACE VIEW report.log AS SELECT at, kind, id, stream, line, run, node FROM hub.log_line;
CREATE OR REPLACE VIEW report.event AS SELECT at, kind, subject, detail FROM hub.event;
CREATE OR REPLACE VIEW report.dead_letter AS
SELECT id, received_at, topic, field, reason, encode(payload, 'escape') AS payload FROM hub.dead_letter;

GRANT USAGE ON SCHEMA report TO sensorhub_report;
GRANT SELECT ON ALL TABLES IN SCHEMA report TO sensorhub_report;
REVOKE ALL ON FUNCTION report.readings_per_hour(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION report.readings_per_hour(integer) TO sensorhub_report;
