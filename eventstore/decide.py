"""Decide a batch of appends, each by itself. Pure: what was read goes in, what to write comes out.

Appends are decided in the order they came, each seeing those accepted before it in the batch as if
they were stored: one conflict fails one caller, a key used twice in a batch is answered once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from eventstore.append import Appended, Effect, Idempotency, Unless
from eventstore.errors import (
    ConditionFailed,
    ErasedSubject,
    EventStoreError,
    IdempotencyKeyReused,
    InvalidAppend,
    WrongExpectedVersion,
)
from eventstore.expected_version import NO_STREAM, ExpectedVersion, agrees
from eventstore.privacy.erasure import subject_stream
from eventstore.record import Row


class Write(msgspec.Struct, frozen=True):
    """Rows for one stream, if it is where the writer expects it.

    `first` is for applications that number versions themselves: the version of the first row, which
    must be the next one, or 0 in a stream that does not exist.
    """

    stream: str
    expected: ExpectedVersion
    rows: Sequence[Row]
    first: int | None = None


class Request(msgspec.Struct, frozen=True):
    """One caller's append, encoded: all of it is stored, or nothing, as when one of `subjects`,
    of whom it tells, was erased.
    """

    writes: Sequence[Write]
    events: int
    size: int
    idempotency: Idempotency | None = None
    outcome: bytes = b""
    effects: Sequence[Effect] = ()
    unless: Sequence[Unless] = ()
    subjects: Sequence[str] = ()


class Known(msgspec.Struct, frozen=True):
    """What an idempotency key was answered before."""

    request_hash: bytes
    appended: Appended


class Placed(msgspec.Struct, frozen=True, gc=False):
    """A row with its place in the log and in its stream."""

    row: Row
    stream: str
    position: int
    version: int


@dataclass(slots=True)
class Plan:
    """What a batch read under the lock (`position`, `heads`, `known`, `matching`), and what it is
    to write.

    `heads` has every stream of the batch that exists, `matching` the last position of an event that
    matches a condition. `heads` and `known` move on with each accepted append.
    """

    position: int
    heads: dict[str, int]
    known: dict[str, Known]
    matching: dict[Unless, int] = field(default_factory=dict)
    placed: list[Placed] = field(default_factory=list)
    keys: list[tuple[Idempotency, Appended]] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)

    def answer(self, request: Request) -> Appended | EventStoreError | None:
        """The answer if nothing needs to be stored for it; None if it can be accepted."""
        if request.idempotency is not None and (known := self.known.get(request.idempotency.key)):
            return replay(known, request.idempotency)
        for subject in request.subjects:
            if self.heads.get(subject_stream(subject)):
                return ErasedSubject(subject)
        for unless in request.unless:
            if unless.after > self.position:
                expected = f"at most {self.position}, where the log ends"
                return InvalidAppend("position of a condition", unless.after, expected)
            if (found := self._last_matching(unless)) > unless.after:
                return ConditionFailed(unless.tags, unless.types, unless.after, found)
        moved: dict[str, int] = {}
        for write in request.writes:
            stream, first = write.stream, write.first
            head = moved.get(stream, self.heads.get(stream))
            actual = head or 0
            if first is not None and first != actual + 1 and (first != 0 or head is not None):
                return WrongExpectedVersion(stream, first - 1, actual)
            if not agrees(write.expected, actual):
                return WrongExpectedVersion(stream, write.expected, actual)
            moved[stream] = (actual if first is None else first - 1) + len(write.rows)
        return None

    def accept(self, request: Request) -> Appended:
        """Give its events their positions and versions."""
        versions: dict[str, int] = {}
        position, placed = self.position, self.placed
        for write in request.writes:
            version = self.heads.get(write.stream, 0) if write.first is None else write.first - 1
            for row in write.rows:
                position += 1
                version += 1
                placed.append(Placed(row, write.stream, position, version))
            self.heads[write.stream] = versions[write.stream] = version
        self.position = position
        appended = Appended(position, versions, outcome=request.outcome)
        if request.idempotency is not None:
            self.keys.append((request.idempotency, appended))
            known = Known(request.idempotency.request_hash, appended)
            self.known[request.idempotency.key] = known
        return appended

    def _last_matching(self, unless: Unless) -> int:
        types = [name.encode() for name in unless.types]
        for item in reversed(self.placed):
            row = item.row
            if row.tagged.issuperset(unless.tags) and (not types or row.type in types):
                return item.position
        return self.matching.get(unless, 0)

    @property
    def empty(self) -> bool:
        return not self.placed and not self.keys


def replay(known: Known, idempotency: Idempotency) -> Appended | IdempotencyKeyReused:
    """The first answer again, or an error if the key now comes with another request."""
    if known.request_hash != idempotency.request_hash:
        return IdempotencyKeyReused(idempotency.key)
    before = known.appended
    return Appended(before.position, before.versions, replayed=True, outcome=before.outcome)


def streams_of(requests: Sequence[Request]) -> list[str]:
    streams = {write.stream: None for request in requests for write in request.writes}
    streams.update((subject_stream(s), None) for request in requests for s in request.subjects)
    return list(streams)


def keys_of(requests: Sequence[Request]) -> list[str]:
    return list({r.idempotency.key: None for r in requests if r.idempotency is not None})


def conditions_of(requests: Sequence[Request]) -> list[Unless]:
    return list({unless: None for request in requests for unless in request.unless})


def assumed_heads(requests: Sequence[Request]) -> dict[str, int] | None:
    """Where the streams of a batch stand if the first writer of each is right and nobody was
    erased, -1 for one that must not exist. None if a writer does not say, or effects or conditions
    are to be seen to.
    """
    heads: dict[str, int] = {}
    for request in requests:
        if request.effects or request.unless:
            return None
        for subject in request.subjects:
            heads.setdefault(subject_stream(subject), 0)
        for write in request.writes:
            if write.stream in heads:
                continue
            expected = write.expected if write.first is None else write.first - 1
            if expected is NO_STREAM:
                expected = 0
            if not isinstance(expected, int):
                return None
            heads[write.stream] = expected
    return heads


HeadsAfter = Mapping[str, tuple[int, int, int]]


def heads_after(placed: Sequence[Placed]) -> HeadsAfter:
    """Of each stream written: its version, its first position of these, its last position."""
    heads: dict[str, tuple[int, int, int]] = {}
    for item in placed:
        first = heads[item.stream][1] if item.stream in heads else item.position
        heads[item.stream] = (item.version, first, item.position)
    return heads
