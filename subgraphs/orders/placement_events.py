"""What happens in the placement process: stream `plc_…`, one for each order.

The `…_requested` events are the commands to the other services, which read them from the feed. A
request id names the intent (order, step, attempt), so sending it again changes nothing; `resend`
counts how often it was sent before. The other events record answers and decisions.
"""

from __future__ import annotations

from datetime import datetime

from eventstore.event import Event, Personal, event_type
from subgraphs.orders.parts import (
    Destination,
    PlacedLine,
    SentLine,
    ShipmentLine,
    Shortage,
    StockLine,
)


@event_type("placement.started", public=False, subject="customer_id")
class PlacementStarted(Event, frozen=True):
    """The terms of the order, all that the process needs to know of it."""

    order_id: str
    number: str
    customer_id: str
    currency: str
    total_minor: int
    lines: tuple[PlacedLine, ...]
    destination: Personal[Destination | None]
    shipping_option_id: str
    payment_method_token: Personal[str]
    deadline_at: datetime


# ---- requests: what other services are asked to do


@event_type("placement.stock_requested")
class StockRequested(Event, frozen=True):
    order_id: str
    request_id: str
    lines: tuple[StockLine, ...]
    ttl_seconds: int
    attempt: int
    resend: int = 0


@event_type("placement.authorization_requested", subject="customer_id")
class AuthorizationRequested(Event, frozen=True):
    order_id: str
    request_id: str
    customer_id: str
    amount_minor: int
    currency: str
    payment_method_token: Personal[str]
    attempt: int
    resend: int = 0


@event_type("placement.allocation_requested")
class AllocationRequested(Event, frozen=True):
    order_id: str
    request_id: str
    reservation_id: str
    resend: int = 0


@event_type("placement.shipment_requested", subject="customer_id")
class ShipmentRequested(Event, frozen=True):
    order_id: str
    request_id: str
    lines: tuple[ShipmentLine, ...]
    destination: Personal[Destination | None]
    shipping_option_id: str
    resend: int = 0
    customer_id: str = ""


@event_type("placement.capture_requested")
class CaptureRequested(Event, frozen=True):
    order_id: str
    request_id: str
    payment_id: str
    shipment_id: str
    amount_minor: int
    currency: str
    resend: int = 0


@event_type("placement.release_requested")
class ReleaseRequested(Event, frozen=True):
    order_id: str
    request_id: str
    reservation_id: str
    reason: str
    resend: int = 0


@event_type("placement.void_requested")
class VoidRequested(Event, frozen=True):
    order_id: str
    request_id: str
    payment_id: str
    reason: str
    resend: int = 0


@event_type("placement.shipment_cancellation_requested")
class ShipmentCancellationRequested(Event, frozen=True):
    """`shipment_id` is None while no shipment of the order is known: all of them are meant."""

    order_id: str
    request_id: str
    shipment_id: str | None
    reason: str
    resend: int = 0
    customer_id: str = ""


# ---- answers, as the process understood them


@event_type("placement.stock_held", public=False)
class StockHeld(Event, frozen=True):
    order_id: str
    reservation_id: str
    expires_at: datetime | None


@event_type("placement.stock_refused", public=False)
class StockRefused(Event, frozen=True):
    order_id: str
    shortages: tuple[Shortage, ...]


@event_type("placement.stock_lost", public=False)
class StockLost(Event, frozen=True):
    """The reservation ended before it was allocated."""

    order_id: str
    reservation_id: str


@event_type("placement.stock_allocated", public=False)
class StockAllocated(Event, frozen=True):
    """The pivot: from here on steps are only retried."""

    order_id: str
    reservation_id: str


@event_type("placement.stock_released", public=False)
class StockReleased(Event, frozen=True):
    order_id: str
    reservation_id: str


@event_type("placement.payment_authorized", public=False)
class PaymentAuthorized(Event, frozen=True):
    order_id: str
    payment_id: str
    amount_minor: int
    currency: str


@event_type("placement.payment_refused", public=False)
class PaymentRefused(Event, frozen=True):
    order_id: str
    payment_id: str | None
    decline_code: str | None


@event_type("placement.payment_uncertain", public=False)
class PaymentUncertain(Event, frozen=True):
    """Nobody knows yet whether the money is authorised: it is asked again, never assumed."""

    order_id: str
    payment_id: str | None


@event_type("placement.customer_awaited", public=False)
class CustomerAwaited(Event, frozen=True):
    """The customer has to prove who they are to the bank, until `until`."""

    order_id: str
    payment_id: str
    until: datetime


@event_type("placement.payment_voided", public=False)
class PaymentVoided(Event, frozen=True):
    order_id: str
    payment_id: str


@event_type("placement.shipment_planned", public=False)
class ShipmentPlanned(Event, frozen=True):
    order_id: str
    shipment_id: str
    dispatch_overdue_at: datetime


@event_type("placement.shipment_dispatched", public=False)
class ShipmentDispatched(Event, frozen=True):
    """`amount_minor` is this shipment's share of the total, as `pricing.shipment_share` rounds."""

    order_id: str
    shipment_id: str
    lines: tuple[SentLine, ...]
    amount_minor: int
    carrier: str | None = None
    tracking_number: str | None = None


@event_type("placement.shipment_cancelled", public=False)
class ShipmentCancelled(Event, frozen=True):
    order_id: str
    shipment_id: str


@event_type("placement.payment_captured", public=False)
class PaymentCaptured(Event, frozen=True):
    order_id: str
    payment_id: str
    shipment_id: str
    amount_minor: int


@event_type("placement.capture_failed", public=False)
class CaptureFailed(Event, frozen=True):
    order_id: str
    shipment_id: str
    reason: str | None


# ---- decisions


@event_type("placement.compensation_started", public=False)
class CompensationStarted(Event, frozen=True):
    """The order will be rejected: what it holds is given back first."""

    order_id: str
    reason: str


@event_type("placement.cancellation_started", public=False, subject="customer_id")
class CancellationStarted(Event, frozen=True):
    """The order will be cancelled on request: what it holds is given back first."""

    order_id: str
    reason: Personal[str | None]
    requested_by: str
    customer_id: str = ""


@event_type("placement.cancellation_withdrawn", public=False)
class CancellationWithdrawn(Event, frozen=True):
    order_id: str
    reason: str


@event_type("placement.operator_needed")
class OperatorNeeded(Event, frozen=True):
    """The process cannot go on by itself, or not soon. Answers that still come are taken.

    `gave_up`: the request of this step is not sent again until an operator resumes.
    """

    order_id: str
    step: str
    reason: str
    gave_up: bool = False


@event_type("placement.resumed", public=False, subject="customer_id")
class PlacementResumed(Event, frozen=True):
    """An operator had the outstanding requests sent again."""

    order_id: str
    resumed_by: str
    reason: Personal[str | None]
    customer_id: str = ""


@event_type("placement.ended", public=False)
class PlacementEnded(Event, frozen=True):
    """`outcome` is one of COMPLETED, REJECTED, CANCELLED."""

    order_id: str
    outcome: str


Request = (
    StockRequested
    | AuthorizationRequested
    | AllocationRequested
    | ShipmentRequested
    | CaptureRequested
    | ReleaseRequested
    | VoidRequested
    | ShipmentCancellationRequested
)
Fact = (
    StockHeld
    | StockRefused
    | StockLost
    | StockAllocated
    | StockReleased
    | PaymentAuthorized
    | PaymentRefused
    | PaymentUncertain
    | CustomerAwaited
    | PaymentVoided
    | ShipmentPlanned
    | ShipmentDispatched
    | ShipmentCancelled
    | PaymentCaptured
    | CaptureFailed
)
PlacementEvent = (
    PlacementStarted
    | Request
    | Fact
    | CompensationStarted
    | CancellationStarted
    | CancellationWithdrawn
    | OperatorNeeded
    | PlacementResumed
    | PlacementEnded
)
