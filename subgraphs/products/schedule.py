"""Prices to come: timers that become price changes when they are due."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from eventstore import Effect, Streams
from eventstore.event import Actor, Metadata
from projections.timers import Timer, Timers
from subgraphs.products.domain import Product
from subgraphs.products.events import PriceScheduled
from subgraphs.shared.ids import new_id

_TIMERS = Timers()


def schedule_price(event: PriceScheduled) -> Effect:
    """The timer of a price to come, for the append of its event."""
    return _TIMERS.set_effect(
        event.product_id,
        event.schedule_id,
        event.effective_at,
        event.schedule_id,
        event.variant_id.encode(),
    )


class PriceSchedule:
    """Applies prices when they are due. A second time changes nothing: the aggregate knows."""

    def __init__(self, streams: Streams, name: str, clock: Callable[[], datetime]) -> None:
        self._streams, self._name, self._clock = streams, name, clock

    async def fire(self, timer: Timer) -> None:
        """Turn a price to come into the price that holds."""
        await self._streams.execute(
            Product,
            timer.stream,
            lambda product: product.apply_schedule(timer.data.decode(), timer.token),
            metadata=Metadata(
                actor=Actor("system_timer", self._name),
                command_id=new_id("cmd"),
                correlation_id=timer.token,
                occurred_at=self._clock(),
            ),
        )
