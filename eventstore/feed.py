"""What other services read of a log: its public events in order, as JSON, from a position on.

A consumer decodes the data with structs of its own, so it depends on no class of the producer. Old
payloads are given in their newest shape, personal data opened and marked.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

import msgspec
import psycopg

from eventstore.errors import ForeignPosition, Unreadable
from eventstore.event import Metadata
from eventstore.feed_page import FeedEvent, FeedPage
from eventstore.privacy.in_feeds import FeedOpener
from eventstore.read import PAGE_EVENTS_MAX, Query, Raw, check_number
from eventstore.store import EventStore

WAIT_SECONDS_MAX = 30.0

_encode = msgspec.json.Encoder(order="sorted").encode


class Feed(Protocol):
    """A service's events, wherever it runs. `name` is the service."""

    name: str

    async def read(
        self,
        after: int,
        *,
        limit: int = 1000,
        wait_seconds: float = 0.0,
        types: Sequence[str] | None = None,
    ) -> FeedPage:
        """Up to `limit` events after `after`, of `types` only if given; if there is nothing yet,
        wait for it. Raises ForeignPosition when the log never was at `after`.
        """
        ...


class LocalFeed:
    """The feed of a store in this process. `public_only=False` gives private events too, and where
    commands came from (`Metadata.client`, which others see sealed).
    """

    def __init__(self, store: EventStore, public_only: bool = True) -> None:
        self.name, self._store = store.name, store
        self._public = store.types.public_names if public_only else None
        self._opener = FeedOpener(store.types, store.privacy, clients=not public_only)
        self._decode_metadata = msgspec.json.Decoder(Metadata).decode

    async def read(
        self,
        after: int,
        *,
        limit: int = 1000,
        wait_seconds: float = 0.0,
        types: Sequence[str] | None = None,
    ) -> FeedPage:
        check_number("position", after, 0, 2**63 - 1)
        check_number("limit", limit, 1, PAGE_EVENTS_MAX)
        store = self._store
        if wait_seconds > 0 and store.watch.position <= after:
            await store.wait(after, min(wait_seconds, WAIT_SECONDS_MAX))
        head = await self._head(after)
        wanted = self._wanted(types)
        if head <= after or wanted == []:
            return FeedPage([], max(head, after), head)
        events = store.recent.read(after, head, types=wanted, limit=limit)
        if events is None:
            query = Query(after, limit, wanted, up_to=head)
            events = await store.reading(lambda connection: self._read(connection, query))
        elif any(map(self._opener.is_sealed, events)):
            kept = events
            events = await store.reading(lambda c: self._opener.opened(c, kept))
        events = self._opener.marked(events)
        position = events[-1].position if len(events) == limit else head
        return FeedPage(events, position, head)

    async def _head(self, after: int) -> int:
        known = self._store.watch.position
        head = known if known > after else await self._store.head()
        if head < after:
            reason = f"the log ends at {head}; it was restored to an earlier time, or is another"
            raise ForeignPosition(self.name, after, reason)
        return head

    def _wanted(self, types: Sequence[str] | None) -> list[str] | None:
        if self._public is None:
            return list(types) if types is not None else None
        return sorted(self._public if types is None else self._public.intersection(types))

    def _read(self, connection: psycopg.Connection[Any], query: Query) -> list[FeedEvent]:
        rows = self._store.read_raw(connection, query)
        rows, faults = self._store.privacy.marked(connection, rows)
        events = [self._event(row, faults.get(row[0])) for row in rows]
        return self._opener.with_clients(connection, events)

    def _event(self, row: Raw, fault: Unreadable | None) -> FeedEvent:
        position, stream, version, id_, name, type_version, payload, metadata, time, _ = row
        types = self._store.types
        newest = types.current(name).TYPE_VERSION if name in types.names else type_version
        if type_version != newest:
            payload = _encode(types.upcast(name, type_version, payload))
        return FeedEvent(
            position,
            id_,
            stream,
            version,
            name,
            newest,
            payload,
            self._decode_metadata(metadata),
            time,
            unreadable=None if fault is None else str(fault),
        )


class _Line(msgspec.Struct, frozen=True, omit_defaults=True):
    position: int
    id: UUID
    stream: str
    version: int
    type: str
    type_version: int
    recorded_at: datetime
    metadata: Metadata
    data: msgspec.Raw
    personal: tuple[str, ...] = ()
    subject: str | None = None
    unreadable: str | None = None


class _LastLine(msgspec.Struct, frozen=True):
    position: int
    head: int


_lines = msgspec.json.Encoder().encode_lines
_line = msgspec.json.Decoder(_Line).decode
_last_line = msgspec.json.Decoder(_LastLine).decode


def to_lines(page: FeedPage) -> bytes:
    """A page as JSON lines: its events, then where it ends."""
    lines: list[Any] = [
        _Line(
            event.position,
            event.id,
            event.stream,
            event.version,
            event.type,
            event.type_version,
            event.recorded_at,
            event.metadata,
            msgspec.Raw(event.data),
            event.personal,
            event.subject,
            event.unreadable,
        )
        for event in page.events
    ]
    lines.append(_LastLine(page.position, page.head))
    return _lines(lines)


def from_lines(body: bytes) -> FeedPage:
    """The page of JSON lines. Raises msgspec.MsgspecError when it is cut off or something else."""
    lines = body.splitlines()
    if not lines:
        raise msgspec.DecodeError("no lines")
    last = _last_line(lines.pop())
    events = [
        FeedEvent(
            line.position,
            line.id,
            line.stream,
            line.version,
            line.type,
            line.type_version,
            bytes(line.data),
            line.metadata,
            line.recorded_at,
            line.personal,
            line.subject,
            line.unreadable,
        )
        for line in map(_line, lines)
    ]
    return FeedPage(events, last.position, last.head)
