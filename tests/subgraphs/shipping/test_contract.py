"""What this service promised to others."""

from __future__ import annotations

import msgspec

from subgraphs.orders import answers, parts
from subgraphs.orders import placement_events as asked
from subgraphs.shipping.reactions import CancellationRequested, ShipmentRequested
from tests.support.samples import decoded


def test_orders_reads_the_answers() -> None:
    planned = decoded("shipping", "shipment.planned", answers.Planned)
    dispatched = decoded("shipping", "shipment.dispatched", answers.Dispatched)
    cancelled = decoded("shipping", "shipment.cancelled", answers.Cancelled)
    assert planned.shipment_id == dispatched.shipment_id == cancelled.shipment_id
    assert [line.quantity for line in dispatched.lines] == [2]
    assert dispatched.tracking_number is not None


def test_what_orders_asks_can_be_read() -> None:
    line = parts.ShipmentLine("lin_1", "var_1", "SILK", 2, 200)
    place = parts.Destination("ES", "46001", "Lonja", ("Plaza del Mercado",), "Valencia")
    send = asked.ShipmentRequested("ord_1", "r1", (line,), place, "standard")
    read = msgspec.json.decode(msgspec.json.encode(send), type=ShipmentRequested)
    assert (read.lines[0].quantity, read.lines[0].weight_grams) == (2, 200)
    assert read.destination is not None
    assert (read.destination.country, read.shipping_option_id) == ("ES", "standard")
    nowhere = asked.ShipmentRequested("ord_1", "r1", (line,), None, "pickup")
    read = msgspec.json.decode(msgspec.json.encode(nowhere), type=ShipmentRequested)
    assert read.destination is None
    stop = asked.ShipmentCancellationRequested("ord_1", "r2", None, "CUSTOMER")
    cancelled = msgspec.json.decode(msgspec.json.encode(stop), type=CancellationRequested)
    assert cancelled.reason == "CUSTOMER"
