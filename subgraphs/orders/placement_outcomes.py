"""What the customer's order learns of its placement: order events that follow from its events."""

from __future__ import annotations

from collections.abc import Sequence

from subgraphs.orders import order_events as order
from subgraphs.orders import placement_events as happened
from subgraphs.orders.order_events import OrderEvent
from subgraphs.orders.placement import Placement
from subgraphs.orders.placement_events import PlacementEvent
from subgraphs.orders.placement_states import Rejection


def order_events(state: Placement, events: Sequence[PlacementEvent]) -> list[OrderEvent]:
    """The order's events that go with these process events; `state` is the one after them."""
    following = []
    for event in events:
        told = _told(state, event)
        if told is not None:
            following.append(told)
    return following


def _told(state: Placement, event: PlacementEvent) -> OrderEvent | None:
    terms = state.terms
    assert terms is not None
    match event:
        case happened.StockAllocated():
            return order.OrderConfirmed(
                terms.order_id, terms.number, terms.customer_id, terms.total_minor, terms.currency
            )
        case happened.CancellationStarted(reason=reason, requested_by=requested_by):
            return order.OrderCancellationRequested(
                terms.order_id, reason, requested_by, terms.customer_id
            )
        case happened.CancellationWithdrawn(reason=reason):
            return order.OrderCancellationWithdrawn(terms.order_id, reason)
        case happened.ShipmentDispatched():
            return order.OrderLinesShipped(
                terms.order_id,
                event.shipment_id,
                event.lines,
                event.carrier,
                event.tracking_number,
            )
        case happened.PlacementEnded(outcome=outcome):
            return _ended(state, terms, outcome)
        case _:
            return None


def _ended(state: Placement, terms: happened.PlacementStarted, outcome: str) -> OrderEvent:
    if outcome == "COMPLETED":
        return order.OrderCompleted(
            terms.order_id, terms.number, terms.customer_id, state.captured_minor, terms.currency
        )
    if outcome == "CANCELLED":
        return order.OrderCancelled(
            terms.order_id,
            terms.number,
            terms.customer_id,
            terms.total_minor,
            terms.currency,
            None if state.customer_erased else state.reason,
        )
    declined = state.reason == Rejection.PAYMENT_DECLINED
    return order.OrderRejected(
        terms.order_id,
        terms.number,
        terms.customer_id,
        terms.total_minor,
        terms.currency,
        reason=state.reason or "",
        shortages=state.shortages,
        decline_code=state.decline_code if declined else None,
    )
