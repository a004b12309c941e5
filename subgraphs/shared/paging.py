"""Pages by keyset: the next page starts after a row, not after a count of rows.

BY_NEWEST = Keyset("placed_at", "id", descending=True)
page = read_page(first, after, BY_NEWEST)
rows = await reads.fetch(
        f"SELECT … WHERE {page.condition} ORDER BY {page.order} LIMIT {page.limit}", page.params
    )
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec

from subgraphs.shared.errors import InvalidPage

FIRST_MAX = 100
CURSOR_BYTES_MAX = 1024


@dataclass(frozen=True, slots=True)
class Keyset:
    """The order of a list: a sort column (any SQL expression of a non-null value) and a unique id.

    `key` is the name of the sort value in a row, if it differs from the expression; `cast` the SQL
    type that a cursor's value takes, "timestamptz" say.
    """

    column: str
    id_column: str = "id"
    descending: bool = False
    key: str | None = None
    cast: str = "text"
    id_cast: str = "text"

    def cursor(self, row: Mapping[str, Any]) -> str:
        """The opaque cursor of a row, which has the sort value and the id."""
        id_key = self.id_column.rpartition(".")[2]
        sort_key = self.key or self.column.rpartition(".")[2]
        pair = [self._tag, _plain(row[sort_key]), _plain(row[id_key])]
        return base64.urlsafe_b64encode(msgspec.json.encode(pair)).rstrip(b"=").decode()

    @property
    def _tag(self) -> str:
        return f"{self.column}{'-' if self.descending else '+'}"

    def read(self, cursor: str) -> tuple[Any, str]:
        """Sort value and id of a cursor of this list. Raises InvalidPage."""
        try:
            if len(cursor) > CURSOR_BYTES_MAX:
                raise ValueError
            raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
            tag, value, row_id = msgspec.json.decode(raw, type=tuple[str, str | int, str | int])
            _check(value, self.cast)
            _check(row_id, self.id_cast)
        except (ValueError, binascii.Error, msgspec.DecodeError):
            raise InvalidPage(f"{cursor[:40]!r} is not a cursor: use one of `edges`") from None
        if tag != self._tag:
            raise InvalidPage("the cursor belongs to a list in another order: start from its top")
        return value, str(row_id)


@dataclass(frozen=True, slots=True)
class Page:
    """`first` rows after a cursor. The SQL parts use the parameters of `params`, by name."""

    first: int
    after: str | None
    condition: str
    order: str
    params: dict[str, Any]

    @property
    def limit(self) -> int:
        """One more than is shown, to know whether there is a next page."""
        return self.first + 1


def read_page(first: int, after: str | None, keyset: Keyset) -> Page:
    """Check what the client asks for. Raises InvalidPage: `first` is from 1 to FIRST_MAX."""
    if not 1 <= first <= FIRST_MAX:
        raise InvalidPage(f"`first` is {first}: ask for 1 to {FIRST_MAX} at a time")
    direction = "DESC" if keyset.descending else "ASC"
    order = f"{keyset.column} {direction}, {keyset.id_column} {direction}"
    if after is None:
        return Page(first, None, "TRUE", order, {})
    value, row_id = keyset.read(after)
    sign = "<" if keyset.descending else ">"
    condition = (
        f"({keyset.column}, {keyset.id_column}) {sign} "
        f"(%(after_key)s::{keyset.cast}, %(after_id)s::{keyset.id_cast})"
    )
    return Page(first, after, condition, order, {"after_key": value, "after_id": row_id})


def _check(value: str | int, cast: str) -> None:
    """Raises ValueError for what PostgreSQL would not take as this type."""
    match cast:
        case "bigint" | "int" | "integer":
            if not -(2**63) <= int(value) < 2**63:
                raise ValueError(value)
        case "timestamptz":
            datetime.fromisoformat(str(value))
        case "uuid":
            UUID(str(value))
        case _ if "\0" in str(value):
            raise ValueError(value)


def _plain(value: Any) -> str | int:
    match value:
        case bool():
            return int(value)
        case str() | int():
            return value
        case datetime() | date():
            return value.isoformat()
        case Decimal() | UUID():
            return str(value)
        case float():
            return repr(value)
        case _:
            raise TypeError(f"a {type(value).__name__} cannot be part of a cursor")
