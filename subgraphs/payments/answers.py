"""What a payment provider may answer to a request."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Approved:
    """The work is done: the amount is held, taken, given up or given back."""

    reference: str
    amount_minor: int


@dataclass(frozen=True, slots=True)
class Refused:
    """The work was not done and will not be."""

    code: str


@dataclass(frozen=True, slots=True)
class Challenge:
    """The customer has to act before the amount is held."""

    reference: str
    kind: str
    redirect_url: str | None
    client_token: str | None


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """Nothing is known: the work may be done or not. Ask by the key, never assume."""

    reason: str


Result = Approved | Refused | Challenge
Answer = Result | NoAnswer
