"""A position as clients carry it: with the name of its log, so that logs cannot be mixed up."""

from __future__ import annotations

import re

from eventstore.errors import ForeignPosition

_RECEIPT = re.compile(r"(?P<name>[a-z][a-z0-9_-]*):(?P<position>0|[1-9][0-9]{0,18})\Z")


def receipt(name: str, position: int) -> str:
    """`orders:123`."""
    return f"{name}:{position}"


def position_of(name: str, text: str) -> int:
    """The position in the log `name`. Raises ForeignPosition for another log's, or for nonsense."""
    if (match := _RECEIPT.match(text)) is None:
        raise ForeignPosition(name, text, f"expected {name}:NUMBER")
    if match["name"] != name:
        raise ForeignPosition(name, text, f"it is one of {match['name']!r}")
    return int(match["position"])


def positions(text: str) -> dict[str, int]:
    """Positions of several logs, as `orders:123,users:5`. Raises ForeignPosition for nonsense."""
    found: dict[str, int] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        if (match := _RECEIPT.match(part)) is None:
            raise ForeignPosition("any", part, "expected NAME:NUMBER")
        found[match["name"]] = max(int(match["position"]), found.get(match["name"], 0))
    return found
