"""A domain with persons, for tests of what a log forgets: guests of a house."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Self, assert_never

import msgspec

from eventstore import (
    Event,
    EventStore,
    EventTypes,
    Keyring,
    Limits,
    MasterKey,
    Personal,
    Upcaster,
    event_type,
)
from tests.support.keys import MASTER


class Home(msgspec.Struct, frozen=True):
    street: str
    city: str
    floor: int | None = None


@event_type("guest.arrived", version=2, subject="guest_id")
class GuestArrived(Event, frozen=True):
    guest_id: str
    name: Personal[str]
    nights: int
    phones: Personal[tuple[str, ...]] = ()
    home: Personal[Home | None] = None
    born: Personal[int | None] = None


@event_type("guest.wrote", public=False, subject="guest_id")
class GuestWrote(Event, frozen=True):
    guest_id: str
    text: Personal[str]


@event_type("guest.left")
class GuestLeft(Event, frozen=True):
    guest_id: str


def named(payload: dict[str, Any]) -> dict[str, Any]:
    """`guest.arrived` had its name in two parts once."""
    first, last = payload.pop("first"), payload.pop("last")
    return {**payload, "name": f"{first} {last}"}


@dataclass(frozen=True, slots=True)
class Stay:
    """State folded from one stay's stream."""

    stream: str
    name: str = ""
    texts: tuple[str, ...] = ()
    left: bool = False

    @classmethod
    def initial(cls, stream: str) -> Self:
        return cls(stream)

    def evolve(self, event: GuestArrived | GuestWrote | GuestLeft) -> Self:
        match event:
            case GuestArrived(name=name):
                return replace(self, name=name)
            case GuestWrote(text=text):
                return replace(self, texts=(*self.texts, text))
            case GuestLeft():
                return replace(self, left=True)
            case _:
                assert_never(event)


def guest_types() -> EventTypes:
    return EventTypes(
        [GuestArrived, GuestWrote, GuestLeft],
        [Upcaster("guest.arrived", 1, named, erased={"first": "erased", "last": "erased"})],
    )


@asynccontextmanager
async def open_house(
    conninfo: str, *masters: MasterKey, keyring: Keyring | None = None
) -> AsyncIterator[EventStore]:
    keyring = keyring or Keyring.of(*(masters or (MASTER,)))
    async with EventStore(
        conninfo, guest_types(), name="house", keyring=keyring, limits=Limits(poll_seconds=30)
    ) as store:
        yield store
