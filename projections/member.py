"""A build in the hands of the one that writes it: its code, its place, what of it is parked."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import psycopg

from eventstore.event import Recorded
from projections.catalogue import Build
from projections.log import LogPage
from projections.projection import Projection

Connection = psycopg.Connection[Any]


@dataclass(slots=True, eq=False)
class Member:
    """Mutable state of one build (or one part of it) while it is owned. `error` is the last thing
    that went wrong with it, empty when it goes well.
    """

    build: Build
    projection: Projection
    part: int = 0
    parts: int = 1
    position: int = 0
    hold_at: int | None = None
    parked: set[str] = field(default_factory=set)
    error: str = ""
    owned: bool = False

    def load(self, connection: Connection) -> None:
        """Take over what the database says; needed whenever ownership begins."""
        row = connection.execute(
            "SELECT position, parts,"
            " CASE WHEN hold_until > clock_timestamp() THEN hold_at END"
            " FROM projections.checkpoints WHERE build_id = %s AND part = %s",
            (self.build.id, self.part),
        ).fetchone()
        assert row is not None, f"{self.build} has no checkpoint for part {self.part}"
        self.position, self.parts, self.hold_at = row
        rows = connection.execute(
            "SELECT key FROM projections.parked_keys WHERE build_id = %s", (self.build.id,)
        ).fetchall()
        self.parked = {row[0] for row in rows}

    @property
    def held(self) -> bool:
        """Whether it must not go on for now."""
        return self.hold_at is not None and self.position >= self.hold_at

    def __str__(self) -> str:
        return str(self.build)


@dataclass(frozen=True, slots=True)
class Share:
    """What of a page is new to one member: `events` in order, those of parked keys in `waiting`."""

    member: Member
    events: list[Recorded[Any]]
    waiting: list[tuple[int, str]]
    end: int
    seen: int
    unknown: int
    undecodable: bool = False
    by_sql: int = 0
    """Events that are folded within the database, in place of `events`."""

    @property
    def applied(self) -> int:
        """How many events the projection is given."""
        return len(self.events) + self.by_sql


def share_of(page: LogPage, after: int, member: Member) -> Share | None:
    """The member's share of a page that begins beyond `after`; None if it has none."""
    start, end = member.position, page.position
    if member.hold_at is not None:
        end = min(end, member.hold_at)
    if end <= start:
        return None
    projection, parked = member.projection, member.parked
    types = projection.types
    whole = start == after and end == page.position
    if whole:
        events = [recorded for recorded in page.events if recorded.type in types]
    else:
        events = [
            recorded
            for recorded in page.events
            if start < recorded.position <= end and recorded.type in types
        ]
    waiting: list[tuple[int, str]] = []
    if parked:
        events, waiting = _without_parked(events, projection, parked)
    missing = page.position - after - page.seen
    return Share(
        member,
        events,
        waiting,
        end,
        seen=end - start - (missing if whole else 0),
        unknown=sum(start < position <= end for position in page.unknown),
        undecodable=page.undecodable,
    )


def _without_parked(
    events: list[Recorded[Any]], projection: Projection, parked: Collection[str]
) -> tuple[list[Recorded[Any]], list[tuple[int, str]]]:
    free, waiting = [], []
    for recorded in events:
        key = projection.key(recorded)
        if key in parked:
            waiting.append((recorded.position, key))
        else:
            free.append(recorded)
    return free, waiting
