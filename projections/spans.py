"""What lies ahead in the log, asked before it is folded within the database.

A span tells whether the statements of `fold_sql` may have it: no gap and no old payload. It is
looked at over a connection of its own while the one before is folded, once for all the parts of a
build.
"""

from __future__ import annotations

import threading
from collections.abc import Collection
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Self

from psycopg import sql

from projections import catalogue
from projections.log import Connection
from projections.projection import Projection
from projections.store_log import PART_OF, StoreLog

SPAN_EVENTS = 50_000
"""Positions in one transaction that folds within the database."""
SPANS_KEPT_MAX = 16


@dataclass(frozen=True, slots=True)
class Span:
    """Positions that follow another: up to `position`, of which `seen` are there. `wanted` is how
    many events of the types asked for each part has; `old` of them are in an older shape.
    """

    position: int
    seen: int
    wanted: dict[int, int]
    old: int
    unknown: int
    recorded_at: datetime | None


class Spans:
    """The spans of a log for one projection, up to a position. A context manager; threads share it.

    They end at multiples of SPAN_EVENTS: parts that were stopped at different places meet again.
    """

    def __init__(
        self, source: StoreLog, conninfo: str, projection: Projection, up_to: int, parts: int = 1
    ) -> None:
        self.source, self.up_to, self.parts = source, up_to, parts
        self._conninfo, self._types = conninfo, sorted(projection.types)
        self._lock = threading.Lock()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="projections-spans")
        self._known: dict[int, Future[Span]] = {}
        self._connection: Connection | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._thread.shutdown(cancel_futures=True)
        if self._connection is not None:
            self._connection.close()

    def following(self, after: int) -> Span:
        """The span beyond a position. Raises psycopg errors of lost connections."""
        end = min(after - after % SPAN_EVENTS + SPAN_EVENTS, self.up_to)
        with self._lock:
            found = self._ask(after, end)
            if end < self.up_to:
                self._ask(end, min(end + SPAN_EVENTS, self.up_to))
        return found.result()

    def _ask(self, after: int, end: int) -> Future[Span]:
        found = self._known.get(after)
        if found is None or (found.done() and found.exception() is not None):
            while len(self._known) >= SPANS_KEPT_MAX:
                del self._known[next(iter(self._known))]
            found = self._known[after] = self._thread.submit(self._look, after, end)
        return found

    def _look(self, after: int, end: int) -> Span:
        if self._connection is None or self._connection.closed:
            role = f"{self.source.name} rebuild ahead"
            self._connection = catalogue.connect(self._conninfo, role)
        return look(self._connection, self.source, after, end, self._types, self.parts)


def look(
    connection: Connection,
    source: StoreLog,
    after: int,
    end: int,
    types: Collection[str],
    parts: int,
) -> Span:
    """What lies beyond `after`, up to `end`, without reading the payloads."""
    shapes = {name: source.shape(name) for name in types}
    part = PART_OF.replace("%", "%%").format("%(parts)s")
    query = sql.SQL(
        f"SELECT {part}, max(position), count(*), count(w.version),"
        " count(*) FILTER (WHERE e.type_version <> w.version),"
        " count(*) FILTER (WHERE type <> ALL(%(known)s)), max(recorded_at)"
        " FROM {}.events e LEFT JOIN unnest(%(names)s::text[], %(versions)s::integer[])"
        " AS w (name, version) ON w.name = e.type"
        " WHERE position > %(after)s AND position <= %(end)s GROUP BY 1"
    ).format(sql.Identifier(source.store.layout.schema))
    rows = connection.execute(
        query,
        {
            "parts": parts,
            "known": source.known,
            "names": list(shapes),
            "versions": list(shapes.values()),
            "after": after,
            "end": end,
        },
    ).fetchall()
    return Span(
        position=max((row[1] for row in rows), default=after),
        seen=sum(row[2] for row in rows),
        wanted={row[0]: row[3] for row in rows},
        old=sum(row[4] for row in rows),
        unknown=sum(row[5] for row in rows),
        recorded_at=max((row[6] for row in rows), default=None),
    )


def batch(
    source: StoreLog, span: Span, after: int, types: Collection[str], part: int, parts: int
) -> str:
    """A query for the events of a span, as `Projection.fold_sql` sees them."""
    query = sql.SQL(
        "SELECT position, stream, version, id, type, recorded_at, tags, metadata, payload"
        " FROM {}.events WHERE position > {} AND position <= {} AND type = ANY({})"
    ).format(sql.Identifier(source.store.layout.schema), after, span.position, sorted(types))
    if parts > 1:
        query += sql.SQL(" AND " + PART_OF.format("{}") + " = {}").format(parts, part)
    return query.as_string()
