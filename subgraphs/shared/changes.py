"""What happens to a service's own things, told to all who subscribed, once read models show it.

One reader of the log for all subscribers of a process, and none while there are no subscribers.
Each of them has a bounded queue: who does not keep up is sent away, and subscribes again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field

import msgspec
import structlog

from eventstore import EventStore, Feed, FeedEvent
from projections import ProjectionRunner
from subgraphs.shared.errors import InvalidValue, RequestError

log = structlog.get_logger("subgraphs.changes")

PENDING_MAX = 1000
"""How many changes wait for one subscriber."""
TOPICS_MAX = 100
"""How many ids one subscription may name."""
PAGE_EVENTS_MAX = 1000
WAIT_SECONDS = 10.0
SHOWN_SECONDS = 5.0
"""After this long a warning says that read models do not come; subscribers wait on."""
RETRY_SECONDS_FIRST, RETRY_SECONDS_MAX = 0.1, 5.0

Topics = Callable[[Sequence[FeedEvent]], Awaitable[Sequence[str | None]]]
"""What each of these events is told under: the id that subscribers name. None: nobody is told.
Asked when the read models show the events.
"""


class SubscriberTooSlow(RequestError):
    """More happened than was taken: read anew, and subscribe again."""

    code = "SUBSCRIBER_TOO_SLOW"

    def __init__(self) -> None:
        super().__init__(
            f"{PENDING_MAX} changes were waiting to be taken: read anew, and subscribe again"
        )


@dataclass(frozen=True, slots=True)
class Change:
    """An event of a thing; `topic` is what it was told under."""

    topic: str
    stream: str
    version: int
    type: str
    position: int


@dataclass(eq=False, slots=True)
class _Subscriber:
    topics: Collection[str] | None
    queue: asyncio.Queue[Change] = field(default_factory=lambda: asyncio.Queue(PENDING_MAX))
    lost: bool = False

    def tell(self, change: Change) -> None:
        if self.lost or (self.topics is not None and change.topic not in self.topics):
            return
        try:
            self.queue.put_nowait(change)
        except asyncio.QueueFull:
            self.lost = True


class Changes:
    """Tells of the events of `store` by `topics`, when `runner`'s read models show them."""

    def __init__(
        self, store: EventStore, feed: Feed, runner: ProjectionRunner, topics: Topics
    ) -> None:
        self._store, self._feed, self._runner, self._topics = store, feed, runner, topics
        self._subscribers: set[_Subscriber] = set()
        self._reader: asyncio.Task[None] | None = None

    @property
    def subscribers(self) -> int:
        """How many are told."""
        return len(self._subscribers)

    async def follow(self, topics: Collection[str] | None = None) -> AsyncGenerator[Change, None]:
        """What happens from now on under these topics, or under any. Raises SubscriberTooSlow."""
        subscriber = _Subscriber(topics)
        self._subscribers.add(subscriber)
        if self._reader is None:
            self._reader = asyncio.create_task(
                self._read(self._store.watch.position), name=f"{self._store.name}.changes"
            )
        try:
            while not (subscriber.lost and subscriber.queue.empty()):
                yield await subscriber.queue.get()
            raise SubscriberTooSlow
        finally:
            self._subscribers.discard(subscriber)
            if not self._subscribers and self._reader is not None:
                self._reader.cancel()
                self._reader = None

    async def _read(self, position: int) -> None:
        """Whatever fails is tried again from where it failed: nothing is left out."""
        pause = RETRY_SECONDS_FIRST
        while True:
            try:
                page = await self._feed.read(
                    position, limit=PAGE_EVENTS_MAX, wait_seconds=WAIT_SECONDS
                )
                if page.events:
                    await self._tell(page.events)
            except Exception as error:
                log.warning("changes wait", service=self._store.name, reason=repr(error))
                await asyncio.sleep(pause)
                pause = min(RETRY_SECONDS_MAX, pause * 2)
            else:
                position, pause = page.position, RETRY_SECONDS_FIRST

    async def _tell(self, events: Sequence[FeedEvent]) -> None:
        head = events[-1].position
        while not await self._runner.wait_for(head, SHOWN_SECONDS):
            log.warning("read models are behind", service=self._store.name, position=head)
        for event, topic in zip(events, await self._topics(events), strict=True):
            if topic is not None:
                change = Change(topic, event.stream, event.version, event.type, event.position)
                for subscriber in self._subscribers:
                    subscriber.tell(change)


def by_member(types: str, member: str) -> Topics:
    """Events whose type begins with `types` are told under what they have as `member`."""

    async def topics(events: Sequence[FeedEvent]) -> Sequence[str | None]:
        return [
            msgspec.json.decode(event.data)[member] if event.type.startswith(types) else None
            for event in events
        ]

    return topics


def named(ids: Iterable[str], argument: str) -> frozenset[str]:
    """The ids that a client names. Raises InvalidValue: TOPICS_MAX at most."""
    found = frozenset(map(str, ids))
    if len(found) > TOPICS_MAX:
        raise InvalidValue(
            f"{len(found)} ids: a subscription has at most {TOPICS_MAX}", path=[argument]
        )
    return found


async def nothing(events: Sequence[FeedEvent]) -> Sequence[None]:
    """The topics of a service that tells of nothing."""
    return [None] * len(events)
