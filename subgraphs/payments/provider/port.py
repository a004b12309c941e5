"""What a payment provider can be asked.

Every request carries a key of ours. The same key with the same body is the same request: the
provider does the work once and repeats its answer. Whoever gets no answer asks by the key.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from subgraphs.payments.answers import Result


@dataclass(frozen=True, slots=True)
class Authorization:
    """A request to hold an amount. Its key names the held amount in later requests."""

    key: str
    order_id: str
    amount_minor: int
    currency: str
    method_token: str


@dataclass(frozen=True, slots=True)
class StatementLine:
    """What the provider says about one authorisation of ours. Amounts are minor units."""

    key: str
    order_id: str
    currency: str
    authorized_minor: int
    captured_minor: int
    refunded_minor: int
    voided_minor: int


class PaymentProvider(Protocol):
    """The port. Every request raises OutcomeUnknown when no answer came, ProviderKeyReused."""

    name: str

    async def start(self) -> None:
        """Connect."""
        ...

    async def stop(self) -> None:
        """Disconnect."""
        ...

    async def authorize(self, request: Authorization) -> Result:
        """Hold the amount."""
        ...

    async def confirm(self, key: str, authorization: str, answer: str) -> Result:
        """Pass on what the customer answered to a challenge."""
        ...

    async def capture(self, key: str, authorization: str, amount_minor: int) -> Result:
        """Take part of what is held; may be asked several times, each with a key of its own."""
        ...

    async def void(self, key: str, authorization: str) -> Result:
        """Give up what is held and not taken. The amount approved is what was given up."""
        ...

    async def refund(self, key: str, authorization: str, amount_minor: int) -> Result:
        """Give back part of what was taken."""
        ...

    async def look_up(self, key: str) -> Result | None:
        """The answer to the request with this key; None if it never arrived."""
        ...

    async def statement(
        self, *, order_ids: Sequence[str] | None, after: str, limit: int
    ) -> Sequence[StatementLine]:
        """What the provider holds and took, by authorisation, in the order of keys above `after`.

        Only for these orders, unless `order_ids` is None. Raises OutcomeUnknown.
        """
        ...
