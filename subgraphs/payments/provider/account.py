"""The books of the fake provider: what each request does to one authorisation, as values.

Its decisions follow from the seed and the order alone, so the same order meets the same fate in
every run. Some method tokens force a fate:

    tok_approve            always approved
    tok_decline            declined as `card_declined`; tok_decline_lost_card as `lost_card`
    tok_3ds                the customer has to act first
    tok_unknown            approved, and the answer is lost
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from hashlib import sha256

from subgraphs.payments.answers import Approved, Challenge, Refused, Result

APPROVING_ANSWER = "approve"
"""What a customer answers to a challenge who is who they say."""


@dataclass(frozen=True, slots=True)
class Fate:
    """How the fake decides: declines `decline_rate` of the orders, as `seed` has it."""

    seed: int = 7
    decline_rate: float = 0.0

    def share(self, purpose: str, identity: str) -> float:
        """A number in [0, 1) that belongs to this identity."""
        digest = sha256(f"{self.seed}\n{purpose}\n{identity}".encode()).digest()
        return int.from_bytes(digest[:8], "big") / 2**64

    def authorize(self, order_id: str, token: str, reference: str) -> Refused | Challenge | None:
        """The fate of an authorisation; None is approval."""
        if token.startswith("tok_decline"):
            return Refused(token.removeprefix("tok_decline").strip("_") or "card_declined")
        if token.startswith("tok_3ds"):
            return Challenge(
                reference, "3ds", f"https://provider.invalid/challenge/{reference}", None
            )
        if token in ("tok_approve", "tok_unknown"):
            return None
        if self.share("decline", order_id) < self.decline_rate:
            return Refused("insufficient_funds")
        return None


@dataclass(frozen=True, slots=True)
class Account:
    """One authorisation as the provider keeps it. `wanted_minor` is held once it is approved."""

    reference: str
    wanted_minor: int
    open: bool = False
    authorized_minor: int = 0
    captured_minor: int = 0
    refunded_minor: int = 0
    voided_minor: int = 0

    def authorize(self, fate: Refused | Challenge | None) -> tuple[Account, Result]:
        """Hold the amount, or do not, or wait for the customer (`open`)."""
        match fate:
            case None:
                held = replace(self, authorized_minor=self.wanted_minor)
                return held, Approved(self.reference, self.wanted_minor)
            case Challenge():
                return replace(self, open=True), fate
            case Refused():
                return self, fate

    def confirm(self, answer: str) -> tuple[Account, Result]:
        """The customer answered the challenge, once."""
        if not self.open:
            return self, Refused("no_challenge_open")
        closed = replace(self, open=False)
        if answer != APPROVING_ANSWER:
            return closed, Refused("authentication_failed")
        return closed.authorize(None)

    def capture(self, amount_minor: int) -> tuple[Account, Result]:
        """Take part of what is held."""
        if not 0 < amount_minor <= self.held_minor:
            return self, Refused("amount_too_large")
        taken = replace(self, captured_minor=self.captured_minor + amount_minor)
        return taken, Approved(self.reference, amount_minor)

    def void(self) -> tuple[Account, Result]:
        """Give up what is held; an open challenge can no longer be answered."""
        given_up = self.held_minor
        after = replace(self, open=False, voided_minor=self.voided_minor + given_up)
        return after, Approved(self.reference, given_up)

    def refund(self, amount_minor: int) -> tuple[Account, Result]:
        """Give back part of what was taken."""
        if not 0 < amount_minor <= self.captured_minor - self.refunded_minor:
            return self, Refused("amount_too_large")
        after = replace(self, refunded_minor=self.refunded_minor + amount_minor)
        return after, Approved(self.reference, amount_minor)

    @property
    def held_minor(self) -> int:
        """What is held and neither taken nor given up."""
        return self.authorized_minor - self.captured_minor - self.voided_minor
