-- Layout 3: a batch of appends is stored by one call (eventstore/transaction.py).

-- Store events after the position `log_after`, recorded at `new_time`, what that makes of the streams,
-- and answers to idempotency keys. Gives the time.
--
-- The caller either holds the lock of the log's row and has looked, or assumes where the streams
-- stand (-1: that one does not exist), that the log ends at `log_after`, and that the keys are new.
-- Then the lock is taken here, and if one of these is not so, or `new_time` is not the time, nothing
-- is stored and null is given.
--
-- Row by row there must be an index: plans are kept, and were perhaps made when a table was empty.
CREATE FUNCTION {schema}.store(
    log_after bigint, new_time timestamptz,
    assumed_streams text[], assumed_versions bigint[],
    new_streams text[], new_heads bigint[], new_firsts bigint[], new_lasts bigint[],
    new_versions bigint[], new_type_versions integer[], new_ids uuid[], new_events_streams text[],
    new_types text[], new_leaves bytea[], new_tags text[], new_metadata json[], new_payloads json[],
    new_keys text[], new_hashes bytea[], new_positions bigint[], new_outcome_versions json[],
    new_outcomes bytea[]
) RETURNS timestamptz
LANGUAGE plpgsql SET enable_seqscan = off AS $$
BEGIN
    IF assumed_streams IS NOT NULL THEN
        PERFORM FROM {schema}.log
          WHERE position = log_after AND recorded_at <= new_time FOR UPDATE;
        IF NOT FOUND
            OR abs(extract(epoch FROM clock_timestamp() - new_time)) > 0.1
            OR EXISTS (
                SELECT FROM unnest(assumed_streams, assumed_versions) AS assumed (stream, version)
                 WHERE assumed.version <> coalesce(
                    (SELECT found.version FROM {schema}.streams found
                      WHERE found.stream = assumed.stream),
                    least(assumed.version, 0)))
            OR (cardinality(new_keys) > 0 AND EXISTS (
                SELECT FROM {schema}.idempotency WHERE key = ANY (new_keys)))
        THEN
            RETURN NULL;
        END IF;
    END IF;
    IF cardinality(new_ids) > 0 THEN
        INSERT INTO {schema}.streams (stream, version, first_position, position)
        SELECT * FROM unnest(new_streams, new_heads, new_firsts, new_lasts)
        ON CONFLICT (stream)
        DO UPDATE SET version = excluded.version, position = excluded.position;
        INSERT INTO {schema}.events (
            recorded_at, position, version, type_version, id, stream, type, leaf, tags, metadata,
            payload)
        SELECT new_time, log_after + n, v, tv, i, s, t, l, g::text[], m, p
          FROM unnest(new_versions, new_type_versions, new_ids, new_events_streams, new_types,
                      new_leaves, new_tags, new_metadata, new_payloads)
               WITH ORDINALITY AS new (v, tv, i, s, t, l, g, m, p, n);
        UPDATE {schema}.log
           SET position = log_after + cardinality(new_ids), recorded_at = new_time;
    END IF;
    IF cardinality(new_keys) > 0 THEN
        INSERT INTO {schema}.idempotency (
            recorded_at, key, request_hash, position, versions, outcome)
        SELECT new_time, new.*
          FROM unnest(new_keys, new_hashes, new_positions, new_outcome_versions, new_outcomes)
               AS new;
    END IF;
    RETURN clock_timestamp();
END $$;
