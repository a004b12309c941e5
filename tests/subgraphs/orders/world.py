"""Inventory, payments and shipping as the placement process sees them: each keeps its word.

They do what they are asked once for a request id, and repeat what they said when asked again. What
they decide (enough stock? will the bank pay?) comes from `choose`. Answers go into `in_flight`;
whoever drives the world may deliver, duplicate, reorder or lose them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from subgraphs.orders import answers
from subgraphs.orders import placement_events as asked
from subgraphs.orders.parts import SentLine

Choose = Callable[[Sequence[str]], str]


class World:
    def __init__(self, choose: Choose) -> None:
        self.choose = choose
        self.in_flight: list[answers.Answer] = []
        self.attempts: dict[int, str] = {}
        self.said: dict[str, list[answers.Answer]] = {}
        self.payment = "NONE"
        self.authorized_minor = self.captured_minor = 0
        self.captures: dict[str, answers.Answer] = {}
        self.parcels: dict[str, tuple[str, tuple[SentLine, ...]]] = {}

    # ---- what it is asked

    def receive(self, request: Any) -> None:
        match request:
            case asked.StockRequested():
                self._reserve(request)
            case asked.AllocationRequested(request_id=request_id):
                attempt = int(request_id.rpartition(":")[2])
                if self.attempts[attempt] == "HELD":
                    self.attempts[attempt] = "COMMITTED"
                self._say_reservation(request.order_id, attempt)
            case asked.ReleaseRequested(request_id=request_id):
                attempt = int(request_id.rpartition(":")[2])
                if self.attempts[attempt] in ("HELD", "COMMITTED"):
                    self.attempts[attempt] = "RELEASED"
                self._say_reservation(request.order_id, attempt)
            case asked.AuthorizationRequested():
                self._authorize(request)
            case asked.VoidRequested():
                if self.payment in ("AUTHORIZED", "ACTION", "UNKNOWN"):
                    assert not self.captured_minor, "void of captured money"
                    self.payment = "VOIDED"
                self._say_payment(request.order_id)
            case asked.CaptureRequested():
                self._capture(request)
            case asked.ShipmentRequested():
                self._plan(request)
            case asked.ShipmentCancellationRequested(order_id=order):
                if not self.sent_goods:
                    self.parcels = {
                        k: ("CANCELLED", lines) for k, (_, lines) in self.parcels.items()
                    }
                self._say_parcels(order)
            case _:
                pass

    # ---- what happens by itself

    def stock_expires(self, order_id: str) -> bool:
        held = [attempt for attempt, state in self.attempts.items() if state == "HELD"]
        for attempt in held:
            self.attempts[attempt] = "EXPIRED"
            self._say_reservation(order_id, attempt)
        return bool(held)

    def bank_decides(self, order_id: str) -> bool:
        if self.payment not in ("ACTION", "UNKNOWN"):
            return False
        self.payment = self.choose(["AUTHORIZED", "DECLINED"])
        self._say_payment(order_id)
        return True

    def parcel_leaves(self, order_id: str) -> bool:
        planned = [key for key, (state, _) in self.parcels.items() if state == "PLANNED"]
        if not planned:
            return False
        self.parcels[planned[0]] = ("DISPATCHED", self.parcels[planned[0]][1])
        self._say_parcels(order_id)
        return True

    @property
    def holds_stock(self) -> bool:
        return any(state in ("HELD", "COMMITTED") for state in self.attempts.values())

    @property
    def holds_money(self) -> bool:
        return self.payment in ("AUTHORIZED", "ACTION", "UNKNOWN") or self.captured_minor > 0

    @property
    def sent_goods(self) -> bool:
        return any(state == "DISPATCHED" for state, _ in self.parcels.values())

    # ---- inside

    def _reserve(self, request: asked.StockRequested) -> None:
        attempt = request.attempt
        if attempt not in self.attempts:
            self.attempts[attempt] = self.choose(["HELD", "HELD", "HELD", "REFUSED"])
        if self.attempts[attempt] not in ("HELD", "REFUSED"):
            self.in_flight.append(_held(request.order_id, attempt))
        self._say_reservation(request.order_id, attempt)

    def _say_reservation(self, order: str, attempt: int) -> None:
        about: dict[str, Any] = {"order_id": order, "reservation_id": "rsv_1"}
        match self.attempts[attempt]:
            case "HELD":
                answer: answers.Answer = _held(order, attempt)
            case "REFUSED":
                answer = answers.ReservationRejected(order_id=order, attempt=attempt)
            case "EXPIRED":
                answer = answers.ReservationExpired(attempt=attempt, **about)
            case "COMMITTED":
                answer = answers.ReservationCommitted(**about)
            case _:
                answer = answers.ReservationReleased(**about)
        self.in_flight.append(answer)

    def _authorize(self, request: asked.AuthorizationRequested) -> None:
        if self.payment in ("NONE", "UNKNOWN"):
            self.payment = self.choose(
                ["AUTHORIZED", "AUTHORIZED", "AUTHORIZED", "DECLINED", "UNKNOWN", "ACTION"]
            )
        if self.payment == "AUTHORIZED":
            self.authorized_minor = request.amount_minor
        self._amount = request.amount_minor
        self._say_payment(request.order_id)

    def _say_payment(self, order: str) -> None:
        match self.payment:
            case "AUTHORIZED":
                self.authorized_minor = self._amount
                answer: answers.Answer = answers.Authorized(
                    order_id=order, payment_id="pay_1", amount_minor=self._amount, currency="EUR"
                )
            case "DECLINED":
                answer = answers.Declined(order_id=order, payment_id="pay_1")
            case "UNKNOWN":
                answer = answers.OutcomeUnknown(order_id=order, payment_id="pay_1")
            case "ACTION":
                answer = answers.ActionRequired(order_id=order, payment_id="pay_1")
            case _:
                answer = answers.Voided(order_id=order, payment_id="pay_1")
        self.in_flight.append(answer)

    def _capture(self, request: asked.CaptureRequested) -> None:
        if request.request_id not in self.captures:
            assert self.payment == "AUTHORIZED", f"capture of {self.payment} money"
            self.captured_minor += request.amount_minor
            assert self.captured_minor <= self.authorized_minor, "captured more than authorised"
            self.captures[request.request_id] = answers.Captured(
                order_id=request.order_id,
                payment_id=request.payment_id,
                shipment_id=request.shipment_id,
                amount_minor=request.amount_minor,
            )
        self.in_flight.append(self.captures[request.request_id])

    def _plan(self, request: asked.ShipmentRequested) -> None:
        if not self.parcels:
            lines = tuple(SentLine(line.line_id, line.quantity) for line in request.lines)
            if self.choose(["ONE", "EACH"]) == "ONE":
                self.parcels = {"shp_1": ("PLANNED", lines)}
            else:
                self.parcels = {f"shp_{n}": ("PLANNED", (line,)) for n, line in enumerate(lines)}
        self._say_parcels(request.order_id)

    def _say_parcels(self, order: str) -> None:
        for key, (state, lines) in self.parcels.items():
            match state:
                case "PLANNED":
                    answer: answers.Answer = answers.Planned(order_id=order, shipment_id=key)
                case "DISPATCHED":
                    answer = answers.Dispatched(order_id=order, shipment_id=key, lines=lines)
                case _:
                    answer = answers.Cancelled(order_id=order, shipment_id=key)
            self.in_flight.append(answer)


def _held(order: str, attempt: int) -> answers.ReservationHeld:
    return answers.ReservationHeld(order_id=order, reservation_id="rsv_1", attempt=attempt)
