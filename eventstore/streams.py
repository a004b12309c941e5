"""Deciding with a stream: load its state, decide, append; again, if somebody was faster."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from eventstore.append import Append, Appended, Effect, Idempotency
from eventstore.errors import WrongExpectedVersion
from eventstore.event import Event, Folds, Metadata, Recorded
from eventstore.read import PAGE_EVENTS_MAX
from eventstore.store import EventStore

ATTEMPTS_MAX = 20
"""Times that `execute` decides anew because another process wrote to the stream first."""

S = TypeVar("S", bound=Folds)


@dataclass(frozen=True, slots=True)
class Loaded(Generic[S]):
    """State folded from a stream, its version (0: no such stream) and its last event's position."""

    state: S
    version: int
    position: int


@dataclass(frozen=True, slots=True)
class Executed(Generic[S]):
    """The state after deciding, and what was appended. When there was nothing to do, `appended`
    says where the stream stands; when the key was known, what was answered before.
    """

    state: S
    appended: Appended


class Streams:
    """Loads and executes over one store.

    Executions on one stream take turns within the process, so they conflict only with other
    processes; different streams go side by side.
    """

    def __init__(self, store: EventStore) -> None:
        self.store = store
        self._turns: dict[str, tuple[asyncio.Lock, int]] = {}

    async def load(self, folded: type[S], stream: str) -> tuple[S, int]:
        """The state of a stream and its version: `initial` and 0 where there is none."""
        loaded = await self.loaded(folded, stream)
        return loaded.state, loaded.version

    async def loaded(
        self, folded: type[S], stream: str, *, up_to_version: int | None = None
    ) -> Loaded[S]:
        """The state of a stream, as it is or as it was at a version."""
        first = await self.store.read_stream(
            stream, up_to_version=up_to_version, limit=PAGE_EVENTS_MAX
        )
        return await self._fold(folded, stream, first, up_to_version)

    async def _fold(
        self,
        folded: type[S],
        stream: str,
        events: Sequence[Recorded[Any]],
        up_to_version: int | None = None,
    ) -> Loaded[S]:
        """The state after the first page of a stream, and after what follows it."""
        state, version, position = folded.initial(stream), 0, 0
        while True:
            for recorded in events:
                state = state.evolve(recorded.event)
            if events:
                version, position = events[-1].version, events[-1].position
            if len(events) < PAGE_EVENTS_MAX:
                return Loaded(state, version, position)
            events = await self.store.read_stream(
                stream, after_version=version, up_to_version=up_to_version, limit=PAGE_EVENTS_MAX
            )

    async def execute(
        self,
        folded: type[S],
        stream: str,
        decide: Callable[[S], Sequence[Event]],
        *,
        metadata: Metadata,
        expected_version: int | None = None,
        idempotency: Idempotency | None = None,
        outcome: bytes | Callable[[S, Sequence[Event]], bytes] = b"",
        effects: Callable[[S, Sequence[Event]], Sequence[Effect]] | None = None,
        tags: tuple[str, ...] = (),
    ) -> Executed[S]:
        """Load, decide, append what was decided. `outcome` and `effects` may be made of the state
        after it and the events. A known idempotency key is answered before deciding.

        If the stream moved meanwhile, load and decide again, unless the caller named the version
        that must be there. Raises what `decide` and EventStore.append raise.
        """
        async with self._turn(stream):
            attempt = 1
            while True:
                if idempotency is None:
                    loaded = await self.loaded(folded, stream)
                else:
                    seen, events_so_far = await self.store.replayed_or_stream(
                        idempotency, stream, limit=PAGE_EVENTS_MAX
                    )
                    if seen is not None:
                        return Executed((await self.load(folded, stream))[0], seen)
                    loaded = await self._fold(folded, stream, events_so_far)
                if expected_version is not None and loaded.version != expected_version:
                    raise WrongExpectedVersion(stream, expected_version, loaded.version)
                events = decide(loaded.state)
                state = loaded.state
                for event in events:
                    state = state.evolve(event)
                given = outcome(state, events) if callable(outcome) else outcome
                if not events and idempotency is None:
                    standing = Appended(loaded.position, {stream: loaded.version}, outcome=given)
                    return Executed(state, standing)
                try:
                    appended = await self.store.append(
                        Append(stream, events, loaded.version, tags),
                        metadata=metadata,
                        idempotency=idempotency,
                        outcome=given,
                        effects=effects(state, events) if effects is not None else (),
                    )
                except WrongExpectedVersion:
                    if expected_version is not None or attempt == ATTEMPTS_MAX:
                        raise
                    attempt += 1
                else:
                    if appended.replayed:
                        state = (await self.load(folded, stream))[0]
                    return Executed(state, appended)

    @asynccontextmanager
    async def _turn(self, stream: str) -> AsyncIterator[None]:
        lock, waiting = self._turns.get(stream) or (asyncio.Lock(), 0)
        self._turns[stream] = (lock, waiting + 1)
        try:
            async with lock:
                yield
        finally:
            lock, waiting = self._turns.pop(stream)
            if waiting > 1:
                self._turns[stream] = (lock, waiting - 1)
