"""What is recorded of an operator's acts, in the log of the service that they concern."""

from __future__ import annotations

from eventstore.event import Event, event_type


@event_type("projection.rebuild_started", public=False)
class RebuildStarted(Event, frozen=True):
    projection: str
    version: int
    workers: int


@event_type("projection.rebuilt", public=False)
class RebuildFinished(Event, frozen=True):
    projection: str
    version: int
    build: int
    position: int
    events: int


@event_type("projection.switched", public=False)
class BuildSwitched(Event, frozen=True):
    projection: str
    build: int
    before: int
    position: int
    forced: bool
    differences: int | None


@event_type("projection.rolled_back", public=False)
class BuildRolledBack(Event, frozen=True):
    projection: str
    build: int
    before: int
    position: int


@event_type("projection.redriven", public=False)
class ParkedRedriven(Event, frozen=True):
    projection: str
    key: str | None
    keys: int


@event_type("projection.event_skipped", public=False)
class EventSkipped(Event, frozen=True):
    projection: str
    key: str
    position: int


@event_type("reactor.redriven", public=False)
class MessagesRedriven(Event, frozen=True):
    """Those of one parked stream, or of all: `streams` of them."""

    reactor: str
    stream: str | None
    streams: int


@event_type("reactor.message_skipped", public=False)
class MessageSkipped(Event, frozen=True):
    """`position` is that in the log of `source`."""

    reactor: str
    source: str
    stream: str
    position: int


OPERATOR_EVENTS: tuple[type[Event], ...] = (
    RebuildStarted,
    RebuildFinished,
    BuildSwitched,
    BuildRolledBack,
    ParkedRedriven,
    EventSkipped,
    MessagesRedriven,
    MessageSkipped,
)
