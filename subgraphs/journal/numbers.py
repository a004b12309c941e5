"""Numbers that people know things by: printed on papers, found in copied events."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NUMBERS: Mapping[str, str] = {
    "number": "ord",
    "tracking_number": "shp",
    "provider_reference": "pay",
}
"""Fields of events, and the prefix of what such a number is the number of."""

TABLES = "".join(
    f"CREATE INDEX IF NOT EXISTS journal_events_by_{field} ON public.journal_events"
    f" (upper(data->>'{field}')) WHERE data ? '{field}';\n"
    for field in NUMBERS
)

CONDITION = "({})".format(
    " OR ".join(
        f"(data ? '{field}' AND upper(data->>'{field}') = upper(%(number)s))" for field in NUMBERS
    )
)
"""That an event has `number` in one of its fields, in whatever case."""

STREAMS = " UNION ".join(
    f"SELECT stream FROM public.journal_events WHERE data ? '{field}'"
    f" AND upper(data->>'{field}') = upper(%(number)s) AND starts_with(stream, '{prefix}_')"
    for field, prefix in NUMBERS.items()
)
"""The streams of what has `number`: one, as a rule."""


def has_number(data: Mapping[str, Any], number: str) -> bool:
    """CONDITION, of the data of one event."""
    found = (data.get(field) for field in NUMBERS)
    return any(str(each).upper() == number.upper() for each in found if each is not None)
