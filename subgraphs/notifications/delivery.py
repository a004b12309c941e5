"""Sending what is queued: timers fire for each mail until it is delivered or given up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from eventstore import Effect, EventStore, Streams
from eventstore.event import Actor, Event, Metadata
from projections import Timer, Timers
from subgraphs.notifications.domain import Notification, Recipient, recipient_of
from subgraphs.notifications.events import AttemptFailed, NotificationQueued, NotificationRequeued
from subgraphs.notifications.render import mail
from subgraphs.notifications.transport import AddressRefused, DeliveryFailed, Transport

STEP = "deliver"

_TIMERS = Timers()


class RecipientUnknown(Exception):
    """The user is not known here yet: their registration is still on its way."""

    code = "RECIPIENT_UNKNOWN"

    def __init__(self, user_id: str) -> None:
        self.user_id = user_id
        super().__init__(f"nothing is known of {user_id} yet")


def delivery_timers(
    notification: Notification, events: Sequence[Event], now: datetime
) -> list[Effect]:
    """The timers that events of a mail need, for the transaction of their append."""
    for event in events:
        match event:
            case NotificationQueued(channel="EMAIL") | NotificationRequeued():
                return [_set(notification, now)]
            case AttemptFailed():
                return [_set(notification, event.retry_at)]
    return []


def _set(notification: Notification, due_at: datetime) -> Effect:
    token = f"{notification.round}.{notification.attempts}"
    return _TIMERS.set_effect(notification.id, STEP, due_at, token)


class Delivery:
    """Delivers one notification each time a timer fires."""

    def __init__(
        self,
        store: EventStore,
        streams: Streams,
        transport: Transport,
        *,
        sender: str,
        clock: Callable[[], datetime],
    ) -> None:
        self._store, self._streams = store, streams
        self._transport, self._sender, self._clock = transport, sender, clock

    async def fire(self, timer: Timer) -> None:
        """Deliver the notification, unless that is done. Raises RecipientUnknown: fired again.

        The log says that a mail was sent only when it was. After a crash between the two the mail
        is sent again, under the same Message-ID.
        """
        notification, _ = await self._streams.load(Notification, timer.stream)
        if notification.queued is None or f"{notification.round}.{notification.attempts}" != (
            timer.token
        ):
            return
        recipient = await self._recipient(notification.queued.user_id)
        if recipient.erased or not recipient.wants_mail:
            reason = "the user has asked to be forgotten"
            await self._decide(notification, lambda current: current.suppress(reason))
            return
        message = mail(notification, recipient, self._sender)
        try:
            await self._transport.deliver(f"{notification.id}.{notification.round}", message)
            if (await self._recipient(notification.queued.user_id)).erased:
                await self._transport.recall(notification.id)
        except AddressRefused as refused:
            reason = refused.reason[:500]
            await self._decide(notification, lambda current: current.bounce(reason))
        except DeliveryFailed as failed:
            reason = failed.reason[:500]
            await self._decide(notification, lambda current: current.fail(reason, self._clock()))
        else:
            await self._decide(notification, lambda current: current.deliver(self._clock()))

    async def _recipient(self, user_id: str) -> Recipient:
        recipient, _ = await self._streams.load(Recipient, recipient_of(user_id))
        if not recipient.known:
            raise RecipientUnknown(user_id)
        return recipient

    async def _decide(
        self, notification: Notification, decide: Callable[[Notification], list[Event]]
    ) -> None:
        first = (await self._store.read_stream(notification.id, limit=1))[0]
        metadata = Metadata(
            actor=Actor("service", self._store.name),
            command_id=f"deliver:{notification.id}:{notification.round}.{notification.attempts}",
            correlation_id=first.metadata.correlation_id,
            causation_id=str(first.id),
            occurred_at=self._clock(),
        )
        await self._streams.execute(
            Notification,
            notification.id,
            decide,
            metadata=metadata,
            effects=lambda state, events: delivery_timers(state, events, self._clock()),
        )
