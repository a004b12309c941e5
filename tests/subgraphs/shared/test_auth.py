from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta

import pytest

from subgraphs.shared.auth import (
    ANONYMOUS,
    Caller,
    Role,
    check_feed_authorization,
    feed_authorization,
    read_caller,
    sign_actor,
)
from subgraphs.shared.errors import Forbidden, Unauthenticated

SECRET = b"secret of the tests"
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def signed(**changes: object) -> str:
    arguments = {"user_id": "usr_1", "roles": [Role.STAFF], "now": NOW, "session_id": "ses_1"}
    return sign_actor(SECRET, **{**arguments, **changes})  # type: ignore[arg-type]


def test_what_the_router_signed_is_believed() -> None:
    caller = read_caller(signed(), SECRET, NOW)
    assert caller == Caller("usr_1", frozenset({Role.STAFF}), "ses_1")


def test_no_header_is_an_anonymous_caller() -> None:
    assert read_caller(None, SECRET, NOW) is ANONYMOUS


def test_another_secret_is_not_believed() -> None:
    with pytest.raises(Unauthenticated, match="signature"):
        read_caller(signed(), b"another", NOW)


def test_changed_claims_are_not_believed() -> None:
    body, _, signature = signed().partition(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    claims["roles"] = ["ADMIN"]
    forged = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    with pytest.raises(Unauthenticated, match="signature"):
        read_caller(f"{forged}.{signature}", SECRET, NOW)


def test_a_statement_expires() -> None:
    header = signed()
    assert read_caller(header, SECRET, NOW + timedelta(seconds=60)).user_id == "usr_1"
    with pytest.raises(Unauthenticated, match="expired"):
        read_caller(header, SECRET, NOW + timedelta(seconds=66))


@pytest.mark.parametrize("header", ["x", "x.y", ".", "é.é", "a.b.c", "*.*", "A" * 5000 + ".A"])
def test_rubbish_is_unauthenticated(header: str) -> None:
    with pytest.raises(Unauthenticated):
        read_caller(header, SECRET, NOW)


def test_unknown_roles_allow_nothing() -> None:
    from subgraphs.shared.auth import _encode, _signature

    body = _encode(b'{"sub":"usr_1","roles":["EMPEROR","STAFF"],"exp":4000000000}')
    header = f"{body}.{_encode(_signature(SECRET, body))}"
    assert read_caller(header, SECRET, NOW).roles == frozenset({Role.STAFF})


def test_roles_do_not_imply_one_another() -> None:
    admin = Caller("usr_1", frozenset({Role.ADMIN}))
    with pytest.raises(Forbidden, match="read the log: it takes the role AUDITOR"):
        admin.require_role("read the log", Role.AUDITOR)
    with pytest.raises(Unauthenticated):
        ANONYMOUS.require_role("read the log", Role.AUDITOR)


def test_own_things_may_be_seen_and_those_of_others_by_role() -> None:
    customer = Caller("usr_1", frozenset({Role.CUSTOMER}))
    assert customer.may_see("usr_1")
    assert not customer.may_see("usr_2", Role.STAFF)
    assert not ANONYMOUS.may_see(None)
    assert Caller("usr_3", frozenset({Role.STAFF})).may_see("usr_2", Role.STAFF)


def test_the_feed_takes_its_own_token() -> None:
    check_feed_authorization(feed_authorization(SECRET), SECRET)
    for wrong in (None, "", "Internal x", signed(), feed_authorization(b"another"), "é"):
        with pytest.raises(Unauthenticated):
            check_feed_authorization(wrong, SECRET)
