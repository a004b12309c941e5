"""The keys tokens are verified with: where they come from, and when they are looked up again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, TypeAlias

import orjson
import structlog
from joserfc.errors import JoseError
from joserfc.jwk import Key, KeySet

from router.config import SubgraphSettings, Tls
from router.errors import RouterError
from router.transport.address import parse_address, ssl_context
from router.transport.errors import SubgraphError
from router.transport.pool import HttpPool

KEYS_MAX = 100
JWKS_BYTES_MAX = 1_000_000

FetchJwks: TypeAlias = Callable[[], Awaitable[Mapping[str, Any]]]
"""Returns a JWK set (RFC 7517 § 5). Raises JwksError."""

log = structlog.get_logger("router.jwks")


class JwksError(RouterError):
    """A key set that cannot be had or used."""

    code: ClassVar[str] = "JWKS_UNAVAILABLE"

    def __init__(self, source: str, reason: str) -> None:
        self.source, self.reason = source, reason
        super().__init__(f"the key set {source} cannot be used: {reason}")


def jwks_from_file(path: str) -> FetchJwks:
    """Keys from a JSON file, read again at every fetch."""

    async def fetch() -> Mapping[str, Any]:
        try:
            text = await asyncio.to_thread(Path(path).read_bytes)
        except OSError as error:
            raise JwksError(path, error.strerror or "it cannot be read") from error
        return _read(path, text)

    return fetch


def jwks_from_url(url: str, *, timeout_seconds: float) -> FetchJwks:
    """Keys by HTTP GET. Raises SubgraphUrlError for an address that cannot be called."""
    address = parse_address("jwks", url)
    defaults = SubgraphSettings()
    request = (
        f"GET {address.target} HTTP/1.1\r\nhost: {address.authority}\r\n"
        "accept: application/jwk-set+json, application/json\r\n\r\n"
    ).encode("latin-1")

    async def fetch() -> Mapping[str, Any]:
        pool = HttpPool(
            "jwks",
            address,
            connections_max=1,
            waiting_max=1,
            connect_timeout_seconds=defaults.connect_timeout_seconds,
            keepalive_seconds=0.0,
            response_bytes_max=JWKS_BYTES_MAX,
            tls=ssl_context("jwks", Tls()) if address.secure else None,
        )
        deadline = asyncio.get_running_loop().time() + timeout_seconds
        try:
            reply = await pool.exchange(request, deadline, replayable=True)
        except SubgraphError as error:
            raise JwksError(url, str(error)) from error
        finally:
            await pool.close()
        if reply.status != 200:
            raise JwksError(url, f"HTTP status {reply.status}")
        return _read(url, reply.body)

    return fetch


def _read(source: str, text: bytes) -> Mapping[str, Any]:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise JwksError(source, "it is not JSON") from error
    if not isinstance(value, dict):
        raise JwksError(source, "it is no JSON object")
    return value


class KeyStore:
    """Keys by `kid`, fetched when first needed, when old, and when an unknown `kid` turns up.

    Unknown ids cause at most one fetch in `refetch_seconds_min`, whatever clients send. A failed
    fetch leaves the keys that are there. `clock` is in seconds and never goes back.
    """

    def __init__(
        self,
        fetch: FetchJwks,
        *,
        refresh_seconds: float,
        refetch_seconds_min: float,
        clock: Callable[[], float],
    ) -> None:
        self._fetch = fetch
        self._refresh_seconds = refresh_seconds
        self._refetch_seconds_min = refetch_seconds_min
        self._clock = clock
        self._keys: dict[str, Key] = {}
        self._fetched_at: float | None = None
        self._failed_at = float("-inf")
        self._lock = asyncio.Lock()
        self.generation = 0
        """Grows when the keys change: what the old ones verified must be looked at anew."""

    async def key(self, kid: str | None) -> Key | None:
        """The key with this id; without an id the only key there is. None where there is none.

        Raises JwksError when there are no keys at all because they could not be fetched.
        """
        if self._age() >= self._refresh_seconds:
            await self._refresh(self._refresh_seconds)
        found = self._find(kid)
        if found is None and self._age() >= self._refetch_seconds_min:
            await self._refresh(self._refetch_seconds_min)
            found = self._find(kid)
        return found

    def _age(self) -> float:
        return float("inf") if self._fetched_at is None else self._clock() - self._fetched_at

    def _find(self, kid: str | None) -> Key | None:
        if kid is None:
            return next(iter(self._keys.values())) if len(self._keys) == 1 else None
        return self._keys.get(kid)

    async def _refresh(self, older_than: float) -> None:
        async with self._lock:
            if self._age() < older_than:  # somebody else did it meanwhile
                return
            first = self._fetched_at is None
            if first and self._clock() - self._failed_at < self._refetch_seconds_min:
                raise JwksError("given", "it could not be fetched a moment ago")
            try:
                keys = _import(await self._fetch())
            except Exception as error:  # a callable may raise what it likes
                log.warning("key set not refreshed", reason=str(error))
                if first:
                    self._failed_at = self._clock()
                    raise JwksError("given", "it cannot be fetched") from error
                self._fetched_at = self._clock()
                return
            if keys.keys() != self._keys.keys():
                self.generation += 1
            self._keys = keys
            self._fetched_at = self._clock()


def _import(value: Mapping[str, Any]) -> dict[str, Key]:
    keys = value.get("keys")
    if not isinstance(keys, list) or len(keys) > KEYS_MAX:
        raise JwksError("given", f"`keys` must be a list of at most {KEYS_MAX} keys")
    usable = [key for key in keys if isinstance(key, dict) and key.get("use", "sig") == "sig"]
    try:
        key_set = KeySet.import_key_set({"keys": usable})
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise JwksError("given", f"a key cannot be read ({error})") from error
    return {str(key.kid): key for key in key_set.keys}
