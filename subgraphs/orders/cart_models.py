"""Read models of carts: the carts with their lines, and the lines that were refused."""

from __future__ import annotations

from typing import Any

import msgspec

from eventstore import Recorded
from projections import Cursor, Projection
from subgraphs.orders.cart_events import (
    CartCreated,
    CartDestinationSet,
    CartExpired,
    CartLineRefused,
    CartLineRemoved,
    CartLineSet,
    CartOrdered,
)


class Carts(Projection):
    """One row a cart, one a line. `rank` is the version in which the line was first set."""

    name, version = "carts", 1
    handles = (
        CartCreated,
        CartLineSet,
        CartLineRemoved,
        CartDestinationSet,
        CartOrdered,
        CartExpired,
    )
    tables = """
        CREATE TABLE carts (
            id text PRIMARY KEY,
            version bigint NOT NULL,
            customer_id text NOT NULL,
            status text NOT NULL,
            currency text NOT NULL,
            expires_at timestamptz NOT NULL,
            destination jsonb,
            order_id text
        );
        CREATE INDEX carts_open ON carts (customer_id, id DESC) WHERE status = 'OPEN';
        CREATE TABLE cart_lines (
            cart_id text NOT NULL,
            variant_id text NOT NULL,
            rank bigint NOT NULL,
            sku text NOT NULL,
            title text NOT NULL,
            unit_price_minor bigint NOT NULL,
            quantity bigint NOT NULL,
            weight_grams bigint NOT NULL,
            discount_minor bigint NOT NULL,
            discount_label text,
            PRIMARY KEY (cart_id, variant_id)
        );
    """

    def apply(self, recorded: Recorded[Any], cursor: Cursor) -> None:
        event: Any = recorded.event
        if isinstance(event, CartCreated):
            cursor.execute(
                "INSERT INTO carts VALUES (%s, %s, %s, 'OPEN', %s, %s, NULL, NULL)",
                (
                    event.cart_id,
                    recorded.version,
                    event.customer_id,
                    event.currency,
                    event.expires_at,
                ),
            )
            return
        status = _STATUS_AFTER.get(type(event))
        cursor.execute(
            "UPDATE carts SET version = %s, status = coalesce(%s, status) WHERE id = %s",
            (recorded.version, status, event.cart_id),
        )
        match event:
            case CartLineSet():
                _set_line(event, recorded.version, cursor)
            case CartLineRemoved(cart_id=cart, variant_id=variant):
                cursor.execute(
                    "DELETE FROM cart_lines WHERE cart_id = %s AND variant_id = %s",
                    (cart, variant),
                )
            case CartDestinationSet(cart_id=cart, destination=destination):
                cursor.execute(
                    "UPDATE carts SET destination = %s::jsonb WHERE id = %s",
                    (msgspec.json.encode(destination).decode(), cart),
                )
            case CartOrdered(cart_id=cart, order_id=order):
                cursor.execute("UPDATE carts SET order_id = %s WHERE id = %s", (order, cart))


_STATUS_AFTER: dict[type, str] = {CartOrdered: "ORDERED", CartExpired: "EXPIRED"}


def _set_line(event: CartLineSet, version: int, cursor: Cursor) -> None:
    cursor.execute(
        "INSERT INTO cart_lines VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
        " ON CONFLICT (cart_id, variant_id) DO UPDATE SET sku = excluded.sku,"
        " title = excluded.title, unit_price_minor = excluded.unit_price_minor,"
        " quantity = excluded.quantity, weight_grams = excluded.weight_grams,"
        " discount_minor = excluded.discount_minor, discount_label = excluded.discount_label",
        (
            event.cart_id,
            event.variant_id,
            version,
            event.sku,
            event.title,
            event.unit_price_minor,
            event.quantity,
            event.weight_grams,
            event.discount_minor,
            event.discount_label,
        ),
    )


class RefusedLines(Projection):
    """One row a line that was refused, so that reports can say how many and why."""

    name, version, handles = "refused_lines", 1, (CartLineRefused,)
    tables = """
        CREATE TABLE refused_lines (
            position bigint PRIMARY KEY,
            cart_id text NOT NULL,
            code text NOT NULL,
            message text NOT NULL,
            variant_id text,
            sku text,
            quantity bigint NOT NULL,
            discount_minor bigint,
            refused_at timestamptz NOT NULL
        );
        CREATE INDEX refused_lines_by_code ON refused_lines (code, refused_at);
    """

    def apply(self, recorded: Recorded[Any], cursor: Cursor) -> None:
        event = recorded.event
        assert isinstance(event, CartLineRefused)
        cursor.execute(
            "INSERT INTO refused_lines VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
            (
                recorded.position,
                event.cart_id,
                event.code,
                event.message,
                event.variant_id,
                event.sku,
                event.quantity,
                event.discount_minor,
                recorded.metadata.occurred_at,
            ),
        )
