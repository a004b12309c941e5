"""What every service records of its callers, beside its own events."""

from __future__ import annotations

import msgspec

from eventstore.event import Event, Personal, event_type


@event_type("command.refused", public=False, subject="caller_id")
class CommandRefused(Event, frozen=True):
    """Somebody asked for what the rules or their roles forbid. In a stream of its own (`rfs_…`), so
    that it moves the version of nothing.

    `operation` is the mutation's name and `subject` the first id among its arguments, which the
    stream is named after. `unrecorded` counts refusals of the same caller before this one that
    were too many to be kept.
    """

    caller_id: str
    operation: str
    code: str
    message: Personal[str]
    subject: str | None = None
    unrecorded: int = 0


class AskedField(msgspec.Struct, frozen=True):
    """A field of the schema (or a command of `lonja log`) that was asked, `of` which thing if it is
    the field of one. `arguments` are JSON text.
    """

    field: str
    of: str
    arguments: str


@event_type("audit.read", public=False)
class AuditRead(Event, frozen=True):
    """An auditor read the log, in one request. In a stream of the reader (`aud_…`).

    `events` is how many were shown, `persons` are the ids of the users that they tell of;
    `persons_unlisted` counts those beyond what one event lists.
    """

    asked: tuple[AskedField, ...]
    events: int
    persons: tuple[str, ...]
    persons_unlisted: int = 0


EVENTS: tuple[type[Event], ...] = (CommandRefused, AuditRead)
