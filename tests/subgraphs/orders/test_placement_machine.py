"""Whatever comes when, twice or not at all: the placement ends, and keeps nothing it must not keep.

Requests and answers are delivered in any order, duplicated and lost; timers fire at any time; the
customer cancels at any time. Then everything that is left is delivered and timers fire as long as
somebody is waited for: a world that answers has to bring the process to its end. Only the news that
a parcel left is never lost: it answers no request, so no timer would ask for it again.
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from subgraphs.orders import answers
from subgraphs.orders import placement_events as happened
from subgraphs.orders.order import Order, OrderStatus
from subgraphs.orders.placement import Placement
from subgraphs.orders.placement_outcomes import order_events
from subgraphs.orders.placement_rules import Decided, decide, start
from subgraphs.orders.refusals import NotCancellable
from tests.subgraphs.orders.given import CANCEL, NOW, ORDER, PLACEMENT, POLICY, TERMS, TOTAL
from tests.subgraphs.orders.world import World

_ROUNDS_MAX = 400
_IN_FLIGHT_MAX = 30

anything = st.integers(0, 10_000)


class PlacementMachine(RuleBasedStateMachine):
    @initialize(seed=st.randoms(use_true_random=False))
    def begins(self, seed: object) -> None:
        self.world = World(lambda options: seed.choice(list(options)))  # type: ignore[attr-defined]
        self.requests: list[happened.Request] = []
        self.stream: list[object] = []
        self.order = Order.initial(ORDER)
        self.outcomes: list[str] = []
        self.state = Placement.initial(PLACEMENT)
        self.take(start(self.state, TERMS))

    def take(self, decided: Decided) -> None:
        self.state = decided.state
        self.stream.extend(decided.events)
        for event in decided.events:
            if hasattr(event, "request_id"):
                self.requests.append(event)  # type: ignore[arg-type]
        for told in order_events(decided.state, decided.events):
            self.order = self.order.evolve(told)
        self.outcomes.extend(
            e.outcome for e in decided.events if isinstance(e, happened.PlacementEnded)
        )

    def tell(self, message: answers.Message) -> None:
        self.take(decide(self.state, message, now=NOW, policy=POLICY))

    # ---- what may happen

    @rule(steps=st.integers(1, 12))
    def it_goes_on(self, steps: int) -> None:
        for _ in range(steps):
            if self.requests:
                self.world.receive(self.requests.pop(0))
            if self.world.in_flight:
                self.tell(self.world.in_flight.pop(0))

    @precondition(lambda self: self.requests)
    @rule(pick=anything, keep=st.booleans())
    def a_request_arrives(self, pick: int, keep: bool) -> None:
        index = pick % len(self.requests)
        request = self.requests[index] if keep else self.requests.pop(index)
        self.world.receive(request)

    @precondition(lambda self: 0 < len(self.world.in_flight) <= _IN_FLIGHT_MAX)
    @rule(pick=anything, keep=st.booleans())
    def an_answer_arrives(self, pick: int, keep: bool) -> None:
        index = pick % len(self.world.in_flight)
        flight = self.world.in_flight
        self.tell(flight[index] if keep else flight.pop(index))

    @precondition(lambda self: self.world.in_flight)
    @rule(pick=anything)
    def an_answer_is_lost(self, pick: int) -> None:
        index = pick % len(self.world.in_flight)
        if not isinstance(self.world.in_flight[index], answers.Dispatched):
            self.world.in_flight.pop(index)

    @precondition(lambda self: self.state.waits)
    @rule(pick=anything)
    def a_timer_fires(self, pick: int) -> None:
        keys = sorted(self.state.waits)
        key = keys[pick % len(keys)]
        self.tell(answers.TimerFired(key, self.state.waits[key].token))

    @precondition(lambda self: self.state.goal == "PLACE")
    @rule(seriously=st.integers(0, 3))
    def the_customer_cancels(self, seriously: int) -> None:
        if seriously:
            return
        try:
            self.tell(CANCEL)
        except NotCancellable:
            assert self.state.outcome or self.state.any_dispatched

    @rule()
    def the_reservation_expires(self) -> None:
        self.world.stock_expires(ORDER)

    @rule()
    def the_bank_decides(self) -> None:
        self.world.bank_decides(ORDER)

    @rule()
    def a_parcel_leaves(self) -> None:
        self.world.parcel_leaves(ORDER)

    # ---- what must always hold

    @invariant()
    def no_more_is_captured_than_was_authorised(self) -> None:
        if hasattr(self, "world"):
            assert self.world.captured_minor <= self.world.authorized_minor
            assert self.state.captured_minor <= self.state.authorized_minor

    @invariant()
    def it_ends_at_most_once_and_holds_nothing_then(self) -> None:
        if not hasattr(self, "world"):
            return
        assert len(self.outcomes) <= 1
        if self.outcomes and self.outcomes[0] != "COMPLETED":
            assert not self.world.holds_stock, self.outcomes
            assert not self.world.holds_money, self.outcomes
            assert not self.world.sent_goods, self.outcomes

    @invariant()
    def the_fold_of_the_stream_is_the_state(self) -> None:
        if hasattr(self, "world"):
            state = Placement.initial(PLACEMENT)
            for event in self.stream:
                state = state.evolve(event)  # type: ignore[arg-type]
            assert state == self.state

    # ---- and how it has to end

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        for _ in range(_ROUNDS_MAX):
            if self.requests:
                self.world.receive(self.requests.pop(0))
            elif self.world.in_flight:
                self.tell(self.world.in_flight.pop(0))
            elif self.state.outcome is not None:
                break
            elif not (self.world.bank_decides(ORDER) or self.world.parcel_leaves(ORDER)):
                assert self.state.waits, "neither at an end nor waiting for anything"
                for key, wait in sorted(self.state.waits.items()):
                    self.tell(answers.TimerFired(key, wait.token))
        else:
            raise AssertionError(f"no end after {_ROUNDS_MAX} rounds: {self.state}")
        self.it_ends_at_most_once_and_holds_nothing_then()
        if self.state.outcome is not None:
            assert self.order.status is OrderStatus[self.state.outcome]
        if self.state.outcome == "COMPLETED":
            assert self.world.captured_minor == TOTAL == self.state.captured_minor
            assert self.state.all_sent


PlacementMachine.TestCase.settings = settings(
    max_examples=150,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestPlacementMachine = pytest.mark.slow(PlacementMachine.TestCase)
