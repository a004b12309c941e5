"""Which fields of an event are personal, however deep they are."""

from __future__ import annotations

import msgspec

from eventstore import Event, event_type
from eventstore.event import Personal
from eventstore.personal import personal_fields


class Place(msgspec.Struct, frozen=True):
    name: Personal[str]
    country: str
    lines: Personal[tuple[str, ...]] = ()


@event_type("person.moved", subject="person_id")
class PersonMoved(Event, frozen=True):
    person_id: str
    to: Place
    email: Personal[str | None] = None
    before: tuple[Place, ...] = ()
    by_year: dict[str, Place | None] = {}  # noqa: RUF012


def test_fields_are_named_by_their_paths() -> None:
    assert personal_fields(PersonMoved) == [
        "before.lines",
        "before.name",
        "by_year.lines",
        "by_year.name",
        "email",
        "to.lines",
        "to.name",
    ]
