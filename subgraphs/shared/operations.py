"""What operators do with a service's projections: rebuild, switch, roll back, redrive, skip.

Each act carries the reason, the caller and the correlation of its request into the event that
`projections` records of it, and is done once for one idempotency key. A rebuild goes on in the
service after the request that began it, until it is done or the service stops.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import structlog

from eventstore import Append, Appended, EventStore, Idempotency, Streams
from eventstore.errors import IdempotencyKeyReused
from eventstore.event import Metadata
from projections import Operations, Projection, ProjectionError
from projections.catalogue import Build
from projections.inbox import ParkedStream
from projections.operations import Overview
from projections.parked import ParkedKey
from projections.rebuild import Progress
from projections.verify import Verification
from subgraphs.shared.auth import Role
from subgraphs.shared.commands import Commands
from subgraphs.shared.errors import InvalidValue, KeyReused, Refusal
from subgraphs.shared.graphql.context import RequestContext
from subgraphs.shared.graphql.types import Receipt

REASON_CHARACTERS_MAX = 1_000
NAME_CHARACTERS_MAX = 1_000
EVENTS_PER_SECOND_MAX = 10_000.0
"""A rebuild in the service takes turns with requests; the command rebuilds at full speed."""
RATE_SECONDS_MIN, RATE_SECONDS_MAX = 0.5, 60.0
"""Over how long the rate of a build is taken that somebody else writes."""

log = structlog.get_logger("subgraphs.operations")


class NothingParked(Refusal):
    """There is nothing to redrive or to skip, of a projection (`key`) or a reactor (`stream`)."""

    code = "NOTHING_PARKED"

    def __init__(self, name: str, key: str | None, *, what: str = "key") -> None:
        self.name, self.key = name, key
        under = "" if key is None else f" under the {what} {key!r}"
        super().__init__(
            f"nothing of {name!r} is parked{under}: see what is parked",
            path=["name" if key is None else what],
        )


@dataclass(slots=True)
class Rebuild:
    """A rebuild that this service runs, or ran last, of one projection."""

    task: asyncio.Task[object]
    progress: Progress | None = None
    error: str | None = None


@dataclass(slots=True)
class Recording:
    """Appends the events of one act: they tell of its request, the first keeps its key."""

    store: EventStore
    metadata: Metadata
    idempotency: Idempotency | None
    first: asyncio.Future[Appended] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    async def __call__(self, append: Append, metadata: Metadata) -> None:
        key, self.idempotency = self.idempotency, None
        appended = await self.store.append(
            append,
            metadata=msgspec.structs.replace(self.metadata, occurred_at=metadata.occurred_at),
            idempotency=key,
            outcome=self.metadata.command_id.encode(),
        )
        if not self.first.done():
            self.first.set_result(appended)


Act = Callable[[Operations, Recording], Awaitable[object]]


class Operator:
    """Carries out what operators ask of one service's projections; everything asks for the role."""

    def __init__(
        self,
        store: EventStore,
        projections: Sequence[Projection],
        reactors: Sequence[str],
        *,
        name: str,
        conninfo: str,
        secret: bytes,
    ) -> None:
        self.name = name
        self._store, self._projections, self._reactors = store, tuple(projections), tuple(reactors)
        self._conninfo = conninfo
        self._commands = Commands(store, Streams(store), name=name, secret=secret)
        self._operations = self._of(None)
        self._rebuilds: dict[str, Rebuild] = {}
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._marks: dict[int, tuple[float, int]] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """The projections there are."""
        return self._operations.declared.names

    async def stop(self) -> None:
        """Stop rebuilds after their batch at hand; asked for again, they go on from there."""
        tasks = [rebuild.task for rebuild in self._rebuilds.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._rebuilds.clear()

    # -- seeing

    async def overview(self, context: RequestContext[Any]) -> Overview:
        """All builds there are now."""
        _require(context)
        return await self._operations.overview()

    def running(self, name: str) -> Rebuild | None:
        """The rebuild that this service runs, or ran last."""
        return self._rebuilds.get(name)

    def rate(self, build: Build) -> int | None:
        """Positions a second, since somebody asked before; None until that can be said."""
        now = time.monotonic()
        at, position = self._marks.get(build.id, (now, build.position))
        if now - at > RATE_SECONDS_MAX or build.id not in self._marks:
            self._marks[build.id] = (now, build.position)
        if now - at < RATE_SECONDS_MIN:
            return None
        return round(max(0, build.position - position) / (now - at))

    def forget(self, overview: Overview) -> None:
        """Keep marks of builds that are still there."""
        there = {build.id for build in overview.builds}
        for gone in self._marks.keys() - there:
            del self._marks[gone]

    async def parked(
        self, context: RequestContext[Any], limit: int, after: tuple[str, str] | None
    ) -> list[ParkedKey]:
        """Keys that wait, longest first."""
        _require(context)
        return await self._operations.parked_page(limit, after)

    async def verify(self, context: RequestContext[Any], name: str) -> Verification:
        """Compare the live build with the other. Raises ProjectionError."""
        _require(context)
        return await self._operations.verify(_name(name))

    # -- acting; each raises Refusal or ProjectionError

    async def rebuild(
        self, context: RequestContext[Any], name: str, reason: str, key: str, *, restart: bool
    ) -> Receipt:
        """Begin to rebuild, or to go on with it; return once that is recorded."""

        async def begin(operations: Operations, recording: Recording) -> None:
            def tell(progress: Progress) -> None:
                running.progress = progress

            work = operations.rebuild(
                name,
                by=recording.metadata.actor,
                reason=reason,
                restart=restart,
                events_per_second_max=EVENTS_PER_SECOND_MAX,
                progress=tell,
            )
            before = self._rebuilds.get(name)
            task = asyncio.create_task(work, name=f"rebuild {self.name}/{name}")
            running = Rebuild(task)
            task.add_done_callback(lambda _: _ended(running, name))
            self._rebuilds[name] = running
            awaited: set[asyncio.Future[Any]] = {task, recording.first}
            await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
            if not recording.first.done():  # refused: what is under way stays what is shown
                if before is not None:
                    self._rebuilds[name] = before
                else:
                    del self._rebuilds[name]
                await task

        return await self._act(context, "rebuild", name, reason, key, [restart], begin)

    async def switch(
        self, context: RequestContext[Any], name: str, reason: str, key: str, *, force: bool
    ) -> Receipt:
        """Let readers see what was rebuilt."""

        async def act(operations: Operations, recording: Recording) -> None:
            await operations.switch(name, by=recording.metadata.actor, reason=reason, force=force)

        return await self._act(context, "switch", name, reason, key, [force], act)

    async def roll_back(
        self, context: RequestContext[Any], name: str, reason: str, key: str
    ) -> Receipt:
        """Let readers see what they saw before."""

        async def act(operations: Operations, recording: Recording) -> None:
            await operations.roll_back(name, by=recording.metadata.actor, reason=reason)

        return await self._act(context, "rollBack", name, reason, key, [], act)

    async def redrive(
        self,
        context: RequestContext[Any],
        name: str,
        parked_key: str | None,
        reason: str,
        key: str,
    ) -> Receipt:
        """Have parked events applied again. Raises NothingParked."""

        async def act(operations: Operations, recording: Recording) -> None:
            if not await operations.redrive(
                name, parked_key, by=recording.metadata.actor, reason=reason
            ):
                raise NothingParked(name, parked_key)

        return await self._act(context, "redrive", name, reason, key, [parked_key], act)

    async def skip(
        self, context: RequestContext[Any], name: str, parked_key: str, reason: str, key: str
    ) -> Receipt:
        """Give up the event that a key waits for. Raises NothingParked."""

        async def act(operations: Operations, recording: Recording) -> None:
            if not await operations.skip(
                name, parked_key, by=recording.metadata.actor, reason=reason
            ):
                raise NothingParked(name, parked_key)

        return await self._act(context, "skip", name, reason, key, [parked_key], act)

    async def parked_messages(
        self, context: RequestContext[Any], limit: int, after: tuple[str, str] | None
    ) -> list[ParkedStream]:
        """Streams whose messages to a reactor wait, longest first."""
        _require(context)
        return await self._operations.parked_messages(limit=limit, after=after)

    async def redrive_reactor(
        self,
        context: RequestContext[Any],
        name: str,
        stream: str | None,
        reason: str,
        key: str,
    ) -> Receipt:
        """Have parked messages reacted to again. Raises NothingParked."""

        async def act(operations: Operations, recording: Recording) -> None:
            if not await operations.redrive_reactor(
                name, stream, by=recording.metadata.actor, reason=reason
            ):
                raise NothingParked(name, stream, what="stream")

        return await self._act(context, "redrive", name, reason, key, [stream], act, of="reactor")

    async def skip_message(
        self, context: RequestContext[Any], name: str, stream: str, reason: str, key: str
    ) -> Receipt:
        """Give up the message that a stream waits behind. Raises NothingParked."""

        async def act(operations: Operations, recording: Recording) -> None:
            if not await operations.skip_message(
                name, stream, by=recording.metadata.actor, reason=reason
            ):
                raise NothingParked(name, stream, what="stream")

        return await self._act(context, "skip", name, reason, key, [stream], act, of="reactor")

    async def _act(
        self,
        context: RequestContext[Any],
        verb: str,
        name: str,
        reason: str,
        key: str,
        rest: list[Any],
        act: Act,
        *,
        of: str = "projection",
    ) -> Receipt:
        _require(context)
        _reason(reason)
        known = self._operations.reactor if of == "reactor" else self._operations.newest
        known(_name(name))
        metadata = context.metadata(reason=reason)
        body, command = [name, reason, *rest], f"{verb}{of.title()}"
        idempotency = self._commands.idempotency(context, key, command, body)
        assert idempotency is not None
        stream = f"{of}_{name}"
        async with self._locks[stream]:  # a repeat waits for what it repeats
            try:
                appended = await self._store.replayed(idempotency)
                if appended is None:
                    recording = Recording(self._store, metadata, idempotency)
                    await act(self._of(recording), recording)
                    appended = await recording.first
            except IdempotencyKeyReused as error:
                raise KeyReused from error
        return self._commands.receipt(appended, stream, appended.outcome.decode())

    def _of(self, recording: Recording | None) -> Operations:
        return Operations(
            self._store,
            self._projections,
            conninfo=self._conninfo,
            reactors=self._reactors,
            append=recording,
        )


def _ended(rebuild: Rebuild, name: str) -> None:
    """Keep why a rebuild ended before it was done."""
    if rebuild.task.cancelled():
        rebuild.error = "the service stopped: rebuild again to go on"
        return
    error = rebuild.task.exception()
    if error is not None:
        rebuild.error = f"{type(error).__name__}: {error}"
        if not isinstance(error, ProjectionError):
            log.error("rebuild failed", projection=name, exc_info=error)


def _require(context: RequestContext[Any]) -> None:
    context.caller.require_role("operate projections", Role.OPERATOR)


def _reason(reason: str) -> None:
    if not reason.strip() or len(reason) > REASON_CHARACTERS_MAX or "\0" in reason:
        raise InvalidValue(
            f"a reason has 1 to {REASON_CHARACTERS_MAX} characters: it is recorded with who did it",
            path=["reason"],
        )


def _name(name: str) -> str:
    if len(name) > NAME_CHARACTERS_MAX:
        raise InvalidValue(f"a name has {NAME_CHARACTERS_MAX} characters at most", path=["name"])
    return name
