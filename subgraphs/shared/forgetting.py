"""Forgetting a person: in every log once the users service said so, and then beside the log."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import ClassVar

import msgspec

from eventstore import Actor, EventStore
from projections import Message, Reactor

SHOWN_SECONDS_MAX = 30.0

Shown = Callable[[int, float], Awaitable[bool]]
"""Whether the read models show a position of the service's own log, within seconds."""


class UserErased(msgspec.Struct, frozen=True):
    user_id: str
    reason: str


class Forgetting(Reactor):
    """Has the service's own log forget whoever was erased.

    Read models and whatever else keeps something of them react to the `subject.erased` that this
    appends: it may come from elsewhere, as from `lonja log erase`.
    """

    name, source = "forgetting", "users"
    reads: ClassVar[Mapping[str, type[msgspec.Struct]]] = {"user.erased": UserErased}

    def __init__(self, store: EventStore, clock: Callable[[], datetime]) -> None:
        self._store, self._clock = store, clock

    async def react(self, message: Message) -> None:
        """Erase; who was erased before is not again."""
        said: UserErased = message.data
        await self._store.persons.erase(
            said.user_id,
            reason=said.reason,
            metadata=message.caused(Actor("service", self._store.name), at=self._clock()),
        )


class Erased(msgspec.Struct, frozen=True):
    """What of the own log's `subject.erased` matters here."""

    subject: str
    reason: str


class NotShownYet(Exception):
    """The read models are behind: tried again."""

    code = "NOT_SHOWN_YET"


class AfterErasure(Reactor):
    """Base of what does the rest, beside the log, once the read models show the erasure."""

    source = ""
    reads: ClassVar[Mapping[str, type[msgspec.Struct]]] = {"subject.erased": Erased}

    def __init__(self, shown: Shown) -> None:
        self._shown = shown

    async def react(self, message: Message) -> None:
        """Raises NotShownYet, and what `forget` raises: tried again."""
        if not await self._shown(message.position, SHOWN_SECONDS_MAX):
            raise NotShownYet
        await self.forget(message.data, message)

    async def forget(self, erased: Erased, message: Message) -> None:
        """Do it. It may be done a second time."""
        raise NotImplementedError
