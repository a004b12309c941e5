-- Layout 5: a batch of appends takes its positions and its time in the database, which hashes its
-- events then (eventstore/transaction.py): whoever else appends meanwhile is not in its way.

DROP FUNCTION {schema}.store;

-- Store events after the log's last position, what that makes of the streams, and answers to
-- idempotency keys. All positions given count from there. Gives where the log stood, and the time.
--
-- The caller either holds the lock of the log's row and has looked, or assumes where the streams
-- stand (-1: that one does not exist) and that the keys are new. Then the lock is taken here, and if
-- one of these is not so, nothing is stored and nulls are given.
--
-- A leaf is the hash of a record as eventstore/record.py says; new_middles are the parts of the
-- records between the time and the version. A caller that foresees where the log stands, and what
-- time it is, may give the leaves, too: if it is wrong by a position or a tenth of a second, they
-- are not used.
--
-- Row by row there must be an index: plans are kept, and were perhaps made when a table was empty.
CREATE FUNCTION {schema}.store(
    assumed_streams text[], assumed_versions bigint[],
    new_streams text[], new_heads bigint[], new_firsts bigint[], new_lasts bigint[],
    new_versions bigint[], new_type_versions integer[], new_ids uuid[], new_events_streams text[],
    new_types text[], new_middles text[], new_tags text[], new_metadata json[], new_payloads json[],
    new_keys text[], new_hashes bytea[], new_positions bigint[], new_outcome_versions json[],
    new_outcomes bytea[],
    foreseen_after bigint, foreseen_time timestamptz, foreseen_leaves bytea[],
    OUT log_after bigint, OUT new_time timestamptz
)
LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    before timestamptz;
    stamp text;
BEGIN
    SELECT position, recorded_at INTO log_after, before FROM {schema}.log FOR UPDATE;
    IF assumed_streams IS NOT NULL AND (
        EXISTS (
            SELECT FROM unnest(assumed_streams, assumed_versions) AS assumed (stream, version)
             WHERE assumed.version <> coalesce(
                (SELECT found.version FROM {schema}.streams found
                  WHERE found.stream = assumed.stream),
                least(assumed.version, 0)))
        OR (cardinality(new_keys) > 0 AND EXISTS (
            SELECT FROM {schema}.idempotency WHERE key = ANY (new_keys))))
    THEN
        log_after := NULL;
        RETURN;
    END IF;
    new_time := greatest(before, clock_timestamp());
    IF cardinality(new_ids) > 0 THEN
        INSERT INTO {schema}.streams (stream, version, first_position, position)
        SELECT s, v, log_after + f, log_after + l
          FROM unnest(new_streams, new_heads, new_firsts, new_lasts) AS new (s, v, f, l)
        ON CONFLICT (stream)
        DO UPDATE SET version = excluded.version, position = excluded.position;
        IF foreseen_after = log_after AND foreseen_time >= before
            AND foreseen_time BETWEEN new_time - interval '0.1 s' AND new_time + interval '0.1 s'
        THEN
            new_time := foreseen_time;
        ELSE
            foreseen_leaves := NULL;
        END IF;
        stamp := ',"recorded_at":"'
            || to_char(new_time AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"');
        INSERT INTO {schema}.events (
            recorded_at, position, version, type_version, id, stream, type, tags, metadata,
            payload, leaf)
        SELECT new_time, log_after + n, v, tv, i, s, t, g::text[], m, p,
               coalesce(l, sha256('\x00'::bytea || convert_to(
                   '{{"id":"' || i || '","metadata":' || m::text || ',"payload":' || p::text
                   || ',"position":' || log_after + n || stamp || r || v || '}}', 'UTF8')))
          FROM unnest(new_versions, new_type_versions, new_ids, new_events_streams, new_types,
                      new_middles, new_tags, new_metadata, new_payloads, foreseen_leaves)
               WITH ORDINALITY AS new (v, tv, i, s, t, r, g, m, p, l, n);
        UPDATE {schema}.log
           SET position = log_after + cardinality(new_ids), recorded_at = new_time;
    END IF;
    IF cardinality(new_keys) > 0 THEN
        INSERT INTO {schema}.idempotency (
            recorded_at, key, request_hash, position, versions, outcome)
        SELECT new_time, k, h, log_after + at, v, o
          FROM unnest(new_keys, new_hashes, new_positions, new_outcome_versions, new_outcomes)
               AS new (k, h, at, v, o);
    END IF;
END $$;

-- The seal of an event is found by its position.
CREATE INDEX seals_last ON {schema}.seals (last);
