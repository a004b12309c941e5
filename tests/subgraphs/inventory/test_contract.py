"""What this service promised to others, and what it was promised."""

from __future__ import annotations

import msgspec

from subgraphs.inventory.reactions import (
    AllocationRequested,
    ReleaseRequested,
    ShipmentDispatched,
    StockRequested,
)
from subgraphs.orders import answers, parts
from subgraphs.orders import placement_events as asked
from tests.support.samples import decoded


def test_orders_reads_the_answers() -> None:
    held = decoded("inventory", "reservation.held", answers.ReservationHeld)
    assert held.expires_at is not None
    rejected = decoded("inventory", "reservation.rejected", answers.ReservationRejected)
    assert rejected.shortages[0].available == 1
    for name, struct in (
        ("committed", answers.ReservationCommitted),
        ("released", answers.ReservationReleased),
        ("expired", answers.ReservationExpired),
    ):
        answer = decoded("inventory", f"reservation.{name}", struct)
        assert answer.reservation_id == held.reservation_id


def test_what_shipping_tells_can_be_read() -> None:
    sent: ShipmentDispatched = decoded("shipping", "shipment.dispatched", ShipmentDispatched)
    assert [line.quantity for line in sent.lines] == [2]


def test_what_orders_asks_can_be_read() -> None:
    line = parts.StockLine("lin_1", "var_1", "SILK", 2)
    request = asked.StockRequested("ord_1", "r1", (line,), 900, 1, resend=3)
    read = msgspec.json.decode(msgspec.json.encode(request), type=StockRequested)
    assert (read.order_id, read.request_id, read.ttl_seconds, read.attempt) == (
        "ord_1",
        "r1",
        900,
        1,
    )
    assert (read.lines[0].line_id, read.lines[0].quantity) == ("lin_1", 2)
    allocate = msgspec.json.encode(asked.AllocationRequested("ord_1", "r2", "rsv_1"))
    assert msgspec.json.decode(allocate, type=AllocationRequested).request_id == "r2"
    release = msgspec.json.encode(asked.ReleaseRequested("ord_1", "r3", "rsv_1", "WHY"))
    assert msgspec.json.decode(release, type=ReleaseRequested).reason == "WHY"
