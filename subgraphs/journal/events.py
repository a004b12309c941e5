"""What the journal records of its own, beside what auditors read."""

from __future__ import annotations

from eventstore.event import Event, event_type


@event_type("log.verified", public=False)
class LogVerified(Event, frozen=True):
    """Somebody had a service's log verified: every hash was recomputed and held against the seals,
    and they against what is kept outside the database (`checkpoint`, the number of a seal).

    `position` and `fault` are the first thing that is wrong. In the stream of the log (`log_…`).
    """

    service: str
    events: int
    sealed: int
    seals: int
    checkpoint: int | None = None
    position: int | None = None
    fault: str | None = None


@event_type("export.started", public=False)
class ExportStarted(Event, frozen=True):
    """An auditor wants the events that match `where` (JSON text) in a file: those that the journal
    had of each service at that time, `up_to` these positions.
    """

    export_id: str
    format: str
    where: str
    up_to: dict[str, int]


@event_type("export.completed", public=False)
class ExportCompleted(Event, frozen=True):
    """The file is there, with a manifest that says the same."""

    export_id: str
    file: str
    events: int
    bytes: int
    sha256: str


@event_type("export.failed", public=False)
class ExportFailed(Event, frozen=True):
    export_id: str
    reason: str


@event_type("export.withdrawn", public=False)
class ExportWithdrawn(Event, frozen=True):
    """The file is gone: it told of somebody who was erased."""

    export_id: str
    reason: str


EVENTS: tuple[type[Event], ...] = (
    LogVerified,
    ExportStarted,
    ExportCompleted,
    ExportFailed,
    ExportWithdrawn,
)
