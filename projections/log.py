"""How projections read the log: pages in order, each event decoded at most once for all of them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Never, Protocol

import psycopg

from eventstore.event import Event, Recorded

Connection = psycopg.Connection[Any]


class Undecodable(Event, frozen=True):
    """Stands for an event whose payload cannot be read; `error` says why. It fails the projections
    that handle its type, and no other.
    """

    error: Exception


class NotRead:
    """Stands for what a projection that says `bare` does not use. Raises AttributeError or
    TypeError when it is used nevertheless.
    """

    def __getattr__(self, name: str) -> Never:
        raise AttributeError(f"{name}: the projection says `bare`, so id and metadata are not read")

    def __str__(self) -> str:
        raise TypeError("the projection says `bare`, so id and metadata are not read")


@dataclass(frozen=True, slots=True)
class LogPage:
    """What follows a position. `position` is how far was read (equal to the position asked from
    when nothing follows); `seen` counts the positions really found on the way, so a gap shows.
    `events` are those of the types asked for; `unknown` are the positions of events whose type is
    not registered; `recorded_at` is the time of the last event read. `undecodable` tells that some
    of `events` hold an `Undecodable`.
    """

    events: list[Recorded[Any]]
    position: int
    seen: int
    unknown: list[int]
    recorded_at: datetime | None
    undecodable: bool = False


class Log(Protocol):
    """The log of one service, as the engine's threads use it."""

    @property
    def name(self) -> str:
        """The service."""
        ...

    def read_page(
        self, connection: Connection, after: int, *, limit: int, types: Collection[str]
    ) -> LogPage:
        """Up to `limit` positions beyond `after`, over the caller's connection."""
        ...

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
        """As `read_page`, in two halves: the rows are here when it returns, and what it returns
        decodes them. With `parts`, the events of other parts of the streams are passed over; with
        `bare`, events come without id and metadata.
        """
        ...

    def head(self, connection: Connection) -> int:
        """The last position of the log."""
        ...

    def event(self, connection: Connection, position: int) -> Recorded[Any] | None:
        """The event at one position."""
        ...

    def wait_sync(self, after: int, timeout_seconds: float) -> int:
        """Return the last position known when it is beyond `after`, or when the time is over."""
        ...
