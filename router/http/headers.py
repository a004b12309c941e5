"""Which headers go on to subgraphs and which come back; request and correlation ids."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from uuid import uuid4

from router.config import Headers
from router.http.actor_header import ACTOR_HEADER

REQUEST_ID: Final = b"x-request-id"
CORRELATION_ID: Final = b"x-correlation-id"

NEVER_FORWARDED: Final = frozenset(
    {
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "accept",
        "accept-encoding",
        "host",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        ACTOR_HEADER,
    }
)
"""Of one connection only, made anew for each request, or the router's own."""

NEVER_RETURNED: Final = NEVER_FORWARDED | {"date", "server", "content-length"}

_ID: Final = re.compile(rb"[A-Za-z0-9._:/=+-]{1,128}")


def request_id(headers: Mapping[bytes, bytes]) -> str:
    """The client's, if it is a sane one, else a new one."""
    return _sane(headers.get(REQUEST_ID)) or uuid4().hex


def correlation_id(headers: Mapping[bytes, bytes], otherwise: str) -> str:
    """The client's, if it is a sane one."""
    return _sane(headers.get(CORRELATION_ID)) or otherwise


def _sane(value: bytes | None) -> str | None:
    return value.decode("ascii") if value and _ID.fullmatch(value) else None


class HeaderRules:
    """Applies the configured rules. Names are in lower case throughout."""

    def __init__(self, settings: Headers) -> None:
        names = {name.lower() for name in settings.request} - NEVER_FORWARDED
        own = {settings.client_ip, settings.client_agent} - {None}
        names -= {name.lower() for name in own if name is not None}
        self._request = tuple((name.encode("latin-1"), name) for name in sorted(names))
        self._client_ip = settings.client_ip.lower() if settings.client_ip else None
        self._client_agent = settings.client_agent.lower() if settings.client_agent else None
        self._trust_forwarded_for = settings.trust_forwarded_for
        self.response = frozenset(name.lower() for name in settings.response) - NEVER_RETURNED

    def to_subgraphs(
        self,
        headers: Mapping[bytes, bytes],
        *,
        client: str | None,
        request_id: str,
        correlation_id: str,
        actor: str | None,
    ) -> dict[str, str]:
        """The headers every subgraph gets. What a client claims to be the router's is not in it."""
        out: dict[str, str] = {}
        for raw, name in self._request:
            value = headers.get(raw)
            if value is not None:
                out[name] = value.decode("latin-1")
        out["x-request-id"] = request_id
        out["x-correlation-id"] = correlation_id
        if self._client_ip is not None:
            address = self._client_address(headers, client)
            if address:
                out[self._client_ip] = address
        if self._client_agent is not None:
            agent = headers.get(b"user-agent")
            if agent:
                out[self._client_agent] = agent.decode("latin-1")
        if actor is not None:
            out[ACTOR_HEADER] = actor
        return out

    def _client_address(self, headers: Mapping[bytes, bytes], client: str | None) -> str | None:
        if self._trust_forwarded_for:
            forwarded = headers.get(b"x-forwarded-for")
            if forwarded:
                return forwarded.rpartition(b",")[2].strip().decode("latin-1")
        return client
