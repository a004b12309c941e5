"""What the placement process is told: the answers of other services, timers, people.

Of an answer only the fields this process reads are named; the others are ignored, and a producer
may add to them. Every answer names its order.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import msgspec

from subgraphs.orders.parts import SentLine, Shortage


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    order_id: str


# ---- inventory


class ReservationHeld(Answer, frozen=True, kw_only=True):
    """An order has one reservation; `attempt` says for which asking it is held this time."""

    reservation_id: str
    attempt: int
    expires_at: datetime | None = None


class ReservationRejected(Answer, frozen=True, kw_only=True):
    attempt: int
    shortages: tuple[Shortage, ...] = ()


class ReservationCommitted(Answer, frozen=True, kw_only=True):
    reservation_id: str


class ReservationReleased(Answer, frozen=True, kw_only=True):
    reservation_id: str


class ReservationExpired(Answer, frozen=True, kw_only=True):
    reservation_id: str
    attempt: int


# ---- payments


class Authorized(Answer, frozen=True, kw_only=True):
    payment_id: str
    amount_minor: int
    currency: str


class Declined(Answer, frozen=True, kw_only=True):
    payment_id: str | None = None
    decline_code: str | None = None


class OutcomeUnknown(Answer, frozen=True, kw_only=True):
    payment_id: str | None = None


class ActionRequired(Answer, frozen=True, kw_only=True):
    payment_id: str


class Captured(Answer, frozen=True, kw_only=True):
    payment_id: str
    shipment_id: str
    amount_minor: int


class CaptureFailed(Answer, frozen=True, kw_only=True):
    payment_id: str | None = None
    shipment_id: str | None = None
    reason: str | None = None


class Voided(Answer, frozen=True, kw_only=True):
    payment_id: str


class VoidFailed(Answer, frozen=True, kw_only=True):
    payment_id: str
    reason: str | None = None


# ---- shipping


class Planned(Answer, frozen=True, kw_only=True):
    shipment_id: str


class Dispatched(Answer, frozen=True, kw_only=True):
    shipment_id: str
    lines: tuple[SentLine, ...]
    carrier: str | None = None
    tracking_number: str | None = None


class Cancelled(Answer, frozen=True, kw_only=True):
    shipment_id: str


# ---- our own


@dataclass(frozen=True, slots=True)
class TimerFired:
    """A timer row came due. Ignored unless the process still waits for exactly this."""

    step: str
    token: str


@dataclass(frozen=True, slots=True)
class CancellationAsked:
    """Raises NotCancellable when it is too late. `reason` is None for a customer who was erased."""

    reason: str | None
    requested_by: str


@dataclass(frozen=True, slots=True)
class ResumeAsked:
    """An operator wants every outstanding request sent again."""

    reason: str | None
    resumed_by: str


Message = Answer | TimerFired | CancellationAsked | ResumeAsked
