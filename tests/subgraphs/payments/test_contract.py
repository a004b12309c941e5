"""What this service promised to others."""

from __future__ import annotations

import msgspec
import pytest

from subgraphs.orders import answers
from subgraphs.orders import placement_events as asked
from subgraphs.payments.reactions import (
    AuthorizationRequested,
    CaptureRequested,
    VoidRequested,
)
from tests.support.samples import decoded


@pytest.mark.parametrize(
    ("name", "struct"),
    [
        ("authorized", answers.Authorized),
        ("declined", answers.Declined),
        ("outcome_unknown", answers.OutcomeUnknown),
        ("action_required", answers.ActionRequired),
        ("captured", answers.Captured),
        ("capture_failed", answers.CaptureFailed),
        ("voided", answers.Voided),
    ],
)
def test_orders_reads_the_answers(name: str, struct: type[answers.Answer]) -> None:
    answer = decoded("payments", f"payment.{name}", struct)
    assert answer.order_id.startswith("ord_")
    assert answer.payment_id.startswith("pay_")


def test_what_orders_asks_can_be_read() -> None:
    hold = asked.AuthorizationRequested("ord_1", "r1", "usr_1", 1050, "EUR", "tok_card", 2)
    read = msgspec.json.decode(msgspec.json.encode(hold), type=AuthorizationRequested)
    assert (read.amount_minor, read.currency, read.payment_method_token, read.attempt) == (
        1050,
        "EUR",
        "tok_card",
        2,
    )
    take = msgspec.json.encode(asked.CaptureRequested("ord_1", "r2", "pay_1", "shp_1", 1050, "EUR"))
    assert msgspec.json.decode(take, type=CaptureRequested).shipment_id == "shp_1"
    give_up = msgspec.json.encode(asked.VoidRequested("ord_1", "r3", "pay_1", "WHY"))
    assert msgspec.json.decode(give_up, type=VoidRequested).payment_id == "pay_1"
