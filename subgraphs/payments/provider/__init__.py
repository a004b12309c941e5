"""The provider port, and a provider that is deterministic and runs here."""

from subgraphs.payments.provider.account import APPROVING_ANSWER, Fate
from subgraphs.payments.provider.fake import FakeProvider, Faults
from subgraphs.payments.provider.port import Authorization, PaymentProvider, StatementLine

__all__ = [
    "APPROVING_ANSWER",
    "Authorization",
    "FakeProvider",
    "Fate",
    "Faults",
    "PaymentProvider",
    "StatementLine",
]
