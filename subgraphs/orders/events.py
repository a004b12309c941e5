"""Every event type of the orders service, as its store registers them."""

from __future__ import annotations

from typing import get_args

from eventstore.event import Event
from subgraphs.orders import cart_events, order_events, placement_events


def _all() -> list[type[Event]]:
    kinds: list[type[Event]] = []
    for union in (cart_events.CartEvent, order_events.OrderEvent, placement_events.PlacementEvent):
        kinds.extend(get_args(union))
    return [*kinds, cart_events.CartLineRefused]


ALL = _all()
"""Carts, what was refused for them, orders and placements."""
