"""What happens to notifications, and to those who get them.

Notifications name the user, never the address: that is looked up late, in the recipient's stream.
"""

from __future__ import annotations

from datetime import datetime

from eventstore.event import Event, Personal, event_type


@event_type("recipient.registered", public=False, subject="user_id")
class RecipientRegistered(Event, frozen=True):
    """Somebody to write to, as the users service told: stream `rcp_…`, one for each user."""

    user_id: str
    email: Personal[str]
    name: Personal[str | None]


@event_type("recipient.renamed", public=False, subject="user_id")
class RecipientRenamed(Event, frozen=True):
    user_id: str
    name: Personal[str | None]


@event_type("recipient.silenced", public=False)
class RecipientSilenced(Event, frozen=True):
    """They asked to be forgotten: no more mail."""

    user_id: str


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


@event_type("notification.attempt_failed", public=False, subject="user_id")
class AttemptFailed(Event, frozen=True):
    """Not delivered this time; tried again at `retry_at`."""

    notification_id: str
    attempt: int
    reason: Personal[str]
    retry_at: datetime
    user_id: str = ""


@event_type("notification.sent")
class NotificationSent(Event, frozen=True):
    notification_id: str
    channel: str
    template: str
    user_id: str
    order_id: str | None
    at: datetime


@event_type("notification.bounced", subject="user_id")
class NotificationBounced(Event, frozen=True):
    """The address does not take it, and never will."""

    notification_id: str
    user_id: str
    reason: Personal[str]


@event_type("notification.failed", subject="user_id")
class NotificationFailed(Event, frozen=True):
    """Given up after too many attempts."""

    notification_id: str
    user_id: str
    attempts: int
    reason: Personal[str]


@event_type("notification.suppressed")
class NotificationSuppressed(Event, frozen=True):
    """Not sent, on purpose."""

    notification_id: str
    user_id: str
    reason: str


EVENTS = (
    RecipientRegistered,
    RecipientRenamed,
    RecipientSilenced,
    NotificationQueued,
    NotificationRequeued,
    AttemptFailed,
    NotificationSent,
    NotificationBounced,
    NotificationFailed,
    NotificationSuppressed,
)
