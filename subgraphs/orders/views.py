"""Carts and orders as the schema shows them: from rows of the read models, or from folded state.

A mutation answers with what it has just decided, so nobody waits for a projection to see it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from subgraphs.orders.cart import Cart, CartLine
from subgraphs.orders.order import Order
from subgraphs.orders.parts import Destination, PlacedDiscount, Shortage
from subgraphs.orders.pricing import totals_of

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class CartView:
    """`lines` in the order in which they were first set."""

    id: str
    version: int
    customer_id: str
    status: str
    currency: str
    expires_at: datetime
    destination: Destination | None
    order_id: str | None
    lines: Sequence[CartLine]

    @classmethod
    def of_row(cls, row: Row, lines: Sequence[Row]) -> CartView:
        return cls(
            id=row["id"],
            version=row["version"],
            customer_id=row["customer_id"],
            status=row["status"],
            currency=row["currency"],
            expires_at=row["expires_at"],
            destination=_destination(row["destination"]),
            order_id=row["order_id"],
            lines=[
                CartLine(
                    variant_id=line["variant_id"],
                    sku=line["sku"],
                    title=line["title"],
                    unit_price_minor=line["unit_price_minor"],
                    quantity=line["quantity"],
                    weight_grams=line["weight_grams"],
                    discount_minor=line["discount_minor"],
                    discount_label=line["discount_label"],
                )
                for line in lines
            ],
        )

    @classmethod
    def of_state(cls, cart: Cart, version: int) -> CartView:
        assert cart.expires_at is not None, f"cart {cart.id} was never created"
        return cls(
            id=cart.id,
            version=version,
            customer_id=cart.customer_id,
            status=cart.status,
            currency=cart.currency,
            expires_at=cart.expires_at,
            destination=cart.destination,
            order_id=cart.order_id,
            lines=list(cart.lines.values()),
        )

    @property
    def total_minor(self) -> int:
        return totals_of(self.lines).total_minor

    @property
    def total_weight_grams(self) -> int:
        return sum(line.weight_grams * line.quantity for line in self.lines)


@dataclass(frozen=True, slots=True)
class LineView:
    """A line of an order; amounts are minor units of `currency`."""

    id: str
    order_id: str
    variant_id: str
    sku: str
    title: str
    unit_price_minor: int
    quantity: int
    quantity_fulfilled: int
    discount_minor: int
    weight_grams: int
    currency: str

    @classmethod
    def of_row(cls, row: Row) -> LineView:
        """From a row of `order_lines` with its order's currency."""
        return cls(
            id=row["id"],
            order_id=row["order_id"],
            variant_id=row["variant_id"],
            sku=row["sku"],
            title=row["title"],
            unit_price_minor=row["unit_price_minor"],
            quantity=row["quantity"],
            quantity_fulfilled=row["quantity_fulfilled"],
            discount_minor=row["discount_minor"],
            weight_grams=row["weight_grams"],
            currency=row["currency"],
        )

    @property
    def total_minor(self) -> int:
        return self.unit_price_minor * self.quantity - self.discount_minor


@dataclass(frozen=True, slots=True)
class OrderView:
    """`lines` is None where they are to be loaded. `placement` has operators in it already."""

    id: str
    version: int
    number: str
    cart_id: str
    customer_id: str
    status: str
    placement: str
    operator_reason: str | None
    currency: str
    subtotal_minor: int
    tax_minor: int
    shipping_minor: int
    total_minor: int
    discounts: Sequence[PlacedDiscount]
    destination: Destination | None
    shipping_option_id: str
    placed_at: datetime
    shipped: bool
    reason: str | None
    decline_code: str | None
    shortages: Sequence[Shortage]
    lines: Sequence[LineView] | None = None

    @classmethod
    def of_row(cls, row: Row) -> OrderView:
        needs_operator = row["operator_reason"] is not None and row["placement"] != "DONE"
        return cls(
            id=row["id"],
            version=row["version"],
            number=row["number"],
            cart_id=row["cart_id"],
            customer_id=row["customer_id"],
            status=row["status"],
            placement="NEEDS_OPERATOR" if needs_operator else row["placement"],
            operator_reason=row["operator_reason"],
            currency=row["currency"],
            subtotal_minor=row["subtotal_minor"],
            tax_minor=row["tax_minor"],
            shipping_minor=row["shipping_minor"],
            total_minor=row["total_minor"],
            discounts=msgspec.convert(row["discounts"], list[PlacedDiscount]),
            destination=_destination(row["destination"]),
            shipping_option_id=row["shipping_option_id"],
            placed_at=row["placed_at"],
            shipped=row["shipped"],
            reason=row["reason"],
            decline_code=row["decline_code"],
            shortages=msgspec.convert(row["shortages"], list[Shortage]),
        )

    @classmethod
    def of_state(
        cls, order: Order, version: int, *, progress: str, operator_reason: str | None = None
    ) -> OrderView:
        terms = order.terms
        assert terms is not None, f"order {order.id} was never placed"
        return cls(
            id=terms.order_id,
            version=version,
            number=terms.number,
            cart_id=terms.cart_id,
            customer_id=terms.customer_id,
            status=order.status,
            placement=progress,
            operator_reason=operator_reason,
            currency=terms.currency,
            subtotal_minor=terms.subtotal_minor,
            tax_minor=terms.tax_minor,
            shipping_minor=terms.shipping_minor,
            total_minor=terms.total_minor,
            discounts=terms.discounts,
            destination=terms.destination,
            shipping_option_id=terms.shipping_option_id,
            placed_at=terms.placed_at,
            shipped=bool(order.sent),
            reason=order.reason,
            decline_code=order.decline_code,
            shortages=order.shortages,
            lines=[
                LineView(
                    id=line.line_id,
                    order_id=terms.order_id,
                    variant_id=line.variant_id,
                    sku=line.sku,
                    title=line.title,
                    unit_price_minor=line.unit_price_minor,
                    quantity=line.quantity,
                    quantity_fulfilled=order.sent.get(line.line_id, 0),
                    discount_minor=line.discount_minor,
                    weight_grams=line.weight_grams,
                    currency=terms.currency,
                )
                for line in terms.lines
            ],
        )


def _destination(value: Any) -> Destination | None:
    return None if value is None else msgspec.convert(value, Destination)
