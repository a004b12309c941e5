"""The header that tells subgraphs, beyond doubt, who is asking.

Name:   `x-router-actor`
Value:  PAYLOAD "." SIGNATURE, both base64url without padding (RFC 4648 § 5).

PAYLOAD is UTF-8 JSON, an object: those claims of the verified token that the router is configured
to hand on, each as it stood in the token (absent ones are left out), and

    "iat"   when the router signed, in whole seconds since 1970
    "exp"   until when the header may be believed, likewise; the token's own end if that is sooner

SIGNATURE is HMAC-SHA256, keyed with the shared secret (bytes; text counts as UTF-8), over the
bytes of PAYLOAD as they stand in the header, that is over the base64url text, not over the JSON.

A subgraph that gets the header must: split at the one dot; compute the HMAC of the first part and
compare it with the second in constant time; only then decode the JSON; refuse if `exp` is not later
than now, or `iat` is later than now by more than its clock may be wrong (60 s). A request without
the header is anonymous. A request with a bad header is refused, not taken for anonymous. The router
drops this header from what clients send, so it can only have come from the router; the signature
covers networks that let others reach subgraphs. It does not bind the request's body: the lifetime
is short for that reason.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Final

import orjson

from router.errors import RouterError

ACTOR_HEADER: Final = "x-router-actor"
SECRET_BYTES_MIN: Final = 32
CLOCK_SKEW_SECONDS: Final = 60
HEADER_CHARACTERS_MAX: Final = 8_000


class BadActorHeader(RouterError):
    """A header that cannot be believed."""

    code: ClassVar[str] = "BAD_ACTOR_HEADER"

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"the header {ACTOR_HEADER} is not valid: {reason}")


class WeakSecret(RouterError):
    """A shared secret that can be guessed."""

    code: ClassVar[str] = "WEAK_SECRET"

    def __init__(self, length: int) -> None:
        self.length = length
        super().__init__(
            f"the secret for {ACTOR_HEADER} has {length} bytes, expected at least "
            f"{SECRET_BYTES_MIN}"
        )


class ActorSigner:
    """Signs headers for verified claims. Raises WeakSecret when made with a short secret."""

    def __init__(
        self, secret: str | bytes, *, claims: Iterable[str], lifetime_seconds: int
    ) -> None:
        self._key = _key(secret)
        self._claims = tuple(claims)
        self._lifetime_seconds = lifetime_seconds

    def handed_on(self, claims: Mapping[str, Any]) -> dict[str, Any]:
        """What subgraphs learn of a token."""
        return {name: claims[name] for name in self._claims if name in claims}

    def sign(self, claims: Mapping[str, Any], *, now: float) -> str:
        """The header's value."""
        issued = int(now)
        expires = issued + self._lifetime_seconds
        token_end = claims.get("exp")
        if isinstance(token_end, (int, float)):
            expires = min(expires, max(int(token_end), issued) + 1)
        payload = self.handed_on(claims)
        payload["iat"], payload["exp"] = issued, expires
        text = base64.urlsafe_b64encode(orjson.dumps(payload)).rstrip(b"=")
        return f"{text.decode()}.{_signature(self._key, text)}"


def verify_actor(value: str, secret: str | bytes, *, now: float) -> dict[str, Any]:
    """The claims a header carries, `iat` and `exp` included. Raises BadActorHeader, WeakSecret."""
    key = _key(secret)
    if len(value) > HEADER_CHARACTERS_MAX:
        raise BadActorHeader(f"it has more than {HEADER_CHARACTERS_MAX} characters")
    text, dot, signature = value.partition(".")
    if not dot or not value.isascii():
        raise BadActorHeader("it is not of the form PAYLOAD.SIGNATURE")
    if not hmac.compare_digest(_signature(key, text.encode()), signature):
        raise BadActorHeader("its signature does not fit")
    try:
        claims = orjson.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (binascii.Error, orjson.JSONDecodeError) as error:
        raise BadActorHeader("its payload cannot be read") from error
    if not isinstance(claims, dict):
        raise BadActorHeader("its payload is no object")
    issued, expires = claims.get("iat"), claims.get("exp")
    if type(issued) is not int or type(expires) is not int:
        raise BadActorHeader("it lacks `iat` or `exp`")
    if expires <= now:
        raise BadActorHeader("it has expired")
    if issued > now + CLOCK_SKEW_SECONDS:
        raise BadActorHeader("it was issued in the future")
    return claims


def _key(secret: str | bytes) -> bytes:
    key = secret.encode() if isinstance(secret, str) else secret
    if len(key) < SECRET_BYTES_MIN:
        raise WeakSecret(len(key))
    return key


def _signature(key: bytes, text: bytes) -> str:
    digest = hmac.digest(key, text, "sha256")
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
