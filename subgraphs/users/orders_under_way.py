"""Which orders of a user have not ended: whoever has any cannot be forgotten yet."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import ClassVar

import msgspec

from eventstore import Actor, Effect, EventStore
from projections import Message, Reactor, ReadModels

TABLES = """
CREATE TABLE IF NOT EXISTS public.users_orders_under_way (
    order_id text PRIMARY KEY,
    user_id text NOT NULL,
    number text NOT NULL
);
CREATE INDEX IF NOT EXISTS users_orders_under_way_by_user
    ON public.users_orders_under_way (user_id, order_id);
"""


class Placed(msgspec.Struct, frozen=True):
    order_id: str
    customer_id: str
    number: str


class Ended(msgspec.Struct, frozen=True):
    order_id: str


class OrdersUnderWayCopy(Reactor):
    """Keeps a row of each order from its placing to its end."""

    name, source = "users.orders_under_way", "orders"
    reads: ClassVar[Mapping[str, type[msgspec.Struct]]] = {
        "order.placed": Placed,
        "order.rejected": Ended,
        "order.cancelled": Ended,
        "order.completed": Ended,
    }

    def __init__(self, store: EventStore, clock: Callable[[], datetime]) -> None:
        self._store, self._clock = store, clock

    async def react(self, message: Message) -> None:
        """The row and the inbox entry in one append of no events."""
        await self._store.append(
            (),
            metadata=message.caused(Actor("service", self._store.name), at=self._clock()),
            idempotency=message.idempotency,
            effects=[_row(message.data)],
        )


def _row(said: Placed | Ended) -> Effect:
    if isinstance(said, Ended):
        return Effect(
            "DELETE FROM public.users_orders_under_way WHERE order_id = %s", (said.order_id,)
        )
    return Effect(
        "INSERT INTO public.users_orders_under_way VALUES (%s, %s, %s)"
        " ON CONFLICT (order_id) DO NOTHING",
        (said.order_id, said.customer_id, said.number),
    )


class OrdersUnderWay:
    """Reads the rows. They are as late as the feed of orders: a second or so."""

    def __init__(self, reads: ReadModels) -> None:
        self._reads = reads

    async def of(self, user_id: str) -> list[str]:
        """The numbers of a user's orders under way, oldest first."""
        rows = await self._reads.fetch(
            "SELECT number FROM public.users_orders_under_way WHERE user_id = %s ORDER BY order_id",
            (user_id,),
        )
        return [row["number"] for row in rows]
