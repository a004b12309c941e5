"""Webhooks: who wants to be told of what, and each thing that is told to them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from eventstore.event import Event
from subgraphs.notifications.webhook_events import (
    WebhookCreated,
    WebhookDelivered,
    WebhookDeliveryFailed,
    WebhookDeliveryQueued,
    WebhookDisabled,
)
from subgraphs.shared.errors import InvalidValue, NotFound

EVENT_TYPES = (
    "order.placed",
    "order.confirmed",
    "order.rejected",
    "order.cancelled",
    "order.completed",
)
"""What can be told: the lives of orders."""

URL_CHARACTERS_MAX = 500
ATTEMPTS_MAX = 8
RETRY_SECONDS_FIRST = 5
RETRY_SECONDS_MAX = 6 * 3600
SECRET_PREFIX = "whsec_"


@dataclass(frozen=True, slots=True)
class Webhook:
    """State folded from one webhook's stream; `url` is empty before its first event."""

    id: str
    url: str = ""
    event_types: tuple[str, ...] = ()
    disabled: str | None = None

    @classmethod
    def initial(cls, stream: str) -> Webhook:
        """No webhook yet."""
        return cls(stream)

    def create(
        self, url: str, event_types: Sequence[str], *, by: str, insecure: bool, now: datetime
    ) -> list[Event]:
        """Decide. Raises InvalidValue. `insecure` allows plain HTTP, for machines of one's own."""
        if self.url:
            return []
        schemes = ("https", "http") if insecure else ("https",)
        if not _usable(url, schemes):
            raise InvalidValue(
                f"a webhook's url is {' or '.join(schemes)}, with a host and without a password",
                path=["url"],
            )
        unknown = sorted(set(event_types) - set(EVENT_TYPES))
        if unknown or not event_types:
            raise InvalidValue(
                f"event types are some of {', '.join(EVENT_TYPES)}", path=["eventTypes"]
            )
        return [WebhookCreated(self.id, url, sorted(set(event_types)), by, now)]

    def disable(self, reason: str) -> list[Event]:
        """Decide. Disabled already is nothing to do. Raises NotFound."""
        if not self.url:
            raise NotFound("Webhook", self.id, path=["id"])
        return [] if self.disabled else [WebhookDisabled(self.id, reason)]

    def evolve(self, event: Event) -> Webhook:
        """Fold. Never refuses: the event already happened."""
        match event:
            case WebhookCreated():
                return replace(self, url=event.url, event_types=tuple(event.event_types))
            case WebhookDisabled():
                return replace(self, disabled=event.reason)
            case _:
                return self


@dataclass(frozen=True, slots=True)
class WebhookDelivery:
    """State folded from one delivery's stream: one event for one webhook."""

    id: str
    queued: WebhookDeliveryQueued | None = None
    attempts: int = 0
    done: bool = False

    @classmethod
    def initial(cls, stream: str) -> WebhookDelivery:
        """Nothing to deliver yet."""
        return cls(stream)

    def deliver(self, status: int) -> list[Event]:
        """Decide, after the receiver took it."""
        if self.queued is None or self.done:
            return []
        return [WebhookDelivered(self.id, self.queued.webhook_id, status)]

    def fail(self, reason: str, now: datetime, *, for_good: bool = False) -> list[Event]:
        """Decide, after the receiver did not: try again later, or give up."""
        if self.queued is None or self.done:
            return []
        attempt = self.attempts + 1
        retry_at = None
        if attempt < ATTEMPTS_MAX and not for_good:
            pause = min(RETRY_SECONDS_MAX, RETRY_SECONDS_FIRST * 5 ** (attempt - 1))
            retry_at = now + timedelta(seconds=pause)
        return [WebhookDeliveryFailed(self.id, self.queued.webhook_id, attempt, reason, retry_at)]

    def evolve(self, event: Event) -> WebhookDelivery:
        """Fold. Never refuses: the event already happened."""
        match event:
            case WebhookDeliveryQueued():
                return replace(self, queued=event)
            case WebhookDelivered():
                return replace(self, attempts=self.attempts + 1, done=True)
            case WebhookDeliveryFailed():
                return replace(self, attempts=event.attempt, done=event.retry_at is None)
            case _:
                return self


def _usable(url: str, schemes: Sequence[str]) -> bool:
    """Whether a POST can be sent there."""
    if len(url) > URL_CHARACTERS_MAX or not url.isascii() or not url.isprintable() or " " in url:
        return False
    try:
        parts = urlsplit(url)
        return (
            parts.scheme in schemes
            and bool(parts.hostname)
            and "@" not in parts.netloc
            and (parts.port is None or parts.port > 0)
        )
    except ValueError:  # a port that is no number, a bracket that is not closed
        return False


def new_secret() -> str:
    """A secret in the form of the Standard Webhooks specification: 192 random bits."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(24)).decode()


def signature(secret: str, message_id: str, timestamp: int, body: str) -> str:
    """The `webhook-signature` header: version 1 of Standard Webhooks, HMAC-SHA256 in base 64."""
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    signed = f"{message_id}.{timestamp}.{body}".encode()
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
