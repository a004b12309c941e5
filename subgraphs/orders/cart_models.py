"""Read models of carts: the carts with their lines, and the lines that were refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from eventstore import Recorded, SubjectErased
from projections import Cursor, Projection
from projections.bulk import insert
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

    name, version = "carts", 2
    handles = (
        CartCreated,
        CartLineSet,
        CartLineRemoved,
        CartDestinationSet,
        CartOrdered,
        CartExpired,
        SubjectErased,
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
        self.fold([recorded], cursor)

    def fold(self, batch: Sequence[Recorded[Any]], cursor: Cursor) -> None:
        """New carts, what changed of carts, lines that are gone and lines that are set; then who
        was erased, of whom nothing comes afterwards.
        """
        created = [r for r in batch if isinstance(r.event, CartCreated)]
        changes: dict[str, _Change] = {}
        lines: dict[tuple[str, str], _Line] = {}
        for recorded in batch:
            event = recorded.event
            if isinstance(event, CartCreated | SubjectErased):
                continue
            changes.setdefault(event.cart_id, _Change()).of(event, recorded.version)
            if isinstance(event, CartLineSet | CartLineRemoved):
                line = lines.setdefault((event.cart_id, event.variant_id), _Line())
                line.of(event, recorded.version)
        _insert(cursor, created)
        _update(cursor, changes)
        _delete_lines(cursor, [key for key, line in lines.items() if line.removed])
        _upsert_lines(cursor, [line for line in lines.values() if line.event is not None])
        _forget(cursor, [r.event.subject for r in batch if isinstance(r.event, SubjectErased)])


@dataclass(slots=True)
class _Change:
    """What a batch changes of one cart; None is no change."""

    version: int = 0
    status: str | None = None
    destination: str | None = None
    order_id: str | None = None

    def of(self, event: Any, version: int) -> None:
        self.version = version
        match event:
            case CartDestinationSet(destination=destination):
                self.destination = msgspec.json.encode(destination).decode()
            case CartOrdered(order_id=order_id):
                self.status, self.order_id = "ORDERED", order_id
            case CartExpired():
                self.status = "EXPIRED"
            case _:
                pass


@dataclass(slots=True)
class _Line:
    """What a batch leaves of one line: `removed` if a row of before is gone in any case, `rank` the
    version in which the line was first set after that.
    """

    event: CartLineSet | None = None
    rank: int = 0
    removed: bool = False

    def of(self, event: CartLineSet | CartLineRemoved, version: int) -> None:
        if isinstance(event, CartLineRemoved):
            self.event, self.removed = None, True
            return
        if self.event is None:
            self.rank = version
        self.event = event


def _insert(cursor: Cursor, created: Sequence[Recorded[Any]]) -> None:
    events: list[CartCreated] = [recorded.event for recorded in created]
    insert(
        cursor,
        "carts",
        {
            "id": ("text", [event.cart_id for event in events]),
            "version": ("bigint", [recorded.version for recorded in created]),
            "customer_id": ("text", [event.customer_id for event in events]),
            "status": ("text", ["OPEN" for _ in events]),
            "currency": ("text", [event.currency for event in events]),
            "expires_at": ("timestamptz", [event.expires_at for event in events]),
        },
    )


def _update(cursor: Cursor, changes: Mapping[str, _Change]) -> None:
    if not changes:
        return
    names = ("version", "status", "destination", "order_id")
    cursor.execute(
        "UPDATE carts SET version = given.version, status = coalesce(given.status, carts.status),"
        " destination = coalesce(given.destination::jsonb, carts.destination),"
        " order_id = coalesce(given.order_id, carts.order_id)"
        " FROM unnest(%s::text[], %s::bigint[], %s::text[], %s::text[], %s::text[])"
        " AS given (id, version, status, destination, order_id) WHERE carts.id = given.id",
        [list(changes), *([getattr(c, name) for c in changes.values()] for name in names)],
        prepare=True,
    )


def _delete_lines(cursor: Cursor, keys: Sequence[tuple[str, str]]) -> None:
    if keys:
        cursor.execute(
            "DELETE FROM cart_lines USING unnest(%s::text[], %s::text[]) AS gone (cart, variant)"
            " WHERE cart_lines.cart_id = gone.cart AND cart_lines.variant_id = gone.variant",
            [[cart for cart, _ in keys], [variant for _, variant in keys]],
            prepare=True,
        )


_LINE_FIELDS = {
    "cart_id": "text",
    "variant_id": "text",
    "sku": "text",
    "title": "text",
    "unit_price_minor": "bigint",
    "quantity": "bigint",
    "weight_grams": "bigint",
    "discount_minor": "bigint",
    "discount_label": "text",
}
_UPSERT_LINES = f"""
    INSERT INTO cart_lines (rank, {", ".join(_LINE_FIELDS)})
    SELECT * FROM unnest(%s::bigint[], {", ".join(f"%s::{t}[]" for t in _LINE_FIELDS.values())})
    ON CONFLICT (cart_id, variant_id) DO UPDATE SET
        {", ".join(f"{name} = excluded.{name}" for name in list(_LINE_FIELDS)[2:])}
"""


def _upsert_lines(cursor: Cursor, lines: Sequence[_Line]) -> None:
    """A line that was there keeps its rank."""
    if lines:
        columns = [[getattr(line.event, name) for line in lines] for name in _LINE_FIELDS]
        ranks = [line.rank for line in lines]
        cursor.execute(_UPSERT_LINES.encode(), [ranks, *columns], prepare=True)


def _forget(cursor: Cursor, customers: Sequence[str]) -> None:
    if customers:
        cursor.execute(
            "UPDATE carts SET destination = NULL WHERE customer_id = ANY(%s)", [list(customers)]
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
        self.fold([recorded], cursor)

    def fold(self, batch: Sequence[Recorded[Any]], cursor: Cursor) -> None:
        events: list[CartLineRefused] = [recorded.event for recorded in batch]
        insert(
            cursor,
            "refused_lines",
            {
                "position": ("bigint", [recorded.position for recorded in batch]),
                "cart_id": ("text", [event.cart_id for event in events]),
                "code": ("text", [event.code for event in events]),
                "message": ("text", [event.message for event in events]),
                "variant_id": ("text", [event.variant_id for event in events]),
                "sku": ("text", [event.sku for event in events]),
                "quantity": ("bigint", [event.quantity for event in events]),
                "discount_minor": ("bigint", [event.discount_minor for event in events]),
                "refused_at": ("timestamptz", [r.metadata.occurred_at for r in batch]),
            },
        )
