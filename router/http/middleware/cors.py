"""Cross-origin resource sharing (Fetch standard § 3.2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from router.config import Cors
from router.errors import RouterError
from router.http.response import RawHeaders


class UnsafeCors(RouterError):
    """Settings that would hand every site its visitors' credentials."""

    code: ClassVar[str] = "INVALID_ROUTER_CONFIG"

    def __init__(self) -> None:
        super().__init__("`cors.credentials` cannot be combined with the origin `*`: name origins")


class CorsPolicy:
    """Says which headers an answer gets. Raises UnsafeCors for unsafe settings."""

    def __init__(self, settings: Cors) -> None:
        self._any = "*" in settings.origins
        if self._any and settings.credentials:
            raise UnsafeCors
        self._origins = frozenset(origin.encode("latin-1") for origin in settings.origins)
        self._settings = settings
        self.enabled = bool(settings.origins)
        self._expose = ", ".join(settings.expose_headers).encode("latin-1")

    def allows(self, origin: bytes | None) -> bool:
        """Whether pages of this origin may ask."""
        return origin is not None and (self._any or origin in self._origins)

    def answer_headers(self, origin: bytes | None) -> RawHeaders:
        """Headers for an answer to a request from `origin`; `vary` also where it is refused."""
        if not self.enabled or origin is None:
            return []
        headers = self._allow(origin)
        if len(headers) > 1 and self._expose:
            headers.append((b"access-control-expose-headers", self._expose))
        return headers

    def preflight_headers(self, request: Mapping[bytes, bytes]) -> RawHeaders:
        """Headers for the answer to an OPTIONS request."""
        origin = request.get(b"origin")
        if not self.enabled or origin is None:
            return []
        headers = self._allow(origin)
        if len(headers) < 2:
            return headers
        settings = self._settings
        methods = ", ".join(settings.methods).encode("latin-1")
        headers.append((b"access-control-allow-methods", methods))
        asked = request.get(b"access-control-request-headers")
        allowed = ", ".join(settings.headers).encode("latin-1") if settings.headers else asked
        if allowed:
            headers.append((b"access-control-allow-headers", allowed))
        age = str(settings.max_age_seconds).encode()
        headers.append((b"access-control-max-age", age))
        return headers

    def _allow(self, origin: bytes) -> RawHeaders:
        vary = (b"vary", b"origin")
        if not self._any and origin not in self._origins:
            return [vary]
        headers = [vary, (b"access-control-allow-origin", b"*" if self._any else origin)]
        if self._settings.credentials:
            headers.append((b"access-control-allow-credentials", b"true"))
        return headers
