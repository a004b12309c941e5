"""Tell webhooks of events: queue one delivery for each, and try until it is taken."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import ClassVar

import msgspec

from eventstore import NO_STREAM, Append, Effect, ErasedSubject, EventStore, Streams
from eventstore.event import ERASED, Actor, Event, Metadata
from projections import Message, Reactor, ReadModels, Timer, Timers
from subgraphs.notifications.post import Poster, PostFailed
from subgraphs.notifications.webhook import EVENT_TYPES, Webhook, WebhookDelivery, signature
from subgraphs.notifications.webhook_events import WebhookDeliveryFailed, WebhookDeliveryQueued
from subgraphs.shared.ids import derived_id

STEP = "webhook"

TABLES = """
CREATE TABLE IF NOT EXISTS public.webhook_secrets (
    webhook_id text PRIMARY KEY,
    secret text NOT NULL
);
"""

_TIMERS = Timers()


class OrderTold(msgspec.Struct, omit_defaults=True):
    """What receivers are told of an order: enough to ask for the rest."""

    order_id: str
    number: str
    customer_id: str
    currency: str
    total_minor: int | None = None
    captured_minor: int | None = None
    reason: str | None = None


def store_secret(webhook_id: str, secret: str) -> Effect:
    """Keep a webhook's secret, in the transaction of its first event."""
    return Effect("INSERT INTO public.webhook_secrets VALUES (%s, %s)", (webhook_id, secret))


class WebhookNews(Reactor):
    """Queues deliveries, all of an event in one append."""

    name, source = "notifications.webhooks", "orders"
    reads: ClassVar[Mapping[str, type[msgspec.Struct]]] = dict.fromkeys(EVENT_TYPES, OrderTold)

    def __init__(self, store: EventStore, reads: ReadModels, clock: Callable[[], datetime]) -> None:
        self._store, self._reads, self._clock = store, reads, clock

    async def react(self, message: Message) -> None:
        """One delivery for each webhook that wants this type."""
        rows = await self._reads.fetch(
            "SELECT id FROM webhooks WHERE NOT disabled AND %s = ANY(event_types) ORDER BY id",
            (message.type,),
        )
        body = _body(message)
        now = self._clock()
        queued = [
            WebhookDeliveryQueued(
                derived_id("whd", row["id"], str(message.id)),
                row["id"],
                str(message.id),
                message.type,
                body,
                message.data.customer_id,
            )
            for row in rows
        ]
        if not queued:
            return
        with suppress(ErasedSubject):  # nothing more is told of them
            await self._store.append(
                [Append(event.delivery_id, [event], NO_STREAM) for event in queued],
                metadata=message.caused(Actor("service", self._store.name), at=now),
                idempotency=message.idempotency,
                effects=[_timer(event.delivery_id, now, 0) for event in queued],
            )


class WebhookPost:
    """Tries one delivery each time a timer fires."""

    def __init__(
        self,
        store: EventStore,
        streams: Streams,
        reads: ReadModels,
        poster: Poster,
        clock: Callable[[], datetime],
    ) -> None:
        self._store, self._streams, self._reads = store, streams, reads
        self._poster, self._clock = poster, clock

    async def fire(self, timer: Timer) -> None:
        """Send, and record what came of it."""
        delivery, _ = await self._streams.load(WebhookDelivery, timer.stream)
        queued = delivery.queued
        if queued is None or delivery.done or timer.token != str(delivery.attempts):
            return
        webhook, _ = await self._streams.load(Webhook, queued.webhook_id)
        now = self._clock()
        if webhook.disabled is not None or queued.body == ERASED:
            why = "the customer was erased" if queued.body == ERASED else "it is disabled"
            await self._decide(timer, lambda d: d.fail(why, now, for_good=True))
            return
        try:
            status = await self._send(webhook, queued, now)
        except PostFailed as failed:
            reason, for_good = failed.reason[:500], failed.for_good
            for event in await self._decide(
                timer, lambda d: d.fail(reason, now, for_good=for_good)
            ):
                if isinstance(event, WebhookDeliveryFailed) and event.retry_at is None:
                    await self._disable(webhook.id, reason)
        else:
            await self._decide(timer, lambda d: d.deliver(status))

    async def _send(self, webhook: Webhook, queued: WebhookDeliveryQueued, now: datetime) -> int:
        row = await self._reads.fetch_one(
            "SELECT secret FROM public.webhook_secrets WHERE webhook_id = %s", (webhook.id,)
        )
        if row is None:
            raise PostFailed("its secret is gone", for_good=True)
        timestamp = int(now.timestamp())
        headers = {
            "content-type": "application/json",
            "user-agent": "lonja-webhooks/1",
            "webhook-id": queued.delivery_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signature(
                row["secret"], queued.delivery_id, timestamp, queued.body
            ),
        }
        return await self._poster.post(webhook.url, queued.body.encode(), headers)

    async def _decide(
        self, timer: Timer, decide: Callable[[WebhookDelivery], list[Event]]
    ) -> list[Event]:
        """Append what is decided, with the timer of the next attempt."""
        decided: list[Event] = []

        def deciding(delivery: WebhookDelivery) -> list[Event]:
            decided[:] = decide(delivery)
            return decided

        await self._streams.execute(
            WebhookDelivery,
            timer.stream,
            deciding,
            metadata=await self._metadata(timer.stream),
            effects=lambda _, events: _retries(events),
        )
        return decided

    async def _disable(self, webhook_id: str, reason: str) -> None:
        await self._streams.execute(
            Webhook,
            webhook_id,
            lambda webhook: webhook.disable(f"given up: {reason}"),
            metadata=await self._metadata(webhook_id),
        )

    async def _metadata(self, stream: str) -> Metadata:
        first = (await self._store.read_stream(stream, limit=1))[0]
        return Metadata(
            actor=Actor("service", self._store.name),
            command_id=f"webhook:{stream}",
            correlation_id=first.metadata.correlation_id,
            causation_id=str(first.id),
            occurred_at=self._clock(),
        )


def _body(message: Message) -> str:
    """The same bytes at every attempt and for every receiver."""
    told = {
        "type": message.type,
        "timestamp": message.metadata.occurred_at,
        "id": str(message.id),
        "data": message.data,
    }
    return msgspec.json.encode(told).decode()


def _timer(delivery_id: str, due_at: datetime, attempts: int) -> Effect:
    return _TIMERS.set_effect(delivery_id, STEP, due_at, str(attempts))


def _retries(events: Sequence[Event]) -> list[Effect]:
    return [
        _timer(event.delivery_id, event.retry_at, event.attempt)
        for event in events
        if isinstance(event, WebhookDeliveryFailed) and event.retry_at is not None
    ]
