"""Cross-site request forgery: refuse what a foreign page can make a browser send unasked.

A browser asks first (CORS preflight) before it sends `application/json` or headers of its own
making; a POST of another kind is refused anyway. That leaves GET, where the browser itself tells
where a request comes from (`sec-fetch-site`, `origin`).
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from router.config import Csrf
from router.http.errors import CsrfSuspected


class CsrfGuard:
    """Checks GET requests."""

    def __init__(self, settings: Csrf) -> None:
        self._enabled = settings.enabled
        self._proofs = tuple(name.lower().encode("latin-1") for name in settings.headers)

    def check_upgrade(self, headers: Mapping[bytes, bytes], *, allowed: bool) -> None:
        """Raises CsrfSuspected where a foreign page opens a WebSocket: the browser asks nobody and
        sends its cookies along. `allowed`: whether pages of that origin may (CORS).
        """
        origin = headers.get(b"origin")
        if not self._enabled or origin is None or allowed:
            return
        if not same_host(origin, headers.get(b"host")):
            raise CsrfSuspected("Pages of this origin may not connect: name it in `cors.origins`.")

    def check_get(self, headers: Mapping[bytes, bytes]) -> None:
        """Raises CsrfSuspected unless the request cannot be a foreign page's doing."""
        if not self._enabled:
            return
        if any(headers.get(name) for name in self._proofs):
            return
        if headers.get(b"content-type", b"").startswith(b"application/json"):
            return
        site = headers.get(b"sec-fetch-site")
        if site is not None:
            foreign = site not in {b"same-origin", b"none"}
        else:
            origin = headers.get(b"origin")
            foreign = origin is not None and not same_host(origin, headers.get(b"host"))
        if foreign:
            proofs = ", ".join(name.decode("latin-1") for name in self._proofs)
            raise CsrfSuspected(
                f"A GET request from another site needs one of these headers, not empty: {proofs}."
            )


def same_host(origin: bytes, host: bytes | None) -> bool:
    """Whether a page of this origin came from this host."""
    return host is not None and urlsplit(origin).netloc == host
