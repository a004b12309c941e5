"""How far an order is fulfilled, from what was ordered and what its shipments did."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

from subgraphs.shipping.domain.shipment import ShipmentState

_LEFT = frozenset(
    {
        ShipmentState.SHIPPED,
        ShipmentState.IN_TRANSIT,
        ShipmentState.DELIVERED,
        ShipmentState.EXCEPTION,
        ShipmentState.RETURNED,
    }
)


class FulfilmentStatus(Enum):
    """What a customer sees of the shipping of an order."""

    UNFULFILLED = "UNFULFILLED"
    PARTIAL = "PARTIAL"
    FULFILLED = "FULFILLED"
    DELIVERED = "DELIVERED"
    RETURNED = "RETURNED"


@dataclass(frozen=True, slots=True)
class Parcel:
    """A shipment as far as this matters: its state and the units of each line in it."""

    state: ShipmentState
    quantities: Mapping[str, int]


def status_of(ordered: Mapping[str, int], parcels: Iterable[Parcel]) -> FulfilmentStatus:
    """The status of an order with these lines (units by line id)."""
    parcels = list(parcels)
    sent = _covered(parcels, _LEFT)
    arrived = _covered(parcels, {ShipmentState.DELIVERED})
    returned = _covered(parcels, {ShipmentState.RETURNED})
    if not any(sent.values()):
        return FulfilmentStatus.UNFULFILLED
    if _all(ordered, returned):
        return FulfilmentStatus.RETURNED
    if _all(ordered, arrived, returned):
        return FulfilmentStatus.DELIVERED
    return FulfilmentStatus.FULFILLED if _all(ordered, sent) else FulfilmentStatus.PARTIAL


def _covered(
    parcels: Iterable[Parcel], states: set[ShipmentState] | frozenset[ShipmentState]
) -> dict[str, int]:
    units: dict[str, int] = {}
    for parcel in parcels:
        if parcel.state in states:
            for line_id, quantity in parcel.quantities.items():
                units[line_id] = units.get(line_id, 0) + quantity
    return units


def _all(ordered: Mapping[str, int], *units: Mapping[str, int]) -> bool:
    return all(
        sum(counted.get(line_id, 0) for counted in units) >= quantity
        for line_id, quantity in ordered.items()
    )
