"""The rules of shipping: decided and folded, without I/O."""

from subgraphs.shipping.domain.fulfilment import Fulfilment
from subgraphs.shipping.domain.identity import fulfilment_of, rates_of, shipment_of
from subgraphs.shipping.domain.rates import RateRow, RateTable, cheapest, quotes
from subgraphs.shipping.domain.shipment import Shipment, ShipmentState, TrackingStatus
from subgraphs.shipping.domain.status import FulfilmentStatus, Parcel, status_of

__all__ = [
    "Fulfilment",
    "FulfilmentStatus",
    "Parcel",
    "RateRow",
    "RateTable",
    "Shipment",
    "ShipmentState",
    "TrackingStatus",
    "cheapest",
    "fulfilment_of",
    "quotes",
    "rates_of",
    "shipment_of",
    "status_of",
]
