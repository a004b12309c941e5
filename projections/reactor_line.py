"""A line: one reactor following one feed.

Each stream has a chain of messages in order; chains run at the same time. The checkpoint is the
position below which everything is done (or parked), kept now and then: what lies above it comes
again after a crash, and the idempotency of the effects takes care of it.
"""

from __future__ import annotations

import asyncio
from collections import deque

import msgspec
import psycopg
import structlog

from eventstore.errors import EventStoreError, ForeignPosition, StoreUnavailable
from eventstore.feed_page import FeedEvent
from projections.batch import described, is_transient
from projections.errors import UnreadableMessage
from projections.faults import fault_point
from projections.inbox import Inbox, refuse_ahead
from projections.reactor import Message, Reactor
from projections.shared_feed import SharedFeed

WAIT_SECONDS = 25.0
IN_FLIGHT_MESSAGES_MAX = 256
"""Messages taken from the feed that are not done; reading waits at that."""
SAVE_SECONDS = 1.0
"""How often a checkpoint is kept at most: what was done since comes again after a crash."""
RETRY_SECONDS_MAX = 5.0
REDRIVEN_MESSAGES_MAX = 100

log = structlog.get_logger(__name__)


class Line:
    """Runs until cancelled, or until its inbox fails: a new line then starts at the checkpoint."""

    def __init__(self, reactor: Reactor, source: str, feed: SharedFeed, inbox: Inbox) -> None:
        self.reactor, self.source, self.feed, self.inbox = reactor, source, feed, inbox
        self.done = -1
        """The position up to which everything is done; -1 before the checkpoint is read."""
        self.error = ""
        self._decoders = {
            name: msgspec.json.Decoder(struct) for name, struct in reactor.reads.items()
        }
        self._read = self._saved = 0
        self._in_flight: dict[int, None] = {}
        self._chains: dict[str, deque[FeedEvent]] = {}
        self._parked: set[str] = set()
        self._parking = asyncio.Lock()
        self._turns = asyncio.Semaphore(reactor.concurrency_max)
        self._room = asyncio.Event()
        self._moved = asyncio.Event()
        self._waiters: set[tuple[int, asyncio.Future[None]]] = set()

    async def run(self) -> None:
        """Read on and on. Raises psycopg errors when checkpoints or parking do."""
        name = self.reactor.name
        self._read = self._saved = self.done = await self.inbox.checkpoint(name, self.source)
        self._parked = await self.inbox.parked(name, self.source)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._save())
            await self._follow(tasks)

    @property
    def parked_streams(self) -> int:
        """How many streams wait behind a message that failed."""
        return len(self._parked)

    async def wait_for(self, position: int, timeout_seconds: float) -> bool:
        """Whether everything up to `position` of the source is done, within the time."""
        if self.done >= position:
            return True
        waiter = (position, asyncio.get_running_loop().create_future())
        self._waiters.add(waiter)
        try:
            async with asyncio.timeout(timeout_seconds):
                await waiter[1]
        except TimeoutError:
            return False
        finally:
            self._waiters.discard(waiter)
        return True

    async def redrive(self, stream: str) -> bool:
        """React to the parked messages of a stream in order; True if none is left."""
        name, done = self.reactor.name, False
        while stream in self._parked and not done:
            waiting = await self.inbox.waiting(
                name, self.source, stream, limit=REDRIVEN_MESSAGES_MAX
            )
            for event in waiting:
                error = await self._react_again(event)
                if error is not None:
                    await self.inbox.park(name, self.source, event, *described(error))
                    return False
                await self.inbox.done(name, self.source, event.position)
            if len(waiting) < REDRIVEN_MESSAGES_MAX:
                done = await self._unpark(stream)
        return True

    async def _react_again(self, event: FeedEvent) -> Exception | None:
        """React to a parked event: one with personal data is asked for anew."""
        if event.personal:
            try:
                page = await self.feed.feed.read(event.position - 1, limit=1, types=[event.type])
            except (EventStoreError, OSError) as error:
                return error
            event = page.events[0]
        return await self._react(event)

    async def _unpark(self, stream: str) -> bool:
        """Unpark, unless something came to wait meanwhile."""
        name = self.reactor.name
        async with self._parking:
            if await self.inbox.waiting(name, self.source, stream, limit=1):
                return False
            await self.inbox.unpark(name, self.source, stream)
            self._parked.discard(stream)
            return True

    async def _follow(self, tasks: asyncio.TaskGroup) -> None:
        failures = 0
        while True:
            while len(self._in_flight) >= IN_FLIGHT_MESSAGES_MAX:
                self._room.clear()
                await self._room.wait()
            try:
                page = await self.feed.read(self._read, wait_seconds=WAIT_SECONDS)
                refuse_ahead(self.reactor.name, self._read, page.head)
            except (EventStoreError, psycopg.Error, OSError, ValueError) as error:
                failures += 1
                self._report(error, failures)
                await asyncio.sleep(min(RETRY_SECONDS_MAX, 0.05 * 2 ** min(failures, 10)))
                continue
            failures, self.error = 0, ""
            for event in page.events:
                if event.position > self._read and event.type in self._decoders:
                    self._accept(event, tasks)
            self._read = max(self._read, page.position)
            self._move()

    def _report(self, error: Exception, failures: int) -> None:
        self.error = described(error)[0]
        if failures == 1:
            level = log.error if isinstance(error, ForeignPosition) else log.warning
            level("reactors.feed_failed", reactor=self.reactor.name, source=self.source,
                  error=self.error)  # fmt: skip

    def _accept(self, event: FeedEvent, tasks: asyncio.TaskGroup) -> None:
        self._in_flight[event.position] = None
        chain = self._chains.get(event.stream)
        if chain is None:
            self._chains[event.stream] = deque([event])
            tasks.create_task(self._run_chain(event.stream))
        else:
            chain.append(event)

    async def _run_chain(self, stream: str) -> None:
        chain = self._chains[stream]
        while chain:
            event = chain[0]
            if not await self._park_behind(event):
                error = await self._react(event)
                if error is not None:
                    await self._park(event, error)
            chain.popleft()
            del self._in_flight[event.position]
            self._room.set()
            self._move()
        del self._chains[stream]

    async def _react(self, event: FeedEvent) -> Exception | None:
        """React, again and again; return the last error when it was tried often enough."""
        if event.unreadable is not None:
            return UnreadableMessage(event.unreadable)
        try:
            message = self._message(event)
        except msgspec.MsgspecError as error:
            return error
        attempt = 0
        while True:
            try:
                async with self._turns, asyncio.timeout(self.reactor.react_seconds_max):
                    fault_point("reactors.before_react")
                    await self.reactor.react(message)
                    fault_point("reactors.after_react")
            except Exception as error:
                unavailable = isinstance(error, StoreUnavailable) or (
                    is_transient(error) and isinstance(error, psycopg.OperationalError)
                )
                attempt += not unavailable
                if attempt >= self.reactor.attempts_max:
                    return error
                log.warning(
                    "reactors.retried",
                    reactor=self.reactor.name,
                    stream=event.stream,
                    position=event.position,
                    error=described(error)[0],
                )
                pause = self.reactor.backoff_seconds * 4.0 ** min(attempt, 10)
                await asyncio.sleep(min(RETRY_SECONDS_MAX, pause))
            else:
                return None

    def _message(self, event: FeedEvent) -> Message:
        return Message(
            self.reactor.name,
            self.source,
            event.position,
            event.id,
            event.type,
            event.stream,
            event.version,
            self._decoders[event.type].decode(event.data),
            event.metadata,
            event.recorded_at,
        )

    async def _park(self, event: FeedEvent, error: Exception) -> None:
        fault_point("reactors.before_park")
        line, trace = described(error)
        async with self._parking:
            await self.inbox.park(self.reactor.name, self.source, event, line, trace)
            self._parked.add(event.stream)
        log.error("reactors.parked", reactor=self.reactor.name, stream=event.stream, error=line)

    async def _park_behind(self, event: FeedEvent) -> bool:
        """Whether the stream is parked; then the event is, too."""
        if event.stream not in self._parked:
            return False
        async with self._parking:
            if event.stream not in self._parked:
                return False
            await self.inbox.park_behind(self.reactor.name, self.source, event)
            return True

    def _move(self) -> None:
        """Everything below the first message in flight is done."""
        first = next(iter(self._in_flight), None)
        self.done = self._read if first is None else min(self._read, first - 1)
        for position, future in self._waiters:
            if self.done >= position and not future.done():
                future.set_result(None)
        if self.done > self._saved:
            self._moved.set()

    async def _save(self) -> None:
        while True:
            await self._moved.wait()
            self._moved.clear()
            await self.save()
            await asyncio.sleep(SAVE_SECONDS)

    async def save(self) -> None:
        """Keep the checkpoint."""
        position = self.done
        if position > self._saved:
            fault_point("reactors.before_checkpoint")
            await self.inbox.move(self.reactor.name, self.source, position)
            self._saved = position
