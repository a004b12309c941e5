"""The states that a placement is made of, each resource with one of its own."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from subgraphs.orders.parts import SentLine


class Goal(StrEnum):
    PLACE = "PLACE"
    REJECT = "REJECT"
    CANCEL = "CANCEL"


class Stock(StrEnum):
    NONE = "NONE"
    REQUESTED = "REQUESTED"
    HELD = "HELD"
    ALLOCATING = "ALLOCATING"
    REFUSED = "REFUSED"
    LOST = "LOST"
    ALLOCATED = "ALLOCATED"
    RELEASING = "RELEASING"
    RELEASED = "RELEASED"


class Money(StrEnum):
    NONE = "NONE"
    NOT_NEEDED = "NOT_NEEDED"
    REQUESTED = "REQUESTED"
    ACTION_REQUIRED = "ACTION_REQUIRED"
    UNKNOWN = "UNKNOWN"
    AUTHORIZED = "AUTHORIZED"
    REFUSED = "REFUSED"
    VOIDING = "VOIDING"
    VOIDED = "VOIDED"


class Goods(StrEnum):
    NONE = "NONE"
    REQUESTED = "REQUESTED"
    CANCELLING = "CANCELLING"


class Step(StrEnum):
    """What the process can wait for. A capture waits under a name that adds its shipment."""

    RESERVE = "RESERVE"
    AUTHORIZE = "AUTHORIZE"
    CUSTOMER = "CUSTOMER"
    ALLOCATE = "ALLOCATE"
    SHIP = "SHIP"
    DISPATCH = "DISPATCH"
    CAPTURE = "CAPTURE"
    RELEASE = "RELEASE"
    VOID = "VOID"
    CANCEL_SHIPMENT = "CANCEL_SHIPMENT"
    DEADLINE = "DEADLINE"


class Rejection(StrEnum):
    """Why an order was rejected."""

    OUT_OF_STOCK = "OUT_OF_STOCK"
    STOCK_LOST = "STOCK_LOST"
    PAYMENT_DECLINED = "PAYMENT_DECLINED"
    PAYMENT_ABANDONED = "PAYMENT_ABANDONED"
    PAYMENT_VOIDED = "PAYMENT_VOIDED"
    PAYMENT_MISMATCH = "PAYMENT_MISMATCH"
    DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED"
    CUSTOMER_ERASED = "CUSTOMER_ERASED"


class Parcel(StrEnum):
    PLANNED = "PLANNED"
    DISPATCHED = "DISPATCHED"
    CAPTURING = "CAPTURING"
    CAPTURE_FAILED = "CAPTURE_FAILED"
    PAID = "PAID"
    CANCELLED = "CANCELLED"


STOCK_SETTLED = frozenset({Stock.NONE, Stock.REFUSED, Stock.LOST, Stock.RELEASED})
"""Nothing is held and nothing can come to be held."""
MONEY_SETTLED = frozenset({Money.NONE, Money.NOT_NEEDED, Money.REFUSED, Money.VOIDED})


@dataclass(frozen=True, slots=True)
class Shipment:
    """`amount_minor` is what is to be captured for it."""

    state: Parcel
    lines: tuple[SentLine, ...] = ()
    amount_minor: int = 0


@dataclass(frozen=True, slots=True)
class Wait:
    """An answer that is outstanding. `token` names this sending of the request; a timer carries
    it, and is ignored once the token is another one. Empty: parked, no timer acts on it.
    """

    token: str
    resend: int = 0
