"""Ids that follow from other ids, so that the same thing asked for twice is the same stream."""

from __future__ import annotations

from hashlib import sha256

_DIGITS = 26


def stock_item_of(variant_id: str, warehouse_id: str) -> str:
    """The stream of one variant in one warehouse."""
    digest = sha256(f"{variant_id}\n{warehouse_id}".encode()).hexdigest()
    return f"stk_{digest[:_DIGITS]}"


def reservation_of(order_id: str) -> str:
    """The stream of an order's reservation."""
    return "rsv_" + order_id.removeprefix("ord_")
