"""POST to somebody else's server: never to this network, never for long, never following anything.

The name is resolved here and the connection made to the address that was checked, so that a name
which changes its mind between check and use leads nowhere.
"""

from __future__ import annotations

import asyncio
import http.client
import ipaddress
import socket
import ssl
from collections.abc import Mapping
from functools import cache
from urllib.parse import urlsplit

SECONDS_MAX = 10.0
ANSWER_BYTES_MAX = 4096


class PostFailed(Exception):
    """Not taken. `for_good`: the receiver, or we, will never have it otherwise."""

    code = "POST_FAILED"

    def __init__(self, reason: str, *, for_good: bool = False) -> None:
        self.reason, self.for_good = reason, for_good
        super().__init__(f"the POST failed: {reason}")


class Poster:
    """`private_allowed` lets it reach this machine and private networks."""

    def __init__(self, *, private_allowed: bool = False) -> None:
        self._private_allowed = private_allowed

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        """The status, 2xx. Raises PostFailed; 410 Gone is for good."""
        return await asyncio.to_thread(self._post, url, body, headers)

    def _post(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        parts = urlsplit(url)
        host = parts.hostname or ""
        secure = parts.scheme == "https"
        port = parts.port or (443 if secure else 80)
        path = parts.path or "/"
        if parts.query:
            path = f"{path}?{parts.query}"
        try:
            address = self._address(host, port)
            connection = http.client.HTTPConnection(host, port, timeout=SECONDS_MAX)
            connection.sock = socket.create_connection((address, port), timeout=SECONDS_MAX)
            try:
                if secure:
                    connection.sock = _tls().wrap_socket(connection.sock, server_hostname=host)
                connection.request("POST", path, body, dict(headers))
                response = connection.getresponse()
                response.read(ANSWER_BYTES_MAX)
            finally:
                connection.close()
        except (OSError, http.client.HTTPException) as error:
            raise PostFailed(f"{type(error).__name__}: {error}") from error
        except ValueError as error:  # a name that cannot be encoded, a port out of range
            raise PostFailed(f"{type(error).__name__}: {error}", for_good=True) from error
        if not 200 <= response.status < 300:
            raise PostFailed(f"status {response.status}", for_good=response.status == 410)
        return response.status

    def _address(self, host: str, port: int) -> str:
        """An address of the host that may be reached. Raises OSError, PostFailed."""
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        for *_, (address, *_rest) in found:
            if self._private_allowed or ipaddress.ip_address(address).is_global:
                return str(address)
        raise PostFailed(f"{host} is not on the public internet", for_good=True)


@cache
def _tls() -> ssl.SSLContext:
    """Certificates are read once, when the first one is to be checked."""
    return ssl.create_default_context()
