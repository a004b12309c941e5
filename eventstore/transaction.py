"""One batch of appends as one transaction: one round trip, or two, whatever the number of appends.

Every append takes the lock of the log's row first, so no two decide at once, positions have no
gaps, and a reader who sees one sees all before it. What to store is decided (eventstore/decide.py)

- on an assumption, where nobody else appends: that the log stands where we left it and the streams
  where their writers expect them. One call takes the lock, looks if it is so, stores and commits,
  or does nothing. It may be sent before the one sent before it is answered: that one's success is
  part of the assumption;
- with care otherwise: the first round trip takes the lock and reads where the log and the streams
  of the batch stand and which idempotency keys are known, the second one stores and commits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from time import monotonic

import msgspec
import psycopg
from psycopg.pq.abc import PGresult

from eventstore.append import Appended, Effect, Unless
from eventstore.arrays import BYTEA, JSON, TEXT, UUID, fixed, int4s, int8s, sized, texts
from eventstore.decide import (
    Known,
    Placed,
    Plan,
    Request,
    assumed_heads,
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
    after: int = 0
    position: int = 0
    placed: Sequence[Placed] = ()
    """What was stored, if it was this try that stored it; `after` and `position` are where the log
    stood before and then, `stored_at` is when, in microseconds since PostgreSQL's epoch."""
    stored_at: int = 0


@dataclass(slots=True)
class Writer:
    """Writes batches over a connection.

    `covered` is the last position that has a partition; `position` and `recorded_at` are where we
    leave the log if all is stored that was sent, None before we know; `alone` says that nobody else
    went on from there.
    """

    layout: Layout
    covered: int = 0
    position: int | None = None
    recorded_at: int = 0
    alone: bool = True
    _clock: tuple[int, float] = (0, 0.0)
    _retry_partitions_at: int = field(default=0)

    def assume(self, batch: Batch) -> Call | None:
        """Decide on an assumption, and set the batch's answers: the call that stores the batch if
        it is right. None if nothing can be assumed.
        """
        if self.position is None or not self.alone or batch.marker is not None:
            return None
        if (assumed := assumed_heads(batch.requests)) is None:
            return None
        plan = Plan(self.position, {s: v for s, v in assumed.items() if v >= 0}, {})
        batch.answers = decide(batch.requests, plan)
        if plan.empty or self._needs_partition(plan.position):
            return None
        time = max(self.recorded_at, self._now())
        call = store(plan, self.position, time, assumed)
        batch.after, batch.position, batch.placed = self.position, plan.position, plan.placed
        batch.stored_at = self.recorded_at = time
        if plan.placed:
            batch.marker = Marker(plan.position, plan.placed[-1].row.id)
        self.position = plan.position
        return call

    def agreed(self, batch: Batch, result: PGresult | None) -> bool:
        """Whether the batch was stored, by the result of the call that `assume` gave; None if it
        failed in a way that was not the connection's.
        """
        assert self.position is not None
        clock = result.get_value(0, 0) if result is not None else None
        batch.marker = None
        if clock is None:
            batch.placed = ()
            self.position = min(self.position, batch.after)
            return False
        self.position = max(self.position, batch.position)
        self._clock = (integer(clock), monotonic())
        return True

    def _left(self, position: int, recorded_at: int, clock: int) -> None:
        """Remember where we left the log, and what time it is."""
        self.position, self.recorded_at = position, recorded_at
        self._clock = (clock, monotonic())

    def _now(self) -> int:
        """The server's clock, as far as one can tell from here."""
        clock, read_at = self._clock
        return clock + int((monotonic() - read_at) * 1e6)

    def commit(self, wire: Wire, batch: Batch, *, apart: bool) -> None:
        """Look, decide and store, and set the batch's answers. With `apart`, effects that fail fail
        only their own append; without, any failing effect fails the transaction, at less cost.

        Raises psycopg.Error: nothing was stored, unless the connection is closed and the batch has
        a marker.
        """
        batch.placed = ()
        try:
            plan, time, stored = self._begin(wire, batch)
            after = batch.position = plan.position
            self.alone = self.position in (None, after)
            if not stored:
                batch.marker = None
                batch.answers = decide(batch.requests, plan, wire if apart else None)
            if stored or plan.empty:
                wire.simple(b"ROLLBACK")
                self._left(after, time, time)
                return
            self._make_partitions(wire, plan.position)
            run_together(wire, plan.effects)
            call = store(plan, after, time, None)
            if plan.placed:
                batch.marker = Marker(plan.position, plan.placed[-1].row.id)
            stored_at, _ = wire.run([call, _COMMIT])
            batch.position, batch.marker = plan.position, None
            batch.placed, batch.stored_at = plan.placed, time
            self._left(plan.position, time, integer(stored_at.get_value(0, 0)))
        except psycopg.Error:
            self.covered = 0  # partitions made in this transaction are gone with it
            if not wire.connection.closed:
                batch.marker = None
                wire.simple(b"ROLLBACK")
            raise

    def _begin(self, wire: Wire, batch: Batch) -> tuple[Plan, int, bool]:
        """Take the lock, read. Also says when, and if the batch is found to be stored already."""
        requests, marker = batch.requests, batch.marker
        streams, keys = streams_of(requests), keys_of(requests)
        calls = [_BEGIN, _LOCK, (b"heads", [texts(streams)])]
        if keys:
            calls.append((b"known", [texts(keys)]))
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
        return plan, integer(log.get_value(0, 1)), stored

    def _needs_partition(self, last: int) -> bool:
        return last + self.layout.partition_events // 10 > self.covered and (
            last > self.covered or last >= self._retry_partitions_at
        )

    def _make_partitions(self, wire: Wire, last: int) -> None:
        """Make the next partition when a tenth of the last one is left: well before it is needed,
        so that it may wait when a lock is in the way.
        """
        if not self._needs_partition(last):
            return
        size = self.layout.partition_events
        statement, wanted = self.layout.sql.partitions, last + size // 10
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


def decide(requests: Sequence[Request], plan: Plan, apart: Wire | None = None) -> list[Answer]:
    """The answers of a batch, each request seeing those accepted before it. With a wire, effects
    are run at once, each append's apart.
    """
    answers: list[Answer] = []
    for request in requests:
        answer = plan.answer(request)
        if answer is None and apart is not None and request.effects:
            answer = run_apart(apart, request.effects)
        if answer is None:
            answer = plan.accept(request)
            if apart is None:
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


def matching_params(unless: Unless) -> list[bytes]:
    return [unless.after.to_bytes(8), texts(unless.tags), texts(unless.types)]


def store(plan: Plan, after: int, time: int, assumed: Mapping[str, int] | None) -> Call:
    """All that the plan stores after a position, at a time, as one call: if it is `assumed` where
    the streams stand, only if that is so.
    """
    stamp = timestamp(_POSTGRES_EPOCH + timedelta(microseconds=time))
    params: list[bytes | None] = [after.to_bytes(8), time.to_bytes(8, signed=True), None, None]
    if assumed is not None:
        params[2:] = [texts(assumed), int8s(assumed.values())]
    placed = plan.placed
    rows = [item.row for item in placed]
    heads = heads_after(placed)
    params += [
        texts(heads),
        int8s([version for version, _, _ in heads.values()]),
        int8s([first for _, first, _ in heads.values()]),
        int8s([last for _, _, last in heads.values()]),
        int8s([item.version for item in placed]),
        int4s([row.type_version for row in rows]),
        fixed(UUID, 16, [row.id for row in rows]),
        sized(TEXT, [row.stream for row in rows]),
        sized(TEXT, [row.type for row in rows]),
        fixed(BYTEA, 32, [leaf(p.row, p.position, p.version, stamp) for p in placed]),
        sized(TEXT, [row.tags for row in rows]),
        sized(JSON, [row.metadata for row in rows]),
        sized(JSON, [row.payload for row in rows]),
    ]
    keys = plan.keys
    params += [
        texts([key.key for key, _ in keys]),
        sized(BYTEA, [key.request_hash for key, _ in keys]),
        int8s([appended.position for _, appended in keys]),
        sized(JSON, [_encode(appended.versions) for _, appended in keys]),
        sized(BYTEA, [appended.outcome for _, appended in keys]),
    ]
    return (b"store", params)
