"""What happens to webhooks and to what is sent to them. None of it is other services' business."""

from __future__ import annotations

from datetime import datetime

from eventstore.event import Event, Personal, event_type


@event_type("webhook.created", public=False)
class WebhookCreated(Event, frozen=True):
    """Its secret is kept beside the log, not in it."""

    webhook_id: str
    url: str
    event_types: list[str]
    created_by: str
    at: datetime


@event_type("webhook.disabled", public=False)
class WebhookDisabled(Event, frozen=True):
    webhook_id: str
    reason: str


@event_type("webhook.delivery_queued", public=False, subject="customer_id")
class WebhookDeliveryQueued(Event, frozen=True):
    """`body` is what is sent, byte for byte, at every attempt. It tells of an order of the
    customer."""

    delivery_id: str
    webhook_id: str
    event_id: str
    event_type: str
    body: Personal[str]
    customer_id: str = ""


@event_type("webhook.delivered", public=False)
class WebhookDelivered(Event, frozen=True):
    delivery_id: str
    webhook_id: str
    status: int


@event_type("webhook.delivery_failed", public=False)
class WebhookDeliveryFailed(Event, frozen=True):
    """Tried again at `retry_at`; given up without one."""

    delivery_id: str
    webhook_id: str
    attempt: int
    reason: str
    retry_at: datetime | None


WEBHOOK_EVENTS = (
    WebhookCreated,
    WebhookDisabled,
    WebhookDeliveryQueued,
    WebhookDelivered,
    WebhookDeliveryFailed,
)
