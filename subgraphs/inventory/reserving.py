"""Reservations in the log: load, decide over several streams, append all of it or none."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from eventstore import (
    Append,
    Effect,
    EventStore,
    Idempotency,
    Metadata,
    Streams,
    WrongExpectedVersion,
)
from projections import Timers
from subgraphs.inventory.domain import (
    Decision,
    Reservation,
    StockRequest,
    reservation_of,
)
from subgraphs.inventory.errors import TooMuchContention
from subgraphs.inventory.events import (
    ReservationCommitted,
    ReservationHeld,
    ReservationReleased,
)
from subgraphs.inventory.guard import Stock, StockGuard, effects
from subgraphs.inventory.turns import Turns

CONFLICTS_MAX = 25
"""Times a decision is made anew because another process changed the same stock first."""

EXPIRE = "expire"
"""The step of the timer that ends a reservation."""

Decide = Callable[[Reservation, Stock], Decision]


@dataclass(frozen=True, slots=True)
class ReservationPolicy:
    """`low_at` is the threshold of the low-stock event, in units available."""

    low_at: int = 5
    ttl_seconds_max: int = 24 * 3600


class Reserving:
    """Carries out what is asked of reservations."""

    def __init__(
        self,
        store: EventStore,
        streams: Streams,
        guard: StockGuard,
        timers: Timers,
        turns: Turns,
        *,
        clock: Callable[[], datetime],
        policy: ReservationPolicy,
    ) -> None:
        self._store, self._streams, self._guard = store, streams, guard
        self._timers, self._turns = timers, turns
        self._clock, self._policy = clock, policy

    async def hold(
        self,
        request: StockRequest,
        *,
        ttl_seconds: int,
        metadata: Metadata,
        idempotency: Idempotency | None = None,
    ) -> None:
        """Hold all lines of an order, or none. Raises TooMuchContention."""
        ttl = timedelta(seconds=max(1, min(ttl_seconds, self._policy.ttl_seconds_max)))
        variants = {line.variant_id for line in request.lines}

        def decide(reservation: Reservation, stock: Stock) -> Decision:
            return reservation.hold(
                request,
                stock.items.values(),
                expires_at=self._clock() + ttl,
                low_at=self._policy.low_at,
            )

        await self._decide(
            reservation_of(request.order_id), decide, metadata, idempotency, variants=variants
        )

    async def commit(
        self,
        order_id: str,
        request_id: str,
        *,
        metadata: Metadata,
        idempotency: Idempotency | None = None,
    ) -> None:
        """Allocate what is held for an order, or say that it is no longer held."""

        def decide(reservation: Reservation, stock: Stock) -> Decision:
            return reservation.commit(order_id, request_id, stock.items, now=self._clock())

        await self._decide(reservation_of(order_id), decide, metadata, idempotency)

    async def release(
        self,
        order_id: str,
        request_id: str,
        reason: str,
        *,
        metadata: Metadata,
        idempotency: Idempotency | None = None,
    ) -> None:
        """Keep nothing more for an order."""

        def decide(reservation: Reservation, stock: Stock) -> Decision:
            return reservation.release(order_id, request_id, reason, stock.items)

        await self._decide(reservation_of(order_id), decide, metadata, idempotency)

    async def expire(self, reservation_id: str, attempt: int, *, metadata: Metadata) -> None:
        """End a reservation whose time is over; too late for one that moved on."""

        def decide(reservation: Reservation, stock: Stock) -> Decision:
            return reservation.expire(attempt, stock.items, now=self._clock())

        await self._decide(reservation_id, decide, metadata, None)

    async def ship(
        self,
        order_id: str,
        shipment_id: str,
        quantities: Sequence[tuple[str, int]],
        *,
        metadata: Metadata,
        idempotency: Idempotency | None = None,
    ) -> None:
        """Take the units of a shipment, as (line id, quantity), off the stock.

        Raises ShipmentExceedsAllocation.
        """

        def decide(reservation: Reservation, stock: Stock) -> Decision:
            return reservation.ship(shipment_id, quantities, stock.items)

        await self._decide(reservation_of(order_id), decide, metadata, idempotency)

    async def _decide(
        self,
        reservation_id: str,
        decide: Decide,
        metadata: Metadata,
        idempotency: Idempotency | None,
        *,
        variants: Iterable[str] = (),
    ) -> None:
        """Decide about a reservation with the stock it keeps, or what can be had of `variants`."""
        wanted = sorted(set(variants))
        async with self._turns.take([reservation_id]):
            for _ in range(CONFLICTS_MAX):
                reservation, version = await self._streams.load(Reservation, reservation_id)
                async with self._turns.take(wanted or reservation.variant_ids):
                    if wanted:
                        stock = await self._guard.available(wanted)
                    else:
                        stock = await self._guard.of_items(reservation.stock_item_ids)
                    decision = decide(reservation, stock)
                    if not decision:
                        return
                    try:
                        await self._store.append(
                            [
                                Append(reservation_id, decision[reservation_id], version),
                                *stock.appends(decision),
                            ],
                            metadata=metadata,
                            idempotency=idempotency,
                            effects=[
                                *effects(decision),
                                *self._timer(reservation_id, decision, metadata),
                            ],
                        )
                    except WrongExpectedVersion:
                        continue
                    return
        raise TooMuchContention(f"reservation {reservation_id}", CONFLICTS_MAX)

    def _timer(self, reservation_id: str, decision: Decision, metadata: Metadata) -> list[Effect]:
        """The timer that ends what this decision holds, or the end of that timer."""
        timers: list[Effect] = []
        for event in decision[reservation_id]:
            match event:
                case ReservationHeld(expires_at=due_at, attempt=attempt):
                    correlation = metadata.correlation_id.encode()
                    timers.append(
                        self._timers.set_effect(
                            reservation_id, EXPIRE, due_at, str(attempt), correlation
                        )
                    )
                case ReservationCommitted() | ReservationReleased():
                    timers.append(self._timers.cancel_effect(reservation_id, EXPIRE))
                case _:
                    pass
        return timers
