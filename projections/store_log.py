"""The log of an `EventStore`, read for projections: one page query, each event decoded once."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
import psycopg
import structlog

from eventstore.errors import EventStoreError
from eventstore.event import Metadata, Recorded
from eventstore.privacy.privacy import Sealed
from eventstore.privacy.sealing import PREFIX
from eventstore.store import EventStore
from projections.log import Connection, LogPage, NotRead, Undecodable

GAP_SECONDS_MAX = 5.0
"""How long a missing position is waited for before it is passed over (and shows in `seen`)."""
RELATED_STREAMS_MAX = 10
PART_OF = "(hashtextextended(stream, 7) & 1023) % {}"
"""In which part, of so many, an event's stream is."""

log = structlog.get_logger(__name__)
_metadata = msgspec.json.Decoder(Metadata).decode
NOT_READ: Any = NotRead()
_Row = tuple[int, str, int, str, int, datetime, UUID | None, list[str] | None, Any, Any]
"""An event as it is stored; id, metadata and payload are None when not asked for."""


class StoreLog:
    """Implements `projections.log.Log`. Reads what the log's own database says, nothing cached."""

    def __init__(self, store: EventStore, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.store, self._clock = store, clock
        self._types = store.types
        self.known: list[str] | None = list(store.types.names)
        """The types there are; None if any may be."""
        events = f"{store.layout.schema}.events"
        self._decoders = store.types.decoders()
        columns = _columns("id", "metadata", "payload")
        self._page, self._part = {}, {}
        for bare in (False, True):
            given = ("NULL::uuid", "NULL::json") if bare else ("id", "metadata")
            # What is not wanted is only counted: its row is read, its payload is not sent.
            wanted = [f"CASE WHEN wanted THEN {name} END" for name in (*given, "payload")]
            self._page[bare] = (
                f"SELECT {_columns(*wanted)} FROM (SELECT *, type = ANY(%s) AS wanted"
                f" FROM {events} WHERE position > %s ORDER BY position LIMIT %s) page"
                " ORDER BY position"
            )
            self._part[bare] = (
                f"SELECT {_columns(*given, 'payload')} FROM {events} WHERE type = ANY(%s)"
                f" AND {PART_OF.replace('%', '%%').format('%s')} = %s"
                " AND position > %s AND position <= %s ORDER BY position"
            )
        self._extent = (
            "SELECT last, seen, unknown,"
            f" (SELECT recorded_at FROM {events} WHERE position = last)"
            " FROM (SELECT max(position) AS last, count(*) AS seen, {} AS unknown"
            f" FROM {events} WHERE position > %s AND position <= %s) extent"
        )
        self._one = f"SELECT {columns} FROM {events} WHERE position = %s"
        self._streams = (
            f"SELECT {columns} FROM {events}"
            " WHERE stream = ANY(%s) AND type = ANY(%s) ORDER BY position"
        )
        self._count = f"SELECT count(*) FROM {events} WHERE type = ANY(%s)"
        self._sample = (
            "SELECT DISTINCT stream FROM (SELECT stream, row_number() OVER (ORDER BY position) AS n"
            f" FROM {events} WHERE type = ANY(%s)) e WHERE n %% %s = 0 LIMIT %s"
        )
        self._related = (
            f"SELECT DISTINCT stream FROM {events} WHERE type = ANY(%s) AND stream <> ALL(%s)"
            f" AND metadata ->> 'correlation_id' = ANY (ARRAY(SELECT metadata ->> 'correlation_id'"
            f" FROM {events} WHERE stream = ANY(%s) AND type = ANY(%s))) LIMIT %s"
        )
        self._at = f"SELECT max(position) FROM {events} WHERE recorded_at < %s"
        self._head = f"SELECT position FROM {store.layout.schema}.log"
        self._gaps: dict[int, float] = {}

    @property
    def name(self) -> str:
        return self.store.name

    def read_page(
        self, connection: Connection, after: int, *, limit: int, types: Collection[str]
    ) -> LogPage:
        return self.ask_page(connection, after, limit=limit, types=types)()

    def ask_page(
        self,
        connection: Connection,
        after: int,
        *,
        limit: int,
        types: Collection[str],
        part: int = 0,
        parts: int = 1,
        bare: bool = False,
    ) -> Callable[[], LogPage]:
        if parts > 1:
            return self._ask_part(connection, after, limit, types, part, parts, bare)
        taken = self._asked(connection, self._page[bare], (list(types), after, limit), types)

        def page() -> LogPage:
            with _collector_paused():
                rows = taken()
                if rows and rows[-1][0] - after != len(rows):
                    rows = self._up_to_gap(rows, after)
                if not rows:
                    return LogPage([], after, 0, [], None)
                events = self._recorded(row for row in rows if row[9] is not None)
            unknown = self._unknown(rows) if len(events) < len(rows) else []
            return _page_of(events, rows[-1][0], len(rows), unknown, rows[-1][5])

        return page

    def _ask_part(
        self,
        connection: Connection,
        after: int,
        limit: int,
        types: Collection[str],
        part: int,
        parts: int,
        bare: bool,
    ) -> Callable[[], LogPage]:
        """What is of other parts is counted by the database, and does not come here."""
        position, seen, unknown, recorded_at = self._extent_of(connection, after, limit, part)
        if seen != position - after:
            with self._query(connection, self._page[True], ([], after, limit)) as cursor:
                rows = self._up_to_gap(cursor.fetchall(), after)
            if not rows:
                return lambda: LogPage([], after, 0, [], None)
            position, seen, recorded_at = rows[-1][0], len(rows), rows[-1][5]
            unknown = self._unknown(rows)
        within = (list(types), parts, part, after, position)
        taken = self._asked(connection, self._part[bare], within, types)

        def page() -> LogPage:
            with _collector_paused():
                events = self._recorded(taken())
            return _page_of(events, position, seen, unknown, recorded_at)

        return page

    def _extent_of(
        self, connection: Connection, after: int, limit: int, part: int
    ) -> tuple[int, int, list[int], datetime | None]:
        """How far the next positions go, how many there are, and which are of unknown types: the
        first part looks for these, so that the others need no more than the index.
        """
        bounds: list[Any] = [after, after + limit]
        unknown = "'{}'::bigint[]"
        if part == 0 and self.known is not None:
            unknown = "coalesce(array_agg(position) FILTER (WHERE type <> ALL(%s)), '{}')"
            bounds.insert(0, self.known)
        row = connection.execute(self._extent.format(unknown).encode(), bounds).fetchone()
        assert row is not None
        return (after if row[0] is None else row[0], *row[1:])

    def _unknown(self, rows: Sequence[_Row]) -> list[int]:
        if self.known is None:
            return []
        return [row[0] for row in rows if row[3] not in self._types.names]

    def head(self, connection: Connection) -> int:
        row = connection.execute(self._head).fetchone()
        return 0 if row is None else int(row[0])

    def event(self, connection: Connection, position: int) -> Recorded[Any] | None:
        rows = self._rows(connection, self._one, (position,))
        if not rows or (self.known is not None and rows[0][3] not in self._types.names):
            return None
        return self._recorded(rows)[0]

    def streams(
        self, connection: Connection, streams: Collection[str], types: Collection[str]
    ) -> list[Recorded[Any]]:
        """All events of some streams, of the types asked for, in the order of the log."""
        rows = self._rows(connection, self._streams, (list(streams), list(types)))
        return self._recorded(rows)

    def sample(
        self, connection: Connection, types: Collection[str], count: int
    ) -> tuple[list[str], int]:
        """Names of some streams that have events of these types, spread over the log, and how many
        events of these types there are. With them come the streams that share commands with them,
        for rows are made of several; not where these are `RELATED_STREAMS_MAX` times as many.
        """
        row = connection.execute(self._count, (list(types),)).fetchone()
        total = 0 if row is None else int(row[0])
        step = max(1, total // (4 * count))
        found = connection.execute(self._sample, (list(types), step, count)).fetchall()
        taken = [stream for (stream,) in found]
        most = RELATED_STREAMS_MAX * count
        more = connection.execute(
            self._related, (list(types), taken, taken, list(types), most)
        ).fetchall()
        return taken + ([stream for (stream,) in more] if len(more) < most else []), total

    def position_at(self, connection: Connection, since: datetime) -> int:
        """The last position recorded before a time."""
        row = connection.execute(self._at, (since,)).fetchone()
        return 0 if row is None or row[0] is None else int(row[0])

    def wait_sync(self, after: int, timeout_seconds: float) -> int:
        return self.store.wait_sync(after, timeout_seconds)

    def _rows(self, connection: Connection, query: str, params: tuple[Any, ...]) -> list[_Row]:
        with self._query(connection, query, params) as cursor:
            return self._opened(connection, cursor.fetchall())

    def _asked(
        self, connection: Connection, query: str, params: tuple[Any, ...], types: Collection[str]
    ) -> Callable[[], list[_Row]]:
        """Rows that are here when it returns. What is sealed is opened at once: the connection may
        be in use when they are taken.
        """
        cursor = self._query(connection, query, params)
        if self._types.personal_names.isdisjoint(types):
            return cursor.fetchall
        rows = self._opened(connection, cursor.fetchall())
        return lambda: rows

    def _opened(self, connection: Connection, rows: list[_Row]) -> list[_Row]:
        """Rows with what is sealed in them opened, or what is wrong with it as their payload."""
        if not self._types.personal_names:
            return rows
        found = [n for n, row in enumerate(rows) if (row[9] or b"").startswith(PREFIX)]
        if not found:
            return rows
        sealed = [Sealed(row[1], row[3], row[4], row[9]) for row in (rows[n] for n in found)]
        opened = self.store.privacy.open(connection, sealed)
        for number, payload in zip(found, opened, strict=True):
            rows[number] = (*rows[number][:9], payload)
        return rows

    def _query(
        self, connection: Connection, query: str, params: tuple[Any, ...]
    ) -> psycopg.Cursor[_Row]:
        cursor = connection.cursor()
        self.store.layout.prepare_cursor(cursor)
        return cursor.execute(query, params, binary=True, prepare=True)

    def shape(self, name: str) -> int:
        """The newest version of a type's payload."""
        return self._types.current(name).TYPE_VERSION

    def _recorded(self, rows: Iterable[_Row]) -> list[Recorded[Any]]:
        """Rows decoded; an event that cannot be read becomes an `Undecodable`."""
        decoders, decode_metadata = self._decoders, _metadata
        last, metadata = b"", NOT_READ
        events: list[Recorded[Any]] = []
        append = events.append
        for position, stream, version, name, shape, time_, id_, tags, raw, payload in rows:
            type_version, decode = shape, decoders.get((name, shape))
            event: Any
            try:
                if isinstance(payload, EventStoreError):
                    event = Undecodable(payload)
                elif decode is not None:
                    event = decode(payload)
                else:
                    event = self._types.decode(name, shape, payload)
                    type_version = event.TYPE_VERSION
            except (EventStoreError, msgspec.MsgspecError) as error:
                event = Undecodable(error)
            if raw != last:  # the events of one append share it
                last, metadata = raw, NOT_READ if raw is None else decode_metadata(raw)
            given = () if tags is None else tuple(tags)
            append(
                Recorded(
                    position,
                    stream,
                    version,
                    NOT_READ if id_ is None else id_,
                    name,
                    type_version,
                    event,
                    metadata,
                    time_,
                    given,
                )
            )
        return events

    def _up_to_gap(self, rows: list[_Row], after: int) -> list[_Row]:
        """Positions have no gaps; should one show nevertheless, what is missing is waited for."""
        for index, row in enumerate(rows):
            if row[0] != after + index + 1:
                break
        if index:
            return rows[:index]
        since = self._gaps.setdefault(after, self._clock())
        if self._clock() - since < GAP_SECONDS_MAX:
            return []
        self._gaps.pop(after, None)
        log.error("projections.gap", log=self.name, after=after, found=rows[0][0])
        return rows


def _columns(id_: str, metadata: str, payload: str) -> str:
    return (
        f"position, stream, version, type, type_version, recorded_at, {id_},"
        f" CASE WHEN tags <> '{{}}' THEN tags END, {metadata}, {payload}"
    )


def _page_of(
    events: list[Recorded[Any]],
    position: int,
    seen: int,
    unknown: list[int],
    recorded_at: datetime | None,
) -> LogPage:
    undecodable = any(type(recorded.event) is Undecodable for recorded in events)
    return LogPage(events, position, seen, unknown, recorded_at, undecodable)


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Make many objects that live for a while without the collector visiting them again and again,
    which takes longer than making them. Threads may do so at once: the first to pause ends it.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
