"""The placement process at work: load, decide, append, with the order's events and the timers.

One append holds what a message led to: events of the placement's stream, those of the order's
stream that follow from them, and the timer rows of what is awaited now. The placement's version
guards all three, so two messages at once are decided one after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from eventstore import (
    ANY,
    Append,
    Appended,
    Effect,
    EventStore,
    ExpectedVersion,
    Idempotency,
    Metadata,
    Streams,
    WrongExpectedVersion,
)
from projections import Timers
from subgraphs.orders import answers
from subgraphs.orders.order import placement_id_of
from subgraphs.orders.order_events import OrderEvent
from subgraphs.orders.placement import Placement
from subgraphs.orders.placement_events import PlacementEvent
from subgraphs.orders.placement_outcomes import order_events
from subgraphs.orders.placement_requests import Policy, resend_after
from subgraphs.orders.placement_rules import decide
from subgraphs.orders.placement_waits import deadline_of

ATTEMPTS_MAX = 20
"""Times a message is decided anew because another one was faster."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a message led to; `appended` is None when it changed nothing."""

    state: Placement
    order_events: tuple[OrderEvent, ...]
    appended: Appended | None


class PlacementProcess:
    """Tells placements what happened."""

    def __init__(
        self,
        store: EventStore,
        streams: Streams,
        *,
        policy: Policy,
        clock: Callable[[], datetime],
    ) -> None:
        self._store, self._streams = store, streams
        self.policy, self._clock = policy, clock

    async def tell(
        self,
        order_id: str,
        message: answers.Message,
        *,
        metadata: Metadata,
        idempotency: Idempotency | None = None,
        outcome: bytes = b"",
        order_version: ExpectedVersion = ANY,
    ) -> Told:
        """Have the placement of this order decide. `outcome` is for commands of clients, whose
        receipt also says where the order's stream stands.

        Raises NotCancellable and NothingToResume, and what the store raises; WrongExpectedVersion
        only when the order is not at `order_version`, or others were faster every time.
        """
        stream = placement_id_of(order_id)
        for attempt in range(1, ATTEMPTS_MAX + 1):
            before, version = await self._streams.load(Placement, stream)
            now = self._clock()
            decided = decide(before, message, now=now, policy=self.policy)
            if not decided.events:
                return Told(before, (), None)
            told = order_events(decided.state, decided.events)
            appends = [Append(stream, decided.events, version)]
            if told or outcome:
                appends.append(Append(order_id, told, order_version))
            try:
                appended = await self._store.append(
                    appends,
                    metadata=metadata,
                    idempotency=idempotency,
                    outcome=outcome,
                    effects=timer_effects(
                        before, decided.state, decided.events, now, metadata.correlation_id
                    ),
                )
            except WrongExpectedVersion as error:
                if error.stream != stream or attempt == ATTEMPTS_MAX:
                    raise
                continue
            return Told(decided.state, tuple(told), appended)
        raise AssertionError("unreachable: the last attempt raises")


def timer_effects(
    before: Placement,
    after: Placement,
    events: Sequence[PlacementEvent],
    now: datetime,
    correlation_id: str,
) -> list[Effect]:
    """The timer rows of what is awaited after these events, and of no longer awaited no more.

    A timer carries the correlation id, so that what it leads to belongs to the same order.
    """
    timers, stream = Timers(), after.stream
    if after.waits == before.waits:
        return []
    if not after.waits:
        return [timers.cancel_effect(stream)]
    ends = _ends(events)
    effects = []
    for key, wait in after.waits.items():
        if before.waits.get(key) == wait or not wait.token:
            continue
        due_at = ends.get(wait.token) or now + resend_after(key, wait.resend)
        effects.append(timers.set_effect(stream, key, due_at, wait.token, correlation_id.encode()))
    gone = [key for key in before.waits if key not in after.waits]
    effects.extend(timers.cancel_effect(stream, key) for key in gone)
    return effects


def _ends(events: Sequence[PlacementEvent]) -> Mapping[str, datetime]:
    """The fixed ends of waits that these events begin, by token."""
    found = (deadline_of(event) for event in events)
    return {end[1]: end[2] for end in found if end is not None}
