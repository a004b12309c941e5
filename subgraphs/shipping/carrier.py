"""The carrier port, and a carrier that acts by itself and always in the same way."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Parcel:
    """What a carrier is told. `shipment_id` is the key: booking it twice is one booking."""

    shipment_id: str
    order_id: str
    option_id: str
    weight_grams: int
    country: str | None


@dataclass(frozen=True, slots=True)
class Booking:
    """What a carrier promises: when it collects (after packing), and delivers after that."""

    carrier: str
    tracking_number: str
    collected_in_seconds: float
    delivered_in_seconds: float


class Carrier(Protocol):
    """The port. None from `book`: people bring these goods, and say so by `markShipped`."""

    async def book(self, parcel: Parcel) -> Booking | None:
        """Have a parcel collected. May be asked again for the same parcel."""
        ...


class FakeCarrier:
    """Takes everything. The tracking number follows from the shipment."""

    def __init__(
        self, *, collected_in_seconds: float = 0.0, delivered_in_seconds: float = 60.0
    ) -> None:
        self._collected, self._delivered = collected_in_seconds, delivered_in_seconds

    async def book(self, parcel: Parcel) -> Booking | None:
        """Always the same answer for the same parcel."""
        number = sha256(parcel.shipment_id.encode()).hexdigest()[:12].upper()
        return Booking("fake", f"LJ{number}", self._collected, self._delivered)


class NoCarrier:
    """Nobody comes by itself."""

    async def book(self, parcel: Parcel) -> Booking | None:
        """Nothing is booked."""
        return None
