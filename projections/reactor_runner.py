"""Runs the reactors of a service: each in one process at a time, from its checkpoint on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress

import psycopg
import structlog

from eventstore.feed import Feed, LocalFeed
from eventstore.store import EventStore
from projections import catalogue
from projections.batch import described
from projections.errors import InvalidProjection, UnknownProjection
from projections.inbox import Inbox, ParkedStream
from projections.reactor import Reactor, check_reactor
from projections.reactor_line import Line
from projections.shared_feed import SharedFeed

OWN_SECONDS = 1.0
"""How often a reactor that another process runs is tried for, and redrives are looked for."""
POLL_SECONDS = 0.02
RETRY_SECONDS_MAX = 5.0
STOP_SECONDS = 5.0

log = structlog.get_logger(__name__)


class ReactorRunner:
    """`feeds` are by name of the service, and may be filled until `start`; the store's own log,
    private events included, is the feed of the names "" and `store.name`.

    Raises InvalidProjection for a reactor that cannot be run; `start` if its feed is not there.
    """

    def __init__(
        self,
        store: EventStore,
        feeds: Mapping[str, Feed],
        reactors: Sequence[Reactor],
        *,
        conninfo: str | None = None,
    ) -> None:
        self.service = store.name
        self.conninfo = store.conninfo if conninfo is None else conninfo
        self.reactors = tuple(reactors)
        self._feeds, self._own = feeds, LocalFeed(store, public_only=False)
        seen: set[str] = set()
        for reactor in self.reactors:
            check_reactor(reactor)
            if reactor.name in seen:
                raise InvalidProjection(reactor.name, "two reactors have this name")
            seen.add(reactor.name)
        self._shared: dict[str, SharedFeed] = {}
        self._lines: dict[str, Line] = {}
        self._begun = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Create what is missing, then follow the feeds."""
        types: dict[str, set[str]] = {}
        for reactor in self.reactors:
            types.setdefault(self._source(reactor), set()).update(reactor.reads)
        self._shared = {
            source: SharedFeed(self._feed(source), names) for source, names in types.items()
        }
        await asyncio.to_thread(self._install)
        if self.reactors:
            self._task = asyncio.create_task(self._run(), name=f"reactors-{self.service}")

    async def stop(self) -> None:
        """Give up what is under way (it comes again) and keep the checkpoints."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        for feed in self._shared.values():
            await feed.close()

    async def __aenter__(self) -> ReactorRunner:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def wait_for(
        self,
        source: str,
        position: int,
        timeout_seconds: float,
        names: Iterable[str] | None = None,
    ) -> bool:
        """Return True once everything up to `position` of a source's log is done (or parked) by
        the reactors that follow it, or those of `names`; False when the time is over, or another
        process runs one of them. Raises UnknownProjection.
        """
        known = {reactor.name: reactor for reactor in self.reactors}
        for name in names or ():
            if name not in known:
                raise UnknownProjection(name, list(known))
        source = source or self.service
        wanted = [
            reactor.name
            for reactor in self.reactors
            if (self._source(reactor) == source if names is None else reactor.name in set(names))
        ]
        deadline = time.monotonic() + timeout_seconds
        for name in wanted:
            while name not in self._lines:
                try:
                    async with asyncio.timeout(deadline - time.monotonic()):
                        await self._begun.wait()
                        await asyncio.sleep(0 if name in self._lines else POLL_SECONDS)
                except TimeoutError:
                    return False
            left = max(0.0, deadline - time.monotonic())
            if not await self._lines[name].wait_for(position, left):
                return False
        return True

    def positions(self) -> dict[str, int]:
        """How far each reactor that this process runs is in its source's log."""
        return {name: max(line.done, 0) for name, line in self._lines.items()}

    def lags(self) -> dict[str, int]:
        """How many positions each of them is behind the head its source last told of."""
        return {
            name: max(0, line.feed.head - max(line.done, 0)) for name, line in self._lines.items()
        }

    def parked_streams(self) -> dict[str, int]:
        """How many streams of each of them wait behind a message that failed."""
        return {name: line.parked_streams for name, line in self._lines.items()}

    async def parked(self, reactor: str | None = None) -> list[ParkedStream]:
        """The streams that are parked, of one reactor or of all."""
        inbox = await Inbox.connect(self.conninfo, self.service)
        try:
            return await inbox.listed(reactor)
        finally:
            await inbox.close()

    async def redrive(self, reactor: str | None = None, stream: str | None = None) -> int:
        """Have parked messages reacted to again, in order, within a second or so, by whichever
        process runs the reactor; return how many streams that concerns.
        """
        inbox = await Inbox.connect(self.conninfo, self.service)
        try:
            return await inbox.ask_redrive(reactor, stream)
        finally:
            await inbox.close()

    def _source(self, reactor: Reactor) -> str:
        return reactor.source or self.service

    def _feed(self, source: str) -> Feed:
        if source == self.service:
            return self._own
        if source not in self._feeds:
            names = [reactor.name for reactor in self.reactors if reactor.source == source]
            raise InvalidProjection(names[0], f"there is no feed {source!r} for it to follow")
        return self._feeds[source]

    def _install(self) -> None:
        with catalogue.connect(self.conninfo, f"{self.service} reactors") as connection:
            catalogue.install(connection)

    async def _run(self) -> None:
        """Work over one connection after the other."""
        failures = 0
        while True:
            try:
                inbox = await Inbox.connect(self.conninfo, self.service)
                try:
                    await self._serve(inbox)
                finally:
                    await self._end(inbox)
            except* Exception as errors:
                failures += 1
                first = _first(errors)
                if not isinstance(first, psycopg.OperationalError):
                    log.error("reactors.failed", service=self.service, exc_info=errors)
                else:
                    log.warning("reactors.reconnect", error=described(first)[0])
            await asyncio.sleep(min(RETRY_SECONDS_MAX, 0.05 * 2 ** min(failures, 10)))

    async def _serve(self, inbox: Inbox) -> None:
        """Run the reactors that no other process runs, take over those that it gives up."""
        waiting = list(self.reactors)
        async with asyncio.TaskGroup() as tasks:
            while True:
                for reactor in list(waiting):
                    if await inbox.own(reactor.name):
                        waiting.remove(reactor)
                        source = self._source(reactor)
                        line = Line(reactor, source, self._shared[source], inbox)
                        self._lines[reactor.name] = line
                        tasks.create_task(line.run(), name=f"reactor-{reactor.name}")
                self._begun.set()
                await self._redrive(inbox)
                await asyncio.sleep(OWN_SECONDS)

    async def _redrive(self, inbox: Inbox) -> None:
        for name, source, stream in await inbox.redrives():
            line = self._lines.get(name)
            if line is not None and line.source == source:
                await line.redrive(stream)

    async def _end(self, inbox: Inbox) -> None:
        lines, self._lines = list(self._lines.values()), {}
        self._begun.clear()
        try:
            with suppress(psycopg.Error, TimeoutError):
                async with asyncio.timeout(STOP_SECONDS):
                    for line in lines:
                        await line.save()
        finally:
            await inbox.close()


def _first(errors: BaseExceptionGroup[Exception]) -> BaseException:
    found: BaseException = errors
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    return found
