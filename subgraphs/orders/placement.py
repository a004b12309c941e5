"""The placement of one order, folded from its stream: what it holds, what it waits for.

Three resources (stock, money, goods on their way) each have a state of their own, and there is one
goal: to place the order, to reject it or to cancel it. What to do next follows from these alone
(`placement_rules`), never from the order in which the answers happened to come.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Self, TypeVar, assert_never

from eventstore.event import ERASED
from subgraphs.orders import placement_events as happened
from subgraphs.orders.parts import PlacedLine, Shortage
from subgraphs.orders.placement_events import PlacementEvent, PlacementStarted
from subgraphs.orders.placement_phase import phase_after
from subgraphs.orders.placement_states import (
    Goal,
    Goods,
    Money,
    Parcel,
    Rejection,
    Shipment,
    Step,
    Stock,
    Wait,
)
from subgraphs.orders.placement_waits import (
    capture_key,
    customer_token,
    deadline_token,
    dispatch_token,
    token_of,
    wait_key,
)

K = TypeVar("K")
V = TypeVar("V")


def _empty() -> Mapping[K, V]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Placement:
    """State folded from one placement stream. Amounts are minor units of the order's currency.

    `waits` is keyed by step (`wait_key`).
    `operator_reason` is set while the process needs an operator.
    """

    stream: str
    terms: PlacementStarted | None = None
    goal: Goal = Goal.PLACE
    reason: str | None = None
    stock: Stock = Stock.NONE
    reserve_attempt: int = 0
    reservation_id: str | None = None
    shortages: tuple[Shortage, ...] = ()
    money: Money = Money.NONE
    payment_id: str | None = None
    authorized_minor: int = 0
    authorized_currency: str = ""
    decline_code: str | None = None
    goods: Goods = Goods.NONE
    shipments: Mapping[str, Shipment] = field(default_factory=_empty)
    captured_minor: int = 0
    allocated: bool = False
    waits: Mapping[str, Wait] = field(default_factory=_empty)
    operator_reason: str | None = None
    outcome: str | None = None
    phase: str = "RESERVING_STOCK"

    @classmethod
    def initial(cls, stream: str) -> Self:
        return cls(stream)

    @property
    def order_id(self) -> str:
        return self._terms.order_id

    @property
    def customer_id(self) -> str:
        return self._terms.customer_id

    @property
    def customer_erased(self) -> bool:
        """Whether nothing personal of the customer can be told any more."""
        return self._terms.payment_method_token == ERASED

    @property
    def lines(self) -> tuple[PlacedLine, ...]:
        return self._terms.lines

    @property
    def total_minor(self) -> int:
        return self._terms.total_minor

    @property
    def currency(self) -> str:
        return self._terms.currency

    @property
    def _terms(self) -> PlacementStarted:
        assert self.terms is not None, f"placement {self.stream} has not started"
        return self.terms

    @property
    def sent(self) -> dict[str, int]:
        """Units that left, by line id."""
        sent: dict[str, int] = {}
        for shipment in self.shipments.values():
            for line in shipment.lines:
                sent[line.line_id] = sent.get(line.line_id, 0) + line.quantity
        return sent

    @property
    def any_dispatched(self) -> bool:
        return any(shipment.lines for shipment in self.shipments.values())

    @property
    def all_sent(self) -> bool:
        sent = self.sent
        return all(sent.get(line.line_id, 0) >= line.quantity for line in self.lines)

    @property
    def capturing_minor(self) -> int:
        """What was captured or asked to be captured."""
        asked = (Parcel.CAPTURING, Parcel.CAPTURE_FAILED, Parcel.PAID)
        return sum(s.amount_minor for s in self.shipments.values() if s.state in asked)

    @property
    def is_paid(self) -> bool:
        """Whether nothing of what left is still to be captured."""
        owing = (Parcel.DISPATCHED, Parcel.CAPTURING, Parcel.CAPTURE_FAILED)
        return self.captured_minor >= self.total_minor and not any(
            s.amount_minor and s.state in owing for s in self.shipments.values()
        )

    @property
    def progress(self) -> str:
        """Where it stands, in one word for the order page (`PlacementStep` of the schema)."""
        if self.outcome is not None:
            return "DONE"
        if self.operator_reason is not None:
            return "NEEDS_OPERATOR"
        return self.phase

    # ---- fold

    def evolve(self, event: PlacementEvent) -> Placement:
        """Fold. Never refuses: the event already happened."""
        return replace(self._folded(event), phase=phase_after(self.phase, event))

    def _folded(self, event: PlacementEvent) -> Placement:
        match event:
            case PlacementStarted():
                money = Money.NONE if event.total_minor else Money.NOT_NEEDED
                started = replace(self, terms=event, money=money)
                return started._wait(Step.DEADLINE, deadline_token(event.order_id))
            case happened.OperatorNeeded(step=step, reason=reason, gave_up=gave_up):
                needed = replace(self, operator_reason=reason)
                return needed._park(step) if gave_up else needed
            case happened.PlacementResumed():
                return replace(self, operator_reason=None)
            case happened.CompensationStarted(reason=reason):
                rejecting = replace(self, goal=Goal.REJECT, reason=reason)
                overdue = reason == Rejection.DEADLINE_EXCEEDED
                return rejecting._heard(Step.DEADLINE) if overdue else rejecting
            case happened.CancellationStarted(reason=reason):
                return replace(self, goal=Goal.CANCEL, reason=reason)
            case happened.CancellationWithdrawn():
                goods = Goods.REQUESTED
                back = replace(self, goal=Goal.PLACE, reason=None, goods=goods)
                return back._heard(Step.CANCEL_SHIPMENT)
            case happened.PlacementEnded(outcome=outcome):
                return replace(self, outcome=outcome, operator_reason=None, waits={})
            case (
                happened.StockRequested()
                | happened.AuthorizationRequested()
                | happened.AllocationRequested()
                | happened.ShipmentRequested()
                | happened.CaptureRequested()
                | happened.ReleaseRequested()
                | happened.VoidRequested()
                | happened.ShipmentCancellationRequested()
            ):
                return self._requested(event)
            case _:
                return replace(self, operator_reason=None)._answered(event)

    def _requested(self, event: happened.Request) -> Placement:
        state = self._wait(wait_key(event), token_of(event), event.resend)
        match event:
            case happened.StockRequested(attempt=attempt):
                return replace(state, stock=Stock.REQUESTED, reserve_attempt=attempt)
            case happened.AuthorizationRequested():
                return state if event.resend else replace(state, money=Money.REQUESTED)
            case happened.AllocationRequested():
                return replace(state, stock=Stock.ALLOCATING)
            case happened.ShipmentRequested():
                return replace(state, goods=Goods.REQUESTED)
            case happened.CaptureRequested(shipment_id=shipment_id):
                return state._parcel(shipment_id, Parcel.CAPTURING)
            case happened.ReleaseRequested():
                return replace(state, stock=Stock.RELEASING)._heard(Step.ALLOCATE)
            case happened.VoidRequested():
                return replace(state, money=Money.VOIDING)._heard(Step.AUTHORIZE, Step.CUSTOMER)
            case happened.ShipmentCancellationRequested():
                return replace(state, goods=Goods.CANCELLING)._heard(Step.SHIP)
            case _:
                assert_never(event)

    def _answered(self, event: happened.Fact) -> Placement:
        match event:
            case happened.StockHeld(reservation_id=reservation):
                held = replace(self, stock=Stock.HELD, reservation_id=reservation)
                return held._heard(Step.RESERVE)
            case happened.StockRefused(shortages=shortages):
                return replace(self, stock=Stock.REFUSED, shortages=shortages)._heard(Step.RESERVE)
            case happened.StockLost():
                lost = replace(self, stock=Stock.LOST)
                return lost._heard(Step.RESERVE, Step.ALLOCATE, Step.RELEASE)
            case happened.StockAllocated():
                allocated = replace(self, stock=Stock.ALLOCATED, allocated=True)
                return allocated._heard(Step.ALLOCATE, Step.DEADLINE)
            case happened.StockReleased():
                released = replace(self, stock=Stock.RELEASED)
                return released._heard(Step.RELEASE, Step.ALLOCATE)
            case happened.PaymentAuthorized():
                return replace(
                    self,
                    money=Money.AUTHORIZED,
                    payment_id=event.payment_id,
                    authorized_minor=event.amount_minor,
                    authorized_currency=event.currency,
                )._heard(Step.AUTHORIZE, Step.CUSTOMER)
            case happened.PaymentRefused(payment_id=payment, decline_code=code):
                return replace(
                    self,
                    money=Money.REFUSED,
                    payment_id=payment or self.payment_id,
                    decline_code=code,
                )._heard(Step.AUTHORIZE, Step.CUSTOMER, Step.VOID)
            case happened.PaymentUncertain(payment_id=payment):
                return replace(self, money=Money.UNKNOWN, payment_id=payment or self.payment_id)
            case happened.CustomerAwaited(payment_id=payment):
                awaited = replace(self, money=Money.ACTION_REQUIRED, payment_id=payment)
                heard = awaited._heard(Step.AUTHORIZE)
                return heard._wait(Step.CUSTOMER, customer_token(payment))
            case happened.PaymentVoided():
                voided = replace(self, money=Money.VOIDED)
                return voided._heard(Step.VOID, Step.AUTHORIZE, Step.CUSTOMER)
            case happened.ShipmentPlanned(shipment_id=shipment):
                planned = self._parcel(shipment, Parcel.PLANNED)._heard(Step.SHIP)
                return planned._wait(Step.DISPATCH, dispatch_token(shipment))
            case happened.ShipmentDispatched(shipment_id=shipment):
                parcel = Shipment(Parcel.DISPATCHED, event.lines, event.amount_minor)
                sent = replace(self, shipments={**self.shipments, shipment: parcel})
                return sent._heard(Step.SHIP, Step.DISPATCH) if sent.all_sent else sent
            case happened.ShipmentCancelled(shipment_id=shipment):
                gone = self._parcel(shipment, Parcel.CANCELLED)
                open_yet = any(s.state is Parcel.PLANNED for s in gone.shipments.values())
                return gone if open_yet else gone._heard(Step.CANCEL_SHIPMENT)
            case happened.CaptureFailed(shipment_id=shipment):
                return self._parcel(shipment, Parcel.CAPTURE_FAILED)._park(capture_key(shipment))
            case happened.PaymentCaptured(shipment_id=shipment, amount_minor=amount):
                paid = self._parcel(shipment, Parcel.PAID)._heard(capture_key(shipment))
                return replace(paid, captured_minor=self.captured_minor + amount)
            case _:
                assert_never(event)

    def _parcel(self, shipment_id: str, state: Parcel) -> Placement:
        before = self.shipments.get(shipment_id)
        parcel = replace(before, state=state) if before else Shipment(state)
        return replace(self, shipments={**self.shipments, shipment_id: parcel})

    def _wait(self, key: str, token: str, resend: int = 0) -> Placement:
        return replace(self, waits={**self.waits, str(key): Wait(token, resend)})

    def _park(self, key: str) -> Placement:
        wait = self.waits.get(key)
        return self if wait is None else self._wait(key, "", wait.resend)

    def _heard(self, *keys: str) -> Placement:
        return replace(self, waits={k: w for k, w in self.waits.items() if k not in keys})
