"""Our books against the provider's: what it says it holds and took, and where we disagree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from subgraphs.payments.provider import PaymentProvider, StatementLine
from subgraphs.payments.reads import PaymentReads, Row

PAGE_LINES = 1000
LINES_MAX = 1_000_000
SHOWN_MAX = 50


@dataclass(slots=True)
class Sums:
    """Minor units of one currency, as the provider adds them up."""

    authorized: int = 0
    captured: int = 0
    refunded: int = 0
    voided: int = 0

    def add(self, line: StatementLine) -> None:
        self.authorized += line.authorized_minor
        self.captured += line.captured_minor
        self.refunded += line.refunded_minor
        self.voided += line.voided_minor


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A payment of which the provider says another thing than we do (`ours` None: unknown here)."""

    payment_id: str
    order_id: str
    theirs: tuple[int, int, int, int]
    ours: tuple[int, int, int, int] | None


@dataclass(slots=True)
class Reconciliation:
    """`mismatches` counts all, `shown` has the first SHOWN_MAX. `complete` unless cut off."""

    lines: int = 0
    mismatches: int = 0
    complete: bool = True
    shown: list[Mismatch] = field(default_factory=list)
    sums: dict[str, Sums] = field(default_factory=dict)


async def reconcile(provider: PaymentProvider, reads: PaymentReads) -> Reconciliation:
    """Go through the provider's statement. Raises OutcomeUnknown when it cannot be had.

    A payment that is being worked on may show as a mismatch until its answer is recorded.
    """
    found = Reconciliation()
    after = ""
    while page := await provider.statement(order_ids=None, after=after, limit=PAGE_LINES):
        ours = await reads.by_id([line.key for line in page])
        _compare(found, page, ours)
        after = page[-1].key
        if found.lines >= LINES_MAX:
            found.complete = False
            break
    return found


def _compare(found: Reconciliation, page: Sequence[StatementLine], ours: Mapping[str, Row]) -> None:
    for line in page:
        found.lines += 1
        found.sums.setdefault(line.currency, Sums()).add(line)
        theirs = (
            line.authorized_minor,
            line.captured_minor,
            line.refunded_minor,
            line.voided_minor,
        )
        known = _amounts(ours.get(line.key))
        if known != theirs:
            found.mismatches += 1
            if len(found.shown) < SHOWN_MAX:
                found.shown.append(Mismatch(line.key, line.order_id, theirs, known))


def _amounts(row: Row | None) -> tuple[int, int, int, int] | None:
    if row is None:
        return None
    return row["authorized"], row["captured"], row["refunded"], row["voided"]
