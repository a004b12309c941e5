"""The registry: canonical payloads, upcasters in a chain, what may not be registered."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventstore import Event, EventTypes, MalformedEvent, UnknownEventType, Upcaster, event_type
from eventstore.canonical import canonical


class Line(msgspec.Struct, frozen=True):
    sku: str
    quantity: int


@event_type("cart.filled", version=3)
class CartFilled(Event, frozen=True):
    lines: list[Line]
    notes: dict[str, str] = {}  # noqa: RUF012
    weight: float | None = None


@event_type("cart.emptied")
class CartEmptied(Event, frozen=True):
    why: str


def first_to_second(payload: dict[str, Any]) -> dict[str, Any]:
    return {"lines": [{"sku": payload["sku"], "count": 1}]}


def second_to_third(payload: dict[str, Any]) -> dict[str, Any]:
    lines = [{"sku": line["sku"], "quantity": line["count"]} for line in payload["lines"]]
    return {"lines": lines}


UPCASTERS = [
    Upcaster("cart.filled", 1, first_to_second),
    Upcaster("cart.filled", 2, second_to_third),
]
TYPES = EventTypes([CartFilled, CartEmptied], UPCASTERS)

SAMPLES = [
    ("cart.filled", 1, '{"sku":"silk"}', CartFilled([Line("silk", 1)])),
    ("cart.filled", 2, '{"lines":[{"count":2,"sku":"silk"}]}', CartFilled([Line("silk", 2)])),
    ("cart.filled", 3, '{"lines":[{"quantity":3,"sku":"a"}]}', CartFilled([Line("a", 3)])),
    ("cart.emptied", 1, '{"why":"x","added_later":1}', CartEmptied("x")),
]


@pytest.mark.parametrize(("name", "version", "payload", "event"), SAMPLES)
def test_every_version_ever_stored_can_be_read(
    name: str, version: int, payload: str, event: Event
) -> None:
    assert TYPES.decode(name, version, payload.encode()) == event


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))


@pytest.mark.slow
@given(
    st.lists(st.tuples(texts, st.integers(0, 2**53 - 1)), max_size=3),
    st.dictionaries(texts, texts, max_size=3),
    st.none() | st.floats(allow_nan=False, allow_infinity=False),
)
def test_payloads_are_canonical_and_come_back(
    lines: list[tuple[str, int]], notes: dict[str, str], weight: float | None
) -> None:
    event = CartFilled([Line(*line) for line in lines], notes, weight)
    payload = TYPES.encode(event)
    if weight is None:
        assert canonical(json.loads(payload)) == payload
    assert TYPES.decode("cart.filled", 3, payload) == event


@pytest.mark.slow
@given(texts)
def test_payloads_without_floats_take_the_short_way_to_the_same(why: str) -> None:
    payload = TYPES.encode(CartEmptied(why))
    assert payload == canonical({"why": why})


@pytest.mark.parametrize(
    ("name", "version", "payload", "error"),
    [
        ("cart.stolen", 1, b"{}", UnknownEventType),
        ("cart.filled", 0, b"{}", UnknownEventType),
        ("cart.filled", 4, b"{}", UnknownEventType),
        ("cart.emptied", 1, b"{}", MalformedEvent),
        ("cart.emptied", 1, b'{"why":', MalformedEvent),
        ("cart.emptied", 1, b'{"why":1}', MalformedEvent),
    ],
)
def test_what_cannot_be_read(
    name: str, version: int, payload: bytes, error: type[Exception]
) -> None:
    with pytest.raises(error, match=r"cart\."):
        TYPES.decode(name, version, payload)


def test_integers_beyond_what_json_keeps_are_refused() -> None:
    with pytest.raises(MalformedEvent, match="2\\^53"):
        TYPES.encode(CartFilled([Line("a", 2**53)]))


def test_a_schema_for_each_type() -> None:
    assert TYPES.schema("cart.emptied")["$ref"] == "#/$defs/CartEmptied"
    with pytest.raises(UnknownEventType):
        TYPES.schema("cart.stolen")


class Nameless(Event, frozen=True):
    pass


@event_type("cart.filled")
class Other(Event, frozen=True):
    pass


def identity(payload: dict[str, Any]) -> dict[str, Any]:
    return payload


@pytest.mark.parametrize(
    ("types", "upcasters", "message"),
    [
        ([Nameless], [], "no stored name"),
        ([CartFilled, Other], [], "are both 'cart.filled'"),
        ([CartEmptied], [Upcaster("cart.filled", 1, identity)], "no such event type"),
        ([CartEmptied], [Upcaster("cart.emptied", 1, identity)], "it is at 1 only"),
        ([CartFilled], [Upcaster("cart.filled", 1, identity)], "from 2 is missing"),
    ],
)
def test_what_may_not_be_registered(
    types: list[type[Event]], upcasters: list[Upcaster], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        EventTypes(types, upcasters)


@pytest.mark.parametrize("name", ["Cart", "cart", "cart.", "cart.Filled", ".a", "a b.c", ""])
def test_names_are_words_joined_by_dots(name: str) -> None:
    with pytest.raises(ValueError, match="expected lower-case words"):
        event_type(name)


class FirstFilled(msgspec.Struct):
    """`cart.filled` as its first version was."""

    sku: str


def test_every_version_is_described_as_it_was_stored() -> None:
    sample = {"lines": ["SILK"]}
    types = EventTypes(
        [CartFilled],
        [
            Upcaster("cart.filled", 1, first_to_second, was=FirstFilled),
            Upcaster("cart.filled", 2, second_to_third, sample=sample),
        ],
    )
    first, second, third = (types.described("cart.filled", version) for version in (1, 2, 3))
    assert first["schema"]["$defs"]["FirstFilled"]["required"] == ["sku"]
    assert second == {"sample": sample}
    assert third == {"schema": types.schema("cart.filled")}
    undeclared = EventTypes(
        [CartFilled],
        [
            Upcaster("cart.filled", 1, first_to_second),
            Upcaster("cart.filled", 2, second_to_third),
        ],
    )
    assert undeclared.described("cart.filled", 1) == {}
    with pytest.raises(UnknownEventType):
        types.described("cart.filled", 4)
