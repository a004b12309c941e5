"""The newest events of a log, kept in memory as feeds give them.

Those who follow a log are nearly always at its end, and there are several for each service: what
this process has just stored need not be read back for each of them. Nothing depends on it: what is
not kept, or was appended by another process, is read from the database.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec

from eventstore.decide import Placed
from eventstore.event import Metadata
from eventstore.feed_page import FeedEvent

EVENTS_MAX = 4_000
BYTES_MAX = 4 * 1_048_576
"""Of payloads and metadata. Twice as much is kept for a moment, then half is let go at once."""
_POSTGRES_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_Stored = tuple[Placed, int, int]
"""What becomes a FeedEvent when somebody asks for it."""


class Recent:
    """Events without a gap between them. One thread adds, any thread reads."""

    def __init__(self, *, events_max: int = EVENTS_MAX, bytes_max: int = BYTES_MAX) -> None:
        self._events_max, self._bytes_max = events_max, bytes_max
        self._kept: tuple[int, list[FeedEvent | _Stored]] = (1, [])
        self._sizes: list[int] = []
        self._bytes = 0
        self._decode_metadata = msgspec.json.Decoder(Metadata).decode

    def add(self, placed: Sequence[Placed], base: int, microseconds: int) -> None:
        """Keep what was just stored, at that time since PostgreSQL's epoch; positions count from
        `base`. Before the head is known to have moved.
        """
        if not placed:
            return
        first, events = self._kept
        start = base + placed[0].position
        if start != first + len(events):  # somebody else appended in between
            first, events = start, []
            self._sizes, self._bytes = [], 0
            self._kept = (first, events)
        for item in placed:
            size = len(item.row.payload) + len(item.row.metadata)
            self._sizes.append(size)
            self._bytes += size
            events.append((item, base, microseconds))
        if len(events) > 2 * self._events_max or self._bytes > 2 * self._bytes_max:
            self._trim()

    def read(
        self, after: int, up_to: int, *, types: Collection[str] | None, limit: int
    ) -> list[FeedEvent] | None:
        """The first `limit` events of `types` after one position and up to another; None unless
        all of these positions are kept.
        """
        first, events = self._kept
        start, end = after + 1 - first, up_to + 1 - first
        if start < 0 or end > len(events):
            return None
        found: list[FeedEvent] = []
        try:
            for number in range(start, end):
                event = events[number]
                if isinstance(event, tuple):
                    event = events[number] = self._feed_event(*event)
                if types is None or event.type in types:
                    found.append(event)
                    if len(found) == limit:
                        break
        except msgspec.MsgspecError:  # applications of `eventsourcing` have no metadata of ours
            return None
        return found

    def _feed_event(self, item: Placed, base: int, microseconds: int) -> FeedEvent:
        row = item.row
        return FeedEvent(
            base + item.position,
            UUID(bytes=row.id.bytes),
            item.stream,
            item.version,
            row.type.decode(),
            row.type_version,
            row.payload,
            self._decode_metadata(row.metadata),
            _POSTGRES_EPOCH + timedelta(microseconds=microseconds),
        )

    def _trim(self) -> None:
        """Let the older ones go. Readers go on with the list that they have."""
        first, events = self._kept
        keep, size = 0, 0
        while keep < min(len(events), self._events_max):
            size += self._sizes[-keep - 1]
            if size > self._bytes_max:
                break
            keep += 1
        gone = len(events) - keep
        self._sizes = self._sizes[gone:]
        self._bytes = sum(self._sizes)
        self._kept = (first + gone, events[gone:])
