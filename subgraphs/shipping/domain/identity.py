"""Ids that follow from other ids, so that the same thing asked for twice is the same stream."""

from __future__ import annotations

from subgraphs.shared.ids import derived_id


def fulfilment_of(order_id: str) -> str:
    """The stream that says what of an order is still to be shipped."""
    return "ful_" + order_id.removeprefix("ord_")


def shipment_of(order_id: str, request_id: str) -> str:
    """The shipment that answers a request."""
    return derived_id("shp", order_id, request_id)


def rates_of(option_id: str) -> str:
    """The stream of the rates of one shipping option."""
    return derived_id("rat", option_id)
