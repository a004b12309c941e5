"""One batch of appends as one transaction: two round trips, whatever the number of appends.

The first takes the lock of the log's row and, under it, reads where the streams of the batch stand
and which idempotency keys are known. Only then is decided (eventstore/decide.py), and the second
round trip writes all that was accepted and commits. Since every append takes the same lock first,
no two decide at once, positions have no gaps, and a reader who sees one sees all before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import msgspec
import psycopg

from eventstore.append import Appended, Effect, Idempotency, Unless
from eventstore.arrays import BYTEA, JSON, TEXT, UUID, int4s, int8s, sized
from eventstore.decide import (
    Known,
    Placed,
    Plan,
    Request,
    conditions_of,
    heads_after,
    keys_of,
    streams_of,
)
from eventstore.errors import AppendFailed, EffectFailed, EffectRefused, EventStoreError
from eventstore.layout import Layout
from eventstore.record import leaf, timestamp
from eventstore.wire import Call, Wire, column, integer

Answer = Appended | EventStoreError

_LOCK_TIMEOUT_AHEAD = "50ms"
_POSTGRES_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_BEGIN: Call = (b"begin", ())
_LOCK: Call = (b"lock", ())
_COMMIT: Call = (b"commit", ())
_versions = msgspec.json.Decoder(dict[str, int]).decode
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Marker:
    """The last event of a batch, by which it is found again when nobody knows if it was stored."""

    position: int
    id: bytes


@dataclass(slots=True)
class Batch:
    """Requests, and their answers once decided: true only if the transaction is committed.

    With `marker` set, an earlier try was cut off while it committed: the next one looks first.
    """

    requests: Sequence[Request]
    answers: Sequence[Answer] = ()
    marker: Marker | None = None
    position: int = 0
    placed: Sequence[Placed] = ()
    """What was stored, if it was this try that stored it; `stored_at` is when, in microseconds
    since PostgreSQL's epoch."""
    stored_at: int = 0


@dataclass(slots=True)
class Writer:
    """Writes batches over a connection. `covered` is the last position that has a partition."""

    layout: Layout
    covered: int = 0
    _retry_partitions_at: int = field(default=0)

    def commit(self, wire: Wire, batch: Batch, *, apart: bool) -> None:
        """Decide and store, and set the batch's answers. With `apart`, effects that fail fail only
        their own append; without, any failing effect fails the transaction, at less cost.

        Raises psycopg.Error: nothing was stored, unless the connection is closed and the batch has
        a marker.
        """
        try:
            plan, now, stored = self._begin(wire, batch)
            batch.position = plan.position
            if not stored:
                batch.marker = None
                batch.answers = decide(wire, plan, batch.requests, apart=apart)
            if stored or plan.empty:
                wire.simple(b"ROLLBACK")
                return
            self._make_partitions(wire, plan.position)
            run_together(wire, plan.effects)
            calls = writes(plan, now)
            if plan.placed:
                batch.marker = Marker(plan.position, plan.placed[-1].row.id)
            wire.run(calls)
            batch.position, batch.marker = plan.position, None
            batch.placed, batch.stored_at = plan.placed, integer(now)
        except psycopg.Error:
            if not wire.connection.closed:
                batch.marker = None
                wire.simple(b"ROLLBACK")
            raise

    def _begin(self, wire: Wire, batch: Batch) -> tuple[Plan, bytes, bool]:
        """Take the lock, read. Also says if the batch is found to be stored already."""
        requests, marker = batch.requests, batch.marker
        streams, keys = streams_of(requests), keys_of(requests)
        calls = [_BEGIN, _LOCK, (b"heads", [sized(TEXT, [s.encode() for s in streams])])]
        if keys:
            calls.append((b"known", [sized(TEXT, [key.encode() for key in keys])]))
        conditions = conditions_of(requests)
        calls += [(b"matching", matching_params(unless)) for unless in conditions]
        if marker is not None:
            calls.append((b"at", [marker.position.to_bytes(8)]))
        results = wire.run(calls)
        log, heads = results[1], results[2]
        names, versions = column(heads, 0), column(heads, 1)
        plan = Plan(
            integer(log.get_value(0, 0)),
            {n.decode(): integer(v) for n, v in zip(names, versions, strict=True)},
            {},
        )
        if keys:
            table = results[3]
            for row in zip(*(column(table, number) for number in range(5)), strict=True):
                key, request_hash, position, moved, outcome = row
                before = Appended(integer(position), _versions(moved), outcome=outcome)
                plan.known[key.decode()] = Known(request_hash, before)
        for unless, table in zip(conditions, results[4 if keys else 3 :], strict=False):
            plan.matching[unless] = integer(table.get_value(0, 0))
        stored = marker is not None and column(results[-1], 0) == [marker.id]
        return plan, log.get_value(0, 1) or b"", stored

    def _make_partitions(self, wire: Wire, last: int) -> None:
        """Make the next partition when a tenth of the last one is left: well before it is needed,
        so that it may wait when a lock is in the way.
        """
        size = self.layout.partition_events
        statement, wanted = self.layout.sql.partitions, last + size // 10
        if wanted <= self.covered or (last <= self.covered and last < self._retry_partitions_at):
            return
        connection = wire.connection
        try:
            with connection.transaction():
                before = connection.execute("SHOW lock_timeout").fetchone()
                assert before is not None
                if last <= self.covered:
                    connection.execute(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT_AHEAD}'")
                row = connection.execute(statement, [wanted, size]).fetchone()
                connection.execute(f"SET LOCAL lock_timeout = '{before[0]}'")
        except psycopg.errors.LockNotAvailable:
            self._retry_partitions_at = last + size // 100
        else:
            assert row is not None
            self.covered = row[0]


def decide(wire: Wire, plan: Plan, requests: Sequence[Request], *, apart: bool) -> list[Answer]:
    """The answers of a batch, each request seeing those accepted before it."""
    answers: list[Answer] = []
    for request in requests:
        answer = plan.answer(request)
        if answer is None and apart and request.effects:
            answer = run_apart(wire, request.effects)
        if answer is None:
            answer = plan.accept(request)
            if not apart:
                plan.effects.extend(request.effects)
        answers.append(answer)
    return answers


def run_together(wire: Wire, effects: Sequence[Effect]) -> None:
    """Run all effects of a batch in one round trip. Raises psycopg.Error."""
    if effects:
        with wire.connection.pipeline():
            for effect in effects:
                wire.connection.execute(effect.sql, effect.params or None, prepare=False)


def run_apart(wire: Wire, effects: Sequence[Effect]) -> EventStoreError | None:
    """Run one append's effects in a savepoint; undo them and say why if one fails."""
    try:
        with wire.connection.transaction():
            for effect in effects:
                wire.connection.execute(effect.sql, effect.params or None, prepare=False)
    except psycopg.Error as error:
        if wire.connection.closed:
            raise
        return refusal(error)
    return None


def refusal(error: psycopg.Error, *, of_effect: bool = True) -> EventStoreError:
    """What a failed statement of an append means to its caller."""
    detail = str(error).strip()
    if not of_effect:
        return AppendFailed(error.sqlstate or "", detail)
    if isinstance(error, psycopg.IntegrityError):
        return EffectRefused(error.diag.constraint_name or "", detail)
    return EffectFailed(error.sqlstate or "", detail)


def writes(plan: Plan, now: bytes) -> list[Call]:
    """All that the plan stores, and the commit. `now` is a timestamptz."""
    calls = []
    if plan.placed:
        calls += [insert_events(plan.placed, now), move_streams(plan.placed)]
        calls.append((b"log", [plan.position.to_bytes(8), now]))
    if plan.keys:
        calls.append(insert_keys(plan.keys, now))
    return [*calls, _COMMIT]


def matching_params(unless: Unless) -> list[bytes]:
    tags = sized(TEXT, [tag.encode() for tag in unless.tags])
    return [unless.after.to_bytes(8), tags, sized(TEXT, [name.encode() for name in unless.types])]


def insert_events(placed: Sequence[Placed], now: bytes) -> Call:
    rows = [item.row for item in placed]
    stamp = timestamp(_POSTGRES_EPOCH + timedelta(microseconds=integer(now)))
    params = [
        now,
        int8s([item.position for item in placed]),
        int8s([item.version for item in placed]),
        int4s([row.type_version for row in rows]),
        sized(UUID, [row.id for row in rows]),
        sized(TEXT, [row.stream for row in rows]),
        sized(TEXT, [row.type for row in rows]),
        sized(BYTEA, [leaf(item.row, item.position, item.version, stamp) for item in placed]),
        sized(TEXT, [row.tags for row in rows]),
        sized(JSON, [row.metadata for row in rows]),
        sized(JSON, [row.payload for row in rows]),
    ]
    return (b"events", params)


def move_streams(placed: Sequence[Placed]) -> Call:
    heads = heads_after(placed)
    versions, firsts, lasts = zip(*heads.values(), strict=True)
    names = sized(TEXT, [stream.encode() for stream in heads])
    return (b"streams", [names, int8s(versions), int8s(firsts), int8s(lasts)])


def insert_keys(keys: Sequence[tuple[Idempotency, Appended]], now: bytes) -> Call:
    params = [
        now,
        sized(TEXT, [key.key.encode() for key, _ in keys]),
        sized(BYTEA, [key.request_hash for key, _ in keys]),
        int8s([appended.position for _, appended in keys]),
        sized(JSON, [_encode(appended.versions) for _, appended in keys]),
        sized(BYTEA, [appended.outcome for _, appended in keys]),
    ]
    return (b"keys", params)
