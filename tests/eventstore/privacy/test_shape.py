"""Which classes may have personal fields, and what stands in for them after an erasure."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import pytest

from eventstore import Event, EventTypes, Personal, event_type
from eventstore.privacy.shape import personal_shape


class Home(msgspec.Struct, frozen=True):
    lines: tuple[str, ...]
    country: str = "ES"
    floor: int = 0
    since: int | None = None


class Tagged(msgspec.Struct, frozen=True, tag_field="kind", tag="home"):
    street: str


def event(fields: dict[str, Any], subject: str | None = "who") -> type[Event]:
    """An event class with a `who: str` and these fields."""
    namespace = {"__annotations__": {"who": str, **fields}, "__module__": __name__}
    made: type[Event] = type(Event)("Made", (Event,), namespace, frozen=True)
    return event_type("made.up", subject=subject)(made)


STAND_INS: dict[str, tuple[Any, Any]] = {
    "text": (Personal[str], "erased"),
    "text or null": (Personal[str | None], "erased"),
    "marked within": (Personal[str] | None, "erased"),
    "texts": (Personal[list[str]], ["erased"]),
    "a set": (Personal[frozenset[str]], ["erased"]),
    "number or null": (Personal[int | None], None),
    "anything": (Personal[Any], None),
    "a mapping": (Personal[dict[str, int]], {}),
    "an object": (Personal[Home], {"lines": ["erased"], "country": "erased", "since": None}),
    "objects": (Personal[list[Tagged]], [{"kind": "home", "street": "erased"}]),
    "an object or null": (Personal[Home | None], None),
}


@pytest.mark.parametrize(("kind", "expected"), STAND_INS.values(), ids=STAND_INS)
def test_what_stands_in(kind: Any, expected: Any) -> None:
    shape = personal_shape(event({"field": kind}))
    assert shape is not None
    assert (shape.subject, shape.stand_ins) == ("who", {"field": expected})


REFUSED: dict[str, tuple[dict[str, Any], str | None, str]] = {
    "a number": ({"born": Personal[int]}, "who", "born is int"),
    "a truth": ({"adult": Personal[bool]}, "who", "adult is bool"),
    "a number in an object": ({"at": Personal[tuple[int, int]]}, "who", "at is tuple"),
    "a pattern": (
        {"mail": Annotated[Personal[str], msgspec.Meta(pattern="@")]},
        "who",
        "mail cannot read 'erased'",
    ),
    "too short": (
        {"code": Annotated[Personal[str], msgspec.Meta(max_length=3)]},
        "who",
        "code cannot read 'erased'",
    ),
    "no subject": ({"name": Personal[str]}, None, "expected both"),
    "a subject, nothing personal": ({"name": str}, "who", "expected both"),
    "a subject that is not there": ({"name": Personal[str]}, "whom", "no field 'whom'"),
    "a subject that is no text": ({"name": Personal[str], "n": int}, "n", "expected an id"),
    "a subject that is personal": ({"name": Personal[str]}, "name", "expected an id"),
    "a part of an object": (
        {"line": msgspec.defstruct("Line", [("gift", Personal[str])])},
        "who",
        "line has personal fields",
    ),
    "a part of one of several": (
        {"lines": dict[str, list[msgspec.defstruct("Line", [("gift", Personal[str])])]]},  # type: ignore[misc]
        "who",
        "lines has personal fields",
    ),
}


@pytest.mark.parametrize(("fields", "subject", "said"), REFUSED.values(), ids=REFUSED)
def test_what_could_not_be_forgotten_is_refused(
    fields: dict[str, Any], subject: str | None, said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        EventTypes([event(fields, subject)])


def test_the_sealed_member_is_the_first() -> None:
    @event_type("made.up", subject="who")
    class Renamed(Event, frozen=True, rename={"count": "#"}):
        who: str
        name: Personal[str]
        count: int

    with pytest.raises(ValueError, match="stores a field as '#': start it with a letter"):
        EventTypes([Renamed])
