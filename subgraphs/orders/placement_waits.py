"""What a placement waits for, by name: requests, and waits that have a fixed end.

A key names the step, a token one turn of it; a timer carries both, so that one which fires too late
is told from one that counts.
"""

from __future__ import annotations

from datetime import datetime
from typing import assert_never

from subgraphs.orders import placement_events as happened
from subgraphs.orders.placement_events import PlacementEvent, PlacementStarted
from subgraphs.orders.placement_states import Step


def capture_key(shipment_id: str) -> str:
    """The name a capture waits under: one for each shipment."""
    return f"{Step.CAPTURE}/{shipment_id}"


def wait_key(request: happened.Request) -> str:
    """The name under which the answer to a request is awaited."""
    match request:
        case happened.StockRequested():
            return Step.RESERVE
        case happened.AuthorizationRequested():
            return Step.AUTHORIZE
        case happened.AllocationRequested():
            return Step.ALLOCATE
        case happened.ShipmentRequested():
            return Step.SHIP
        case happened.CaptureRequested(shipment_id=shipment_id):
            return capture_key(shipment_id)
        case happened.ReleaseRequested():
            return Step.RELEASE
        case happened.VoidRequested():
            return Step.VOID
        case happened.ShipmentCancellationRequested():
            return Step.CANCEL_SHIPMENT
        case _:
            assert_never(request)


def token_of(request: happened.Request) -> str:
    """Names one sending of a request."""
    return f"{request.request_id}#{request.resend}"


def deadline_token(order_id: str) -> str:
    return f"{order_id}:deadline"


def customer_token(payment_id: str) -> str:
    return f"{payment_id}:customer"


def dispatch_token(shipment_id: str) -> str:
    return f"{shipment_id}:dispatch"


def deadline_of(event: PlacementEvent) -> tuple[Step, str, datetime] | None:
    """For an event that begins a wait with a fixed end: the step, its token and that end."""
    match event:
        case PlacementStarted():
            return Step.DEADLINE, deadline_token(event.order_id), event.deadline_at
        case happened.CustomerAwaited():
            return Step.CUSTOMER, customer_token(event.payment_id), event.until
        case happened.ShipmentPlanned():
            token = dispatch_token(event.shipment_id)
            return Step.DISPATCH, token, event.dispatch_overdue_at
        case _:
            return None
