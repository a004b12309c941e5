"""The page a browser gets at GET /graphql: editor, result, query plan, schema. Nothing is loaded
from elsewhere, and the page may talk to its own origin only.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from pathlib import Path

from starlette.types import Scope

from router.http.response import RawHeaders

PAGE = Path(__file__).parent / "static" / "explorer.html"


class ExplorerPage:
    """The page and its headers, read once."""

    def __init__(self) -> None:
        text = PAGE.read_text(encoding="utf-8")
        script = text.partition("<script>")[2].partition("</script>")[0]
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        policy = (
            f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; "
            "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
        self.body = text.encode()
        self.headers: RawHeaders = [
            (b"content-type", b"text/html; charset=utf-8"),
            (b"content-length", b"%d" % len(self.body)),
            (b"content-security-policy", policy.encode()),
            (b"x-content-type-options", b"nosniff"),
            (b"referrer-policy", b"no-referrer"),
            (b"cache-control", b"no-store"),
        ]

    def wanted(self, scope: Scope, headers: Mapping[bytes, bytes]) -> bool:
        """Whether a GET request is a browser that wants a page, not the answer to a query."""
        if b"query=" in scope["query_string"]:
            return False
        return b"text/html" in headers.get(b"accept", b"")
