"""An order as it was, and what changed between two of its versions: folded from its stream."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from eventstore import EventStore
from eventstore.audit.as_of import Change, Time, differences, fold, left_out, until
from eventstore.audit.as_of import plain as plain_values
from subgraphs.orders.order import Order


@dataclass(frozen=True, slots=True)
class Snapshot:
    """`state` is the order's state as JSON text; the versions `without` are not in it."""

    version: int
    at: datetime
    state: str
    without: tuple[int, ...]


class OrderHistory:
    """Reads streams of the log: one statement for an order, so it is no field for lists."""

    def __init__(self, store: EventStore) -> None:
        self._store = store

    async def as_of(
        self, order_id: str, *, version: int | None, at: datetime | None, by: Time
    ) -> Snapshot | None:
        """The order at a version, or at a time, by the time of events that `by` names; None before
        there was one.
        """
        if version is not None and version < 1:
            return None
        if at is not None and at.tzinfo is None:
            at = at.replace(tzinfo=UTC)
        events = await self._store.read_stream(order_id, up_to_version=version)
        seen = until(events, at, by)
        if not seen:
            return None
        state = fold(Order, order_id, seen)
        text = msgspec.json.encode(plain(state), order="sorted").decode()
        return Snapshot(seen[-1].version, by.of(seen[-1]), text, left_out(seen))

    async def diff(self, order_id: str, from_version: int, to_version: int) -> list[Change]:
        """What differs between two versions, by path; going backwards is allowed, and 0 is before
        the order was placed.
        """
        from_version, to_version = max(0, from_version), max(0, to_version)
        if from_version == to_version:
            return []
        events = await self._store.read_stream(
            order_id, up_to_version=max(from_version, to_version)
        )
        return differences(Order, order_id, events, from_version, to_version, plain=plain)


def plain(state: Order) -> dict[str, Any]:
    """The state as JSON values, without the payment token: it is nobody's to read."""
    values: dict[str, Any] = plain_values(state)
    if values["terms"] is not None:
        del values["terms"]["payment_method_token"]
    return values
