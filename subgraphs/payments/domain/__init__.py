"""The rules of payments: decided and folded, without I/O."""

from subgraphs.payments.domain.commands import (
    abandon_action,
    answer_action,
    capture,
    capture_or_fail,
    refund,
    refuse,
    request,
    void,
    void_or_confirm,
)
from subgraphs.payments.domain.identity import payment_of
from subgraphs.payments.domain.payment import (
    Action,
    Operation,
    OperationKind,
    Payment,
    PaymentState,
)
from subgraphs.payments.domain.recording import ABANDONED, record

__all__ = [
    "ABANDONED",
    "Action",
    "Operation",
    "OperationKind",
    "Payment",
    "PaymentState",
    "abandon_action",
    "answer_action",
    "capture",
    "capture_or_fail",
    "payment_of",
    "record",
    "refund",
    "refuse",
    "request",
    "void",
    "void_or_confirm",
]
