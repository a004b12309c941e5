"""A small domain for tests of the event store and the projections: boxes on a shelf."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Self, assert_never

from eventstore import Actor, Event, EventStore, EventTypes, Limits, Metadata, Upcaster, event_type


@event_type("box.placed")
class BoxPlaced(Event, frozen=True):
    label: str
    grams: int = 0


@event_type("box.moved", version=2)
class BoxMoved(Event, frozen=True):
    place: str


@event_type("box.weighed", public=False)
class BoxWeighed(Event, frozen=True):
    kilograms: float


BoxEvent = BoxPlaced | BoxMoved | BoxWeighed


@dataclass(frozen=True, slots=True)
class Box:
    """State folded from one box's stream."""

    stream: str
    label: str = ""
    places: tuple[str, ...] = ()
    weighed: int = 0

    @classmethod
    def initial(cls, stream: str) -> Self:
        return cls(stream)

    def evolve(self, event: BoxEvent) -> Self:
        match event:
            case BoxPlaced(label=label):
                return replace(self, label=label)
            case BoxMoved(place=place):
                return replace(self, places=(*self.places, place))
            case BoxWeighed():
                return replace(self, weighed=self.weighed + 1)
            case _:
                assert_never(event)


OCCURRED = datetime(2026, 11, 24, 8, 30, tzinfo=UTC)


def metadata(command: str = "cmd_1", **changes: Any) -> Metadata:
    """Somebody's intent; `correlation_id` is the command's unless given."""
    given: dict[str, Any] = {
        "correlation_id": command,
        "actor": Actor("user", "usr_1"),
        "occurred_at": OCCURRED,
    }
    return Metadata(command_id=command, **(given | changes))


def shelf_types() -> EventTypes:
    """All of the above; `box.moved` once had its place under another name."""

    def named_place(payload: dict[str, Any]) -> dict[str, Any]:
        return {"place": payload["to"]}

    return EventTypes([BoxPlaced, BoxMoved, BoxWeighed], [Upcaster("box.moved", 1, named_place)])


@asynccontextmanager
async def open_shelf(
    conninfo: str, *, limits: Limits | None = None, name: str = "shelf"
) -> AsyncIterator[EventStore]:
    async with EventStore(conninfo, shelf_types(), name=name, limits=limits or Limits()) as store:
        yield store
