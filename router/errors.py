"""The one base of everything `router` raises on purpose."""

from __future__ import annotations

from typing import ClassVar


class RouterError(Exception):
    """A refusal of the router: bad schema, bad operation, failed fetch. Never a bug.

    `code` is stable and public; subclasses carry their values as attributes.
    """

    code: ClassVar[str] = "ROUTER_ERROR"
