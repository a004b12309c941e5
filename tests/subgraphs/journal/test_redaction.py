from __future__ import annotations

import json

import pytest

from subgraphs.journal.redaction import SECRET_FIELDS, redact


def test_secrets_are_taken_out_wherever_they_are_and_named() -> None:
    payload = {
        "order_id": "ord_1",
        "payment_method_token": "tok_1",
        "lines": [{"secret": "s", "sku": "A"}, {"deep": {"token_hash": "h"}}],
        "client_token": None,
    }
    data, redacted = redact(json.dumps(payload).encode())
    assert json.loads(data) == {
        "order_id": "ord_1",
        "payment_method_token": None,
        "lines": [{"secret": None, "sku": "A"}, {"deep": {"token_hash": None}}],
        "client_token": None,
    }
    assert redacted == ["payment_method_token", "lines.0.secret", "lines.1.deep.token_hash"]


@pytest.mark.parametrize("name", sorted(SECRET_FIELDS))
def test_each_secret_field(name: str) -> None:
    data, redacted = redact(json.dumps({name: "x"}).encode())
    assert (json.loads(data), redacted) == ({name: None}, [name])


def test_u0000_does_not_reach_a_database_that_cannot_hold_it() -> None:
    data, redacted = redact(json.dumps({"a": "x\0y", "b": ["\0", "\\u0000"]}).encode())
    assert json.loads(data) == {"a": "x\ufffdy", "b": ["\ufffd", "\\u0000"]}
    assert redacted == ["a", "b.0"]


def test_large_numbers_and_text_stay_as_they_are() -> None:
    payload = '{"n":9007199254740993,"t":"Núñez \\"quoted\\""}'
    data, redacted = redact(payload.encode())
    assert json.loads(data) == json.loads(payload)
    assert redacted == []
