"""From a client's address to a destination: checked, so that a parcel can find it."""

from __future__ import annotations

from subgraphs.orders.parts import Destination
from subgraphs.orders.refusals import InvalidAddress
from subgraphs.shared.graphql import AddressInput

LINES_MAX = 5
TEXT_CHARACTERS_MAX = 200
CODE_CHARACTERS_MAX = 30


def destination_of(address: AddressInput) -> Destination:
    """Raises InvalidAddress for empty or overlong parts. The country is checked by its scalar."""
    lines = tuple(_text(line, "lines") for line in address.lines)
    if not 1 <= len(lines) <= LINES_MAX:
        raise InvalidAddress(
            f"an address has 1 to {LINES_MAX} lines, not {len(lines)}", path=["address", "lines"]
        )
    return Destination(
        country=str(address.country),
        postal_code=_optional(address.postal_code, "postalCode"),
        name=_text(address.name, "name"),
        lines=lines,
        city=_text(address.city, "city"),
        region=_optional(address.region, "region"),
        phone=_optional(address.phone, "phone"),
    )


def _text(value: str, field: str, characters_max: int = TEXT_CHARACTERS_MAX) -> str:
    text = value.strip()
    if not text or len(text) > characters_max or not text.isprintable():
        raise InvalidAddress(
            f"`{field}` has 1 to {characters_max} printable characters", path=["address", field]
        )
    return text


def _optional(value: str | None, field: str) -> str | None:
    if value is None or not value.strip():
        return None
    return _text(value, field, CODE_CHARACTERS_MAX)
