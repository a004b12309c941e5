"""What an operator does with projections, each act recorded as an event with who did it and why.

    operations = Operations(store, [OrderSummaries()])
    await operations.rebuild("order_summaries", by=actor, reason="a column was added")
    await operations.switch("order_summaries", by=actor, reason="verified")

The events go to the service's own log, into the stream `projection_<name>` (of a reactor:
`reactor_<name>`), if its store knows their types (`OPERATOR_EVENTS`, to be registered with the
service's own).
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar
from uuid import uuid4

from eventstore.append import Append
from eventstore.event import Actor, Event, Metadata
from eventstore.store import EventStore
from projections import catalogue, parked
from projections.catalogue import Build
from projections.errors import NotAProjection, ReasonNeeded, UnknownReactor
from projections.inbox import LISTED_MAX, Inbox, ParkedStream
from projections.operator_events import (
    OPERATOR_EVENTS,
    BuildRolledBack,
    BuildSwitched,
    EventSkipped,
    MessageSkipped,
    MessagesRedriven,
    ParkedRedriven,
    RebuildFinished,
    RebuildStarted,
)
from projections.parked import ParkedKey
from projections.projection import Projection
from projections.rebuild import Progress, Rebuilt, rebuild
from projections.scratch import SAMPLE_STREAMS, Trial, dry_run, scratch
from projections.store_log import StoreLog
from projections.supervision import Declared, prepare
from projections.switch import Switched, roll_back, switch
from projections.verify import Verification, verify
from projections.workers import Source

__all__ = ["OPERATOR_EVENTS", "Operations", "Overview"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Overview:
    """The builds, the log's head (which none is beyond), their bytes on disk and whether somebody
    writes them now, by their ids.
    """

    builds: list[Build]
    head: int
    sizes: dict[int, int]
    written: frozenset[int]


class Operations:
    """The projections of one service, for its operator, and what is parked of its `reactors`, which
    are never rebuilt.

    `crew` makes the same store in another process, for rebuilds with several workers. `append`
    takes what is to be recorded, where more is known of an act than who did it and why.
    """

    def __init__(
        self,
        store: EventStore,
        projections: Sequence[Projection],
        *,
        conninfo: str | None = None,
        reactors: Sequence[str] = (),
        crew: Source | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        append: Callable[[Append, Metadata], Awaitable[object]] | None = None,
        source: StoreLog | None = None,
    ) -> None:
        self.store, self.log = store, StoreLog(store) if source is None else source
        self.conninfo = store.conninfo if conninfo is None else conninfo
        self.declared = Declared(projections)
        self._reactors, self._crew, self._clock = frozenset(reactors), crew, clock
        self.append = append or self._to_store

    def newest(self, name: str) -> Projection:
        """The declared projection. Raises UnknownProjection, NotAProjection for a reactor."""
        if name in self._reactors:
            raise NotAProjection(name)
        return self.declared.newest(name)

    def reactor(self, name: str) -> str:
        """The name of a reactor. Raises UnknownReactor."""
        if name not in self._reactors:
            raise UnknownReactor(name, sorted(self._reactors))
        return name

    async def builds(self, name: str | None = None, *, retired: bool = False) -> list[Build]:
        """The builds there are, with their positions."""
        if name is not None:
            self.newest(name)
        return await self._with(lambda c: catalogue.builds(c, name, retired=retired))

    async def overview(self) -> Overview:
        """All that there is to see, of one moment."""

        def look(connection: catalogue.Connection) -> Overview:
            found = [b for b in catalogue.builds(connection) if b.name in self.declared.names]
            return Overview(
                found,
                self.log.head(connection),
                catalogue.sizes(connection),
                frozenset(b.id for b in found if catalogue.owned_by_another(connection, b.id)),
            )

        return await self._with(look)

    async def sizes(self) -> dict[int, int]:
        """Bytes on disk of each build's tables and indexes, by the build's id."""
        return await self._with(catalogue.sizes)

    async def rebuild(
        self,
        name: str,
        *,
        by: Actor,
        reason: str = "",
        workers: int = 1,
        restart: bool = False,
        events_per_second_max: float = math.inf,
        progress: Callable[[Progress], None] = lambda _: None,
    ) -> Rebuilt:
        """Build the declared version beside the live one. See `projections.rebuild.rebuild`.

        That it started is recorded before anything is replayed, and not where it is refused.
        """
        projection = await self._there(name)
        loop = asyncio.get_running_loop()
        started = RebuildStarted(name, projection.version, workers)

        def begun(_: Build) -> None:
            recording = self._record(name, started, by, reason)
            asyncio.run_coroutine_threadsafe(recording, loop).result()

        done = await rebuild(
            self.log,
            self.conninfo,
            projection,
            crew=self._crew,
            workers=workers,
            restart=restart,
            events_per_second_max=events_per_second_max,
            begun=begun,
            progress=progress,
        )
        build = done.build
        finished = RebuildFinished(name, build.version, build.number, build.position, done.events)
        await self._record(name, finished, by, reason)
        return done

    async def dry_run(self, name: str, *, streams: int = SAMPLE_STREAMS) -> Trial:
        """What a rebuild would take and change, by a sample; nothing is written."""
        return await dry_run(self.log, self.conninfo, await self._there(name), streams=streams)

    async def scratch(
        self, name: str, *, stream: str | None = None, since: datetime | None = None
    ) -> Trial:
        """Fold one stream, or what was recorded since a time, into tables to look at."""
        projection = await self._there(name)
        return await scratch(self.log, self.conninfo, projection, stream=stream, since=since)

    async def verify(self, name: str) -> Verification:
        """Compare the live build with the one that is ready, or that was live before."""
        await self._there(name)
        return await verify(self.log, self.conninfo, self.declared, name)

    async def switch(
        self, name: str, *, by: Actor, reason: str = "", force: bool = False, **given: float
    ) -> Switched:
        """Let readers see the build that is ready. See `projections.switch.switch`."""
        await self._there(name)
        done = await switch(
            self.log, self.conninfo, self.declared, name, force=force, reason=reason, **given
        )
        differences = None if done.verification is None else done.verification.differences
        event = BuildSwitched(
            name, done.live.number, done.before.number, done.position, force, differences
        )
        await self._record(name, event, by, reason)
        return done

    async def roll_back(
        self, name: str, *, by: Actor, reason: str = "", **given: float
    ) -> Switched:
        """Let readers see what they saw before the last switch."""
        await self._there(name)
        done = await roll_back(self.log, self.conninfo, self.declared, name, **given)
        event = BuildRolledBack(name, done.live.number, done.before.number, done.position)
        await self._record(name, event, by, reason)
        return done

    async def parked(self, name: str | None = None) -> list[ParkedKey]:
        """Keys whose events wait behind one that failed."""
        return await self._with(lambda c: parked.listed(c, name))

    async def parked_page(
        self, limit: int, after: tuple[str, str] | None = None
    ) -> list[ParkedKey]:
        """Up to `limit` of them, beyond the `place` of another: time and id."""
        return await self._with(lambda c: parked.listed(c, after=after, limit=limit))

    async def redrive(
        self, name: str | None = None, key: str | None = None, *, by: Actor, reason: str = ""
    ) -> int:
        """Have parked events applied again, in order; return how many keys that concerns."""
        if name is not None:
            self.newest(name)
        keys = await self._with(lambda c: parked.ask_redrive(c, name, key))
        if keys:
            await self._record(name or "all", ParkedRedriven(name or "all", key, keys), by, reason)
        return keys

    async def skip(self, name: str, key: str, *, by: Actor, reason: str) -> int:
        """Give up the event that failed, with a reason; return its position, 0 if there is none."""
        if not reason.strip():
            raise ReasonNeeded("skipping an event")
        self.newest(name)
        for waiting in await self.parked(name):
            if waiting.key == key:
                build_id = waiting.build_id
                position = await self._with(
                    lambda c: parked.skip(c, build_id, key, reason=reason)  # noqa: B023
                )
                await self._record(name, EventSkipped(name, key, position), by, reason)
                return position
        return 0

    async def parked_messages(
        self,
        name: str | None = None,
        *,
        limit: int = LISTED_MAX,
        after: tuple[str, str] | None = None,
    ) -> list[ParkedStream]:
        """Streams of reactors whose messages wait behind one that failed, longest first: up to
        `limit`, beyond the `place` of another: time and id.
        """
        async with self._inbox() as inbox:
            return await inbox.listed(name, limit=limit, after=after)

    async def redrive_reactor(
        self, name: str | None = None, stream: str | None = None, *, by: Actor, reason: str = ""
    ) -> int:
        """Have parked messages reacted to again, in order; return how many streams that concerns.
        Raises UnknownReactor.
        """
        if name is not None:
            self.reactor(name)
        async with self._inbox() as inbox:
            streams = await inbox.ask_redrive(name, stream)
        if streams:
            event = MessagesRedriven(name or "all", stream, streams)
            await self._record_of(f"reactor_{name or 'all'}", event, by, reason)
        return streams

    async def skip_message(self, name: str, stream: str, *, by: Actor, reason: str) -> int:
        """Give up the message that failed, with a reason; return its position, 0 if there is none.
        Those behind it are redriven. Raises UnknownReactor, ReasonNeeded.
        """
        if not reason.strip():
            raise ReasonNeeded("skipping a message")
        self.reactor(name)
        async with self._inbox() as inbox:
            skipped = await inbox.skip(name, stream)
        if skipped is None:
            return 0
        source, position = skipped
        event = MessageSkipped(name, source, stream, position)
        await self._record_of(f"reactor_{name}", event, by, reason)
        return position

    @asynccontextmanager
    async def _inbox(self) -> AsyncIterator[Inbox]:
        await self._with(lambda _: None)  # makes what is missing
        inbox = await Inbox.connect(self.conninfo, f"{self.log.name} operate")
        try:
            yield inbox
        finally:
            await inbox.close()

    async def _there(self, name: str) -> Projection:
        """The declared projection, whose first build is made if there is none yet."""
        projection = self.newest(name)
        await self._with(lambda c: prepare(c, Declared([projection]), upgrade=False))
        return projection

    async def _with(self, function: Callable[[catalogue.Connection], T]) -> T:
        def call() -> T:
            with catalogue.connect(self.conninfo, f"{self.log.name} operate") as connection:
                catalogue.install(connection)
                return function(connection)

        return await asyncio.to_thread(call)

    async def _record(self, name: str, event: Event, by: Actor, reason: str) -> None:
        await self._record_of(f"projection_{name}", event, by, reason)

    async def _record_of(self, stream: str, event: Event, by: Actor, reason: str) -> None:
        if event.TYPE not in self.store.types.names:
            return
        command = f"cmd_{uuid4().hex}"
        metadata = Metadata(
            actor=by,
            command_id=command,
            correlation_id=command,
            reason=reason or None,
            occurred_at=self._clock(),
        )
        await self.append(Append(stream, [event]), metadata)

    async def _to_store(self, append: Append, metadata: Metadata) -> None:
        await self.store.append(append, metadata=metadata)
