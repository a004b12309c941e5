"""What a feed gives: events as other services see them, a page at a time."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec

from eventstore.event import Metadata


class FeedEvent(msgspec.Struct, frozen=True):
    """An event as a feed gives it. `data` is its payload, a JSON object. The members of it that are
    `personal` tell of the person `subject`: whoever keeps them must be able to forget them.
    `unreadable` says why they do not open, if so: they read "unreadable" then, and nobody acts on
    the event.
    """

    position: int
    id: UUID
    stream: str
    version: int
    type: str
    type_version: int
    data: bytes
    metadata: Metadata
    recorded_at: datetime
    personal: tuple[str, ...] = ()
    subject: str | None = None
    unreadable: str | None = None


class FeedPage(msgspec.Struct, frozen=True):
    """Some events, in order. `position` is how far was read, private events included: what to ask
    for after next. `head` is where the log ended at that time.
    """

    events: list[FeedEvent]
    position: int
    head: int
