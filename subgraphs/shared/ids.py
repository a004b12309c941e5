"""Ids: a prefix that names the kind, and a UUIDv7 in Crockford's base 32, sorting by time.

    ord_06awtgw7k3z9k8hcv2m1r0p4te

The same string is the stream's name, the GraphQL id and what stands in logs and URLs.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

import uuid_utils

from subgraphs.shared.errors import InvalidValue

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_BODY_LENGTH = 26
_ID = re.compile(rf"([a-z]{{2,8}})_([{_ALPHABET}]{{{_BODY_LENGTH}}})\Z")

KINDS = {
    "usr": "User",
    "adr": "Address",
    "prd": "Product",
    "var": "ProductVariant",
    "cat": "Category",
    "stk": "StockItem",
    "whs": "Warehouse",
    "rsv": "Reservation",
    "crt": "Cart",
    "ord": "Order",
    "lin": "OrderLine",
    "pay": "Payment",
    "shp": "Shipment",
    "ntf": "Notification",
}
"""Prefixes of what has a GraphQL type. Others, like `cmd` or `plc`, name what has none."""


class MalformedId(InvalidValue):
    """Not an id, or one of another kind."""

    code = "MALFORMED_ID"

    def __init__(
        self, value: str, expected: Sequence[str], *, path: Sequence[str] | None = None
    ) -> None:
        self.value, self.expected = value, tuple(expected)
        shape = " or ".join(f"{prefix}_…" for prefix in expected) or "prefix_…"
        super().__init__(
            f"{value[:64]!r} is not an id of this kind: expected {shape}"
            f" with {_BODY_LENGTH} characters after the underscore",
            path=path,
        )


def new_id(prefix: str) -> str:
    """A new id: of two made in turn by one process, the later one sorts after the earlier."""
    return f"{prefix}_{_base32(uuid_utils.uuid7().int)}"


def derived_id(prefix: str, *identity: str) -> str:
    """The id that belongs to this identity: the same one whenever asked, so a repeat is no second.

    For what is at most one for a thing, like the confirmation mail of an order.
    """
    digest = hashlib.sha256("\x1f".join(identity).encode()).digest()
    return f"{prefix}_{_base32(int.from_bytes(digest[:16], 'big'))}"


def prefix_of(value: str) -> str:
    """The prefix of a well-formed id. Raises MalformedId."""
    match = _ID.match(value)
    if match is None:
        raise MalformedId(value, ())
    return match.group(1)


def check_id(value: str, *prefixes: str, path: Sequence[str] | None = None) -> str:
    """The id itself, if it is well formed and has one of the prefixes. Raises MalformedId."""
    match = _ID.match(value)
    if match is None or match.group(1) not in prefixes:
        raise MalformedId(value, prefixes, path=path)
    return value


def is_id(value: str, *prefixes: str) -> bool:
    """Whether `value` is a well-formed id with one of the prefixes."""
    match = _ID.match(value)
    return match is not None and match.group(1) in prefixes


def _base32(number: int) -> str:
    digits = []
    for _ in range(_BODY_LENGTH):
        number, digit = divmod(number, 32)
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))
