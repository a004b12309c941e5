"""Sessions and their tokens."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from joserfc.errors import JoseError

from subgraphs.shared.auth import Role
from subgraphs.users.events import SessionRefreshed, SessionRevoked, SessionStarted
from subgraphs.users.passwords import Passwords
from subgraphs.users.sessions import RefreshToken, Session, SessionOver
from subgraphs.users.tokens import SigningKeys
from tests.support.given import Given, given

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = NOW + timedelta(days=1)
ID = "ses_" + "0" * 26
FIRST, SECOND, THIRD = (RefreshToken.new(ID) for _ in range(3))
STARTED = SessionStarted(ID, "usr_1", FIRST.hash, LATER)


def session(*events: object) -> Given[Session]:
    return given(Session, ID, *events)  # type: ignore[arg-type]


def test_a_refresh_token_is_exchanged_for_a_new_one() -> None:
    session(STARTED).when(lambda s: s.refresh(FIRST, SECOND, NOW)).then(
        SessionRefreshed(ID, SECOND.hash)
    )


def test_a_token_used_twice_ends_the_session() -> None:
    refreshed = SessionRefreshed(ID, SECOND.hash)
    session(STARTED, refreshed).when(lambda s: s.refresh(FIRST, THIRD, NOW)).then(
        SessionRevoked(ID, "usr_1", "token_reused")
    )


def test_a_session_ends() -> None:
    session(STARTED).when(lambda s: s.refresh(FIRST, SECOND, LATER)).then_raises(
        SessionOver, "expired"
    )
    revoked = SessionRevoked(ID, "usr_1", "signed_out")
    session(STARTED, revoked).when(lambda s: s.refresh(FIRST, SECOND, NOW)).then_raises(
        SessionOver, "signed_out"
    )


def test_a_token_that_never_was_ends_nothing() -> None:
    session(STARTED).when(lambda s: s.refresh(THIRD, SECOND, NOW)).then_raises(
        SessionOver, "unknown"
    )
    session().when(lambda s: s.refresh(FIRST, SECOND, NOW)).then_raises(SessionOver, "unknown")


def test_sign_out_once() -> None:
    revoked = SessionRevoked(ID, "usr_1", "signed_out")
    session(STARTED).when(lambda s: s.revoke("signed_out")).then(revoked)
    session(STARTED, revoked).when(lambda s: s.revoke("signed_out")).then_nothing()
    session().when(lambda s: s.revoke("signed_out")).then_nothing()


@pytest.mark.parametrize("text", ["", "x", "ses_1.x", ID, f"{ID}.", f"{ID}." + "x" * 200])
def test_rubbish_is_no_refresh_token(text: str) -> None:
    with pytest.raises(SessionOver):
        RefreshToken.read(text)


def signed(keys: SigningKeys, now: datetime = NOW) -> str:
    return keys.sign(
        user_id="usr_1",
        roles=[Role.STAFF, Role.CUSTOMER],
        session_id=ID,
        now=now,
        lifetime=timedelta(minutes=10),
    ).text


def test_an_access_token_says_who_and_until_when() -> None:
    keys = SigningKeys.generate()
    claims = keys.verify(signed(keys), NOW)
    assert claims["sub"] == "usr_1"
    assert claims["roles"] == ["CUSTOMER", "STAFF"]
    assert claims["exp"] - claims["iat"] == 600
    assert (claims["iss"], claims["aud"]) == ("lonja", "lonja")
    with pytest.raises(JoseError):
        keys.verify(signed(keys), NOW + timedelta(minutes=11))
    with pytest.raises(JoseError):
        SigningKeys.generate().verify(signed(keys), NOW)


def test_the_published_keys_are_public_only() -> None:
    (key,) = SigningKeys.generate().jwks()["keys"]
    assert key.keys() == {"kty", "crv", "x", "kid", "use", "alg"}


def test_keys_are_rotated_by_putting_a_new_one_in_front(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    old = SigningKeys.from_file(file)
    token = signed(old)
    assert file.stat().st_mode & 0o777 == 0o600
    assert SigningKeys.from_file(file).verify(token, NOW)["sub"] == "usr_1"

    SigningKeys.from_file(tmp_path / "new.json")
    new = json.loads((tmp_path / "new.json").read_text())
    stored = json.loads(file.read_text())
    file.write_text(json.dumps({"keys": [*new["keys"], *stored["keys"]]}))
    rotated = SigningKeys.from_file(file)
    assert rotated.verify(token, NOW)["sub"] == "usr_1"
    assert [key["kid"] for key in rotated.jwks()["keys"]][1] == old.jwks()["keys"][0]["kid"]
    with pytest.raises(JoseError):
        old.verify(signed(rotated), NOW)


def test_a_broken_key_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    file.write_text("{}")
    with pytest.raises(ValueError, match=r"keys\.json is not a set of private keys"):
        SigningKeys.from_file(file)


async def test_a_password_verifies_and_another_does_not() -> None:
    passwords = Passwords(time_cost=1, memory_kib=8, parallelism=1)
    stored = await passwords.hash("a good password")
    assert await passwords.verify("a good password", stored) == (True, None)
    assert await passwords.verify("a bad password", stored) == (False, None)
    assert await passwords.verify("the password of nobody", None) == (False, None)
    passwords.close()


async def test_a_hash_with_other_costs_is_made_anew() -> None:
    old, new = (Passwords(time_cost=n, memory_kib=8, parallelism=1) for n in (1, 2))
    stored = await old.hash("a good password")
    right, better = await new.verify("a good password", stored)
    assert right
    assert better is not None
    assert "t=2" in better
    assert await new.verify("a good password", better) == (True, None)
    old.close()
    new.close()
