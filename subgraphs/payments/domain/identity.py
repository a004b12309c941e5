"""Ids that follow from business identity: they are also the keys a provider knows requests by."""

from __future__ import annotations

from subgraphs.shared.ids import derived_id


def payment_of(order_id: str, attempt: int) -> str:
    """The stream of the `attempt`-th payment of an order, and the key of its authorisation."""
    return derived_id("pay", order_id, str(attempt))


def capture_of(payment_id: str, shipment_id: str) -> str:
    """The capture for one shipment."""
    return derived_id("cap", payment_id, shipment_id)


def operation_of(kind: str, payment_id: str, *identity: str) -> str:
    """An operation that somebody asked for: who and with which key, or which request."""
    return derived_id(kind, payment_id, *identity)
