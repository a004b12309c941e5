"""One batch of appends as one transaction: one round trip, or two, whatever the number of appends.

Every append takes the lock of the log's row first, so no two decide at once, positions have no
gaps, and a reader who sees one sees all before it. What to store is decided (eventstore/decide.py)

- on an assumption, if all writers say where their streams stand: one call takes the lock, looks if
  it is so, stores and commits, or does nothing;
- with care otherwise: the first round trip takes the lock and reads where the log and the streams
  of the batch stand and which idempotency keys are known, the second one stores and commits.

Either way positions and times are the database's, given under the lock: whoever decides on an
assumption counts positions from where the log will stand then. It hashes the events, too, unless
they come with hashes for the position and time that it gives: who appends alone foresees these.
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
from eventstore.record import foreseen_leaf, timestamp
from eventstore.wire import Call, Wire, column, integer

Answer = Appended | EventStoreError

_POSTGRES_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_LOCK_TIMEOUT_AHEAD = "50ms"
_BEGIN: Call = (b"begin", ())
_LOCK: Call = (b"lock", ())
_COMMIT: Call = (b"commit", ())
_versions = msgspec.json.Decoder(dict[str, int]).decode
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Attempt:
    """One time that a batch was decided, and what it is if that was stored: when nobody knows, the
    log does, as it holds the events that were given a place, all of them and no others.

    Positions count from 0, or from where the log stood, if that was known: `after`.
    """

    answers: Sequence[Answer]
    placed: Sequence[Placed]
    after: int = 0

    @property
    def ids(self) -> set[bytes]:
        return {item.row.id.bytes for item in self.placed}

    def only(self, number: int, request: Request) -> Attempt:
        """What it is for one of its callers, whose request that was."""
        own = {row.id.bytes for write in request.writes for row in write.rows}
        placed = [item for item in self.placed if item.row.id.bytes in own]
        return Attempt(self.answers[number : number + 1], placed, self.after)


@dataclass(slots=True)
class Batch:
    """Requests, and their answers once decided: true only if the transaction is committed.

    What was decided in `lost` was cut off while it committed: the next time looks for it first.
    """

    requests: Sequence[Request]
    lost: Sequence[Attempt] = ()
    attempt: Attempt | None = None
    """What is on its way, on an assumption."""
    answers: Sequence[Answer] = ()
    position: int = 0
    """Where the log stood when all was said."""
    placed: Sequence[Placed] = ()
    base: int = 0
    stored_at: int = 0
    """What was stored; its positions count from `base`; when, in microseconds since 2000."""

    def settle(self, attempt: Attempt, base: int, stored_at: int) -> None:
        """An attempt was stored: its positions counted from `base`."""
        self.answers = attempt.answers
        if base:
            self.answers = [counted_from(base, answer) for answer in attempt.answers]
        self.placed, self.base, self.stored_at = attempt.placed, base, stored_at
        self.position = base + (attempt.placed[-1].position if attempt.placed else attempt.after)


def counted_from(base: int, answer: Answer) -> Answer:
    """An answer whose position counted from `base`, with its place in the log."""
    if not isinstance(answer, Appended):
        return answer
    return Appended(base + answer.position, answer.versions, answer.replayed, answer.outcome)


@dataclass(frozen=True, slots=True)
class Foreseen:
    """The leaves of events to be stored after a position, at a time in microseconds since 2000."""

    after: int
    time: int
    leaves: Sequence[bytes]


@dataclass(slots=True)
class Writer:
    """Writes batches over a connection.

    `position` is where the log stood when last seen, None before; `alone` says that it was we who
    had brought it there. `covered` is the last position that has a partition, `sent` the number of
    events that are on their way.
    """

    layout: Layout
    position: int | None = None
    alone: bool = True
    covered: int = 0
    sent: int = 0
    _given: int = 0
    """The last time that we gave to events, in microseconds since 2000."""
    _clock: tuple[int, float] = (0, 0.0)
    """The last time that the database gave, and when we learnt it."""
    _retry_partitions_at: int = field(default=0)

    def assume(self, batch: Batch) -> Call | None:
        """Decide on an assumption, as the batch's `attempt`: the call that stores it if that is
        right. None if nothing can be assumed.
        """
        if self.position is None or batch.lost:
            return None
        if (assumed := assumed_heads(batch.requests)) is None:
            return None
        plan = Plan(0, {s: v for s, v in assumed.items() if v >= 0}, {})
        answers = decide(batch.requests, plan)
        events = len(plan.placed)
        if plan.empty or self._needs_partition(self.position + self.sent + events):
            return None
        batch.attempt = Attempt(answers, plan.placed)
        foreseen = self._foreseen(plan) if self.alone else None
        self.sent += events
        return store(plan, 0, assumed, foreseen)

    def agreed(self, batch: Batch, result: PGresult | None) -> bool:
        """Whether what `assume` gave was stored, by its result; None if it failed, though the
        connection did not.
        """
        attempt = self._landed(batch)
        after = result.get_value(0, 0) if result is not None else None
        if result is None or after is None:
            return False
        base = integer(after)
        batch.settle(attempt, base, integer(result.get_value(0, 1)))
        self.alone = base == self.position
        self._left(batch)
        return True

    def _left(self, batch: Batch) -> None:
        """Remember where a batch has left the log, and what time it was."""
        self.position = batch.position
        self._clock = batch.stored_at, monotonic()

    def _foreseen(self, plan: Plan) -> Foreseen:
        """If nobody else appends."""
        assert self.position is not None
        clock, learnt = self._clock
        self._given = time = max(self._given, clock + int((monotonic() - learnt) * 1e6))
        stamp = timestamp(_POSTGRES_EPOCH + timedelta(microseconds=time))
        after = self.position + self.sent
        leaves = [foreseen_leaf(p.row, after + p.position, p.version, stamp) for p in plan.placed]
        return Foreseen(after, time, leaves)

    def lost(self, batch: Batch) -> None:
        """Nobody knows what became of what `assume` gave."""
        batch.lost = (*batch.lost, self._landed(batch))

    def _landed(self, batch: Batch) -> Attempt:
        attempt, batch.attempt = batch.attempt, None
        assert attempt is not None
        self.sent -= len(attempt.placed)
        return attempt

    def commit(self, wire: Wire, batch: Batch, *, apart: bool) -> None:
        """Look, decide and store, and settle the batch. With `apart`, effects that fail fail only
        their own append; without, any failing effect fails the transaction, at less cost.

        Raises psycopg.Error: nothing was stored, unless the connection is closed.
        """
        attempt: Attempt | None = None
        try:
            plan = self._begin(wire, batch)
            if plan is None:
                wire.simple(b"ROLLBACK")
                return
            after = self.position = plan.position
            answers = decide(batch.requests, plan, wire if apart else None)
            if plan.empty:
                wire.simple(b"ROLLBACK")
                batch.settle(Attempt(answers, (), after), 0, 0)
                return
            self._make_partitions(wire, plan.position)
            run_together(wire, plan.effects)
            attempt = Attempt(answers, plan.placed, after)
            stored, _ = wire.run([store(plan, after, None, None), _COMMIT])
            batch.settle(attempt, 0, integer(stored.get_value(0, 1)))
            self._left(batch)
        except psycopg.Error:
            self.covered = 0  # partitions made in this transaction are gone with it
            if not wire.connection.closed:
                wire.simple(b"ROLLBACK")
            elif attempt is not None:
                batch.lost = (*batch.lost, attempt)
            raise

    def _begin(self, wire: Wire, batch: Batch) -> Plan | None:
        """Take the lock, read. None if the batch is found to be stored already, and is settled."""
        requests = batch.requests
        streams, keys = streams_of(requests), keys_of(requests)
        calls = [_BEGIN, _LOCK, (b"heads", [texts(streams)])]
        if keys:
            calls.append((b"known", [texts(keys)]))
        conditions = conditions_of(requests)
        calls += [(b"matching", matching_params(unless)) for unless in conditions]
        lost = set[bytes]().union(*(attempt.ids for attempt in batch.lost))
        if lost:
            calls.append((b"found", [fixed(UUID, 16, list(lost))]))
        results = wire.run(calls)
        if lost and results[-1].ntuples:
            settle_found(batch, results[-1])
            return None
        heads = results[2]
        names, versions = column(heads, 0), column(heads, 1)
        plan = Plan(
            integer(results[1].get_value(0, 0)),
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
        return plan

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


def settle_found(batch: Batch, found: PGresult) -> None:
    """Settle a batch by those of its events that are in the log, which is one of the attempts."""
    ids, positions, times = (column(found, number) for number in range(3))
    for attempt in reversed(batch.lost):
        if attempt.ids == set(ids):
            place = ids.index(attempt.placed[-1].row.id.bytes)
            base = integer(positions[place]) - attempt.placed[-1].position
            batch.settle(attempt, base, integer(times[place]))
            return
    raise RuntimeError(f"of a batch {len(ids)} events are stored, as in none of its attempts")


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


def store(
    plan: Plan, after: int, assumed: Mapping[str, int] | None, foreseen: Foreseen | None
) -> Call:
    """All that the plan stores, as one call; its positions count from `after`. If it is `assumed`
    where the streams stand, only if that is so.
    """
    params: list[bytes | None] = [None, None]
    if assumed is not None:
        params = [texts(assumed), int8s(assumed.values())]
    placed = plan.placed
    rows = [item.row for item in placed]
    heads = heads_after(placed)
    params += [
        texts(heads),
        int8s([version for version, _, _ in heads.values()]),
        int8s([first - after for _, first, _ in heads.values()]),
        int8s([last - after for _, _, last in heads.values()]),
        int8s([item.version for item in placed]),
        int4s([row.type_version for row in rows]),
        fixed(UUID, 16, [row.id.bytes for row in rows]),
        sized(TEXT, [row.stream for row in rows]),
        sized(TEXT, [row.type for row in rows]),
        sized(TEXT, [row.middle for row in rows]),
        sized(TEXT, [row.tags for row in rows]),
        sized(JSON, [row.metadata for row in rows]),
        sized(JSON, [row.payload for row in rows]),
    ]
    keys = plan.keys
    params += [
        texts([key.key for key, _ in keys]),
        sized(BYTEA, [key.request_hash for key, _ in keys]),
        int8s([appended.position - after for _, appended in keys]),
        sized(JSON, [_encode(appended.versions) for _, appended in keys]),
        sized(BYTEA, [appended.outcome for _, appended in keys]),
    ]
    if foreseen is None:
        params += [None, None, None]
    else:
        params += [
            foreseen.after.to_bytes(8),
            foreseen.time.to_bytes(8, signed=True),
            fixed(BYTEA, 32, foreseen.leaves),
        ]
    return (b"store", params)
