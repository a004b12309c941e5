-- Layout 2: the keys of persons, whose personal data events hold sealed (eventstore/privacy/).

-- A key is wrapped by a master key that is kept elsewhere. A row without a key is of a person who was
-- erased: it stays, so that no new key is made for them.
CREATE TABLE {schema}.subject_keys (
    subject     text COLLATE "C" PRIMARY KEY,
    wrapped     bytea,
    master_id   text COLLATE "C",
    created_at  timestamptz NOT NULL DEFAULT now(),
    erased_at   timestamptz,
    CHECK ((wrapped IS NULL) = (erased_at IS NOT NULL)),
    CHECK ((wrapped IS NULL) = (master_id IS NULL))
);
CREATE INDEX subject_keys_master ON {schema}.subject_keys (master_id);

-- How many persons were erased: whoever keeps folded states in memory drops them when it grows.
ALTER TABLE {schema}.log ADD COLUMN erasures bigint NOT NULL DEFAULT 0;
