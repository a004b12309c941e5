"""Verifying bearer tokens (RFC 7519, RFC 8725)."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import orjson
from joserfc import jws
from joserfc.errors import BadSignatureError, JoseError, SecurityWarning
from joserfc.jwk import Key
from joserfc.util import urlsafe_b64decode

from router.config import Jwt
from router.errors import RouterError
from router.http.cache import BoundedCache
from router.http.errors import AuthenticationUnavailable, Unauthenticated
from router.http.jwks import FetchJwks, JwksError, KeyStore, jwks_from_file, jwks_from_url


class NoKeySource(RouterError):
    """Tokens shall be verified, but with what is not said."""

    code: ClassVar[str] = "INVALID_ROUTER_CONFIG"

    def __init__(self) -> None:
        super().__init__("`jwt` needs `jwks_url` or `jwks_file`, or `jwks` given in code")


@dataclass(frozen=True, slots=True)
class _Verified:
    claims: Mapping[str, Any]
    generation: int
    checked_at: float


class TokenVerifier:
    """Verifies signature and claims; remembers tokens it has verified, for a while.

    `wall_clock` gives seconds since 1970, `clock` any seconds that never go back.
    """

    def __init__(
        self,
        settings: Jwt,
        *,
        fetch: FetchJwks | None,
        tokens_max: int,
        tokens_seconds_max: float,
        wall_clock: Callable[[], float],
        clock: Callable[[], float],
    ) -> None:
        self.settings = settings
        self._keys = KeyStore(
            fetch if fetch is not None else _source(settings),
            refresh_seconds=settings.refresh_seconds,
            refetch_seconds_min=settings.refetch_seconds_min,
            clock=clock,
        )
        self._verified: BoundedCache[str, _Verified] = BoundedCache(tokens_max)
        self._tokens_seconds_max = tokens_seconds_max
        self._wall_clock = wall_clock
        self._clock = clock

    async def verify(self, authorization: str) -> Mapping[str, Any]:
        """The claims of the token in an `authorization` header.

        Raises Unauthenticated, or AuthenticationUnavailable when there are no keys.
        """
        scheme, _, token = authorization.partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token:
            raise Unauthenticated("expected `Bearer` and a token")
        if len(token) > self.settings.token_bytes_max:
            raise Unauthenticated("it is too long")
        known = self._verified.get(token)
        if known is not None and self._still_good(known):
            self._check_times(known.claims)
            return known.claims
        claims = await self._verify_anew(token)
        entry = _Verified(claims, self._keys.generation, self._clock())
        self._verified.put(token, entry)
        return claims

    def _still_good(self, known: _Verified) -> bool:
        age = self._clock() - known.checked_at
        return known.generation == self._keys.generation and age < self._tokens_seconds_max

    async def _verify_anew(self, token: str) -> Mapping[str, Any]:
        header = _header(token)
        algorithm = header.get("alg")
        if not isinstance(algorithm, str) or algorithm not in self.settings.algorithms:
            raise Unauthenticated("its algorithm is not allowed")
        kid = header.get("kid")
        if kid is not None and not isinstance(kid, str):
            raise Unauthenticated("its key id is malformed")
        try:
            key = await self._keys.key(kid)
        except JwksError as error:
            raise AuthenticationUnavailable from error
        if key is None:
            raise Unauthenticated("its key is not known")
        claims = _signed_claims(token, key, algorithm)
        self._check_claims(claims)
        return claims

    def _check_claims(self, claims: Mapping[str, Any]) -> None:
        settings = self.settings
        if settings.issuers and claims.get("iss") not in settings.issuers:
            raise Unauthenticated("its issuer is not accepted")
        if settings.audiences:
            audience = claims.get("aud")
            given = audience if isinstance(audience, list) else [audience]
            if not any(item in settings.audiences for item in given if isinstance(item, str)):
                raise Unauthenticated("it is meant for another audience")
        for name in ("exp", "nbf", "iat"):
            value = claims.get(name)
            if value is not None and (
                isinstance(value, bool) or not isinstance(value, int | float)
            ):
                raise Unauthenticated(f"its `{name}` is malformed")
        if settings.require_expiry and claims.get("exp") is None:
            raise Unauthenticated("it never expires")
        self._check_times(claims)

    def _check_times(self, claims: Mapping[str, Any]) -> None:
        now, leeway = self._wall_clock(), self.settings.leeway_seconds
        expires, starts, issued = claims.get("exp"), claims.get("nbf"), claims.get("iat")
        if expires is not None and expires + leeway <= now:
            raise Unauthenticated("it has expired")
        if starts is not None and starts - leeway > now:
            raise Unauthenticated("it is not valid yet")
        if issued is not None and issued - leeway > now:
            raise Unauthenticated("it was issued in the future")


def _source(settings: Jwt) -> FetchJwks:
    if settings.jwks_url is not None:
        return jwks_from_url(settings.jwks_url, timeout_seconds=settings.fetch_timeout_seconds)
    if settings.jwks_file is not None:
        return jwks_from_file(settings.jwks_file)
    raise NoKeySource


def _header(token: str) -> dict[str, Any]:
    """The protected header, before anything is verified."""
    parts = token.split(".")
    if len(parts) != 3 or not token.isascii():
        raise Unauthenticated("it is malformed")
    try:
        header = orjson.loads(urlsafe_b64decode(parts[0].encode()))
    except ValueError:
        raise Unauthenticated("it is malformed") from None
    if not isinstance(header, dict):
        raise Unauthenticated("it is malformed")
    return header


def _signed_claims(token: str, key: Key, algorithm: str) -> dict[str, Any]:
    try:
        with warnings.catch_warnings():
            # RFC 9864 renames EdDSA; tokens signed under its old name are not less safe.
            warnings.simplefilter("ignore", SecurityWarning)
            signed = jws.deserialize_compact(token, key, algorithms=[algorithm])
        claims = orjson.loads(signed.payload)
    except BadSignatureError:
        raise Unauthenticated("its signature does not fit") from None
    except (JoseError, ValueError, TypeError):
        raise Unauthenticated("it is malformed") from None
    if not isinstance(claims, dict):
        raise Unauthenticated("it is malformed")
    return claims
