"""The requests of the placement process, built from its state: the same each time they are sent.

A request id names the intent by business identity (order, step, attempt or shipment), so whoever
receives it twice knows it as one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from subgraphs.orders import placement_events as happened
from subgraphs.orders.parts import ShipmentLine, StockLine
from subgraphs.orders.placement import Placement
from subgraphs.orders.placement_states import Goal, Goods, Money, Parcel, Step, Stock
from subgraphs.orders.placement_waits import capture_key

RESERVATION_TTL_SECONDS = 15 * 60
"""How long inventory holds the stock: longer than a customer may take at the bank."""
RESERVE_ATTEMPTS_MAX = 2
"""A reservation that expired is tried once more."""
RESENDS_BEFORE_ALERT = 5
"""Resends after which an operator is told (about five minutes); sending goes on."""
RESENDS_MAX = 300
"""Resends of one request, about a day; then only an operator sends it again."""
RESEND_SECONDS_MAX = 300.0

_RESEND_SECONDS = {Step.AUTHORIZE: 30.0, Step.VOID: 30.0, Step.CAPTURE: 30.0}
_RESEND_SECONDS_DEFAULT = 10.0


@dataclass(frozen=True, slots=True)
class Policy:
    """How long things may take."""

    placement_deadline: timedelta = timedelta(minutes=30)
    customer_deadline: timedelta = timedelta(minutes=10)
    dispatch_deadline: timedelta = timedelta(days=7)

    def __post_init__(self) -> None:
        assert self.customer_deadline.total_seconds() < RESERVATION_TTL_SECONDS


def resend_after(key: str, resend: int) -> timedelta:
    """How long to wait for the answer before the request is sent again: longer each time."""
    step = Step(key.partition("/")[0])
    first = _RESEND_SECONDS.get(step, _RESEND_SECONDS_DEFAULT)
    return timedelta(seconds=min(first * 2.0 ** min(resend, 16), RESEND_SECONDS_MAX))


def request_for(state: Placement, key: str, resend: int = 0) -> happened.Request:
    """The request whose answer is awaited under `key`, as sent for the `resend`-th time again."""
    order = state.order_id
    terms = state.terms
    assert terms is not None
    step, _, part = key.partition("/")
    match Step(step):
        case Step.RESERVE:
            attempt = state.reserve_attempt
            return happened.StockRequested(
                order_id=order,
                request_id=f"{order}:reserve:{attempt}",
                lines=tuple(
                    StockLine(line.line_id, line.variant_id, line.sku, line.quantity)
                    for line in terms.lines
                ),
                ttl_seconds=RESERVATION_TTL_SECONDS,
                attempt=attempt,
                resend=resend,
            )
        case Step.AUTHORIZE:
            return happened.AuthorizationRequested(
                order_id=order,
                request_id=f"{order}:authorize:1",
                customer_id=terms.customer_id,
                amount_minor=terms.total_minor,
                currency=terms.currency,
                payment_method_token=terms.payment_method_token,
                attempt=1,
                resend=resend,
            )
        case Step.ALLOCATE:
            return happened.AllocationRequested(
                order_id=order,
                request_id=f"{order}:allocate:{state.reserve_attempt}",
                reservation_id=state.reservation_id or "",
                resend=resend,
            )
        case Step.SHIP:
            return happened.ShipmentRequested(
                order_id=order,
                request_id=f"{order}:ship",
                lines=tuple(
                    ShipmentLine(
                        line.line_id, line.variant_id, line.sku, line.quantity, line.weight_grams
                    )
                    for line in terms.lines
                ),
                destination=terms.destination,
                shipping_option_id=terms.shipping_option_id,
                resend=resend,
                customer_id=terms.customer_id,
            )
        case Step.CAPTURE:
            return happened.CaptureRequested(
                order_id=order,
                request_id=f"{order}:capture:{part}",
                payment_id=state.payment_id or "",
                shipment_id=part,
                amount_minor=state.shipments[part].amount_minor,
                currency=terms.currency,
                resend=resend,
            )
        case Step.RELEASE:
            return happened.ReleaseRequested(
                order_id=order,
                request_id=f"{order}:release:{state.reserve_attempt}",
                reservation_id=state.reservation_id or "",
                reason=_why(state),
                resend=resend,
            )
        case Step.VOID:
            return happened.VoidRequested(
                order_id=order,
                request_id=f"{order}:void:{state.payment_id}",
                payment_id=state.payment_id or "",
                reason=_why(state),
                resend=resend,
            )
        case Step.CANCEL_SHIPMENT:
            planned = [k for k, s in state.shipments.items() if s.state is Parcel.PLANNED]
            return happened.ShipmentCancellationRequested(
                order_id=order,
                request_id=f"{order}:cancel_shipment",
                shipment_id=planned[0] if len(planned) == 1 else None,
                reason=_why(state),
                resend=resend,
                customer_id=terms.customer_id,
            )
        case Step.CUSTOMER | Step.DISPATCH | Step.DEADLINE:
            raise AssertionError(f"nobody is asked for {step}: it is only waited for")


def _why(state: Placement) -> str:
    """The code of why things are given back: what a customer wrote stays in this service."""
    return "CANCELLED" if state.goal is Goal.CANCEL else state.reason or ""


def outstanding(state: Placement) -> list[str]:
    """The keys of all requests that were sent and not answered, whether or not a timer is set."""
    keys: list[str] = []
    match state.stock:
        case Stock.REQUESTED:
            keys.append(Step.RESERVE)
        case Stock.ALLOCATING:
            keys.append(Step.ALLOCATE)
        case Stock.RELEASING:
            keys.append(Step.RELEASE)
        case _:
            pass
    if state.money in (Money.REQUESTED, Money.UNKNOWN):
        keys.append(Step.AUTHORIZE)
    if state.money is Money.VOIDING:
        keys.append(Step.VOID)
    if state.goods is Goods.CANCELLING:
        keys.append(Step.CANCEL_SHIPMENT)
    elif state.goods is Goods.REQUESTED and not state.all_sent:
        keys.append(Step.SHIP)
    unpaid = (Parcel.CAPTURING, Parcel.CAPTURE_FAILED)
    keys.extend(capture_key(k) for k, s in state.shipments.items() if s.state in unpaid)
    return keys
