"""The pieces that several events of this service are made of. Amounts are minor units."""

from __future__ import annotations

import msgspec


class Destination(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where to ship. `country` is ISO 3166-1 alpha-2, upper case."""

    country: str
    postal_code: str | None = None
    name: str = ""
    lines: tuple[str, ...] = ()
    city: str = ""
    region: str | None = None
    phone: str | None = None


class PlacedLine(msgspec.Struct, frozen=True):
    """A line as the customer agreed to it: nothing in it changes afterwards.

    `discount_minor` and `weight_grams`: the discount of the whole line, the weight of one unit.
    """

    line_id: str
    variant_id: str
    sku: str
    title: str
    unit_price_minor: int
    quantity: int
    discount_minor: int
    weight_grams: int

    @property
    def amount_minor(self) -> int:
        return self.unit_price_minor * self.quantity - self.discount_minor


class PlacedDiscount(msgspec.Struct, frozen=True):
    """A discount as the order page shows it. `line_id` is the line it was granted on."""

    label: str
    amount_minor: int
    line_id: str | None = None
    code: str | None = None


class StockLine(msgspec.Struct, frozen=True):
    """What inventory is asked to hold."""

    line_id: str
    variant_id: str
    sku: str
    quantity: int


class ShipmentLine(msgspec.Struct, frozen=True):
    """What shipping is asked to send. `weight_grams` is the weight of one unit."""

    line_id: str
    variant_id: str
    sku: str
    quantity: int
    weight_grams: int


class SentLine(msgspec.Struct, frozen=True):
    """What left in one shipment."""

    line_id: str
    quantity: int


class Shortage(msgspec.Struct, frozen=True):
    """A line inventory could not hold."""

    line_id: str
    variant_id: str
    sku: str
    requested: int
    available: int
