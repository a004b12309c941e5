"""What happens to notifications. They name the user, never the address: that is looked up late."""

from __future__ import annotations

from datetime import datetime

from eventstore.event import Event, event_type


@event_type("notification.queued")
class NotificationQueued(Event, frozen=True):
    """`caused_by` is the id of the event it tells of; `values` are what the template shows."""

    notification_id: str
    channel: str
    template: str
    user_id: str
    order_id: str | None
    caused_by: str
    values: dict[str, str]
    at: datetime


@event_type("notification.requeued")
class NotificationRequeued(Event, frozen=True):
    """Somebody wants it sent once more."""

    notification_id: str
    requested_by: str


@event_type("notification.attempt_failed", public=False)
class AttemptFailed(Event, frozen=True):
    """Not delivered this time; tried again at `retry_at`."""

    notification_id: str
    attempt: int
    reason: str
    retry_at: datetime


@event_type("notification.sent")
class NotificationSent(Event, frozen=True):
    notification_id: str
    channel: str
    template: str
    user_id: str
    order_id: str | None
    at: datetime


@event_type("notification.bounced")
class NotificationBounced(Event, frozen=True):
    """The address does not take it, and never will."""

    notification_id: str
    user_id: str
    reason: str


@event_type("notification.failed")
class NotificationFailed(Event, frozen=True):
    """Given up after too many attempts."""

    notification_id: str
    user_id: str
    attempts: int
    reason: str


@event_type("notification.suppressed")
class NotificationSuppressed(Event, frozen=True):
    """Not sent, on purpose."""

    notification_id: str
    user_id: str
    reason: str


EVENTS = (
    NotificationQueued,
    NotificationRequeued,
    AttemptFailed,
    NotificationSent,
    NotificationBounced,
    NotificationFailed,
    NotificationSuppressed,
)
