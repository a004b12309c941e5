"""Ids that follow from other ids, so that the same thing asked for twice is the same stream."""

from __future__ import annotations

from subgraphs.shared.ids import derived_id


def stock_item_of(variant_id: str, warehouse_id: str) -> str:
    """The stream of one variant in one warehouse."""
    return derived_id("stk", variant_id, warehouse_id)


def reservation_of(order_id: str) -> str:
    """The stream of an order's reservation."""
    return "rsv_" + order_id.removeprefix("ord_")
