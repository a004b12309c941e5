-- The tables of one log, all in the schema {schema}. Running it again changes nothing.

CREATE SCHEMA IF NOT EXISTS {schema};

-- One row: whose log this is, and the last position given out. Whoever appends locks it first, so
-- positions have no gaps and are given in the order of commit.
CREATE TABLE IF NOT EXISTS {schema}.log (
    only_row     boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    id           uuid NOT NULL DEFAULT gen_random_uuid(),
    name         text NOT NULL,
    layout       integer NOT NULL,
    position     bigint NOT NULL DEFAULT 0,
    recorded_at  timestamptz NOT NULL DEFAULT 'epoch'
) WITH (fillfactor = 10);

-- The events. payload and metadata are kept byte for byte; leaf is the hash of the whole record
-- (eventstore/record.py says of which bytes). Payloads that are not JSON objects (of applications
-- that compress or encrypt) are JSON strings of base64.
CREATE TABLE IF NOT EXISTS {schema}.events (
    position      bigint NOT NULL,
    version       bigint NOT NULL,
    recorded_at   timestamptz NOT NULL,
    type_version  integer NOT NULL,
    id            uuid NOT NULL,
    stream        text COLLATE "C" NOT NULL,
    type          text COLLATE "C" NOT NULL,
    leaf          bytea NOT NULL,
    tags          text[] NOT NULL,
    metadata      json NOT NULL,
    payload       json NOT NULL,
    PRIMARY KEY (position)
) PARTITION BY RANGE (position);

CREATE INDEX IF NOT EXISTS events_id ON {schema}.events (id);
CREATE INDEX IF NOT EXISTS events_correlation
    ON {schema}.events ((metadata ->> 'correlation_id'), position);
CREATE INDEX IF NOT EXISTS events_actor
    ON {schema}.events ((metadata -> 'actor' ->> 'id'), position);
CREATE INDEX IF NOT EXISTS events_tags ON {schema}.events USING gin (tags) WHERE tags <> '{{}}';

-- Where each stream stands: the guard of (stream, version), since a key over all partitions of the
-- events would have to contain the position. Also says in which partitions a stream lies.
CREATE TABLE IF NOT EXISTS {schema}.streams (
    stream          text COLLATE "C" PRIMARY KEY,
    version         bigint NOT NULL,
    first_position  bigint NOT NULL,
    position        bigint NOT NULL
) WITH (fillfactor = 70);

-- What was answered to each idempotency key, written with the events it led to.
CREATE TABLE IF NOT EXISTS {schema}.idempotency (
    key           text COLLATE "C" PRIMARY KEY,
    request_hash  bytea NOT NULL,
    position      bigint NOT NULL,
    versions      json NOT NULL,
    outcome       bytea NOT NULL,
    recorded_at   timestamptz NOT NULL
);

-- Seals: each covers the events from first to last by the root of a Merkle tree over their leaves,
-- and the seal before it by its hash. header is the JSON text that is hashed and signed.
CREATE TABLE IF NOT EXISTS {schema}.seals (
    number     bigint PRIMARY KEY,
    first      bigint NOT NULL,
    last       bigint NOT NULL,
    header     json NOT NULL,
    hash       bytea NOT NULL,
    key_id     text NOT NULL,
    signature  bytea NOT NULL
);

CREATE OR REPLACE FUNCTION {schema}.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'events are never changed: % of %.% refused',
        TG_OP, TG_TABLE_SCHEMA, TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation',
              HINT = 'append an event that corrects the earlier one';
END $$;

CREATE OR REPLACE TRIGGER refuse_change BEFORE UPDATE OR DELETE ON {schema}.events
    FOR EACH ROW EXECUTE FUNCTION {schema}.refuse_change();
ALTER TABLE {schema}.events ENABLE ALWAYS TRIGGER refuse_change;
CREATE OR REPLACE TRIGGER refuse_truncate BEFORE TRUNCATE ON {schema}.events
    FOR EACH STATEMENT EXECUTE FUNCTION {schema}.refuse_change();
ALTER TABLE {schema}.events ENABLE ALWAYS TRIGGER refuse_truncate;

CREATE OR REPLACE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON {schema}.seals
    FOR EACH STATEMENT EXECUTE FUNCTION {schema}.refuse_change();
ALTER TABLE {schema}.seals ENABLE ALWAYS TRIGGER refuse_change;

-- Makes the partitions that hold the positions up to `last`, `size` positions each. The caller
-- holds the lock of the log's row. Attaching locks out neither readers nor writers.
CREATE OR REPLACE FUNCTION {schema}.partitions_up_to(last bigint, size bigint) RETURNS bigint
LANGUAGE plpgsql SET client_min_messages = warning AS $$
DECLARE
    first bigint;
    name text;
BEGIN
    SELECT coalesce(max(split_part(c.relname, '_', 2)::bigint), 0) INTO first
      FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
     WHERE i.inhparent = '{schema}.events'::regclass;
    -- partitions are named by their last position
    WHILE first < last LOOP
        name := format('events_%s', lpad((first + size)::text, 19, '0'));
        EXECUTE format('CREATE TABLE {schema}.%I (LIKE {schema}.events INCLUDING ALL)', name);
        EXECUTE format('ALTER TABLE {schema}.%I SET (autovacuum_analyze_scale_factor = 0.2)', name);
        EXECUTE format('CREATE UNIQUE INDEX %I ON {schema}.%I (stream, version)',
                       name || '_stream', name);
        EXECUTE format('CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON {schema}.%I '
                       'FOR EACH STATEMENT EXECUTE FUNCTION {schema}.refuse_change()', name);
        EXECUTE format('ALTER TABLE {schema}.%I ENABLE ALWAYS TRIGGER refuse_truncate', name);
        EXECUTE format('ALTER TABLE {schema}.events ATTACH PARTITION {schema}.%I '
                       'FOR VALUES FROM (%s) TO (%s)', name, first + 1, first + size + 1);
        first := first + size;
    END LOOP;
    RETURN first;
END $$;

-- The last position recorded before a time, 0 if there is none: times never go back with positions,
-- so it is found by halving, without an index of its own.
CREATE OR REPLACE FUNCTION {schema}.position_before(limit_time timestamptz) RETURNS bigint
LANGUAGE plpgsql STABLE AS $$
DECLARE
    low bigint := 0;
    high bigint;
    middle bigint;
    middle_time timestamptz;
BEGIN
    SELECT position INTO high FROM {schema}.log;
    WHILE low < high LOOP
        middle := (low + high + 1) / 2;
        SELECT recorded_at INTO middle_time FROM {schema}.events WHERE position = middle;
        IF middle_time < limit_time THEN
            low := middle;
        ELSE
            high := middle - 1;
        END IF;
    END LOOP;
    RETURN low;
END $$;

-- For reading in SQL: the metadata in columns.
CREATE OR REPLACE VIEW {schema}.audit AS
SELECT position, stream, version, id, type, type_version, recorded_at,
       metadata ->> 'occurred_at'                AS occurred_at,
       metadata -> 'actor' ->> 'kind'            AS actor_kind,
       metadata -> 'actor' ->> 'id'              AS actor_id,
       metadata -> 'actor' ->> 'on_behalf_of'    AS on_behalf_of,
       metadata ->> 'command_id'                 AS command_id,
       metadata ->> 'correlation_id'             AS correlation_id,
       metadata ->> 'causation_id'               AS causation_id,
       metadata ->> 'reason'                     AS reason,
       metadata ->> 'traceparent'                AS traceparent,
       tags, payload, metadata, leaf
  FROM {schema}.events;
