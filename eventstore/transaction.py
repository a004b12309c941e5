"""One batch of appends as one transaction: two round trips, whatever the number of appends.

The first takes the lock of the log's row and, under it, reads where the streams of the batch stand
and which idempotency keys are known. Only then is decided (eventstore/decide.py), and the second
round trip writes all that was accepted and commits. Since every append takes the same lock first,
no two decide at once, positions have no gaps, and a reader who sees one sees all before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec
import psycopg

from eventstore import arrays
from eventstore.append import Appended, Effect
from eventstore.decide import Known, Plan, Request, heads_after, keys_of, streams_of
from eventstore.errors import EffectFailed, EffectRefused, EventStoreError
from eventstore.layout import PARTITION_EVENTS, Layout
from eventstore.record import leaf, timestamp

Answer = Appended | EventStoreError

AHEAD_EVENTS = PARTITION_EVENTS // 10
"""A partition is made when fewer positions than this are left in the last one."""

_LOCK_TIMEOUT_AHEAD = "50ms"
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


@dataclass(slots=True)
class Writer:
    """Writes batches over a connection. `covered` is the last position that has a partition."""

    layout: Layout
    covered: int = 0
    _retry_partitions_at: int = field(default=0)

    def commit(self, connection: psycopg.Connection[Any], batch: Batch, *, apart: bool) -> None:
        """Decide and store, and set the batch's answers. With `apart`, effects that fail fail only
        their own append; without, any failing effect fails the transaction, at less cost.

        Raises psycopg.Error: nothing was stored, unless the connection is closed and the batch has
        a marker.
        """
        try:
            plan, now, stored = self._begin(connection, batch)
            batch.position = plan.position
            if stored:
                connection.execute("ROLLBACK")
                return
            batch.marker = None
            batch.answers = self._decide(connection, plan, batch.requests, apart=apart)
            if plan.empty:
                connection.execute("ROLLBACK")
                return
            self._make_partitions(connection, plan.position)
            if plan.placed:
                last = plan.placed[-1]
                batch.marker = Marker(last.position, last.row.id)
            self._write(connection, plan, now)
            batch.position, batch.marker = plan.position, None
        except psycopg.Error:
            if not connection.closed:
                batch.marker = None
                connection.execute("ROLLBACK")
            raise

    def _begin(
        self, connection: psycopg.Connection[Any], batch: Batch
    ) -> tuple[Plan, datetime, bool]:
        """Take the lock, read. Also says if the batch is found to be stored already."""
        sql, requests, marker = self.layout.sql, batch.requests, batch.marker
        streams, keys = streams_of(requests), keys_of(requests)
        known: psycopg.Cursor[Any] | None = None
        found: psycopg.Cursor[Any] | None = None
        with connection.pipeline():
            connection.execute("BEGIN", prepare=True)
            lock = connection.execute(sql.lock, prepare=True, binary=True)
            heads = connection.execute(
                sql.heads, [arrays.texts([s.encode() for s in streams])], prepare=True, binary=True
            )
            if keys:
                array = arrays.texts([key.encode() for key in keys])
                known = connection.execute(sql.known, [array], prepare=True, binary=True)
            if marker is not None:
                found = connection.execute(sql.at, [marker.position], binary=True)
        row = lock.fetchone()
        assert row is not None
        plan = Plan(row[0], dict(heads), {})
        for key, request_hash, position, versions, outcome in known or ():
            appended = Appended(position, _versions(versions), outcome=outcome)
            plan.known[key] = Known(request_hash, appended)
        stored = found is not None and marker is not None and _is(found.fetchone(), marker)
        return plan, row[1], stored

    def _decide(
        self,
        connection: psycopg.Connection[Any],
        plan: Plan,
        requests: Sequence[Request],
        *,
        apart: bool,
    ) -> list[Answer]:
        answers: list[Answer] = []
        for request in requests:
            answer = plan.answer(request)
            if answer is None and apart and request.effects:
                answer = run_apart(connection, request.effects)
            if answer is None:
                answer = plan.accept(request)
                if not apart:
                    plan.effects.extend(request.effects)
            answers.append(answer)
        return answers

    def _write(self, connection: psycopg.Connection[Any], plan: Plan, now: datetime) -> None:
        sql, placed = self.layout.sql, plan.placed
        stamp = timestamp(now)
        with connection.pipeline():
            for effect in plan.effects:
                connection.execute(effect.sql, effect.params)
            if placed:
                rows = [item.row for item in placed]
                connection.execute(
                    sql.insert_events,
                    [
                        now,
                        arrays.int8s([item.position for item in placed]),
                        arrays.int8s([item.version for item in placed]),
                        arrays.int4s([row.type_version for row in rows]),
                        arrays.uuids([row.id for row in rows]),
                        arrays.texts([row.stream for row in rows]),
                        arrays.texts([row.type for row in rows]),
                        arrays.byteas([leaf(i.row, i.position, i.version, stamp) for i in placed]),
                        arrays.texts([row.tags for row in rows]),
                        arrays.jsons([row.metadata for row in rows]),
                        arrays.jsons([row.payload for row in rows]),
                    ],
                    prepare=True,
                )
                heads = heads_after(placed)
                connection.execute(
                    sql.move_streams,
                    [
                        arrays.texts([stream.encode() for stream in heads]),
                        arrays.int8s([version for version, _, _ in heads.values()]),
                        arrays.int8s([first for _, first, _ in heads.values()]),
                        arrays.int8s([last for _, _, last in heads.values()]),
                    ],
                    prepare=True,
                )
                connection.execute(sql.move_log, [plan.position, now], prepare=True)
            if plan.keys:
                connection.execute(
                    sql.insert_keys,
                    [
                        now,
                        arrays.texts([key.key.encode() for key, _ in plan.keys]),
                        arrays.byteas([key.request_hash for key, _ in plan.keys]),
                        arrays.int8s([appended.position for _, appended in plan.keys]),
                        arrays.jsons([_encode(appended.versions) for _, appended in plan.keys]),
                        arrays.byteas([appended.outcome for _, appended in plan.keys]),
                    ],
                    prepare=True,
                )
            connection.execute("COMMIT", prepare=True)

    def _make_partitions(self, connection: psycopg.Connection[Any], last: int) -> None:
        """Make the next partition well before it is needed, so that a lock in the way can wait."""
        statement, wanted = self.layout.sql.partitions, last + AHEAD_EVENTS
        if wanted <= self.covered or (last <= self.covered and last < self._retry_partitions_at):
            return
        try:
            with connection.transaction():
                if last <= self.covered:
                    connection.execute(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT_AHEAD}'")
                row = connection.execute(statement, [wanted, PARTITION_EVENTS]).fetchone()
                connection.execute("SET LOCAL lock_timeout = DEFAULT")
        except psycopg.errors.LockNotAvailable:
            self._retry_partitions_at = last + AHEAD_EVENTS // 10
        else:
            assert row is not None
            self.covered = row[0]


def run_apart(
    connection: psycopg.Connection[Any], effects: Sequence[Effect]
) -> EventStoreError | None:
    """Run one append's effects in a savepoint; undo them and say why if one fails."""
    try:
        with connection.transaction():
            for effect in effects:
                connection.execute(effect.sql, effect.params)
    except psycopg.OperationalError:
        raise
    except psycopg.Error as error:
        return refusal(error)
    return None


def refusal(error: psycopg.Error) -> EventStoreError:
    """What a failed statement of an append means to its caller."""
    detail = str(error).strip()
    if isinstance(error, psycopg.IntegrityError):
        return EffectRefused(error.diag.constraint_name or "", detail)
    return EffectFailed(error.sqlstate or "", detail)


def _is(row: tuple[Any, ...] | None, marker: Marker) -> bool:
    return row is not None and row[0].bytes == marker.id
