"""What an event is: a past-tense fact, stored under a fixed type name, with its metadata.

    @event_type("order.placed", version=2)
    class OrderPlaced(Event, frozen=True):
        customer_id: str
        total_minor: int

This module does no I/O: domain code may import it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Annotated, Any, ClassVar, Generic, Protocol, Self, TypeVar
from uuid import UUID

import msgspec

T = TypeVar("T")
Personal = Annotated[T, msgspec.Meta(extra={"personal": True})]
"""A field that tells of a person, `email: Personal[str]`: what the log can be made to forget. The
class says whose it is: `@event_type("user.registered", subject="user_id")`."""

ERASED = "erased"
UNREADABLE = "unreadable"
"""In place of text that should be there and does not open: never of a person who was erased."""
"""What a personal text reads as once the person is forgotten."""

_TYPE_NAME = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+\Z")


class Event(msgspec.Struct, frozen=True, gc=False):
    """Base of domain events: a frozen typed struct whose fields are the payload.

    `TYPE` is the name it is stored under for ever; `TYPE_VERSION` counts the shapes of its payload,
    from 1. A `PUBLIC` event is part of the service's feed, the others stay inside. `SUBJECT` is the
    field with the id of the person whom its personal fields are about.
    """

    TYPE: ClassVar[str] = ""
    TYPE_VERSION: ClassVar[int] = 1
    PUBLIC: ClassVar[bool] = True
    SUBJECT: ClassVar[str | None] = None


C = TypeVar("C", bound=type[Event])


def event_type(
    name: str, *, version: int = 1, public: bool = True, subject: str | None = None
) -> Callable[[C], C]:
    """Give an event class the name and version it is stored under.

    Raises ValueError for a name that is not lower-case words joined by dots, or a version below 1.
    """
    if not _TYPE_NAME.match(name):
        raise ValueError(f"event type {name!r}: expected lower-case words joined by dots, like a.b")
    if version < 1:
        raise ValueError(f"event type {name!r} has version {version}: versions start at 1")

    def named(cls: C) -> C:
        cls.TYPE, cls.TYPE_VERSION, cls.PUBLIC, cls.SUBJECT = name, version, public, subject
        return cls

    return named


class Actor(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Who acts. `kind` is one of user, staff, service, process_manager, system_timer, provider."""

    kind: str
    id: str
    on_behalf_of: str | None = None


NOBODY = "anonymous"
"""The id of an actor who did not say who they are."""


class Client(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Where a command came from, as far as it is known.

    That tells of a person, `of`. A log with keys keeps it `sealed`, and so it is read, without `ip`
    and `agent`: `EventStore.persons.clients` and the full feed open it.
    """

    ip: str | None = None
    agent: str | None = None
    of: str | None = None
    sealed: str | None = None


class Metadata(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """Who, why and in answer to what. One for all events of an append.

    `command_id` names the intent that was decided, `correlation_id` the client's first intent,
    `causation_id` the event (or command) that directly led here. `occurred_at` is set by the
    caller's clock; the store adds the time it recorded.
    """

    actor: Actor
    command_id: str
    correlation_id: str
    causation_id: str | None = None
    reason: str | None = None
    occurred_at: datetime
    client: Client | None = None
    traceparent: str | None = None


E = TypeVar("E", bound=Event)


class Recorded(msgspec.Struct, Generic[E], frozen=True, gc=False):
    """An event as the log holds it. `position` is its place in the global order, from 1, gapless;
    `version` its place in its stream, from 1. `type_version` is that of `event`, after upcasting.
    """

    position: int
    stream: str
    version: int
    id: UUID
    type: str
    type_version: int
    event: E
    metadata: Metadata
    recorded_at: datetime
    tags: tuple[str, ...] = ()

    @property
    def originator_id(self) -> str:
        """The stream, by the name `eventsourcing` gives it."""
        return self.stream

    @property
    def originator_version(self) -> int:
        """The version, by the name `eventsourcing` gives it."""
        return self.version


class Folds(Protocol):
    """State folded from one stream: `initial` before its first event, `evolve` with each.

    A state is a value: `evolve` gives another one and leaves it as it was, since states are kept.
    """

    @classmethod
    def initial(cls, stream: str) -> Self: ...

    def evolve(self, event: Any) -> Self:
        """Fold. Never refuses: the event already happened."""
        ...


Payload = Mapping[str, Any]
"""An event's payload as JSON: what upcasters take and return."""
