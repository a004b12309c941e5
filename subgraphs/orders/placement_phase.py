"""Where a placement stands, in one word, as the order page shows it (`PlacementStep`)."""

from __future__ import annotations

from typing import get_args

from subgraphs.orders import placement_events as happened
from subgraphs.orders.placement_events import PlacementEvent, PlacementStarted

FACTS: tuple[type[happened.Fact], ...] = get_args(happened.Fact)


def phase_after(phase: str, event: PlacementEvent) -> str:
    """Where the process stands after an event, operators aside. While what is held is given back,
    and after the end, whatever else happens does not change it.
    """
    begun = phase_begun(event)
    if begun is None:
        return phase
    if phase in FIRM and not isinstance(event, ENDS_FIRM):
        return phase
    return begun


FIRM = ("COMPENSATING", "DONE")
ENDS_FIRM = (happened.PlacementEnded, happened.CancellationWithdrawn)


def phase_begun(event: PlacementEvent) -> str | None:
    """The phase that an event begins; None if it begins none."""
    match event:
        case PlacementStarted() | happened.StockRequested(resend=0):
            return "RESERVING_STOCK"
        case happened.StockHeld():
            return "AUTHORIZING_PAYMENT"
        case happened.CustomerAwaited():
            return "AWAITING_CUSTOMER"
        case happened.PaymentAuthorized():
            return "AUTHORIZING_PAYMENT"
        case happened.AllocationRequested(resend=0):
            return "CONFIRMING"
        case happened.StockAllocated() | happened.CancellationWithdrawn():
            return "FULFILLING"
        case happened.CompensationStarted() | happened.CancellationStarted():
            return "COMPENSATING"
        case happened.PlacementEnded():
            return "DONE"
        case _:
            return None
