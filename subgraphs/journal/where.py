"""What clients may filter events by, in the words of the schema."""

from __future__ import annotations

from datetime import datetime

import strawberry

from subgraphs.journal.reads import Where


@strawberry.input
class EventWhere:
    service: list[str] | None = None
    type: list[str] | None = None
    stream_id: strawberry.ID | None = None
    actor_id: strawberry.ID | None = None
    correlation_id: strawberry.ID | None = None
    subject_id: strawberry.ID | None = strawberry.field(
        default=None, description="The user whom events have personal fields of."
    )
    number: str | None = strawberry.field(
        default=None,
        description="An order's number, a tracking number, or a payment provider's reference.",
    )
    since: datetime | None = strawberry.field(default=None, description="Recorded at or after.")
    until: datetime | None = strawberry.field(default=None, description="Recorded before.")

    def conditions(self) -> Where:
        """In the words of the table."""
        return Where(
            service=self.service,
            type=self.type,
            stream=text(self.stream_id),
            actor_id=text(self.actor_id),
            correlation_id=text(self.correlation_id),
            subject_id=text(self.subject_id),
            number=self.number,
            since=self.since,
            until=self.until,
        )


@strawberry.input
class AuditReadWhere:
    reader_id: strawberry.ID | None = None
    person_id: strawberry.ID | None = None
    since: datetime | None = None
    until: datetime | None = None


def text(value: strawberry.ID | None) -> str | None:
    """An id as the table has it."""
    return None if value is None else str(value)
