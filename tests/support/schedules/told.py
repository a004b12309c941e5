"""What callers were told, against what the log holds: the model of an append."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import psycopg

from eventstore.append import Append, Appended, Idempotency
from eventstore.decide import Request
from eventstore.errors import (
    EffectRefused,
    IdempotencyKeyReused,
    StoreUnavailable,
    WrongExpectedVersion,
)
from eventstore.expected_version import agrees
from eventstore.recent import Recent

Row = tuple[int, str, int, str, Any]
"""position, stream, version, place, id."""


@dataclass(eq=False)
class Caller:
    """An append that somebody asked for. `after` are the callers that had been acknowledged by
    then; `effect` is the number that it stores in the same transaction, maybe one that is taken.
    """

    number: int
    appends: Sequence[Append]
    key: Idempotency | None
    effect: int | None
    request: Request
    future: Future[Appended]
    after: set[int] = field(default_factory=set)

    def __str__(self) -> str:
        wants = ", ".join(
            f"{len(a.events)} to {a.stream} at {a.expected_version}" for a in self.appends
        )
        key = f", key {self.key.key}={self.key.request_hash.decode()}" if self.key else ""
        effect = f", effect {self.effect}" if self.effect is not None else ""
        return f"caller {self.number}: {wants}{key}{effect}"

    @property
    def places(self) -> list[str]:
        return [event.place for append in self.appends for event in append.events]

    def version_of(self, stream: str) -> int:
        """What its answer says of a stream; 0 if nothing."""
        return self.future.result().versions.get(stream, 0) if self.acknowledged else 0

    @property
    def acknowledged(self) -> bool:
        return self.told in ("stored", "replayed")

    @property
    def told(self) -> str:
        """In a word, what came of it."""
        if not self.future.done():
            return "nothing"
        if self.future.cancelled():
            return "gave up"
        match error := self.future.exception():
            case None:
                return "replayed" if self.future.result().replayed else "stored"
            case StoreUnavailable():
                return "unknown" if error.unknown else "unavailable"
            case WrongExpectedVersion() | IdempotencyKeyReused() | EffectRefused():
                return "refused"
            case _:
                return repr(error)


def disagreements(
    connection: psycopg.Connection[Any],
    schema: str,
    callers: Sequence[Caller],
    recents: Sequence[Recent],
) -> list[str]:
    """In words; empty if all is well. Whoever was cut off while it committed is waited for."""
    head = connection.execute(f"SELECT position FROM {schema}.log FOR UPDATE".encode()).fetchone()
    log: list[Row] = connection.execute(
        f"SELECT position, stream, version, payload ->> 'place', id FROM {schema}.events "
        "ORDER BY position".encode()
    ).fetchall()
    keys = dict(
        connection.execute(f"SELECT key, outcome FROM {schema}.idempotency".encode()).fetchall()
    )
    effects = dict(
        connection.execute(f"SELECT caller, n FROM {schema}.effects".encode()).fetchall()
    )
    heads = dict(
        connection.execute(f"SELECT stream, version FROM {schema}.streams".encode()).fetchall()
    )
    wrong = list(_order(log, heads, head))
    by_place = {place: row for row in log if (place := row[3])}
    known = {place for caller in callers for place in caller.places}
    wrong += [f"nobody asked for {row}" for row in log if row[3] not in known]
    if len(by_place) != len(log):
        wrong.append("an event is in the log twice")
    for caller in callers:
        wrong += [
            f"caller {caller.number}, {caller.told}: {text}"
            for text in _of_caller(caller, by_place, keys, effects)
        ]
    positions = {c.number: c.future.result().position for c in callers if c.told == "stored"}
    for caller in callers:
        if caller.told == "stored":
            early = [n for n in caller.after if positions.get(n, 0) >= positions[caller.number]]
            wrong += [f"caller {caller.number} came after {n}, and is before it" for n in early]
    for recent in recents:
        wrong += _recent(recent, log)
    return wrong


def _order(log: Sequence[Row], heads: dict[str, int], head: Any) -> Iterable[str]:
    if [row[0] for row in log] != list(range(1, len(log) + 1)) or head != (len(log),):
        yield f"positions have gaps, or the head is not their last: {head}"
    seen: Counter[str] = Counter()
    for position, stream, version, _, _ in log:
        seen[stream] += 1
        if version != seen[stream]:
            yield f"version {version} at {position} is number {seen[stream]} of {stream!r}"
    if seen != heads:
        yield f"streams are at {dict(seen)}, their rows say {heads}"


def _of_caller(
    caller: Caller, log: dict[str, Row], keys: dict[str, bytes], effects: dict[int, int]
) -> Iterable[str]:
    rows = [log[place] for place in caller.places if place in log]
    is_stored, told = bool(rows), caller.told
    if is_stored and len(rows) != len(caller.places):
        yield "only a part of it is stored"
    if (caller.effect is not None and effects.get(caller.number) == caller.effect) != (
        is_stored and caller.effect is not None
    ):
        yield "its effect and its events do not agree"
    if caller.key and is_stored != (keys.get(caller.key.key) == str(caller.number).encode()):
        yield f"its key is kept as {keys.get(caller.key.key)!r}"
    if is_stored:
        yield from _decided_rightly(caller, rows)
    match told:
        case "stored":
            answer = caller.future.result()
            if not is_stored:
                yield "it is not in the log"
            elif rows[-1][0] != answer.position:
                yield f"it is at {rows[-1][0]}, its caller was told {answer.position}"
            elif dict(answer.versions) != {row[1]: row[2] for row in rows}:
                yield f"its caller was told of {answer.versions}"
        case "replayed":
            if caller.key is None or caller.future.result().outcome != keys.get(caller.key.key):
                yield "another answer than the first one was given"
        case "refused" | "unavailable":
            if is_stored:
                yield f"it is in the log, at {rows[0][0]}"
            yield from _refused_rightly(caller)
        case "unknown" | "gave up":
            pass
        case _:
            yield "that is no answer"


def _decided_rightly(caller: Caller, rows: Sequence[Row]) -> Iterable[str]:
    """Whether its streams were where it expected them, and its events follow each other."""
    if [row[0] for row in rows] != list(range(rows[0][0], rows[0][0] + len(rows))):
        yield "something is between its events"
    start = 0
    for append in caller.appends:
        before = rows[start][2] - 1 if start < len(rows) else 0
        if not agrees(append.expected_version, before):
            yield f"{append.stream!r} was at {before}, expected {append.expected_version}"
        start += len(append.events)


def _refused_rightly(caller: Caller) -> Iterable[str]:
    error = caller.future.exception()
    if isinstance(error, WrongExpectedVersion) and agrees(error.expected, error.actual):  # type: ignore[arg-type]
        yield f"{error} is no reason"


def _recent(recent: Recent, log: Sequence[Row]) -> Iterable[str]:
    """What a writer keeps in memory for feeds is what the log holds there."""
    first, kept = recent._kept
    events = recent.read(first - 1, first - 1 + len(kept), types=None, limit=len(kept)) or []
    found = [(event.position, event.stream, event.version, event.id) for event in events]
    if found != [(*row[:3], row[4]) for row in log[first - 1 : first - 1 + len(kept)]]:
        yield f"the events kept in memory from {first} on are others"
