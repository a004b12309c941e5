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


EVENTS: tuple[type[Event], ...] = (LogVerified,)
