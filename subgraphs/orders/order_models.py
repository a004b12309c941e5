"""Read model of orders: one row an order, one a line; fed by the order's stream and its placement.

`placement` is where the process stands (`phase_begun`), `operator_reason` why it needs somebody;
both streams of an order change the same row, so they are parked under the same key.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from eventstore import Recorded, SubjectErased
from eventstore.event import ERASED
from projections import Cursor, Projection
from projections.bulk import insert, update
from subgraphs.orders import order_events as order
from subgraphs.orders import placement_events as placement
from subgraphs.orders.placement_phase import ENDS_FIRM, FACTS, FIRM, phase_after, phase_begun

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

    name, version = "order_summaries", 2
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
        SubjectErased,
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
        if isinstance(recorded.event, SubjectErased):
            return recorded.stream
        key: str = recorded.event.order_id
        return key

    def apply(self, recorded: Recorded[Any], cursor: Cursor) -> None:
        self.fold([recorded], cursor)

    def fold(self, batch: Sequence[Recorded[Any]], cursor: Cursor) -> None:
        """New orders, their lines, what changed of orders and what was sent: four statements. Then
        who was erased, of whom nothing personal comes afterwards.
        """
        placed = [r for r in batch if isinstance(r.event, order.OrderPlaced)]
        changes: dict[str, _Change] = {}
        sent: dict[str, int] = {}
        for recorded in batch:
            event = recorded.event
            if isinstance(event, order.OrderPlaced | SubjectErased):
                continue
            change = changes.setdefault(event.order_id, _Change())
            if event.TYPE.startswith("order."):
                change.of_order(event, recorded.version)
            else:
                change.of_placement(event)
            if isinstance(event, order.OrderLinesShipped):
                for line in event.lines:
                    sent[line.line_id] = sent.get(line.line_id, 0) + line.quantity
        insert(cursor, "orders", _columns(_ORDER_COLUMNS, [_order_row(r) for r in placed]))
        lines = [row for recorded in placed for row in _line_rows(recorded.event)]
        insert(cursor, "order_lines", _columns(_LINE_COLUMNS, lines))
        _update(cursor, changes)
        update(
            cursor,
            "order_lines",
            {"id": ("text", list(sent)), "quantity_fulfilled": ("bigint", list(sent.values()))},
            key=("id",),
            add=("quantity_fulfilled",),
        )
        _forget(cursor, [r.event.subject for r in batch if isinstance(r.event, SubjectErased)])


@dataclass(slots=True)
class _Change:
    """What a batch changes of one order; None and False are no change, but for what a flag sets.

    `phase` is for rows whose phase is open, `firm_phase` for those whose phase is firm: which of
    them a row is, only the database knows.
    """

    version: int | None = None
    status: str | None = None
    reason_set: bool = False
    reason: str | None = None
    decline_code: str | None = None
    shortages: str | None = None
    shipped: bool = False
    captured_minor: int = 0
    operator_set: bool = False
    operator_reason: str | None = None
    phase: str | None = None
    firm_phase: str | None = None

    def of_order(self, event: Any, version: int) -> None:
        self.version = version
        self.status = _STATUS_AFTER.get(type(event), self.status)
        match event:
            case order.OrderRejected():
                self.reason_set, self.reason = True, event.reason
                self.decline_code = event.decline_code
                self.shortages = msgspec.json.encode(event.shortages).decode()
            case order.OrderCancellationRequested(reason=reason):
                self.reason_set, self.reason = True, reason
            case order.OrderCancellationWithdrawn():
                self.reason_set, self.reason = True, None
            case order.OrderLinesShipped():
                self.shipped = True
            case _:
                pass

    def of_placement(self, event: Any) -> None:
        begun = phase_begun(event)
        if begun is not None:
            self.phase = begun if self.phase is None else phase_after(self.phase, event)
            if self.firm_phase is not None:
                self.firm_phase = phase_after(self.firm_phase, event)
            elif isinstance(event, ENDS_FIRM):
                self.firm_phase = begun
        if isinstance(event, placement.OperatorNeeded):
            self.operator_set, self.operator_reason = True, event.reason
        elif isinstance(event, _CLEARS):
            self.operator_set, self.operator_reason = True, None
        if isinstance(event, placement.PaymentCaptured):
            self.captured_minor += event.amount_minor


_CHANGE_COLUMNS = {
    "version": "bigint",
    "status": "text",
    "reason_set": "boolean",
    "reason": "text",
    "decline_code": "text",
    "shortages": "text",
    "shipped": "boolean",
    "captured_minor": "bigint",
    "operator_set": "boolean",
    "operator_reason": "text",
    "phase": "text",
    "firm_phase": "text",
}
_UPDATE = f"""
    UPDATE orders SET
        version = coalesce(given.version, orders.version),
        status = coalesce(given.status, orders.status),
        reason = CASE WHEN given.reason_set THEN given.reason ELSE orders.reason END,
        decline_code = coalesce(given.decline_code, orders.decline_code),
        shortages = coalesce(given.shortages::jsonb, orders.shortages),
        shipped = orders.shipped OR given.shipped,
        captured_minor = orders.captured_minor + given.captured_minor,
        operator_reason =
            CASE WHEN given.operator_set THEN given.operator_reason ELSE orders.operator_reason END,
        placement = coalesce(
            CASE WHEN orders.placement = ANY(%s) THEN given.firm_phase ELSE given.phase END,
            orders.placement)
    FROM unnest(%s::text[], {", ".join(f"%s::{kind}[]" for kind in _CHANGE_COLUMNS.values())})
        AS given (id, {", ".join(_CHANGE_COLUMNS)})
    WHERE orders.id = given.id
"""


def _update(cursor: Cursor, changes: Mapping[str, _Change]) -> None:
    if changes:
        columns = [[getattr(c, name) for c in changes.values()] for name in _CHANGE_COLUMNS]
        cursor.execute(_UPDATE.encode(), [list(FIRM), list(changes), *columns], prepare=True)


def _forget(cursor: Cursor, customers: Sequence[str]) -> None:
    """Why an order was rejected is a code and stays; why it was cancelled, somebody wrote."""
    if customers:
        cursor.execute(
            "UPDATE orders SET destination = NULL, reason = CASE WHEN status IN"
            " ('CANCELLATION_REQUESTED', 'CANCELLED') THEN %s ELSE reason END"
            " WHERE customer_id = ANY(%s)",
            [ERASED, list(customers)],
        )


_ORDER_COLUMNS = {
    "id": "text",
    "version": "bigint",
    "number": "text",
    "cart_id": "text",
    "customer_id": "text",
    "status": "text",
    "placement": "text",
    "currency": "text",
    "subtotal_minor": "bigint",
    "discount_minor": "bigint",
    "tax_minor": "bigint",
    "shipping_minor": "bigint",
    "total_minor": "bigint",
    "captured_minor": "bigint",
    "discounts": "jsonb",
    "destination": "jsonb",
    "shipping_option_id": "text",
    "placed_at": "timestamptz",
    "shipped": "boolean",
    "shortages": "jsonb",
}


def _order_row(recorded: Recorded[Any]) -> tuple[Any, ...]:
    event: order.OrderPlaced = recorded.event
    return (
        event.order_id,
        recorded.version,
        event.number,
        event.cart_id,
        event.customer_id,
        "PENDING",
        "RESERVING_STOCK",
        event.currency,
        event.subtotal_minor,
        sum(line.discount_minor for line in event.lines),
        event.tax_minor,
        event.shipping_minor,
        event.total_minor,
        0,
        msgspec.json.encode(event.discounts).decode(),
        event.destination and msgspec.json.encode(event.destination).decode(),
        event.shipping_option_id,
        event.placed_at,
        False,
        "[]",
    )


_LINE_COLUMNS = {
    "id": "text",
    "order_id": "text",
    "rank": "bigint",
    "variant_id": "text",
    "sku": "text",
    "title": "text",
    "unit_price_minor": "bigint",
    "quantity": "bigint",
    "discount_minor": "bigint",
    "weight_grams": "bigint",
    "quantity_fulfilled": "bigint",
}


def _line_rows(event: order.OrderPlaced) -> list[tuple[Any, ...]]:
    return [
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
            0,
        )
        for rank, line in enumerate(event.lines, 1)
    ]


def _columns(
    types: Mapping[str, str], rows: Sequence[tuple[Any, ...]]
) -> dict[str, tuple[str, list[Any]]]:
    """Rows as one list a column, as `projections.bulk` takes them."""
    values = [list(column) for column in zip(*rows, strict=True)] or [[] for _ in types]
    return {
        name: (kind, column) for (name, kind), column in zip(types.items(), values, strict=True)
    }
