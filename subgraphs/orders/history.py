"""An order as it was, and what changed between two of its versions: folded from its stream."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec

from eventstore import EventStore, Recorded
from subgraphs.orders.order import Order


@dataclass(frozen=True, slots=True)
class Snapshot:
    """`state` is the order's state as JSON text."""

    version: int
    at: datetime
    state: str


@dataclass(frozen=True, slots=True)
class Change:
    """A value that differs; `path` has dots, values are JSON text and None where there is none.
    `event_id` names the event that set it last.
    """

    path: str
    before: str | None
    after: str | None
    event_id: UUID


class OrderHistory:
    """Reads streams of the log: one statement for an order, so it is no field for lists."""

    def __init__(self, store: EventStore) -> None:
        self._store = store

    async def as_of(
        self, order_id: str, *, version: int | None, at: datetime | None
    ) -> Snapshot | None:
        """The order at a version, or as it was recorded by a time; None before there was one."""
        if version is not None and version < 1:
            return None
        if at is not None and at.tzinfo is None:
            at = at.replace(tzinfo=UTC)
        events = await self._store.read_stream(order_id, up_to_version=version)
        seen = [recorded for recorded in events if at is None or recorded.recorded_at <= at]
        if not seen:
            return None
        state = fold(order_id, seen)
        text = msgspec.json.encode(plain(state), order="sorted").decode()
        return Snapshot(seen[-1].version, seen[-1].recorded_at, text)

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
        return changes(order_id, events, from_version, to_version)


def fold(order_id: str, events: Sequence[Recorded[Any]]) -> Order:
    state = Order.initial(order_id)
    for recorded in events:
        state = state.evolve(recorded.event)
    return state


def plain(state: Order) -> dict[str, Any]:
    """The state as JSON values, without the payment token: it is nobody's to read."""
    converted: dict[str, Any] = msgspec.to_builtins(replace(state, sent=dict(state.sent)))
    if converted["terms"] is not None:
        del converted["terms"]["payment_method_token"]
    return converted


def changes(
    order_id: str, events: Sequence[Recorded[Any]], from_version: int, to_version: int
) -> list[Change]:
    """The differences of the folded states, each with the event after the older version that
    touched it last.
    """
    low, high = sorted((from_version, to_version))
    state = Order.initial(order_id)
    flat = older = newer = flatten(plain(state))
    touched: dict[str, UUID] = {}
    for recorded in events:
        state = state.evolve(recorded.event)
        following = flatten(plain(state))
        if low < recorded.version <= high:
            for path in following.keys() | flat.keys():
                if following.get(path) != flat.get(path):
                    touched[path] = recorded.id
        flat = following
        if recorded.version <= low:
            older = flat
        if recorded.version <= high:
            newer = flat
    before, after = (older, newer) if from_version <= to_version else (newer, older)
    return [
        Change(path, before.get(path), after.get(path), touched[path])
        for path in sorted(before.keys() | after.keys())
        if before.get(path) != after.get(path)
    ]


def flatten(value: Any, path: str = "") -> dict[str, str]:
    """Leaves by dotted path, as JSON text; an empty list or object is a leaf."""
    if isinstance(value, Mapping) and value:
        items = [(str(key), each) for key, each in value.items()]
    elif isinstance(value, (list, tuple)) and value:
        items = [(str(index), each) for index, each in enumerate(value)]
    else:
        return {path: msgspec.json.encode(value).decode()}
    found: dict[str, str] = {}
    for key, each in items:
        found.update(flatten(each, f"{path}.{key}" if path else key))
    return found
