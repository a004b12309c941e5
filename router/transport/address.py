"""Where a subgraph is: the parts of its URL that a connection and a request need."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from urllib.parse import parse_qs, quote, urlsplit

from router.config import Tls
from router.transport.errors import SubgraphUrlError


@dataclass(frozen=True, slots=True)
class Address:
    """A TCP host and port, or a socket path; `target` is the request's path and query."""

    host: str
    port: int
    socket_path: str | None
    secure: bool
    target: str

    @property
    def authority(self) -> str:
        """The value of the `host` header."""
        if self.socket_path is not None:
            return "localhost"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.secure else 80) else f"{host}:{self.port}"


def parse_address(service: str, url: str) -> Address:
    """Read `http://`, `https://` and `unix:///PATH?path=/graphql`. Raises SubgraphUrlError."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise SubgraphUrlError(service, url, str(error)) from error
    if parts.scheme == "unix":
        if not parts.path:
            raise SubgraphUrlError(service, url, "it names no socket")
        target = parse_qs(parts.query).get("path", ["/graphql"])[0]
        return Address("", 0, parts.path, secure=False, target=target_of(target, ""))
    if parts.scheme not in {"http", "https"}:
        reason = f"the scheme {parts.scheme!r} is unknown" if parts.scheme else "it has no scheme"
        raise SubgraphUrlError(service, url, reason)
    if not parts.hostname:
        raise SubgraphUrlError(service, url, "it names no host")
    secure = parts.scheme == "https"
    return Address(
        host=parts.hostname,
        port=port if port is not None else (443 if secure else 80),
        socket_path=None,
        secure=secure,
        target=target_of(parts.path, parts.query),
    )


def target_of(path: str, query: str) -> str:
    """Path and query as they go on the request line: nothing in it may end the line."""
    safe = quote(path or "/", safe="/%:@!$&'()*+,;=~-._")
    return f"{safe}?{quote(query, safe='/%:@!$&()*+,;=~-._?')}" if query else safe


def ssl_context(service: str, tls: Tls) -> ssl.SSLContext:
    """A client context with the configured authority and certificate. Raises SubgraphUrlError."""
    try:
        context = ssl.create_default_context(cafile=tls.ca_file)
        if tls.certificate_file is not None:
            context.load_cert_chain(tls.certificate_file, tls.key_file)
    except (OSError, ssl.SSLError) as error:
        raise SubgraphUrlError(service, "https", f"its certificates fail: {error}") from error
    if not tls.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
