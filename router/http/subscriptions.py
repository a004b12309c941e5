"""Who is subscribed to what: streams of events, shared by subscribers who ask for the same.

A `Feed` is one subscription under execution: it takes an event, completes it by the rest of the
plan, encodes the answer once and offers it to each of its subscribers, in order. A subscriber keeps
what its client has not taken yet, up to a limit, so that a slow one holds up nobody else; where
nobody else is, the stream goes at its pace. When the last one leaves, the stream of the subgraph
ends at once.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import orjson
import structlog

from router.config import RouterConfig
from router.executor import CompiledOperation, StreamFailed
from router.http.actor_header import ACTOR_HEADER, ActorSigner
from router.http.errors import (
    SchemaReloaded,
    ServerShutdown,
    SubscriberTokenExpired,
    SubscriberTooSlow,
    SubscriptionEnded,
    SubscriptionsDisabled,
    TooManySubscriptions,
)
from router.http.operation import Caller, OperationPipeline, Ready
from router.http.response import encode
from router.telemetry import Metrics, known_code

log = structlog.get_logger("router.http")


@dataclass(frozen=True, slots=True)
class Ending:
    """The last thing a subscriber gets. Without errors, the subgraph completed the stream."""

    errors: tuple[dict[str, Any], ...] = ()

    @property
    def reason(self) -> str:
        """`complete`, or the code of the first error."""
        if not self.errors:
            return "complete"
        return known_code(self.errors[0].get("extensions", {}).get("code"))


COMPLETE: Final = Ending()
EXPECTED: Final = frozenset(
    {"complete", "gone", SubscriberTokenExpired.code, SchemaReloaded.code, ServerShutdown.code}
)
"""Ends that are not written down: nobody is at fault, and some come to all at once."""
FeedKey: TypeAlias = tuple[CompiledOperation, bytes, tuple[tuple[str, str], ...], bytes, bool]
"""Operation, variables, headers that count, who asks, whether the plan is to be shown."""


def ended_by(reason: SubscriptionEnded) -> Ending:
    """An ending by the router's own will."""
    return Ending((reason.as_error(),))


class Subscriber:
    """One client's end of a feed. Always `close` it."""

    def __init__(self, hub: SubscriptionHub, caller: Caller) -> None:
        self.caller = caller
        self._hub = hub
        self._settings = hub.settings
        self._waiting: deque[bytes] = deque()
        self._bytes = 0
        self._ending: Ending | None = None
        self._news = asyncio.Event()
        self.ended = asyncio.Event()
        self._expiry: asyncio.TimerHandle | None = None
        self.feed: Feed | None = None

    async def next(self) -> bytes | Ending:
        """The next answer, encoded as JSON, or how it ended, from then on."""
        while not self._waiting:
            if self._ending is not None:
                return self._ending
            self._news.clear()
            await self._news.wait()
        body = self._waiting.popleft()
        self._bytes -= len(body)
        if self.feed is not None:
            self.feed.moved.set()
        return body

    def has_room(self, body: bytes) -> bool:
        """Whether one more can wait. An event that is too large alone waits alone."""
        settings = self._settings
        return not self._waiting or (
            len(self._waiting) < settings.buffer_events_max
            and self._bytes + len(body) <= settings.buffer_bytes_max
        )

    def offer(self, body: bytes) -> None:
        """One more event, if there is room for it; else what `when_full` says."""
        if self._ending is not None:
            return
        while not self.has_room(body):
            if self._settings.when_full == "close":
                self.end(ended_by(SubscriberTooSlow()))
                return
            self._bytes -= len(self._waiting.popleft())
        self._waiting.append(body)
        self._bytes += len(body)
        self._news.set()

    def end(self, ending: Ending) -> None:
        """No more events, but those that wait already."""
        if self._ending is None:
            self._ending = ending
            self.ended.set()
            self._news.set()
            self._leave()
            self._hub.count_end(self, ending.reason)

    def expire_in(self, seconds: float) -> None:
        """End it then: the client's word is not good for longer."""
        loop = asyncio.get_running_loop()
        expired = ended_by(SubscriberTokenExpired())
        self._expiry = loop.call_later(max(seconds, 0.0), self.end, expired)

    def close(self) -> None:
        """The client is served, or gone."""
        self._hub.closed(self)
        if self._ending is None:
            self._ending = COMPLETE
            self._leave()
            self._hub.count_end(self, "gone")

    def _leave(self) -> None:
        if self._expiry is not None:
            self._expiry.cancel()
        if self.feed is not None:
            self.feed.leave(self)
            self.feed = None


class Feed:
    """One stream of answers and its subscribers."""

    def __init__(
        self, hub: SubscriptionHub, key: FeedKey | None, pipeline: OperationPipeline, ready: Ready
    ) -> None:
        assert ready.compiled.source is not None
        self.service = ready.compiled.source.service
        self._hub = hub
        self._key = key
        self._pipeline = pipeline
        self._ready = ready
        self.subscribers: dict[Subscriber, None] = {}
        self.moved = asyncio.Event()
        """Set when a subscriber came, left or took an event."""
        self._task: asyncio.Task[None] | None = None

    def join(self, subscriber: Subscriber) -> None:
        """Add one; the first one opens the stream."""
        self.subscribers[subscriber] = None
        subscriber.feed = self
        self.moved.set()
        if self._task is None:
            run = self._run(with_plan=bool(subscriber.caller.query_plan))
            self._task = self._hub.start(run)

    def leave(self, subscriber: Subscriber) -> None:
        """Take one away; the last one ends the stream."""
        self.subscribers.pop(subscriber, None)
        self.moved.set()
        if not self.subscribers:
            self._hub.forget(self, self._key)
            if self._task is not None and self._task is not asyncio.current_task():
                self._task.cancel()

    def end(self, ending: Ending) -> None:
        """For all subscribers."""
        for subscriber in tuple(self.subscribers):
            subscriber.end(ending)

    async def _room(self, body: bytes) -> None:
        """Wait, bounded, for the one subscriber there is, so that a subgraph with much to say goes
        at its pace. Always gives way: such a subgraph in this process may never wait itself.
        """
        await asyncio.sleep(0)
        settings = self._hub.settings
        if settings.when_full != "close":
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(settings.full_seconds_max):
                while [one.has_room(body) for one in self.subscribers] == [False]:
                    self.moved.clear()
                    await self.moved.wait()

    def _headers(self) -> Mapping[str, str]:
        """Whoever is subscribed asks: they are one to the subgraphs."""
        return self._hub.headers(next(iter(self.subscribers)).caller)

    async def _run(self, *, with_plan: bool) -> None:
        count = self._hub.metrics.subscription_events.labels(self.service)
        ending = COMPLETE
        try:
            answers = self._pipeline.events(self._ready, self._headers, with_plan=with_plan)
            async with aclosing(answers):
                async for answer in answers:
                    count.inc()
                    body = encode(answer)
                    await self._room(body)
                    for subscriber in tuple(self.subscribers):
                        subscriber.offer(body)
                    if not self.subscribers:
                        return
        except StreamFailed as failure:
            ending = Ending(tuple(failure.errors))
        except Exception as error:
            log.error("subscription failed", service=self.service, exc_info=error)
            ending = Ending((self._hub.internal_error(error),))
        self.end(ending)


class SubscriptionHub:
    """All subscriptions of a router, whatever protocol their clients speak."""

    def __init__(
        self,
        config: RouterConfig,
        metrics: Metrics,
        signer: ActorSigner | None,
        *,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self.config, self.settings, self.metrics = config, config.subscriptions, metrics
        self._signer = signer
        self._wall_clock = wall_clock
        self._not_shared = frozenset(
            name.lower() for name in (*config.headers.not_shared, *self.settings.not_shared)
        ) | {ACTOR_HEADER}
        self._subscribers: set[Subscriber] = set()
        self._feeds: set[Feed] = set()
        self._shared: dict[FeedKey, Feed] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = False
        self.idle = asyncio.Event()
        """Set while nobody is subscribed."""
        self.idle.set()
        metrics.subscriptions.set_function(lambda: len(self._subscribers))
        metrics.subscription_streams.set_function(lambda: len(self._feeds))

    def subscribe(self, pipeline: OperationPipeline, ready: Ready, caller: Caller) -> Subscriber:
        """Join the feed that gives the same, or open one; refusals of subgraphs come as its ending.

        Raises SubscriptionsDisabled, TooManySubscriptions.
        """
        settings = self.settings
        if not settings.enabled:
            raise SubscriptionsDisabled
        if len(self._subscribers) >= settings.total_max:
            raise TooManySubscriptions(settings.total_max)
        subscriber = Subscriber(self, caller)
        self._subscribers.add(subscriber)
        self.idle.clear()
        if self._stopping or pipeline.replaced:
            reason = ServerShutdown() if self._stopping else SchemaReloaded()
            subscriber.end(ended_by(reason))
            return subscriber
        self._feed(pipeline, ready, caller).join(subscriber)
        expires = caller.claims.get("exp") if caller.claims is not None else None
        if expires is not None and self.config.jwt is not None:
            subscriber.expire_in(expires + self.config.jwt.leeway_seconds - self._wall_clock())
        return subscriber

    def _feed(self, pipeline: OperationPipeline, ready: Ready, caller: Caller) -> Feed:
        key = self._key(ready, caller)
        feed = self._shared.get(key) if key is not None else None
        if feed is None:
            feed = Feed(self, key, pipeline, ready)
            self._feeds.add(feed)
            if key is not None:
                self._shared[key] = feed
        return feed

    def _key(self, ready: Ready, caller: Caller) -> FeedKey | None:
        """What makes two subscriptions one; None where the subgraph's are not to be shared."""
        compiled = ready.compiled
        assert compiled.source is not None
        settings = self.config.subgraph(compiled.source.service)
        if not settings.subscriptions.share_identical:
            return None
        headers = tuple(
            sorted(item for item in caller.headers.items() if item[0] not in self._not_shared)
        )
        who = b""
        if caller.claims is not None and self._signer is not None:
            who = orjson.dumps(self._signer.handed_on(caller.claims), option=orjson.OPT_SORT_KEYS)
        values = encode(dict(sorted(ready.values.items())))
        return compiled, values, headers, who, bool(caller.query_plan)

    def start(self, run: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run a feed."""
        task = asyncio.create_task(run)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def headers(self, caller: Caller) -> Mapping[str, str]:
        """What subgraphs are told now: the word on who asks is signed anew."""
        if caller.claims is None or self._signer is None:
            return caller.headers
        actor = self._signer.sign(caller.claims, now=self._wall_clock())
        return {**caller.headers, ACTOR_HEADER: actor}

    def internal_error(self, error: Exception) -> dict[str, Any]:
        """A bug, told only as far as settings allow."""
        masked = self.config.mask_internal_errors
        told = "Internal server error" if masked else f"{type(error).__name__}: {error}"
        return {"message": told, "extensions": {"code": "INTERNAL_SERVER_ERROR"}}

    def forget(self, feed: Feed, key: FeedKey | None) -> None:
        """A feed that nobody can join any more."""
        self._feeds.discard(feed)
        if key is not None and self._shared.get(key) is feed:
            del self._shared[key]

    def count_end(self, subscriber: Subscriber, reason: str) -> None:
        """A subscription ended, for a reason from a small set."""
        self.metrics.subscriptions_ended.labels(reason).inc()
        if self.config.logs.requests or reason not in EXPECTED:
            log.info(
                "subscription ended",
                request_id=subscriber.caller.headers.get("x-request-id"),
                reason=reason,
            )

    def closed(self, subscriber: Subscriber) -> None:
        """A subscriber is done with."""
        self._subscribers.discard(subscriber)
        if not self._subscribers:
            self.idle.set()

    def end_all(self, reason: SubscriptionEnded) -> None:
        """End what is there now."""
        for feed in tuple(self._feeds):
            feed.end(ended_by(reason))

    def stop(self) -> None:
        """End all, and whoever subscribes from now on as well."""
        self._stopping = True
        self.end_all(ServerShutdown())

    async def ended(self) -> None:
        """Return once all streams of subgraphs are closed; those with subscribers end so."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
