-- Layout 4: snapshots of long streams, and idempotency keys that are kept for a time only.

-- The newest snapshot of each stream and class of states: a cache, which may be emptied at any time.
-- checksum is over all other columns but the time.
CREATE TABLE {schema}.state_snapshots (
    stream      text COLLATE "C" NOT NULL,
    class       text COLLATE "C" NOT NULL,
    shape       integer NOT NULL,
    version     bigint NOT NULL,
    position    bigint NOT NULL,
    state       bytea NOT NULL,
    checksum    bytea NOT NULL,
    written_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (stream, class)
);

-- Keys are let go in the order in which they came.
CREATE INDEX idempotency_recorded_at ON {schema}.idempotency (recorded_at);
