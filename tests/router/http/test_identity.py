"""Who asks: tokens, keys and their rotation, the signed header, headers that go on and back."""

from __future__ import annotations

import base64
import json
import time
import warnings
from collections.abc import Mapping
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OctKey, OKPKey, RSAKey

from router.config import Actor, Headers, Jwt, RouterConfig
from router.http.actor_header import ActorSigner, BadActorHeader, WeakSecret, verify_actor
from router.http.jwks import JwksError
from router.planner.plan import OperationKind
from router.transport import SubgraphOperation, SubgraphRequest, SubgraphResponse
from tests.router.http.graph import app, graph, query
from tests.support.raw_server import RawServer, raw_server, reply

SECRET = "s" * 32
NOW = 1_900_000_000.0


class Keys:
    """A key set that can be rotated, and counts how often it was fetched."""

    def __init__(self, *keys: Any) -> None:
        self.keys = list(keys)
        self.fetched = 0
        self.down = False

    async def __call__(self) -> Mapping[str, Any]:
        self.fetched += 1
        if self.down:
            raise JwksError("test", "down")
        return dict(KeySet(self.keys).as_dict())


def ed25519() -> OKPKey:
    return OKPKey.generate_key("Ed25519", auto_kid=True)


def token(key: Any, algorithm: str = "EdDSA", **claims: Any) -> str:
    claims = {"sub": "usr_1", "exp": int(time.time()) + 60, **claims}
    claims = {name: value for name, value in claims.items() if value is not None}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return jwt.encode({"alg": algorithm, "kid": key.kid}, claims, key, algorithms=[algorithm])


def secured(keys: Keys, **settings: Any) -> Any:
    config = RouterConfig(jwt=Jwt(**settings), actor=Actor(secret=SECRET))
    return app(config, jwks=keys)


async def asked_with(router: Any, bearer: str | None) -> Any:
    headers = {"authorization": f"Bearer {bearer}"} if bearer is not None else {}
    return await query(router, "{ products { name } }", headers=headers)


async def test_a_verified_actor_reaches_subgraphs_signed() -> None:
    key = ed25519()
    router, made = secured(Keys(key))
    answer = await asked_with(router, token(key, roles=["staff"], email="a@example.org"))
    assert answer.status == 200
    header = made.services["products"].asked[0][2]["x-router-actor"]
    claims = verify_actor(header, SECRET, now=time.time())
    assert claims["sub"] == "usr_1"
    assert claims["roles"] == ["staff"]
    assert "email" not in claims


async def test_no_token_is_anonymous_and_nobody_can_claim_otherwise() -> None:
    router, made = secured(Keys(ed25519()))
    forged = ActorSigner("x" * 32, claims=["sub"], lifetime_seconds=60).sign(
        {"sub": "admin"}, now=time.time()
    )
    await query(router, "{ products { name } }", headers={"X-Router-Actor": forged})
    assert "x-router-actor" not in made.services["products"].asked[0][2]


async def test_the_actor_header_cannot_be_configured_to_pass() -> None:
    headers = Headers(request=("x-router-actor", "x-a"))
    router, made = app(RouterConfig(headers=headers))
    await query(router, "{ products { name } }", headers={"x-router-actor": "x", "x-a": "1"})
    sent = made.services["products"].asked[0][2]
    assert "x-router-actor" not in sent
    assert sent["x-a"] == "1"


@pytest.mark.parametrize(
    ("algorithm", "key"),
    [
        ("EdDSA", OKPKey.generate_key("Ed25519", auto_kid=True)),
        ("Ed25519", OKPKey.generate_key("Ed25519", auto_kid=True)),
        ("ES256", ECKey.generate_key("P-256", auto_kid=True)),
        ("RS256", RSAKey.generate_key(2048, auto_kid=True)),
    ],
)
async def test_algorithms(algorithm: str, key: Any) -> None:
    router, _ = secured(Keys(key))
    assert (await asked_with(router, token(key, algorithm))).status == 200


def unsigned(claims: Mapping[str, Any]) -> str:
    parts = [{"alg": "none"}, claims]
    coded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode() for part in parts]
    return ".".join(part.rstrip("=") for part in coded) + "."


KEY = ed25519()
SOON = int(time.time()) + 3600


BAD_TOKENS = [
    ("", "expected `Bearer`"),
    ("rubbish", "malformed"),
    ("a.b.c", "malformed"),
    ("é.b.c", "malformed"),
    (unsigned({"sub": "x", "exp": SOON}), "algorithm"),
    (token(KEY)[:-4] + "AAAA", "signature"),
    (token(KEY, exp=int(time.time()) - 60), "expired"),
    (token(KEY, exp=None), "never expires"),
    (token(KEY, exp="soon"), "`exp` is malformed"),
    (token(KEY, nbf=SOON), "not valid yet"),
    (token(KEY, iat=SOON), "future"),
    (token(KEY, iss="https://evil.test"), "issuer"),
    (token(KEY, iss="https://lonja.test", aud="others"), "audience"),
    (token(KEY, iss="https://lonja.test"), "audience"),
    (token(ed25519()), "key is not known"),
    (token(OctKey.import_key("s" * 32, {"kid": KEY.kid}), "HS256"), "algorithm"),
    ("x" * 9000, "too long"),
]


@pytest.mark.parametrize(("bearer", "words"), BAD_TOKENS, ids=map(str, range(len(BAD_TOKENS))))
async def test_bad_tokens(bearer: str, words: str) -> None:
    router, made = secured(
        Keys(KEY),
        issuers=("https://lonja.test",) if "iss" in words or "aud" in words else (),
        audiences=("lonja",) if "aud" in words else (),
    )
    answer = await asked_with(router, bearer)
    assert answer.status == 401
    error = answer.json()["errors"][0]
    assert words in error["message"]
    assert error["extensions"]["code"] == "UNAUTHENTICATED"
    assert (answer.header("www-authenticate") or "").startswith("Bearer ")
    assert not made.services["products"].asked


async def test_issuer_and_audience_that_fit() -> None:
    router, _ = secured(Keys(KEY), issuers=("https://lonja.test",), audiences=("lonja",))
    good = token(KEY, iss="https://lonja.test", aud=["others", "lonja"])
    assert (await asked_with(router, good)).status == 200


async def test_a_key_published_later_is_found_but_not_hammered_for() -> None:
    old, new, never = ed25519(), ed25519(), ed25519()
    keys = Keys(old)
    router, _ = secured(keys, refetch_seconds_min=0.0)
    assert (await asked_with(router, token(old))).status == 200
    assert keys.fetched == 1
    keys.keys = [new]
    assert (await asked_with(router, token(new))).status == 200
    assert keys.fetched == 2
    assert (await asked_with(router, token(old))).status == 401, "the old key is gone"
    keys = Keys(old)
    router, _ = secured(keys, refetch_seconds_min=3600.0)
    for _ in range(5):
        assert (await asked_with(router, token(never))).status == 401
    assert keys.fetched == 1


async def test_keys_that_cannot_be_had() -> None:
    keys = Keys(KEY)
    keys.down = True
    router, _ = secured(keys, refresh_seconds=0.0, refetch_seconds_min=0.0)
    answer = await asked_with(router, token(KEY))
    assert answer.status == 503
    assert answer.json()["errors"][0]["extensions"]["code"] == "AUTHENTICATION_UNAVAILABLE"
    keys.down = False
    assert (await asked_with(router, token(KEY))).status == 200
    keys.down = True
    assert (await asked_with(router, token(KEY, n=2))).status == 200, "old keys are kept"


async def test_keys_that_are_down_are_not_hammered_for() -> None:
    keys = Keys(KEY)
    keys.down = True
    router, _ = secured(keys, refetch_seconds_min=3600.0)
    for _ in range(3):
        assert (await asked_with(router, token(KEY))).status == 503
    assert keys.fetched == 1


async def test_keys_by_http() -> None:
    public = KEY.as_dict(private=False)

    async def handle(server: RawServer, reader: Any, writer: Any, number: int) -> None:
        await server.read_request(reader)
        writer.write(reply(json.dumps({"keys": [public]}).encode()))

    async with raw_server(handle) as server:
        router, _ = app(RouterConfig(jwt=Jwt(jwks_url=server.url)))
        assert (await asked_with(router, token(KEY))).status == 200
        assert (await asked_with(router, token(KEY, n=1))).status == 200
        assert server.connections == 1


async def test_keys_from_a_file(tmp_path: Any) -> None:
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps({"keys": [KEY.as_dict(private=False)]}))
    router, _ = app(RouterConfig(jwt=Jwt(jwks_file=str(path))))
    assert (await asked_with(router, token(KEY))).status == 200


def test_the_actor_header_is_believed_only_if_it_fits() -> None:
    signer = ActorSigner(SECRET, claims=["sub"], lifetime_seconds=60)
    value = signer.sign({"sub": "usr_1", "x": 1}, now=NOW)
    assert verify_actor(value, SECRET, now=NOW + 59) == {
        "sub": "usr_1",
        "iat": int(NOW),
        "exp": int(NOW) + 60,
    }
    payload, _, signature = value.partition(".")
    other = base64.urlsafe_b64encode(b'{"sub":"admin","iat":1,"exp":9999999999}').decode()
    for bad, words in [
        (f"{other.rstrip('=')}.{signature}", "signature"),
        (f"{payload}.{signature[:-1]}", "signature"),
        (payload, "form"),
        ("é.x", "form"),
        ("x" * 9000, "characters"),
    ]:
        with pytest.raises(BadActorHeader, match=words):
            verify_actor(bad, SECRET, now=NOW)
    with pytest.raises(BadActorHeader, match="signature"):
        verify_actor(value, "t" * 32, now=NOW)
    with pytest.raises(BadActorHeader, match="expired"):
        verify_actor(value, SECRET, now=NOW + 61)
    with pytest.raises(BadActorHeader, match="future"):
        verify_actor(value, SECRET, now=NOW - 61)
    with pytest.raises(WeakSecret):
        ActorSigner("short", claims=[], lifetime_seconds=1)


def test_the_actor_header_ends_with_its_token() -> None:
    signer = ActorSigner(SECRET.encode(), claims=["sub"], lifetime_seconds=60)
    value = signer.sign({"sub": "a", "exp": int(NOW) + 5}, now=NOW)
    assert verify_actor(value, SECRET, now=NOW)["exp"] == int(NOW) + 6


async def test_ids_and_client_go_on() -> None:
    router, made = app()
    answer = await query(
        router,
        "{ products { name } }",
        headers={
            "x-request-id": "req-1",
            "x-correlation-id": "cor_1",
            "x-read-position": "42",
            "traceparent": "00-a-b-01",
            "user-agent": "test/1",
            "x-client-ip": "10.0.0.1",
            "x-forwarded-for": "10.0.0.2",
            "cookie": "secret=1",
        },
    )
    assert answer.header("x-request-id") == "req-1"
    assert made.services["products"].asked[0][2] == {
        "traceparent": "00-a-b-01",
        "x-read-position": "42",
        "x-request-id": "req-1",
        "x-correlation-id": "cor_1",
        "x-client-ip": "203.0.113.9",
        "x-client-agent": "test/1",
    }


async def test_an_insane_request_id_is_replaced() -> None:
    router, made = app()
    answer = await query(router, "{ products { name } }", headers={"x-request-id": 'a" evil'})
    new = answer.header("x-request-id")
    assert new is not None
    assert len(new) == 32
    assert made.services["products"].asked[0][2]["x-correlation-id"] == new


async def test_every_set_cookie_comes_back() -> None:
    class WithCookies:
        async def __call__(self, request: SubgraphRequest) -> SubgraphResponse:
            assert request.operation.kind is OperationKind.QUERY
            assert isinstance(request.operation, SubgraphOperation)
            headers = (("set-cookie", "a=1"), ("x-internal", "no"), ("set-cookie", "b=2; Secure"))
            return SubgraphResponse({"products": []}, [], None, headers)

        async def close(self) -> None: ...

    from router.http import create_app

    router = create_app(graph().supergraph_sdl, transports={"products": WithCookies()})
    answer = await query(router, "{ products { name } }")
    assert [v for k, v in answer.headers if k == "set-cookie"] == ["a=1", "b=2; Secure"]
    assert answer.header("x-internal") is None
