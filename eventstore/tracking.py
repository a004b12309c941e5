"""Tracking records of `eventsourcing` beside our log: how far an upstream log was processed.

They are stored as effects of an append, so they commit with the events that answer a notification.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from eventsourcing.persistence import ProcessRecorder, StoredEvent, Tracking, TrackingRecorder

from eventstore.append import Effect, Idempotency
from eventstore.decide import Request
from eventstore.recorders import LogApplicationRecorder, OverStore, library_errors
from eventstore.store import EventStore


class LogTrackingRecorder(OverStore, TrackingRecorder):
    """Keeps, for each upstream application, the last notification that was processed."""

    def __init__(self, store: EventStore, to_originator_id: Callable[[str], UUID | str]) -> None:
        super().__init__(store, to_originator_id)
        self.tracking_table = f"{self.schema}.tracking"

    def create_table(self) -> None:
        """Make the table where it is missing. Subclasses make theirs too."""
        self.store.reading_sync(
            lambda c: c.execute(
                f"CREATE TABLE IF NOT EXISTS {self.tracking_table} ("
                'application_name text COLLATE "C" PRIMARY KEY, notification_id bigint NOT NULL)'
            )
        )

    def tracking_effect(self, tracking: Tracking) -> Effect:
        """Moves the record forward; breaks its NOT NULL constraint if it would not."""
        return Effect(
            f"INSERT INTO {self.tracking_table} AS old VALUES (%s, %s) "
            "ON CONFLICT (application_name) DO UPDATE SET notification_id = CASE "
            "WHEN old.notification_id < excluded.notification_id THEN excluded.notification_id END",
            (tracking.application_name, tracking.notification_id),
        )

    @library_errors()
    def insert_tracking(self, tracking: Tracking) -> None:
        self.store.submit_sync(
            Request((), 0, 0, tracking_key(tracking), effects=(self.tracking_effect(tracking),))
        )

    @library_errors()
    def max_tracking_id(self, application_name: str) -> int | None:
        sql = f"SELECT notification_id FROM {self.tracking_table} WHERE application_name = %s"
        row = self.store.reading_sync(
            lambda c: c.execute(sql.encode(), [application_name], prepare=True).fetchone()
        )
        return row[0] if row is not None else None


def tracking_key(tracking: Tracking) -> Idempotency:
    """By which a tracking record without events is found again if nobody knows whether it was
    stored. The hash is new every time: the same record from another caller is a conflict.
    """
    key = f"tracking:{tracking.application_name}:{tracking.notification_id}"
    return Idempotency(key, secrets.token_bytes(16))


class LogProcessRecorder(LogTrackingRecorder, LogApplicationRecorder, ProcessRecorder):
    """Events with the tracking record of what they answer to, in one append."""

    def insert_events(
        self, stored_events: Sequence[StoredEvent], **kwargs: Any
    ) -> Sequence[int] | None:
        tracking: Tracking | None = kwargs.pop("tracking", None)
        if tracking is not None:
            kwargs["effects"] = (*kwargs.get("effects", ()), self.tracking_effect(tracking))
            if not stored_events:
                kwargs.setdefault("idempotency", tracking_key(tracking))
        return super().insert_events(stored_events, **kwargs)
