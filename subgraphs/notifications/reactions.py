"""What other services' events mean here: somebody to write to, and something to tell them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, ClassVar

import msgspec

from eventstore import ErasedSubject, EventStore, Streams
from eventstore.event import Actor, Event
from projections import Message, Reactor
from subgraphs.notifications.delivery import delivery_timers
from subgraphs.notifications.domain import Channel, Notification, Recipient, recipient_of
from subgraphs.shared.ids import derived_id
from subgraphs.shared.money import Money


class UserRegistered(msgspec.Struct):
    user_id: str
    email: str
    display_name: str | None = None


class ProfileChanged(msgspec.Struct):
    user_id: str
    display_name: str | None = None


class ErasureRequested(msgspec.Struct):
    user_id: str


class OrderEnded(msgspec.Struct):
    """The common part of what orders tells of an order; `reason` only where there is one."""

    order_id: str
    number: str
    customer_id: str
    currency: str
    total_minor: int | None = None
    captured_minor: int | None = None
    reason: str | None = None


class Recipients(Reactor):
    """Keeps the addresses, as events of this service's own log: so they can be forgotten."""

    name, source = "notifications.known_recipients", "users"
    reads: ClassVar[Mapping[str, type[msgspec.Struct]]] = {
        "user.registered": UserRegistered,
        "user.profile_changed": ProfileChanged,
        "user.erasure_requested": ErasureRequested,
    }

    def __init__(self, store: EventStore, streams: Streams, clock: Callable[[], datetime]) -> None:
        self._store, self._streams, self._clock = store, streams, clock

    async def react(self, message: Message) -> None:
        """What was told, once. Of somebody who was erased meanwhile nothing is kept."""
        said = message.data
        try:
            await self._streams.execute(
                Recipient,
                recipient_of(said.user_id),
                lambda recipient: _told(recipient, said),
                metadata=message.caused(Actor("service", self._store.name), at=self._clock()),
                idempotency=message.idempotency,
            )
        except ErasedSubject:
            return


def _told(recipient: Recipient, said: Any) -> list[Event]:
    match said:
        case UserRegistered():
            return recipient.register(said.user_id, said.email, said.display_name)
        case ProfileChanged():
            return recipient.rename(said.user_id, said.display_name)
        case _:
            return recipient.silence(said.user_id)


TOLD = {
    "order.confirmed": ("order_confirmation", Channel.EMAIL),
    "order.rejected": ("order_rejected", Channel.IN_APP),
    "order.cancelled": ("order_cancelled", Channel.IN_APP),
    "order.completed": ("order_completed", Channel.IN_APP),
}
"""Event type to template and channel."""


class OrderNews(Reactor):
    """Queues one notification for each piece of news of an order.

    Its id is derived from the order and the template: whatever is delivered twice, or told twice,
    is one notification.
    """

    name, source = "notifications.orders", "orders"
    reads: ClassVar[Mapping[str, type[msgspec.Struct]]] = dict.fromkeys(TOLD, OrderEnded)

    def __init__(self, store: EventStore, streams: Streams, clock: Callable[[], datetime]) -> None:
        self._store, self._streams, self._clock = store, streams, clock

    async def react(self, message: Message) -> None:
        """Queue the notification, with the timer that will deliver it."""
        template, channel = TOLD[message.type]
        order: OrderEnded = message.data
        now = self._clock()
        await self._streams.execute(
            Notification,
            derived_id("ntf", order.order_id, template),
            lambda notification: notification.queue(
                channel,
                template,
                user_id=order.customer_id,
                order_id=order.order_id,
                caused_by=str(message.id),
                values=_values(message.type, order),
                now=now,
            ),
            metadata=message.caused(Actor("service", self._store.name), at=now),
            idempotency=message.idempotency,
            effects=lambda state, events: delivery_timers(state, events, now),
        )


def _values(type_: str, order: OrderEnded) -> dict[str, str]:
    minor = order.total_minor if order.total_minor is not None else order.captured_minor
    values = {"number": order.number, "total": str(Money(minor or 0, order.currency))}
    if order.reason is not None and type_ == "order.rejected":
        values["reason"] = order.reason  # a code, where a cancellation has a customer's words
    return values
