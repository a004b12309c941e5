-- What the engine keeps in a service's database: layout 1, the first; later steps are in files of
-- their own (catalogue_2.sql, …).

CREATE SCHEMA IF NOT EXISTS projections;
-- The live build of each projection, as views by plain table names.
CREATE SCHEMA IF NOT EXISTS read_models;

CREATE TABLE IF NOT EXISTS projections.builds (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name         text NOT NULL,
    version      integer NOT NULL CHECK (version >= 1),
    number       integer NOT NULL,            -- counts the builds of one projection, from 1
    schema_name  text NOT NULL UNIQUE,        -- where its tables are
    tables       text[] NOT NULL,
    shape        text NOT NULL,               -- digest of the tables' SQL
    state        text NOT NULL
        CHECK (state IN ('building', 'ready', 'live', 'following', 'retired')),
    upgrade      boolean NOT NULL DEFAULT false,  -- its service builds it and switches by itself
    owner        text NOT NULL DEFAULT '',    -- who builds it: host and process
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    live_at      timestamptz,
    follow_until timestamptz,
    retired_at   timestamptz,
    UNIQUE (name, number)
);
CREATE UNIQUE INDEX IF NOT EXISTS builds_one_live
    ON projections.builds (name) WHERE state = 'live';
CREATE UNIQUE INDEX IF NOT EXISTS builds_one_rebuild
    ON projections.builds (name) WHERE state IN ('building', 'ready');

-- Written with every batch, in the transaction of its rows. One row a partition of a build.
CREATE TABLE IF NOT EXISTS projections.checkpoints (
    build_id    bigint NOT NULL REFERENCES projections.builds (id) ON DELETE CASCADE,
    part        integer NOT NULL DEFAULT 0,
    parts       integer NOT NULL DEFAULT 1,
    position    bigint NOT NULL DEFAULT 0,
    seen        bigint NOT NULL DEFAULT 0,    -- positions really read: less than position = a gap
    applied     bigint NOT NULL DEFAULT 0,    -- events handed to the projection
    unknown     bigint NOT NULL DEFAULT 0,    -- events of types the service does not know
    recorded_at timestamptz,                  -- when the event at `position` was recorded
    updated_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    hold_at     bigint,                       -- do not go beyond (verification, switch) ...
    hold_until  timestamptz,                  -- ... until then
    PRIMARY KEY (build_id, part)
) WITH (fillfactor = 50);

CREATE TABLE IF NOT EXISTS projections.parked_keys (
    build_id  bigint NOT NULL REFERENCES projections.builds (id) ON DELETE CASCADE,
    key       text NOT NULL,
    error     text NOT NULL,
    traceback text NOT NULL,
    attempts  integer NOT NULL DEFAULT 1,
    parked_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    redrive   boolean NOT NULL DEFAULT false,  -- asked for, to be done by the build's owner
    PRIMARY KEY (build_id, key)
);
CREATE TABLE IF NOT EXISTS projections.parked_events (
    build_id bigint NOT NULL,
    position bigint NOT NULL,
    key      text NOT NULL,
    PRIMARY KEY (build_id, position),
    FOREIGN KEY (build_id, key) REFERENCES projections.parked_keys ON DELETE CASCADE
);
CREATE INDEX IF NOT EXISTS parked_events_by_key
    ON projections.parked_events (build_id, key, position);

-- Moves checkpoints on, or refuses: LJ001 when another process moved one, LJ002 when one is held.
CREATE OR REPLACE FUNCTION projections.advance(
    builds bigint[], parts integer[], expected bigint[], reached bigint[],
    seen_more bigint[], applied_more bigint[], unknown_more bigint[], last_recorded timestamptz
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    moved integer;
    held text;
BEGIN
    WITH step AS (
        SELECT * FROM unnest(builds, parts, expected, reached, seen_more, applied_more, unknown_more)
            AS s (build_id, part, expected, reached, seen, applied, unknown)
    ), done AS (
        UPDATE projections.checkpoints AS c SET
            position = s.reached, seen = c.seen + s.seen, applied = c.applied + s.applied,
            unknown = c.unknown + s.unknown, recorded_at = coalesce(last_recorded, c.recorded_at),
            updated_at = clock_timestamp()
        FROM step AS s
        WHERE c.build_id = s.build_id AND c.part = s.part AND c.position = s.expected
        RETURNING c.build_id, c.position, c.hold_at, c.hold_until
    )
    SELECT count(*), min(build_id::text)
            FILTER (WHERE hold_at < done.position AND hold_until > clock_timestamp())
        INTO moved, held FROM done;
    IF moved <> cardinality(builds) THEN
        RAISE EXCEPTION 'a checkpoint of builds % is not where its owner left it', builds
            USING ERRCODE = 'LJ001';
    ELSIF held IS NOT NULL THEN
        RAISE EXCEPTION 'build % is held', held USING ERRCODE = 'LJ002';
    END IF;
END $$;

CREATE TABLE IF NOT EXISTS projections.reactor_checkpoints (
    reactor    text NOT NULL,
    source     text NOT NULL,
    position   bigint NOT NULL DEFAULT 0,
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (reactor, source)
) WITH (fillfactor = 50);

CREATE TABLE IF NOT EXISTS projections.parked_streams (
    reactor   text NOT NULL,
    source    text NOT NULL,
    stream    text NOT NULL,
    error     text NOT NULL,
    traceback text NOT NULL,
    attempts  integer NOT NULL DEFAULT 1,
    parked_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    redrive   boolean NOT NULL DEFAULT false,
    PRIMARY KEY (reactor, source, stream)
);
CREATE TABLE IF NOT EXISTS projections.parked_messages (
    reactor  text NOT NULL,
    source   text NOT NULL,
    stream   text NOT NULL,
    position bigint NOT NULL,
    message  bytea NOT NULL,                  -- the feed event; without data that is personal
    PRIMARY KEY (reactor, source, position),
    FOREIGN KEY (reactor, source, stream) REFERENCES projections.parked_streams ON DELETE CASCADE
);
CREATE INDEX IF NOT EXISTS parked_messages_by_stream
    ON projections.parked_messages (reactor, source, stream, position);

-- One row for the next time a step of a process is looked at; the step's token makes it a one-off.
CREATE TABLE IF NOT EXISTS projections.timers (
    stream text NOT NULL,
    step   text NOT NULL,
    due_at timestamptz NOT NULL,
    token  text NOT NULL,
    data   bytea NOT NULL DEFAULT '',
    attempts integer NOT NULL DEFAULT 0,      -- firings that failed
    PRIMARY KEY (stream, step)
);
CREATE INDEX IF NOT EXISTS timers_by_due_at ON projections.timers (due_at);
