"""That a person was forgotten: the event that every log knows, and the stream it is in."""

from __future__ import annotations

from datetime import datetime

from eventstore.event import Event, event_type

SUBJECT_BYTES_MAX = 200


@event_type("subject.erased")
class SubjectErased(Event, frozen=True):
    """The key of `subject` was destroyed: their personal data reads "erased" from now on.

    Who keeps something of theirs elsewhere empties it. `reason` must not tell of the person.
    """

    subject: str
    reason: str
    at: datetime


def subject_stream(subject: str) -> str:
    """The stream of a subject's erasure: it exists if, and only if, they were erased."""
    return f"subject:{subject}"
