"""Read models of shipping: rates, shipments with their lines, tracking."""

from __future__ import annotations

from typing import Any

import msgspec

from eventstore import SubjectErased
from eventstore.event import Recorded
from projections import Cursor, Projection
from subgraphs.shipping.domain import ShipmentState
from subgraphs.shipping.events import (
    RateSet,
    ShipmentCancelled,
    ShipmentDelivered,
    ShipmentDispatched,
    ShipmentPacked,
    ShipmentPlanned,
    ShipmentReturned,
    ShipmentTrackingUpdated,
)


class ShippingRates(Projection):
    """The rate table. Empty text stands for any."""

    name, version, handles = "shipping_rates", 1, (RateSet,)
    tables = """
        CREATE TABLE shipping_rates (
            option_id text NOT NULL,
            currency text NOT NULL,
            country text NOT NULL,
            weight_grams_max bigint NOT NULL,
            name text NOT NULL,
            carrier text NOT NULL,
            price bigint NOT NULL,
            eta_days bigint,
            PRIMARY KEY (option_id, currency, country, weight_grams_max)
        );
    """

    def apply(self, recorded: Recorded[Any], cursor: Cursor) -> None:
        """Write the row."""
        event: RateSet = recorded.event
        cursor.execute(
            "INSERT INTO shipping_rates VALUES (%s, %s, %s, %s, %s, %s, %s, %s)"
            " ON CONFLICT (option_id, currency, country, weight_grams_max) DO UPDATE"
            " SET name = excluded.name, carrier = excluded.carrier, price = excluded.price,"
            " eta_days = excluded.eta_days",
            (
                event.option_id,
                event.currency or "",
                event.country or "",
                event.weight_grams_max or 0,
                event.name,
                event.carrier,
                event.price_minor,
                event.eta_days,
            ),
        )


class Shipments(Projection):
    """One row per shipment. `lines` is JSON: [{line_id, variant_id, quantity}]."""

    name, version = "shipments", 1
    handles = (
        ShipmentPlanned,
        ShipmentPacked,
        ShipmentDispatched,
        ShipmentTrackingUpdated,
        ShipmentDelivered,
        ShipmentReturned,
        ShipmentCancelled,
    )
    tables = """
        CREATE TABLE shipments (
            id text PRIMARY KEY,
            version bigint NOT NULL,
            order_id text NOT NULL,
            state text NOT NULL,
            option_id text NOT NULL,
            carrier text,
            tracking_number text,
            warehouse_id text,
            weight_grams bigint NOT NULL,
            units bigint NOT NULL,
            lines jsonb NOT NULL,
            planned_at timestamptz NOT NULL,
            dispatched_at timestamptz
        );
        CREATE INDEX shipments_of_order ON shipments (order_id, id);
        CREATE INDEX shipments_by_newest ON shipments (planned_at DESC, id DESC);
    """

    def apply(self, recorded: Recorded[Any], cursor: Cursor) -> None:
        """Write the row of one event."""
        event, at = recorded.event, recorded.metadata.occurred_at
        match event:
            case ShipmentPlanned():
                cursor.execute(
                    "INSERT INTO shipments (id, version, order_id, state, option_id, warehouse_id,"
                    " weight_grams, units, lines, planned_at)"
                    " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s::jsonb, %s)",
                    (
                        recorded.stream,
                        recorded.version,
                        event.order_id,
                        ShipmentState.PLANNED.value,
                        event.option_id,
                        event.warehouse_id,
                        event.weight_grams,
                        sum(line.quantity for line in event.lines),
                        msgspec.json.encode(event.lines).decode(),
                        at,
                    ),
                )
            case ShipmentDispatched(carrier=carrier, tracking_number=number):
                cursor.execute(
                    "UPDATE shipments SET version = %s, state = %s, carrier = %s,"
                    " tracking_number = %s, dispatched_at = %s WHERE id = %s",
                    (
                        recorded.version,
                        ShipmentState.SHIPPED.value,
                        carrier,
                        number,
                        at,
                        recorded.stream,
                    ),
                )
            case _:
                cursor.execute(
                    "UPDATE shipments SET version = %s, state = %s WHERE id = %s",
                    (recorded.version, _state(event).value, recorded.stream),
                )


def _state(event: Any) -> ShipmentState:
    match event:
        case ShipmentPacked():
            return ShipmentState.PACKED
        case ShipmentTrackingUpdated(status=status):
            return ShipmentState(status)
        case ShipmentDelivered():
            return ShipmentState.DELIVERED
        case ShipmentReturned():
            return ShipmentState.RETURNED
        case _:
            return ShipmentState.CANCELLED


class Tracking(Projection):
    """What is told of a shipment on its way, one row per message; `customer_id` where it says where
    that is.
    """

    name, version = "shipment_tracking", 2
    handles = (ShipmentPacked, ShipmentDispatched, ShipmentTrackingUpdated, SubjectErased)
    tables = """
        CREATE TABLE shipment_tracking (
            shipment_id text NOT NULL,
            version bigint NOT NULL,
            status text NOT NULL,
            location text,
            customer_id text,
            at timestamptz NOT NULL,
            PRIMARY KEY (shipment_id, version)
        );
    """

    def apply(self, recorded: Recorded[Any], cursor: Cursor) -> None:
        """Write the row."""
        event = recorded.event
        if isinstance(event, SubjectErased):
            cursor.execute(
                "UPDATE shipment_tracking SET location = NULL WHERE customer_id = %s",
                (event.subject,),
            )
            return
        status, location, customer_id, at = "PACKED", None, None, recorded.metadata.occurred_at
        if isinstance(event, ShipmentDispatched):
            status = "SHIPPED"
        elif isinstance(event, ShipmentTrackingUpdated):
            status, at = event.status, event.at
            location, customer_id = event.location, event.customer_id
        cursor.execute(
            "INSERT INTO shipment_tracking VALUES (%s, %s, %s, %s, %s, %s)",
            (recorded.stream, recorded.version, status, location, customer_id, at),
        )


PROJECTIONS: tuple[Projection, ...] = (ShippingRates(), Shipments(), Tracking())
