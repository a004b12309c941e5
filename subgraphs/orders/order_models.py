"""Read model of orders: one row an order, one a line; fed by the order's stream and its placement.

`placement` is where the process stands (`phase_begun`), `operator_reason` why it needs somebody;
both streams of an order change the same row, so they are parked under the same key.
"""

from __future__ import annotations

from typing import Any

import msgspec

from eventstore import Recorded
from projections import Cursor, Projection
from subgraphs.orders import order_events as order
from subgraphs.orders import placement_events as placement
from subgraphs.orders.placement_phase import ENDS_FIRM, FACTS, FIRM, phase_begun

_STATUS_AFTER: dict[type, str] = {
    order.OrderConfirmed: "CONFIRMED",
    order.OrderRejected: "REJECTED",
    order.OrderCancellationRequested: "CANCELLATION_REQUESTED",
    order.OrderCancellationWithdrawn: "CONFIRMED",
    order.OrderCancelled: "CANCELLED",
    order.OrderCompleted: "COMPLETED",
}
_CLEARS = (*FACTS, placement.PlacementEnded, placement.PlacementResumed)
"""Whatever of these happens, nobody has to look after the order for what was before."""


class OrderSummaries(Projection):
    """Amounts are minor units of `currency`; `version` is that of the order's own stream."""

    name, version = "order_summaries", 1
    handles = (
        order.OrderPlaced,
        order.OrderConfirmed,
        order.OrderRejected,
        order.OrderCancellationRequested,
        order.OrderCancellationWithdrawn,
        order.OrderCancelled,
        order.OrderLinesShipped,
        order.OrderCompleted,
        placement.StockRequested,
        placement.AuthorizationRequested,
        placement.AllocationRequested,
        placement.CompensationStarted,
        placement.CancellationStarted,
        placement.CancellationWithdrawn,
        placement.OperatorNeeded,
        placement.PlacementResumed,
        placement.PlacementEnded,
        *FACTS,
    )
    tables = """
        CREATE TABLE orders (
            id text PRIMARY KEY,
            version bigint NOT NULL,
            number text NOT NULL,
            cart_id text NOT NULL,
            customer_id text NOT NULL,
            status text NOT NULL,
            placement text NOT NULL,
            operator_reason text,
            currency text NOT NULL,
            subtotal_minor bigint NOT NULL,
            discount_minor bigint NOT NULL,
            tax_minor bigint NOT NULL,
            shipping_minor bigint NOT NULL,
            total_minor bigint NOT NULL,
            captured_minor bigint NOT NULL,
            discounts jsonb NOT NULL,
            destination jsonb,
            shipping_option_id text NOT NULL,
            placed_at timestamptz NOT NULL,
            shipped boolean NOT NULL,
            reason text,
            decline_code text,
            shortages jsonb NOT NULL
        );
        CREATE INDEX orders_by_time ON orders (placed_at DESC, id DESC);
        CREATE INDEX orders_by_customer ON orders (customer_id, placed_at DESC, id DESC);
        CREATE INDEX orders_by_total ON orders (total_minor DESC, id DESC);
        CREATE INDEX orders_by_status ON orders (status, placed_at DESC, id DESC);
        CREATE INDEX orders_by_number ON orders (number);
        CREATE TABLE order_lines (
            id text PRIMARY KEY,
            order_id text NOT NULL,
            rank bigint NOT NULL,
            variant_id text NOT NULL,
            sku text NOT NULL,
            title text NOT NULL,
            unit_price_minor bigint NOT NULL,
            quantity bigint NOT NULL,
            discount_minor bigint NOT NULL,
            weight_grams bigint NOT NULL,
            quantity_fulfilled bigint NOT NULL
        );
        CREATE INDEX order_lines_by_order ON order_lines (order_id, rank);
        CREATE INDEX order_lines_by_sku ON order_lines (sku);
    """

    def key(self, recorded: Recorded[Any]) -> str:
        key: str = recorded.event.order_id
        return key

    def apply(self, recorded: Recorded[Any], cursor: Cursor) -> None:
        event: Any = recorded.event
        if isinstance(event, order.OrderPlaced):
            _insert(event, recorded, cursor)
        elif event.TYPE.startswith("order."):
            _change(event, recorded.version, cursor)
        else:
            _progress(event, cursor)


def _insert(event: order.OrderPlaced, recorded: Recorded[Any], cursor: Cursor) -> None:
    discount_minor = sum(line.discount_minor for line in event.lines)
    destination = event.destination and msgspec.json.encode(event.destination).decode()
    cursor.execute(
        "INSERT INTO orders VALUES (%s, %s, %s, %s, %s, 'PENDING', 'RESERVING_STOCK', NULL,"
        " %s, %s, %s, %s, %s, %s, 0, %s::jsonb, %s::jsonb, %s, %s, false,"
        " NULL, NULL, '[]')",
        (
            event.order_id,
            recorded.version,
            event.number,
            event.cart_id,
            event.customer_id,
            event.currency,
            event.subtotal_minor,
            discount_minor,
            event.tax_minor,
            event.shipping_minor,
            event.total_minor,
            msgspec.json.encode(event.discounts).decode(),
            destination,
            event.shipping_option_id,
            event.placed_at,
        ),
    )
    cursor.executemany(
        "INSERT INTO order_lines VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, 0)",
        [
            (
                line.line_id,
                event.order_id,
                rank,
                line.variant_id,
                line.sku,
                line.title,
                line.unit_price_minor,
                line.quantity,
                line.discount_minor,
                line.weight_grams,
            )
            for rank, line in enumerate(event.lines, 1)
        ],
    )


def _change(event: Any, version: int, cursor: Cursor) -> None:
    status = _STATUS_AFTER.get(type(event))
    cursor.execute(
        "UPDATE orders SET version = %s, status = coalesce(%s, status) WHERE id = %s",
        (version, status, event.order_id),
    )
    match event:
        case order.OrderRejected():
            cursor.execute(
                "UPDATE orders SET reason = %s, decline_code = %s, shortages = %s::jsonb"
                " WHERE id = %s",
                (
                    event.reason,
                    event.decline_code,
                    msgspec.json.encode(event.shortages).decode(),
                    event.order_id,
                ),
            )
        case order.OrderCancellationRequested(order_id=order_id, reason=reason):
            cursor.execute("UPDATE orders SET reason = %s WHERE id = %s", (reason, order_id))
        case order.OrderCancellationWithdrawn(order_id=order_id):
            cursor.execute("UPDATE orders SET reason = NULL WHERE id = %s", (order_id,))
        case order.OrderLinesShipped(order_id=order_id, lines=lines):
            cursor.execute("UPDATE orders SET shipped = true WHERE id = %s", (order_id,))
            cursor.executemany(
                "UPDATE order_lines SET quantity_fulfilled = quantity_fulfilled + %s WHERE id = %s",
                [(line.quantity, line.line_id) for line in lines],
            )
        case _:
            pass


def _progress(event: Any, cursor: Cursor) -> None:
    phase = phase_begun(event)
    if phase is not None:
        cursor.execute(
            "UPDATE orders SET placement = %s WHERE id = %s AND (%s OR placement <> ALL(%s))",
            (phase, event.order_id, isinstance(event, ENDS_FIRM), list(FIRM)),
        )
    match event:
        case placement.OperatorNeeded(order_id=order_id, reason=reason):
            cursor.execute(
                "UPDATE orders SET operator_reason = %s WHERE id = %s", (reason, order_id)
            )
        case placement.PaymentCaptured(order_id=order_id, amount_minor=amount):
            cursor.execute(
                "UPDATE orders SET operator_reason = NULL, captured_minor = captured_minor + %s"
                " WHERE id = %s",
                (amount, order_id),
            )
        case _ if isinstance(event, _CLEARS):
            cursor.execute(
                "UPDATE orders SET operator_reason = NULL"
                " WHERE id = %s AND operator_reason IS NOT NULL",
                (event.order_id,),
            )
        case _:
            pass
