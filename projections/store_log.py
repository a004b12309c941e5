"""The log of an `EventStore`, read for projections: one page query, each event decoded once."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
import structlog
from psycopg import sql

from eventstore.errors import EventStoreError
from eventstore.event import Metadata, Recorded
from eventstore.store import EventStore
from projections.log import Connection, LogPage, Undecodable

GAP_SECONDS_MAX = 5.0
"""How long a missing position is waited for before it is passed over (and shows in `seen`)."""

log = structlog.get_logger(__name__)
_metadata = msgspec.json.Decoder(Metadata).decode
_NO_METADATA: Any = None
_Row = tuple[int, str, int, str, int, datetime, UUID, list[str] | None, Any, Any]
"""An event as it is stored; the last two, metadata and payload, are None when not asked for."""


_PART = "(hashtextextended(stream, 7) & 1023) % {} = {}"
"""Which part of the streams a worker takes: of how many, and which."""


@dataclass(frozen=True, slots=True)
class Span:
    """Positions that follow another: up to `position`, of which `seen` are there. `wanted` events
    are of the types and the part asked for; `old` ones of the types are in an older shape.
    """

    position: int
    seen: int
    wanted: int
    old: int
    unknown: list[int]
    recorded_at: datetime | None


class StoreLog:
    """Implements `projections.log.Log`. Reads what the log's own database says, nothing cached."""

    def __init__(self, store: EventStore, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.store, self._clock = store, clock
        self._types = store.types
        self._known: list[str] | None = list(store.types.names)
        """The types there are; None if any may be."""
        events = f"{store.layout.schema}.events"
        self._decoders = store.types.decoders()
        columns = (
            "position, stream, version, type, type_version, recorded_at, id,"
            " CASE WHEN tags <> '{}' THEN tags END,"
        )
        # What is not asked for is only counted: its row is read, its payload is not sent.
        self._page = (
            f"SELECT {columns}"
            " CASE WHEN wanted THEN metadata END, CASE WHEN wanted THEN payload END"
            f" FROM (SELECT *, type = ANY(%s) AS wanted FROM {events}"
            " WHERE position > %s ORDER BY position LIMIT %s) page ORDER BY position"
        )
        part = _PART.replace("%", "%%").format("%s", "%s")
        self._part = (
            f"SELECT {columns} metadata, payload FROM {events} WHERE type = ANY(%s) AND {part}"
            " AND position > %s AND position <= %s ORDER BY position"
        )
        self._span = (
            "SELECT max(position), count(*),"
            " count(*) FILTER (WHERE e.type_version <> w.version),"
            " coalesce(array_agg(position) FILTER (WHERE type <> ALL(%s)), '{}'),"
            f" max(recorded_at), count(w.version) FILTER (WHERE {part})"
            f" FROM {events} e LEFT JOIN unnest(%s::text[], %s::int[]) AS w (name, version)"
            " ON w.name = e.type WHERE position > %s AND position <= %s"
        )
        self._one = f"SELECT {columns} metadata, payload FROM {events} WHERE position = %s"
        self._streams = (
            f"SELECT {columns} metadata, payload FROM {events}"
            " WHERE stream = ANY(%s) AND type = ANY(%s) ORDER BY position"
        )
        self._count = f"SELECT count(*) FROM {events} WHERE type = ANY(%s)"
        self._sample = (
            "SELECT DISTINCT stream FROM (SELECT stream, row_number() OVER (ORDER BY position) AS n"
            f" FROM {events} WHERE type = ANY(%s)) e WHERE n %% %s = 0 LIMIT %s"
        )
        self._at = f"SELECT max(position) FROM {events} WHERE recorded_at < %s"
        self._head = f"SELECT position FROM {store.layout.schema}.log"
        self._gaps: dict[int, float] = {}

    @property
    def name(self) -> str:
        return self.store.name

    def read_page(
        self,
        connection: Connection,
        after: int,
        *,
        limit: int,
        types: Collection[str],
        part: int = 0,
        parts: int = 1,
    ) -> LogPage:
        if parts > 1:
            return self._page_of_part(connection, after, limit, types, part, parts)
        rows = self._rows(connection, self._page, (list(types), after, limit))
        if rows and rows[-1][0] - after != len(rows):
            rows = self._up_to_gap(rows, after)
        if not rows:
            return LogPage([], after, 0, [], None)
        events = self._recorded(row for row in rows if row[9] is not None)
        return _page_of(self._span_of(rows, len(events)), events)

    def _page_of_part(
        self,
        connection: Connection,
        after: int,
        limit: int,
        types: Collection[str],
        part: int,
        parts: int,
    ) -> LogPage:
        """What is of other parts is counted by the database, and does not come here."""
        span = self.span(connection, after, limit, types, part, parts)
        if span.seen != span.position - after:
            rows = self._up_to_gap(self._rows(connection, self._page, ([], after, limit)), after)
            if not rows:
                return LogPage([], after, 0, [], None)
            span = self._span_of(rows, 0)
        within = (list(types), parts, part, after, span.position)
        return _page_of(span, self._recorded(self._rows(connection, self._part, within)))

    def _span_of(self, rows: Sequence[_Row], wanted: int) -> Span:
        known, last = self._known, rows[-1]
        look = known is not None and wanted < len(rows)
        unknown = [row[0] for row in rows if row[3] not in self._types.names] if look else []
        return Span(last[0], len(rows), wanted, 0, unknown, last[5])

    def span(
        self,
        connection: Connection,
        after: int,
        limit: int,
        types: Collection[str],
        part: int,
        parts: int,
    ) -> Span:
        """What lies in the `limit` positions beyond `after`, without reading the events."""
        shapes = {name: self._shape(name) for name in types}
        row = connection.execute(
            self._span,
            (
                self._known,
                *(parts, part, list(shapes), list(shapes.values()), after, after + limit),
            ),
        ).fetchone()
        assert row is not None
        position, seen, old, unknown, recorded_at, wanted = row
        return Span(position or after, seen, wanted, old, unknown, recorded_at)

    def batch(self, span: Span, after: int, types: Collection[str], part: int, parts: int) -> str:
        """A query for the events of a span, as `Projection.fold_sql` sees them."""
        query = sql.SQL(
            "SELECT position, stream, version, id, type, recorded_at, tags, metadata, payload"
            " FROM {}.events WHERE position > {} AND position <= {} AND type = ANY({})"
        ).format(sql.Identifier(self.store.layout.schema), after, span.position, sorted(types))
        if parts > 1:
            query += sql.SQL(" AND " + _PART).format(parts, part)
        return query.as_string()

    def head(self, connection: Connection) -> int:
        row = connection.execute(self._head).fetchone()
        return 0 if row is None else int(row[0])

    def event(self, connection: Connection, position: int) -> Recorded[Any] | None:
        rows = self._rows(connection, self._one, (position,))
        if not rows or (self._known is not None and rows[0][3] not in self._types.names):
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
        events of these types there are.
        """
        row = connection.execute(self._count, (list(types),)).fetchone()
        total = 0 if row is None else int(row[0])
        found = connection.execute(
            self._sample, (list(types), max(1, total // (4 * count)), count)
        ).fetchall()
        return [stream for (stream,) in found], total

    def position_at(self, connection: Connection, since: datetime) -> int:
        """The last position recorded before a time."""
        row = connection.execute(self._at, (since,)).fetchone()
        return 0 if row is None or row[0] is None else int(row[0])

    def wait_sync(self, after: int, timeout_seconds: float) -> int:
        return self.store.wait_sync(after, timeout_seconds)

    def _rows(self, connection: Connection, query: str, params: tuple[Any, ...]) -> list[_Row]:
        with connection.cursor() as cursor:
            self.store.layout.prepare_cursor(cursor)
            return cursor.execute(query, params, binary=True, prepare=True).fetchall()

    def _shape(self, name: str) -> int:
        """The newest version of a type's payload."""
        return self._types.current(name).TYPE_VERSION

    def _recorded(self, rows: Iterable[_Row]) -> list[Recorded[Any]]:
        """Rows decoded; an event that cannot be read becomes an `Undecodable`."""
        decoders, decode_metadata = self._decoders, _metadata
        last, metadata = b"", _NO_METADATA
        events: list[Recorded[Any]] = []
        append = events.append
        for position, stream, version, name, shape, time_, id_, tags, raw, payload in rows:
            type_version, decode = shape, decoders.get((name, shape))
            event: Any
            try:
                if decode is not None:
                    event = decode(payload)
                else:
                    event = self._types.decode(name, shape, payload)
                    type_version = event.TYPE_VERSION
            except (EventStoreError, msgspec.MsgspecError) as error:
                event = Undecodable(error)
            if raw != last:  # the events of one append share it
                last, metadata = raw, decode_metadata(raw)
            given = () if tags is None else tuple(tags)
            append(
                Recorded(
                    position,
                    stream,
                    version,
                    id_,
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
        del self._gaps[after]
        log.error("projections.gap", log=self.name, after=after, found=rows[0][0])
        return rows


def _page_of(span: Span, events: list[Recorded[Any]]) -> LogPage:
    undecodable = any(type(recorded.event) is Undecodable for recorded in events)
    return LogPage(events, span.position, span.seen, span.unknown, span.recorded_at, undecodable)
