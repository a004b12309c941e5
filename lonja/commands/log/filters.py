"""Which events a command is about: the options that say so, and what they ask of a log."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import wraps
from typing import Any

import click


class Moment(click.ParamType[datetime]):
    """A time by ISO 8601, UTC unless it says otherwise: 2026-11-24, 2026-11-24T12:00:00+01:00."""

    name = "TIME"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        try:
            found = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is no time like 2026-11-24 or 2026-11-24T12:00:00+01:00", param)
        return found if found.tzinfo else found.replace(tzinfo=UTC)


MOMENT = Moment()

_OPTIONS = (
    click.option("--type", "types", multiple=True, help="An event type; may be repeated."),
    click.option("--actor", help="The id of who acted, or their e-mail address."),
    click.option("--correlation", help="The id of the intent that led to it."),
    click.option("--tag", "tags", multiple=True, help="A tag; all that are given must be there."),
    click.option("--since", type=MOMENT, help="Recorded at or after."),
    click.option("--until", type=MOMENT, help="Recorded before."),
)


def filtered(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options, and their values as `wanted`: keywords of eventstore.read.Query.
    All that is given must hold.
    """

    @wraps(command)
    def called(
        *,
        types: Sequence[str],
        actor: str | None,
        correlation: str | None,
        tags: Sequence[str],
        since: datetime | None,
        until: datetime | None,
        **others: Any,
    ) -> None:
        wanted = {
            "types": list(types) or None,
            "actor_id": actor,
            "correlation_id": correlation,
            "tags": list(tags),
            "since": since,
            "until": until,
        }
        command(wanted=wanted, **others)

    result: Callable[..., None] = called
    for option in reversed(_OPTIONS):
        result = option(result)
    return result


def given(wanted: dict[str, Any]) -> dict[str, Any] | None:
    """What of it was given, as JSON values; None for all events."""
    found = {name: value for name, value in wanted.items() if value not in (None, [])}
    for name in found.keys() & {"since", "until"}:
        found[name] = found[name].isoformat()
    return found or None
