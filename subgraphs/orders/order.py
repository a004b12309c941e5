"""The order as its customer sees it: what was agreed, and how far it has come.

Only placing is decided here. What happens afterwards is decided by the placement process, which
appends it to the order's stream together with its own events.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Self, assert_never

from eventstore.event import ERASED
from subgraphs.orders.cart import CartLine
from subgraphs.orders.order_events import (
    OrderCancellationRequested,
    OrderCancellationWithdrawn,
    OrderCancelled,
    OrderCompleted,
    OrderConfirmed,
    OrderEvent,
    OrderLinesShipped,
    OrderPlaced,
    OrderRejected,
)
from subgraphs.orders.parts import PlacedDiscount, PlacedLine, Shortage
from subgraphs.shared.ids import derived_id


class OrderStatus(StrEnum):
    NEW = "NEW"
    PENDING = "PENDING"
    CONFIRMED = "CONFIRMED"
    CANCELLATION_REQUESTED = "CANCELLATION_REQUESTED"
    CANCELLED = "CANCELLED"
    REJECTED = "REJECTED"
    COMPLETED = "COMPLETED"


FINAL = frozenset({OrderStatus.CANCELLED, OrderStatus.REJECTED, OrderStatus.COMPLETED})


def _nothing() -> Mapping[str, int]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Order:
    """State folded from one order stream. `sent` is units by line id.

    A cancellation is withdrawn only because goods have left, which confirmed orders' goods do.
    """

    id: str
    status: OrderStatus = OrderStatus.NEW
    terms: OrderPlaced | None = None
    sent: Mapping[str, int] = field(default_factory=_nothing)
    captured_minor: int = 0
    reason: str | None = None
    shortages: tuple[Shortage, ...] = ()
    decline_code: str | None = None

    @classmethod
    def initial(cls, stream: str) -> Self:
        return cls(stream)

    @property
    def customer_erased(self) -> bool:
        """Whether nothing personal of the customer can be told any more."""
        return self.terms is not None and self.terms.payment_method_token == ERASED

    def evolve(self, event: OrderEvent) -> Order:
        """Fold. Never refuses: the event already happened."""
        match event:
            case OrderPlaced():
                return replace(self, status=OrderStatus.PENDING, terms=event)
            case OrderConfirmed():
                return replace(self, status=OrderStatus.CONFIRMED)
            case OrderRejected():
                return replace(
                    self,
                    status=OrderStatus.REJECTED,
                    reason=event.reason,
                    shortages=event.shortages,
                    decline_code=event.decline_code,
                )
            case OrderCancellationRequested(reason=reason):
                return replace(self, status=OrderStatus.CANCELLATION_REQUESTED, reason=reason)
            case OrderCancellationWithdrawn():
                return replace(self, status=OrderStatus.CONFIRMED, reason=None)
            case OrderCancelled(reason=reason):
                return replace(self, status=OrderStatus.CANCELLED, reason=reason)
            case OrderLinesShipped(lines=lines):
                sent = dict(self.sent)
                for line in lines:
                    sent[line.line_id] = sent.get(line.line_id, 0) + line.quantity
                return replace(self, sent=sent)
            case OrderCompleted(captured_minor=captured):
                return replace(self, status=OrderStatus.COMPLETED, captured_minor=captured)
            case _:
                assert_never(event)


def line_id_of(order_id: str, number: int) -> str:
    """The id of an order's line, counted from 1: the same whenever it is asked."""
    return derived_id("lin", order_id, str(number))


def placement_id_of(order_id: str) -> str:
    """The stream of an order's placement process."""
    return f"plc_{order_id.partition('_')[2]}"


def number_of(order_id: str) -> str:
    """The order's number for people to say and to type: of the random end of the id, so that it
    tells nobody how many orders there are.
    """
    end = order_id[-12:].upper()
    return f"L-{end[:4]}-{end[4:8]}-{end[8:]}"


def placed_lines(order_id: str, lines: Sequence[CartLine]) -> tuple[PlacedLine, ...]:
    """The cart's lines as the order keeps them for ever."""
    return tuple(
        PlacedLine(
            line_id=line_id_of(order_id, number),
            variant_id=line.variant_id,
            sku=line.sku,
            title=line.title,
            unit_price_minor=line.unit_price_minor,
            quantity=line.quantity,
            discount_minor=line.discount_minor,
            weight_grams=line.weight_grams,
        )
        for number, line in enumerate(lines, 1)
    )


def placed_discounts(order_id: str, lines: Sequence[CartLine]) -> tuple[PlacedDiscount, ...]:
    """The discounts on those lines, as the order page lists them."""
    return tuple(
        PlacedDiscount(
            label=line.discount_label or "discount",
            amount_minor=line.discount_minor,
            line_id=line_id_of(order_id, number),
        )
        for number, line in enumerate(lines, 1)
        if line.discount_minor
    )
