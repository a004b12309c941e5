"""Fulfilments and shipments in the log: load, decide over several streams, append all or none."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from eventstore import (
    Append,
    Appended,
    EventStore,
    Idempotency,
    Metadata,
    Streams,
    WrongExpectedVersion,
)
from subgraphs.shared.errors import Refusal
from subgraphs.shipping.domain import Fulfilment, Shipment, fulfilment_of, shipment_of
from subgraphs.shipping.domain.fulfilment import Decision
from subgraphs.shipping.events import Destination, OrderedLine, ParcelLine

CONFLICTS_MAX = 20

Load = Callable[[str], Awaitable[Shipment]]
Decide = Callable[[Fulfilment, Load], Awaitable[Decision]]
"""Decides from a fulfilment and the shipments it loads: both are expected where they were read."""


class TooMuchContention(Refusal):
    """The same order was changed by others each time this was tried."""

    code = "TOO_MUCH_CONTENTION"


class Planning:
    """Carries out what concerns an order's fulfilment and its shipments together."""

    def __init__(self, store: EventStore, streams: Streams) -> None:
        self._store, self._streams = store, streams

    async def open(
        self,
        *,
        order_id: str,
        request_id: str,
        lines: tuple[OrderedLine, ...],
        destination: Destination | None,
        option_id: str,
        customer_id: str,
        metadata: Metadata,
        idempotency: Idempotency,
    ) -> None:
        """Plan a shipment of all lines of an order."""

        async def decide(fulfilment: Fulfilment, load: Load) -> Decision:
            return fulfilment.open(
                order_id=order_id,
                request_id=request_id,
                shipment_id=shipment_of(order_id, request_id),
                lines=lines,
                destination=destination,
                option_id=option_id,
                customer_id=customer_id,
            )

        await self.decide(order_id, decide, metadata=metadata, idempotency=idempotency)

    async def cancel(
        self,
        *,
        order_id: str,
        request_id: str,
        reason: str,
        customer_id: str,
        metadata: Metadata,
        idempotency: Idempotency,
    ) -> None:
        """Ship nothing of an order any more, unless something has left."""

        async def decide(fulfilment: Fulfilment, load: Load) -> Decision:
            shipments = {
                shipment_id: await load(shipment_id) for shipment_id in fulfilment.assigned
            }
            return fulfilment.cancel(
                shipments,
                order_id=order_id,
                request_id=request_id,
                reason=reason,
                customer_id=customer_id,
            )

        await self.decide(order_id, decide, metadata=metadata, idempotency=idempotency)

    async def plan(
        self,
        *,
        order_id: str,
        shipment_id: str,
        lines: Sequence[ParcelLine],
        warehouse_id: str | None,
        metadata: Metadata,
        idempotency: Idempotency | None,
        outcome: bytes,
    ) -> Appended | None:
        """Put some lines of an order into a new shipment. Raises what Fulfilment.plan raises."""

        async def decide(fulfilment: Fulfilment, load: Load) -> Decision:
            return fulfilment.plan(shipment_id, lines, warehouse_id=warehouse_id)

        return await self.decide(
            order_id, decide, metadata=metadata, idempotency=idempotency, outcome=outcome
        )

    async def withdraw(
        self,
        shipment: Shipment,
        reason: str,
        *,
        metadata: Metadata,
        idempotency: Idempotency | None,
        outcome: bytes,
    ) -> Appended | None:
        """Cancel a shipment, so that its lines can be planned anew. Raises ShipmentNotIn."""

        async def decide(fulfilment: Fulfilment, load: Load) -> Decision:
            return fulfilment.withdraw(await load(shipment.id), reason)

        return await self.decide(
            shipment.order_id, decide, metadata=metadata, idempotency=idempotency, outcome=outcome
        )

    async def decide(
        self,
        order_id: str,
        decide: Decide,
        *,
        metadata: Metadata,
        idempotency: Idempotency | None,
        outcome: bytes = b"",
    ) -> Appended | None:
        """Decide and append; again if somebody was faster. None if there was nothing to do."""
        stream = fulfilment_of(order_id)
        for _ in range(CONFLICTS_MAX):
            fulfilment, version = await self._streams.load(Fulfilment, stream)
            versions = {stream: version}

            async def load(shipment_id: str, versions: dict[str, int] = versions) -> Shipment:
                shipment, versions[shipment_id] = await self._streams.load(Shipment, shipment_id)
                return shipment

            decision = await decide(fulfilment, load)
            if not decision and idempotency is None:
                return None
            try:
                return await self._store.append(
                    [Append(key, events, versions.get(key, 0)) for key, events in decision.items()],
                    metadata=metadata,
                    idempotency=idempotency,
                    outcome=outcome,
                )
            except WrongExpectedVersion:
                continue
        raise TooMuchContention(f"order {order_id} met a conflict {CONFLICTS_MAX} times: try again")
