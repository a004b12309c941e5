"""What orders reads of other services, and they of it: the events on both sides have those fields.

Consumers decode with structs of their own, so only a test sees when a producer renames a field.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest

from eventstore.event import Event
from projections import Reactor
from subgraphs.orders.events import ALL
from subgraphs.orders.order_events import OrderPlaced
from subgraphs.orders.reactions import (
    CatalogueCopy,
    InventoryAnswers,
    PaymentAnswers,
    RatesCopy,
    ShippingAnswers,
)
from tests.subgraphs.orders.given import (
    AUTHORIZED,
    CANCEL,
    CANCELLED,
    COMMITTED,
    DECLINED,
    HELD,
    NOW,
    ORDER,
    PLANNED,
    RELEASED,
    VOIDED,
    captured,
    dispatched,
    given,
)

OURS = (InventoryAnswers, PaymentAnswers, ShippingAnswers, CatalogueCopy, RatesCopy)
CONSUMERS = ("inventory", "payments", "shipping", "notifications")
SAMPLES = Path(__file__).parent / "public_events.json"


def events_of(service: str) -> Mapping[str, type[Event]]:
    module = importlib.import_module(f"subgraphs.{service}.events")
    return {kind.TYPE: kind for kind in _event_classes(module) if kind.TYPE}


def _event_classes(module: ModuleType) -> Iterator[type[Event]]:
    for value in vars(module).values():
        if isinstance(value, type) and issubclass(value, Event):
            yield value


def required(struct: type[msgspec.Struct]) -> Iterator[msgspec.structs.FieldInfo]:
    return (field for field in msgspec.structs.fields(struct) if field.required)


def missing(struct: type[msgspec.Struct], produced: type[msgspec.Struct]) -> set[str]:
    """Fields that a consumer cannot do without and a producer does not have."""
    given_fields = {field.encode_name for field in msgspec.structs.fields(produced)}
    return {field.encode_name for field in required(struct)} - given_fields


@pytest.mark.parametrize("reactor", OURS)
def test_what_we_read_is_what_they_write(reactor: type[Reactor]) -> None:
    produced = events_of(reactor.source)
    for type_name, struct in reactor.reads.items():
        assert type_name in produced, f"{reactor.source} has no {type_name}"
        assert produced[type_name].PUBLIC, f"{type_name} is not public"
        assert not missing(struct, produced[type_name]), type_name


@pytest.mark.parametrize("service", CONSUMERS)
def test_what_they_read_is_what_we_write(service: str) -> None:
    produced = {kind.TYPE: kind for kind in ALL}
    module = importlib.import_module(f"subgraphs.{service}.reactions")
    reactors = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Reactor) and value.source == "orders"
    ]
    assert reactors, f"{service} reads nothing of orders"
    for reactor in reactors:
        for type_name, struct in reactor.reads.items():
            assert type_name in produced, f"{service} reads {type_name}, which there is not"
            assert produced[type_name].PUBLIC, f"{service} reads {type_name}: not public"
            assert not missing(struct, produced[type_name]), type_name


def public_samples() -> dict[str, Any]:
    """An event of each public type, as its feed gives it, from two whole placements."""
    terms = given().state.terms
    assert terms is not None
    placed = OrderPlaced(
        order_id=ORDER,
        number=terms.number,
        cart_id="crt_00000000000000000000000001",
        customer_id=terms.customer_id,
        placed_by=terms.customer_id,
        currency="EUR",
        lines=terms.lines,
        discounts=(),
        subtotal_minor=2999,
        tax_minor=0,
        shipping_minor=0,
        total_minor=terms.total_minor,
        destination=terms.destination,
        shipping_option_id="pickup",
        payment_method_token="tok_visa",
        placed_at=NOW,
    )
    found: dict[str, Event] = {placed.TYPE: placed}
    stories = (
        [HELD, AUTHORIZED, COMMITTED, PLANNED, dispatched(), captured()],
        [HELD, DECLINED, RELEASED],
        [HELD, AUTHORIZED, COMMITTED, PLANNED, CANCEL, CANCELLED, RELEASED],
        [HELD, AUTHORIZED, CANCEL, RELEASED],
    )
    for story in stories:
        process = given()
        for said in [None, *story]:
            if said is not None:
                process.when(said)
            for event in (*process.events, *process.order_events):
                if event.PUBLIC:
                    found.setdefault(event.TYPE, event)
    process = given(HELD, AUTHORIZED, CANCEL, RELEASED)
    for event in process.when(VOIDED).order_events:
        found.setdefault(event.TYPE, event)
    for event in given(HELD, AUTHORIZED).fires("DEADLINE").events:
        found.setdefault(event.TYPE, event)
    samples: dict[str, Any] = json.loads(msgspec.json.encode(found))
    return samples


def test_public_events_keep_their_shape() -> None:
    """A change here is a change of what other services are promised: give it a new version.

    `python -m tests.subgraphs.orders.test_contracts` writes the samples anew.
    """
    samples = public_samples()
    assert set(samples) == {kind.TYPE for kind in ALL if kind.PUBLIC}
    kept = json.loads(SAMPLES.read_text())
    assert samples == kept


def test_every_event_type_has_one_name() -> None:
    names = [kind.TYPE for kind in ALL]
    assert len(names) == len(set(names))
    assert all(names)


if __name__ == "__main__":
    SAMPLES.write_text(json.dumps(public_samples(), indent=1, sort_keys=True) + "\n")
