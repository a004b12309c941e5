"""What only the owner of a log can say of it: seals, proofs, states. The journal asks for it.

Like feeds, it is for services alone, and works in one process and over HTTP alike (http_audit.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol, TypeVar
from uuid import UUID

import msgspec
import psycopg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from eventstore import EventStore, EventStoreError, Recorded, Unreadable
from eventstore.audit import (
    EventHash,
    NotProvable,
    Report,
    Seal,
    Status,
    hashes,
    prove,
    status,
    verify,
)
from eventstore.audit.as_of import Change, History, Time, left_out, until
from subgraphs.shared.errors import RequestError

T = TypeVar("T")


class LogUnreachable(RequestError):
    """The service cannot say now."""

    code = "SERVICE_UNAVAILABLE"

    def __init__(self, service: str, reason: str) -> None:
        self.service, self.reason = service, reason
        super().__init__(f"the log of {service} cannot be asked now ({reason}): try again")


class NotSealedYet(RequestError):
    """There is no proof yet, or none at all."""

    code = "NOT_PROVABLE"


class StateUnreadable(RequestError):
    """An event that the state is folded from does not open: what is left would be a guess."""

    code = "UNREADABLE"


class Trust(Protocol):
    """Whose seals are believed, and what was kept of them outside the database."""

    def keys(self) -> Mapping[str, Ed25519PublicKey]: ...

    def checkpoint(self, number: int | None = None) -> Seal | None:
        """The newest, or that of a seal's number. Raises ValueError where there is one that cannot
        be read.
        """
        ...


class LogState(msgspec.Struct, frozen=True):
    """`checkpoint` is the position up to which a seal is kept outside the database."""

    status: Status
    checkpoint: int | None


class Verified(msgspec.Struct, frozen=True):
    """What verification found. `checkpoint` is the number of the seal it was held against,
    `position` and `fault` the first thing that is wrong.
    """

    events: int
    sealed: int
    seals: int
    checkpoint: int | None
    position: int | None = None
    fault: str | None = None

    @classmethod
    def of(cls, report: Report, checkpoint: Seal | None) -> Verified:
        """What a report says of a log that was held against a checkpoint, if there was one."""
        number = checkpoint.read().number if checkpoint is not None else None
        fault = report.fault
        if fault is None:
            return cls(report.events, report.sealed, report.seals, number)
        return cls(report.events, report.sealed, report.seals, number, fault.position, str(fault))


class StateThen(msgspec.Struct, frozen=True):
    """A stream as it stood, folded by its owner; `state` is null where nothing folds such streams.
    All events up to `version` are in it but those `without`, which happened later than what was
    asked for. `at` is the time, of the kind asked for, of the last one.
    """

    version: int
    at: datetime
    folded: bool
    state: msgspec.Raw
    without: tuple[int, ...] = ()


class LogAudit(Protocol):
    """Raises LogUnreachable where the service, or its database, does not answer, and
    StateUnreadable for a state that is folded from an event that does not open.
    """

    async def state(self) -> LogState: ...

    async def hashes(self, ids: Sequence[UUID]) -> list[EventHash]: ...

    async def prove(self, event_id: UUID) -> bytes:
        """A proof, as `eventstore.audit.check` takes it. Raises NotSealedYet."""
        ...

    async def verify(self) -> Verified:
        """Go through the whole log: it takes a while."""
        ...

    async def as_of(
        self, stream: str, version: int | None, at: datetime | None, by: Time = Time.RECORDED
    ) -> StateThen | None:
        """Null before there was anything. `by` says which time of events is `at`."""
        ...

    async def diff(self, stream: str, from_version: int, to_version: int) -> list[Change] | None:
        """None where nothing folds such streams."""
        ...


class LocalAudit:
    """The log of a service in this process."""

    def __init__(
        self,
        store: EventStore,
        conninfo: str,
        histories: Mapping[str, History],
        trust: Trust | None,
    ) -> None:
        self._store, self._conninfo = store, conninfo
        self._histories, self._trust = histories, trust
        self._verifying: asyncio.Task[Verified] | None = None

    async def state(self) -> LogState:
        kept = self._checkpoint()
        found = await self._reading(lambda c: status(c, self._store.layout))
        return LogState(found, kept.read().last if kept is not None else None)

    async def hashes(self, ids: Sequence[UUID]) -> list[EventHash]:
        return await self._reading(lambda c: hashes(c, self._store.layout, ids))

    async def prove(self, event_id: UUID) -> bytes:
        try:
            proof = await self._reading(lambda c: prove(c, self._store.layout, event_id))
        except NotProvable as error:
            raise NotSealedYet(str(error)) from None
        return msgspec.json.encode(proof)

    async def verify(self) -> Verified:
        """Who asks while it runs gets the same answer."""
        if self._verifying is None or self._verifying.done():
            self._verifying = asyncio.create_task(asyncio.to_thread(self._verified))
        try:
            return await asyncio.shield(self._verifying)
        except psycopg.Error as error:
            raise LogUnreachable(self._store.name, str(error).strip()) from None

    async def as_of(
        self, stream: str, version: int | None, at: datetime | None, by: Time = Time.RECORDED
    ) -> StateThen | None:
        if version is not None and version < 1:
            return None
        events = await self._events(stream, version)
        seen = until(events, at, by)
        if not seen:
            return None
        history = self._histories.get(stream.partition("_")[0])
        state = history.state(stream, seen) if history is not None else None
        text = msgspec.json.encode(state, order="sorted")
        last = seen[-1]
        return StateThen(
            max(recorded.version for recorded in seen),
            by.of(last),
            history is not None,
            msgspec.Raw(text),
            left_out(seen),
        )

    async def diff(self, stream: str, from_version: int, to_version: int) -> list[Change] | None:
        history = self._histories.get(stream.partition("_")[0])
        if history is None:
            return None
        events = await self._events(stream, max(from_version, to_version))
        return history.differences(stream, events, from_version, to_version)

    async def _events(self, stream: str, version: int | None) -> list[Recorded[Any]]:
        try:
            return await self._store.read_stream(stream, up_to_version=version)
        except Unreadable as error:
            raise StateUnreadable(f"{stream} cannot be folded: {error}") from error
        except EventStoreError as error:
            raise LogUnreachable(self._store.name, str(error)) from error

    async def _reading(self, function: Callable[[psycopg.Connection[Any]], T]) -> T:
        try:
            return await self._store.reading(function)
        except NotProvable:
            raise
        except (EventStoreError, psycopg.OperationalError) as error:
            raise LogUnreachable(self._store.name, str(error)) from error

    def _checkpoint(self, number: int | None = None) -> Seal | None:
        try:
            return self._trust.checkpoint(number) if self._trust is not None else None
        except ValueError as error:
            raise LogUnreachable(self._store.name, str(error)) from error

    def _verified(self) -> Verified:
        """In a connection of its own: readers have theirs back soon."""
        kept = self._checkpoint()
        keys = self._trust.keys() if self._trust is not None else {}
        with psycopg.connect(self._conninfo, autocommit=True) as connection:
            report = verify(
                connection, self._store.layout, keys, checkpoint=kept, kept=self._checkpoint
            )
        return Verified.of(report, kept)
