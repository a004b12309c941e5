"""Deciding with a stream: load its state, decide, append; again, if somebody was faster."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

from eventstore.append import Append, Appended, Effect, Idempotency
from eventstore.errors import WrongExpectedVersion
from eventstore.event import Event, Folds, Metadata
from eventstore.read import PAGE_EVENTS_MAX
from eventstore.snapshots import codec_of
from eventstore.state_cache import Loaded, StateCache, fold
from eventstore.store import EventStore

ATTEMPTS_MAX = 20
"""Times that `execute` decides anew because another process wrote to the stream first."""

CACHED_STREAMS_MAX = 1_000

S = TypeVar("S", bound=Folds)


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
    processes; different streams go side by side. The states of the `cached_streams_max` streams
    used last are kept, so that only their new events are read; other streams are loaded from their
    snapshots, where their class takes part in that (eventstore/snapshots.py).
    """

    def __init__(self, store: EventStore, *, cached_streams_max: int = CACHED_STREAMS_MAX) -> None:
        self.store = store
        self._cache = StateCache(cached_streams_max)
        self._turns: dict[str, tuple[asyncio.Lock, int]] = {}

    async def load(self, folded: type[S], stream: str) -> tuple[S, int]:
        """The state of a stream and its version: `initial` and 0 where there is none."""
        loaded = await self.loaded(folded, stream)
        return loaded.state, loaded.version

    async def loaded(
        self, folded: type[S], stream: str, *, up_to_version: int | None = None
    ) -> Loaded[S]:
        """The state of a stream, as it is or as it was at a version."""
        if up_to_version is not None:
            start = Loaded(folded.initial(stream), 0, 0)
            return await self._go_on(start, stream, up_to_version=up_to_version)
        erasures = self._renewed()
        start = self._cache.start(folded, stream)
        if start.version or codec_of(folded) is None:
            loaded = await self._go_on(start, stream)
            self.store.snapshots.consider(folded, stream, start.version, loaded.version)
        else:
            load = self.store.snapshots.load
            loaded = await self.store.reading(lambda c: load(c, folded, stream))
        self._cache.keep(stream, loaded, erasures)
        return loaded

    def _renewed(self) -> int:
        """How many persons the log has forgotten, no state being kept from before."""
        erasures = self.store.watch.erasures
        self._cache.renew(erasures)
        return erasures

    async def _go_on(
        self, loaded: Loaded[S], stream: str, *, up_to_version: int | None = None
    ) -> Loaded[S]:
        """Fold what follows a state, page by page."""
        while True:
            events = await self.store.read_stream(
                stream,
                after_version=loaded.version,
                up_to_version=up_to_version,
                limit=PAGE_EVENTS_MAX,
            )
            loaded = fold(loaded, events)
            if len(events) < PAGE_EVENTS_MAX:
                return loaded

    async def _replayed_or_loaded(
        self, folded: type[S], stream: str, idempotency: Idempotency
    ) -> Loaded[S] | Appended:
        """What was answered to the key before; if nothing was, the state."""
        erasures = self._renewed()
        start = self._cache.start(folded, stream)
        if start.version or codec_of(folded) is None:
            seen, events = await self.store.replayed_or_stream(
                idempotency, stream, after_version=start.version, limit=PAGE_EVENTS_MAX
            )
            if seen is not None:
                return seen
            loaded = fold(start, events)
            if len(events) == PAGE_EVENTS_MAX:
                loaded = await self._go_on(loaded, stream)
            self.store.snapshots.consider(folded, stream, start.version, loaded.version)
        else:
            load = self.store.snapshots.load
            found = await self.store.replayed_or(idempotency, lambda c: load(c, folded, stream))
            if isinstance(found, Appended):
                return found
            loaded = found
        self._cache.keep(stream, loaded, erasures)
        return loaded

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
            try:
                return await self._decide_and_append(
                    folded,
                    stream,
                    decide,
                    metadata=metadata,
                    expected_version=expected_version,
                    idempotency=idempotency,
                    outcome=outcome,
                    effects=effects,
                    tags=tags,
                )
            except Exception:
                # The refusal may come of the same request having been carried out elsewhere, after
                # the key was asked for and before the stream was read.
                if idempotency is None or not (seen := await self.store.replayed(idempotency)):
                    raise
                return Executed((await self.load(folded, stream))[0], seen)

    async def _decide_and_append(
        self,
        folded: type[S],
        stream: str,
        decide: Callable[[S], Sequence[Event]],
        *,
        metadata: Metadata,
        expected_version: int | None,
        idempotency: Idempotency | None,
        outcome: bytes | Callable[[S, Sequence[Event]], bytes],
        effects: Callable[[S, Sequence[Event]], Sequence[Effect]] | None,
        tags: tuple[str, ...],
    ) -> Executed[S]:
        for attempt in range(1, ATTEMPTS_MAX + 1):
            erasures = self._renewed()
            if idempotency is None:
                loaded = await self.loaded(folded, stream)
            else:
                found = await self._replayed_or_loaded(folded, stream, idempotency)
                if isinstance(found, Appended):
                    return Executed((await self.load(folded, stream))[0], found)
                loaded = found
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
                self._cache.drop(folded, stream)
                if expected_version is not None or attempt == ATTEMPTS_MAX:
                    raise
            else:
                if appended.replayed:
                    state = (await self.load(folded, stream))[0]
                elif events:
                    version = appended.versions[stream]
                    self.store.snapshots.consider(folded, stream, loaded.version, version)
                    self._cache.keep(stream, Loaded(state, version, appended.position), erasures)
                return Executed(state, appended)
        raise AssertionError("the last attempt returns or raises")

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
