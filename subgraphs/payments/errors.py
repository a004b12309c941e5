"""Refusals of the payments service, and the faults of a provider."""

from __future__ import annotations

from collections.abc import Sequence

from subgraphs.shared.errors import Refusal
from subgraphs.shared.money import Money


class PaymentRefusal(Refusal):
    """Base of what this service refuses."""

    code = "PAYMENT_REFUSED"


class AmountNotPositive(PaymentRefusal):
    """Nothing, or less than nothing, cannot be taken or given back."""

    code = "AMOUNT_NOT_POSITIVE"

    def __init__(self, amount: Money, *, path: Sequence[str] | None = None) -> None:
        self.amount = amount
        super().__init__(f"the amount is {amount}: it must be above zero", path=path)


class AmountExceedsLimit(PaymentRefusal):
    """More than is held cannot be taken, more than was taken not given back."""

    code = "AMOUNT_EXCEEDS_LIMIT"

    def __init__(
        self, operation: str, requested: Money, limit: Money, *, path: Sequence[str] | None = None
    ) -> None:
        self.operation, self.requested, self.limit = operation, requested, limit
        super().__init__(f"{operation} of {requested}: at most {limit} is possible now", path=path)


class NothingToVoid(PaymentRefusal):
    """Nothing is held that could be given up."""

    code = "NOTHING_TO_VOID"

    def __init__(self, payment_id: str, state: str) -> None:
        self.payment_id, self.state = payment_id, state
        super().__init__(f"payment {payment_id} is {state}: nothing is held that could be voided")


class NoActionPending(PaymentRefusal):
    """The customer is not being asked for anything."""

    code = "NO_ACTION_PENDING"

    def __init__(self, payment_id: str, state: str) -> None:
        self.payment_id, self.state = payment_id, state
        super().__init__(f"payment {payment_id} is {state}: no action of the customer is awaited")


class ProviderError(Exception):
    """Base of what goes wrong with a provider. Never shown to a client."""

    code = "PROVIDER_ERROR"


class OutcomeUnknown(ProviderError):
    """No answer came: the work may or may not have been done. Ask by the key, never assume."""

    code = "PROVIDER_OUTCOME_UNKNOWN"

    def __init__(self, key: str, reason: str) -> None:
        self.key, self.reason = key, reason
        super().__init__(f"the outcome of {key} is unknown: {reason}")


class ProviderKeyReused(ProviderError):
    """The provider knows the key, for another request: a bug of ours."""

    code = "PROVIDER_KEY_REUSED"

    def __init__(self, key: str) -> None:
        self.key = key
        super().__init__(f"the provider has seen key {key} with another body")
