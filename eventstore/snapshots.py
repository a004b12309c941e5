"""Snapshots: folded states in the database, so that long streams are not folded from the start.

A state class takes part by naming the shape of its state, a number that is changed with what it
holds or how it folds:

    @dataclass(frozen=True, slots=True)
    class StockItem:
        SNAPSHOT_VERSION: ClassVar[int] = 1

A snapshot is a cache and never believed over the events: it is used only if its checksum is right
and its last event is where it says, and is ignored otherwise, as are those of another shape. It is
folded from the log by a thread of its own, which no caller waits for. An erasure waits for that
thread before it deletes them all, so that none tells of somebody who was forgotten.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from hashlib import sha256
from typing import Any, Generic, TypeVar

import msgspec
import psycopg
import structlog

from eventstore.append import Effect
from eventstore.background import Background
from eventstore.event import Folds, Recorded
from eventstore.layout import Layout
from eventstore.read import COLUMNS, PAGE_EVENTS_MAX, Raw, fetch, stream_query
from eventstore.state_cache import Loaded, fold

S = TypeVar("S", bound=Folds)
Connection = psycopg.Connection[Any]
DecodeRows = Callable[[Connection | psycopg.Cursor[Any], list[Raw]], list[Recorded[Any]]]
"""From rows of `read.COLUMNS` to events, opened over the connection."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Codec(Generic[S]):
    """How states of a class become bytes, MessagePack, and come back."""

    name: str
    shape: int
    encode: Callable[[S], bytes]
    decode: Callable[[bytes], S]


def codec_of(folded: type[S]) -> Codec[S] | None:
    """None for a class that takes no part. Raises TypeError for one that cannot be decoded."""
    if (shape := getattr(folded, "SNAPSHOT_VERSION", None)) is None:
        return None
    codec: Codec[S] = _make_codec(folded, shape)
    return codec


@cache
def _make_codec(folded: type[Any], shape: object) -> Codec[Any]:
    if type(shape) is not int or shape < 1:
        raise TypeError(f"{folded.__name__}.SNAPSHOT_VERSION is {shape!r}, expected 1 or more")
    decode = msgspec.msgpack.Decoder(folded).decode
    name = f"{folded.__module__}:{folded.__qualname__}"
    return Codec(name, shape, msgspec.msgpack.Encoder().encode, decode)


@dataclass(slots=True)
class Counts:
    """What became of snapshots since the store was opened. `late` were not taken since too many
    waited, `wrong` were found and not believed, `failed` could not be taken.
    """

    written: int = 0
    used: int = 0
    late: int = 0
    wrong: int = 0
    failed: int = 0


class _Wrong(Exception):
    """What is kept as a snapshot is none."""


class Snapshots:
    """The snapshots of one log, taken every `events` events of a stream."""

    def __init__(
        self, layout: Layout, decode: DecodeRows, background: Background, *, events: int
    ) -> None:
        self._layout, self._decode, self._background = layout, decode, background
        self._events = events
        self._table = f"{layout.schema}.state_snapshots"
        self.counts = Counts()
        # what a snapshot says is its last event, with the snapshot, and the events after it
        self._resume = (
            "WITH kept AS MATERIALIZED (SELECT k.version, k.position, k.checksum, k.state, "
            "least(coalesce(k.version, 1), s.version) AS from_version, "
            "least(coalesce(k.position, s.first_position), s.position) AS from_position, "
            "s.position AS to_position "
            f"FROM {layout.schema}.streams s LEFT JOIN {self._table} k "
            "ON k.stream = s.stream AND k.class = %s AND k.shape = %s WHERE s.stream = %s) "
            f"SELECT {COLUMNS}, CASE WHEN version = (SELECT from_version FROM kept) THEN "
            "(SELECT ROW(version, position, checksum, state) FROM kept WHERE state IS NOT NULL) "
            "END "
            f"FROM {layout.schema}.events WHERE stream = %s "
            "AND position BETWEEN (SELECT from_position FROM kept) "
            "AND (SELECT to_position FROM kept) "
            "AND version >= (SELECT from_version FROM kept) ORDER BY version LIMIT %s"
        )

    # Loading

    def load(self, connection: Connection, folded: type[S], stream: str) -> Loaded[S]:
        """A stream's state: the newest snapshot and the events after it, in one round trip."""
        loaded, since = self._load(connection, folded, stream)
        self.consider(folded, stream, since, loaded.version)
        return loaded

    def consider(self, folded: type[Any], stream: str, before: int, after: int) -> None:
        """Take a snapshot, soon, if a state went from one version to another over a multiple of
        `events`. One that is missed is made up for by the next.
        """
        if before // self._events == after // self._events or codec_of(folded) is None:
            return
        job = partial(self._take, folded, stream)
        if not self._background.offer(("snapshot", folded, stream), job):
            self.counts.late += 1

    def _load(self, connection: Connection, folded: type[S], stream: str) -> tuple[Loaded[S], int]:
        """Also gives the version of the snapshot it was loaded from."""
        codec = codec_of(folded)
        assert codec is not None
        try:
            start, events = self._start(connection, codec, folded, stream)
        except _Wrong as wrong:
            self.counts.wrong += 1
            log.warning(
                "eventstore.snapshot_wrong", stream=stream, state=codec.name, why=str(wrong)
            )
            statement = f"DELETE FROM {self._table} WHERE stream = %s AND class = %s"
            connection.execute(statement.encode(), [stream, codec.name])
            start, events = Loaded(folded.initial(stream), 0, 0), None
        loaded = start if events is None else fold(start, events)
        while events is None or len(events) >= PAGE_EVENTS_MAX - 1:
            sql, params = stream_query(
                self._layout,
                stream,
                after_version=loaded.version,
                up_to_version=None,
                limit=PAGE_EVENTS_MAX,
                backwards=False,
            )
            events = self._decode(connection, fetch(connection.cursor(), sql, params))
            loaded = fold(loaded, events)
        return loaded, start.version

    def _start(
        self, connection: Connection, codec: Codec[S], folded: type[S], stream: str
    ) -> tuple[Loaded[S], list[Recorded[Any]]]:
        """The state to go on from, and the events after it. Raises _Wrong."""
        params = [codec.name, codec.shape, stream, stream, PAGE_EVENTS_MAX]
        rows: list[Any] = fetch(connection.cursor(), self._resume, params)
        if not rows:
            return Loaded(folded.initial(stream), 0, 0), []
        position, version, kept = rows[0][0], rows[0][2], rows[0][-1]
        if kept is None:
            if version != 1:
                raise _Wrong(f"its last event is not there, the next is version {version}")
            return Loaded(folded.initial(stream), 0, 0), self._events_of(connection, rows)
        at_version, at_position, checksum, state = kept
        if (at_version, at_position) != (version, position):
            raise _Wrong(
                f"its last event is version {at_version} at {at_position}, "
                f"found was version {version} at {position}"
            )
        if checksum != checksum_of(codec, stream, version, position, state):
            raise _Wrong("its checksum is another")
        try:
            start = Loaded(codec.decode(state), version, position)
        except msgspec.MsgspecError as error:
            raise _Wrong(f"it cannot be decoded: {error}") from error
        self.counts.used += 1
        return start, self._events_of(connection, rows[1:])

    def _events_of(self, connection: Connection, rows: list[Any]) -> list[Recorded[Any]]:
        return self._decode(connection, [row[:-1] for row in rows])

    # Taking

    def _take(self, folded: type[Any], stream: str, connection: Connection) -> bool:
        """Fold a stream as the log has it and keep the state, unless what is kept is new enough.

        The lock is held from before the events are read: see `drop_all`.
        """
        codec = codec_of(folded)
        assert codec is not None
        try:
            with connection.transaction():
                connection.execute(f"LOCK TABLE {self._table} IN ROW EXCLUSIVE MODE".encode())
                loaded, since = self._load(connection, folded, stream)
                if loaded.version - since >= self._events:
                    self._write(connection, codec, stream, loaded)
        except Exception as error:
            self.counts.failed += 1
            log.warning(
                "eventstore.snapshot_failed", stream=stream, state=codec.name, error=repr(error)
            )
        return False

    def _write(
        self, connection: Connection, codec: Codec[S], stream: str, loaded: Loaded[S]
    ) -> None:
        """Raises TypeError for a state that is another one once it was decoded."""
        state = codec.encode(loaded.state)
        if codec.decode(state) != loaded.state:
            raise TypeError("the state is another one after it was encoded and decoded")
        checksum = checksum_of(codec, stream, loaded.version, loaded.position, state)
        cursor = connection.execute(
            f"INSERT INTO {self._table} AS old "
            "(stream, class, shape, version, position, state, checksum) "
            "VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT (stream, class) DO UPDATE "
            "SET shape = excluded.shape, version = excluded.version, written_at = now(), "
            "position = excluded.position, state = excluded.state, checksum = excluded.checksum "
            "WHERE old.shape < excluded.shape OR "
            "(old.shape = excluded.shape AND old.version < excluded.version)".encode(),
            [stream, codec.name, codec.shape, loaded.version, loaded.position, state, checksum],
        )
        self.counts.written += cursor.rowcount


def drop_all(layout: Layout) -> tuple[Effect, ...]:
    """What deletes all snapshots of a log in the transaction of an append, as an erasure does.

    Whoever takes a snapshot holds the table's lock from before it reads the stream: either it ends
    first and its snapshot is deleted, or it begins afterwards and reads what is left.
    """
    table = f"{layout.schema}.state_snapshots"
    return (
        Effect(f"LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE"),
        Effect(f"DELETE FROM {table}"),
    )


def checksum_of(codec: Codec[Any], stream: str, version: int, position: int, state: bytes) -> bytes:
    """Of a snapshot, with all that says whose it is."""
    label = msgspec.msgpack.encode((codec.name, codec.shape, stream, version, position))
    return sha256(label + state).digest()
