"""The cart: lines with the prices the customer saw, until it is ordered or expires.

Decisions return events or raise a refusal; `evolve` folds and never refuses.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Self, assert_never

from subgraphs.orders.cart_events import (
    CartCreated,
    CartDestinationSet,
    CartEvent,
    CartExpired,
    CartLineRemoved,
    CartLineSet,
    CartOrdered,
)
from subgraphs.orders.parts import Destination
from subgraphs.orders.pricing import Totals, totals_of
from subgraphs.orders.refusals import (
    AmountTooLarge,
    CartClosed,
    CartEmpty,
    CartPastExpiry,
    DiscountExceedsLine,
    LineNotFound,
    NegativeDiscount,
    PriceInOtherCurrency,
    ProductNotPublished,
    QuantityNotPositive,
    QuantityTooLarge,
    TooManyLines,
    TotalHasChanged,
)
from subgraphs.shared.money import CurrencyDiffers

QUANTITY_MAX = 999
"""Units of one line."""
LINES_MAX = 200
"""Lines of one cart."""
TOTAL_MINOR_MAX = 10**12
"""Minor units one order may cost."""
DISCOUNT_LABEL = "basket discount"


class CartStatus(StrEnum):
    NEW = "NEW"
    OPEN = "OPEN"
    ORDERED = "ORDERED"
    EXPIRED = "EXPIRED"


@dataclass(frozen=True, slots=True)
class Offer:
    """A variant as the catalogue offers it now. `weight_grams` is the weight of one unit."""

    variant_id: str
    sku: str
    title: str
    price_minor: int
    currency: str
    weight_grams: int
    published: bool


@dataclass(frozen=True, slots=True)
class CartLine:
    """`discount_minor` is for the whole line."""

    variant_id: str
    sku: str
    title: str
    unit_price_minor: int
    quantity: int
    weight_grams: int
    discount_minor: int = 0
    discount_label: str | None = None


def _no_lines() -> Mapping[str, CartLine]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Cart:
    """State folded from one cart stream. `lines` is keyed by variant id, in the order first set."""

    id: str
    status: CartStatus = CartStatus.NEW
    customer_id: str = ""
    currency: str = ""
    expires_at: datetime | None = None
    lines: Mapping[str, CartLine] = field(default_factory=_no_lines)
    destination: Destination | None = None
    order_id: str | None = None

    @classmethod
    def initial(cls, stream: str) -> Self:
        return cls(stream)

    @property
    def totals(self) -> Totals:
        """At the prices the customer saw, without shipping."""
        return totals_of(self.lines.values())

    @property
    def total_weight_grams(self) -> int:
        return sum(line.weight_grams * line.quantity for line in self.lines.values())

    # ---- decide

    def create(
        self, *, customer_id: str, created_by: str, currency: str, expires_at: datetime
    ) -> list[CartEvent]:
        """Open the cart."""
        if self.status is not CartStatus.NEW:
            raise CartClosed(self.id, self.status)
        return [CartCreated(self.id, customer_id, created_by, currency, expires_at)]

    def set_line(
        self, offer: Offer, quantity: int, *, discount_minor: int = 0, now: datetime
    ) -> list[CartEvent]:
        """Set the line of this variant, at the price of now. Nothing to do if it stands so already.

        Raises QuantityNotPositive, QuantityTooLarge, ProductNotPublished, PriceInOtherCurrency,
        AmountTooLarge, NegativeDiscount, DiscountExceedsLine, TooManyLines, or what `must_be_open`
        raises.
        """
        self.must_be_open(now)
        check_quantity(quantity)
        self._must_be_sold(offer)
        if quantity * offer.price_minor > TOTAL_MINOR_MAX:
            raise AmountTooLarge(quantity * offer.price_minor, TOTAL_MINOR_MAX)
        if discount_minor < 0:
            raise NegativeDiscount(discount_minor)
        if discount_minor > quantity * offer.price_minor:
            raise DiscountExceedsLine(discount_minor, quantity * offer.price_minor)
        if offer.variant_id not in self.lines and len(self.lines) >= LINES_MAX:
            raise TooManyLines(len(self.lines) + 1, LINES_MAX)
        event = CartLineSet(
            cart_id=self.id,
            variant_id=offer.variant_id,
            sku=offer.sku,
            title=offer.title,
            unit_price_minor=offer.price_minor,
            quantity=quantity,
            weight_grams=offer.weight_grams,
            discount_minor=discount_minor,
            discount_label=DISCOUNT_LABEL if discount_minor else None,
        )
        return [] if self.lines.get(offer.variant_id) == _line_of(event) else [event]

    def remove_line(self, variant_id: str, *, now: datetime) -> list[CartEvent]:
        """Raises LineNotFound, or what `must_be_open` raises."""
        self.must_be_open(now)
        if variant_id not in self.lines:
            raise LineNotFound(self.id, variant_id)
        return [CartLineRemoved(self.id, variant_id)]

    def set_destination(self, destination: Destination, *, now: datetime) -> list[CartEvent]:
        """Nothing to do if it goes there already. Raises what `must_be_open` raises."""
        self.must_be_open(now)
        if destination == self.destination:
            return []
        return [CartDestinationSet(self.id, destination, self.customer_id)]

    def priced(self, offers: Mapping[str, Offer]) -> tuple[CartLine, ...]:
        """The lines at the prices of now (`offers` by variant id), discounts kept.

        Raises CartEmpty, ProductNotPublished, PriceInOtherCurrency, DiscountExceedsLine (when a
        price fell below the discount granted on it).
        """
        if not self.lines:
            raise CartEmpty(self.id)
        priced = []
        for line in self.lines.values():
            offer = offers.get(line.variant_id)
            if offer is None:
                raise ProductNotPublished(line.sku)
            self._must_be_sold(offer)
            if line.discount_minor > line.quantity * offer.price_minor:
                raise DiscountExceedsLine(line.discount_minor, line.quantity * offer.price_minor)
            priced.append(replace(line, unit_price_minor=offer.price_minor, title=offer.title))
        return tuple(priced)

    def order(
        self, order_id: str, totals: Totals, *, expected_minor: int, currency: str, now: datetime
    ) -> list[CartEvent]:
        """Close the cart for an order of these totals.

        Raises CurrencyDiffers, TotalHasChanged, AmountTooLarge, or what `must_be_open` raises.
        """
        self.must_be_open(now)
        if currency != self.currency:
            raise CurrencyDiffers(
                currency, self.currency, path=["input", "expectedTotal", "currency"]
            )
        if expected_minor != totals.total_minor:
            raise TotalHasChanged(expected_minor, totals.total_minor, self.currency)
        if totals.total_minor > TOTAL_MINOR_MAX:
            raise AmountTooLarge(totals.total_minor, TOTAL_MINOR_MAX)
        return [CartOrdered(self.id, order_id)]

    def expire(self, *, now: datetime) -> list[CartEvent]:
        """Nothing to do unless it is open and its time has come."""
        if self.status is not CartStatus.OPEN or self.expires_at is None or now < self.expires_at:
            return []
        return [CartExpired(self.id)]

    def must_be_open(self, now: datetime) -> None:
        """Raises CartClosed, or CartPastExpiry when its time is over but nobody noticed yet."""
        if self.status is not CartStatus.OPEN:
            raise CartClosed(self.id, self.status)
        if self.expires_at is not None and now >= self.expires_at:
            raise CartPastExpiry(self.id, self.expires_at)

    def _must_be_sold(self, offer: Offer) -> None:
        if not offer.published:
            raise ProductNotPublished(offer.sku)
        if offer.currency != self.currency:
            raise PriceInOtherCurrency(offer.currency, self.currency)

    # ---- fold

    def evolve(self, event: CartEvent) -> Cart:
        """Fold. Never refuses: the event already happened."""
        match event:
            case CartCreated():
                return replace(
                    self,
                    status=CartStatus.OPEN,
                    customer_id=event.customer_id,
                    currency=event.currency,
                    expires_at=event.expires_at,
                )
            case CartLineSet():
                return replace(self, lines={**self.lines, event.variant_id: _line_of(event)})
            case CartLineRemoved(variant_id=gone):
                return replace(self, lines={k: v for k, v in self.lines.items() if k != gone})
            case CartDestinationSet(destination=destination):
                return replace(self, destination=destination)
            case CartOrdered(order_id=order_id):
                return replace(self, status=CartStatus.ORDERED, order_id=order_id)
            case CartExpired():
                return replace(self, status=CartStatus.EXPIRED)
            case _:
                assert_never(event)


def check_quantity(quantity: int) -> None:
    """Raises QuantityNotPositive or QuantityTooLarge: of whatever variant, nobody gets so many."""
    if quantity <= 0:
        raise QuantityNotPositive(quantity)
    if quantity > QUANTITY_MAX:
        raise QuantityTooLarge(quantity, QUANTITY_MAX)


def _line_of(event: CartLineSet) -> CartLine:
    return CartLine(
        variant_id=event.variant_id,
        sku=event.sku,
        title=event.title,
        unit_price_minor=event.unit_price_minor,
        quantity=event.quantity,
        weight_grams=event.weight_grams,
        discount_minor=event.discount_minor,
        discount_label=event.discount_label,
    )
