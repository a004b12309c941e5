"""One notification: queued, tried until it is delivered or given up, and never sent unasked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum

from eventstore.event import ERASED, Event
from subgraphs.notifications.events import (
    AttemptFailed,
    NotificationBounced,
    NotificationFailed,
    NotificationQueued,
    NotificationRequeued,
    NotificationSent,
    NotificationSuppressed,
    RecipientRegistered,
    RecipientRenamed,
    RecipientSilenced,
)
from subgraphs.shared.errors import NotFound, Refusal

ATTEMPTS_MAX = 8
RETRY_SECONDS_FIRST = 15
RETRY_SECONDS_MAX = 3600


class Channel(Enum):
    EMAIL = "EMAIL"
    IN_APP = "IN_APP"


class DeliveryState(Enum):
    QUEUED = "QUEUED"
    SENT = "SENT"
    BOUNCED = "BOUNCED"
    FAILED = "FAILED"
    SUPPRESSED = "SUPPRESSED"


class NotResendable(Refusal):
    """Only what went its way, or was given up, can be sent once more."""

    code = "NOT_RESENDABLE"

    def __init__(self, notification_id: str, reason: str) -> None:
        self.notification_id = notification_id
        super().__init__(f"{notification_id} {reason}", path=["id"])


@dataclass(frozen=True, slots=True)
class Notification:
    """State folded from one notification's stream; `queued` is None before its first event."""

    id: str
    queued: NotificationQueued | None = None
    state: DeliveryState = DeliveryState.QUEUED
    attempts: int = 0
    sent_at: datetime | None = None
    round: int = 1

    @classmethod
    def initial(cls, stream: str) -> Notification:
        """No notification yet."""
        return cls(stream)

    def queue(
        self,
        channel: Channel,
        template: str,
        *,
        user_id: str,
        order_id: str | None,
        caused_by: str,
        values: Mapping[str, str],
        now: datetime,
    ) -> list[Event]:
        """Decide. Queued already is nothing to do: there is one for what it tells of.

        An in-app message is delivered by being there.
        """
        if self.queued is not None:
            return []
        events: list[Event] = [
            NotificationQueued(
                self.id, channel.value, template, user_id, order_id, caused_by, dict(values), now
            )
        ]
        if channel is Channel.IN_APP:
            events += self.evolve(events[0]).deliver(now)
        return events

    def deliver(self, now: datetime) -> list[Event]:
        """Decide, after the transport took it. Delivered already is nothing to do."""
        queued = self._waiting()
        if queued is None:
            return []
        return [
            NotificationSent(
                self.id, queued.channel, queued.template, queued.user_id, queued.order_id, now
            )
        ]

    def fail(self, reason: str, now: datetime) -> list[Event]:
        """Decide, after the transport failed: try again later, or give up."""
        queued = self._waiting()
        if queued is None:
            return []
        attempt = self.attempts + 1
        if attempt >= ATTEMPTS_MAX:
            return [NotificationFailed(self.id, queued.user_id, attempt, reason)]
        pause = min(RETRY_SECONDS_MAX, RETRY_SECONDS_FIRST * 2 ** (attempt - 1))
        return [
            AttemptFailed(self.id, attempt, reason, now + timedelta(seconds=pause), queued.user_id)
        ]

    def bounce(self, reason: str) -> list[Event]:
        """Decide, after the transport refused the address for good."""
        queued = self._waiting()
        return [] if queued is None else [NotificationBounced(self.id, queued.user_id, reason)]

    def suppress(self, reason: str) -> list[Event]:
        """Decide not to send it."""
        queued = self._waiting()
        return [] if queued is None else [NotificationSuppressed(self.id, queued.user_id, reason)]

    def resend(self, by: str) -> list[Event]:
        """Decide. Raises NotFound, NotResendable (still queued, suppressed, or not mail)."""
        if self.queued is None:
            raise NotFound("Notification", self.id, path=["id"])
        if self.queued.channel != Channel.EMAIL.value:
            raise NotResendable(self.id, "is no mail: it is where it was put")
        match self.state:
            case DeliveryState.QUEUED:
                return []
            case DeliveryState.SUPPRESSED:
                raise NotResendable(self.id, "was suppressed: the user wants no mail")
            case _:
                return [NotificationRequeued(self.id, by)]

    def evolve(self, event: Event) -> Notification:
        """Fold. Never refuses: the event already happened."""
        match event:
            case NotificationQueued():
                return replace(self, queued=event)
            case NotificationRequeued():
                return replace(self, state=DeliveryState.QUEUED, attempts=0, round=self.round + 1)
            case AttemptFailed():
                return replace(self, attempts=event.attempt)
            case NotificationSent():
                return replace(
                    self, state=DeliveryState.SENT, attempts=self.attempts + 1, sent_at=event.at
                )
            case NotificationBounced():
                return replace(self, state=DeliveryState.BOUNCED, attempts=self.attempts + 1)
            case NotificationFailed():
                return replace(self, state=DeliveryState.FAILED, attempts=event.attempts)
            case NotificationSuppressed():
                return replace(self, state=DeliveryState.SUPPRESSED)
            case _:
                return self

    def _waiting(self) -> NotificationQueued | None:
        return self.queued if self.state is DeliveryState.QUEUED else None


@dataclass(frozen=True, slots=True)
class Recipient:
    """Whom mail goes to: state folded from one recipient's stream. Of somebody who is not known,
    the e-mail address is empty; of somebody who was erased it is ERASED.
    """

    id: str
    email: str = ""
    name: str | None = None
    wants_mail: bool = True

    @classmethod
    def initial(cls, stream: str) -> Recipient:
        """Not known yet."""
        return cls(stream)

    @property
    def known(self) -> bool:
        """Whether the registration was heard of."""
        return self.email != ""

    @property
    def erased(self) -> bool:
        """Whether nothing is known of them any more."""
        return self.email == ERASED

    def register(self, user_id: str, email: str, name: str | None) -> list[Event]:
        """Decide. Known already is nothing to do."""
        return [] if self.known else [RecipientRegistered(user_id, email, name)]

    def rename(self, user_id: str, name: str | None) -> list[Event]:
        """Decide. Nothing to do for who is not known, or is called so."""
        same = not self.known or name == self.name
        return [] if same else [RecipientRenamed(user_id, name)]

    def silence(self, user_id: str) -> list[Event]:
        """Decide. Nothing to do for who is not known, or gets no mail."""
        return [RecipientSilenced(user_id)] if self.known and self.wants_mail else []

    def evolve(self, event: Event) -> Recipient:
        """Fold. Never refuses: the event already happened."""
        match event:
            case RecipientRegistered():
                return replace(self, email=event.email, name=event.name)
            case RecipientRenamed():
                return replace(self, name=event.name)
            case RecipientSilenced():
                return replace(self, wants_mail=False)
            case _:
                return self


def recipient_of(user_id: str) -> str:
    """The stream of a user as a recipient."""
    return f"rcp_{user_id.partition('_')[2]}"
