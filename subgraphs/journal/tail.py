"""The live end of all logs: what is copied, for everybody who follows it.

The newest events are read from the table once and kept for all followers; who is further behind
reads the table. A follower is a cursor, so nothing is kept for one who is slow, and it may stop and
go on: the cursor is a position in each service's log, as `x-read-position` has them.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import psycopg
import structlog

from eventstore import EventStore, EventStoreError
from subgraphs.journal.follower import Follower
from subgraphs.journal.reads import ANY, JournalReads, Row, Where
from subgraphs.shared.errors import InvalidPage

log = structlog.get_logger("subgraphs.journal")

KEPT_EVENTS_MAX = 1000
BATCH_EVENTS_MAX = 100
RETRY_SECONDS, RETRY_SECONDS_MAX = 0.2, 5.0
CURSOR_WAIT_SECONDS_MAX = 2.0
CURSOR_CHARACTERS_MAX = 1000

_CURSOR = re.compile(r"[a-z_]{1,40}:[0-9]{1,18}(,[a-z_]{1,40}:[0-9]{1,18}){0,31}")

Positions = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Batch:
    """Events that match, and where each of them leaves its follower; `end` is where all do.
    They may be shown while `erasures` is how many persons the journal's log has forgotten.
    """

    rows: Sequence[Row]
    cursors: Sequence[Positions]
    end: Positions
    erasures: int


class Tail:
    """What follows the copies of all logs. `store` is the journal's own log."""

    def __init__(self, follower: Follower, reads: JournalReads, store: EventStore) -> None:
        self._follower, self._reads, self._store = follower, reads, store
        self._reading = asyncio.Lock()
        self._rows: deque[Row] = deque()
        self._start: Positions = {}
        self._end: Positions = {}
        self._erasures = -1

    @property
    def erasures(self) -> int:
        """How many persons are forgotten: what was read when there were fewer is not shown."""
        return self._store.watch.erasures

    async def start(self, cursor: str | None) -> Positions:
        """Where a follower begins: now, or after a cursor; services that it does not name begin at
        their first event. Raises InvalidPage.
        """
        if cursor is None:
            return self._follower.positions()
        if len(cursor) > CURSOR_CHARACTERS_MAX or not _CURSOR.fullmatch(cursor):
            raise InvalidPage(
                f"{cursor[:40]!r} is not a cursor: take that of an event, or `orders:0` for all"
            )
        pairs = (part.split(":") for part in cursor.split(","))
        found = {service: int(position) for service, position in pairs}
        for service, position in found.items():
            if not self._follower.follows(service):
                raise InvalidPage(f"the cursor names {service!r}: there is no such log")
            if not await self._follower.wait_for(service, position, CURSOR_WAIT_SECONDS_MAX):
                head = self._follower.positions().get(service, 0)
                raise InvalidPage(f"the cursor is at {service}:{position}, the copy at {head}")
        return found

    async def next(self, after: Positions, where: Where) -> Batch:
        """The next events that match: waited for, through outages of the database."""
        while True:
            seen = self._follower.positions()
            try:
                batch = await self._batch(after, where)
            except (EventStoreError, psycopg.Error, OSError) as error:
                log.warning("tail waits", reason=str(error))
                await asyncio.sleep(RETRY_SECONDS)
                continue
            if batch.rows:
                return batch
            after = batch.end
            await self._follower.beyond(seen)

    async def _batch(self, after: Positions, where: Where) -> Batch:
        erasures = self.erasures
        async with self._reading:
            await self._keep_up(erasures)
            end, kept = self._end, self._keeps(after)
            rows: Sequence[Row] = [
                row for row in self._rows if _is_after(row, after) and where.matches(row)
            ]
        if not kept:
            rows = await self._reads.between(after, end, where, BATCH_EVENTS_MAX)
        rows, whole = rows[:BATCH_EVENTS_MAX], len(rows) < BATCH_EVENTS_MAX
        cursors, at = [], dict(after)
        for row in rows:
            at[row["service"]] = row["position"]
            cursors.append(dict(at))
        return Batch(rows, cursors, {**at, **end} if whole else at, erasures)

    async def _keep_up(self, erasures: int) -> None:
        """Read what was copied since; begin anew where that is much, or somebody was forgotten."""
        up_to = self._follower.positions()
        if erasures != self._erasures:
            self._begin(up_to, erasures)
        elif up_to != self._end:
            rows = await self._reads.between(self._end, up_to, ANY, KEPT_EVENTS_MAX)
            if len(rows) == KEPT_EVENTS_MAX:
                self._begin(up_to, erasures)
                return
            self._rows.extend(rows)
            self._end = up_to
            start = dict(self._start)
            while len(self._rows) > KEPT_EVENTS_MAX:
                row = self._rows.popleft()
                start[row["service"]] = row["position"]
            self._start = start

    def _begin(self, at: Positions, erasures: int) -> None:
        self._rows.clear()
        self._start = self._end = at
        self._erasures = erasures

    def _keeps(self, after: Positions) -> bool:
        """Whether all that came after these positions is kept."""
        return all(after.get(service, 0) >= at for service, at in self._start.items())


def cursor_text(positions: Positions) -> str:
    """The cursor as clients get it."""
    return ",".join(f"{service}:{position}" for service, position in sorted(positions.items()))


def _is_after(row: Row, positions: Positions) -> bool:
    position: int = row["position"]
    return position > positions.get(row["service"], 0)
