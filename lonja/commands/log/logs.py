"""What the commands of `lonja log` share: the services' stores, and events as people read them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import click
import msgspec
import orjson

from eventstore import EventStore, Recorded
from lonja.databases import running_server
from lonja.errors import LonjaError
from lonja.output import console, print_rows
from lonja.settings import SERVICES, Settings
from lonja.wiring import AnyService, build_service
from subgraphs.journal.redaction import redact

EVENTS_SHOWN = 20
TABLE_WIDTH = 130
"""Narrower terminals have two lines an event."""
EVENTS_MAX = 10_000

SERVICE = click.option(
    "--service", "services", multiple=True, type=click.Choice(SERVICES), help="Default: all."
)
LAST = click.option(
    "--last",
    type=click.IntRange(1, EVENTS_MAX),
    default=EVENTS_SHOWN,
    show_default=True,
    help="How many events.",
)


class NothingFound(LonjaError):
    """No log has what was asked for."""

    code = "NOTHING_FOUND"


@asynccontextmanager
async def open_stores(
    settings: Settings, services: Sequence[str]
) -> AsyncIterator[dict[str, EventStore]]:
    """The stores of services, which may be running. Raises NoDatabase."""
    conninfos = running_server(settings, services)
    async with AsyncExitStack() as stack:
        yield {
            name: await stack.enter_async_context(
                looked_at(build_service(name, settings, conninfos[name], {})).store
            )
            for name in services
        }


def looked_at(service: AnyService) -> AnyService:
    """The service, its log for people who only look: what does not open is shown marked."""
    service.store.privacy.seen = {}
    return service


def described(service: str, store: EventStore, event: Recorded[Any]) -> dict[str, Any]:
    """An event with its metadata, flat, as JSON; null for each secret, as in the journal.
    `unreadable` says why its personal values do not open, if so.
    """
    metadata, faults = event.metadata, store.privacy.seen or {}
    fault = faults.pop(event.position, None)
    return {
        "service": service,
        "position": event.position,
        "stream": event.stream,
        "version": event.version,
        "type": event.type,
        "type_version": event.type_version,
        "id": str(event.id),
        "recorded_at": event.recorded_at.isoformat(timespec="milliseconds"),
        "occurred_at": metadata.occurred_at.isoformat(timespec="milliseconds"),
        "actor": f"{metadata.actor.kind} {metadata.actor.id}",
        "on_behalf_of": metadata.actor.on_behalf_of,
        "command_id": metadata.command_id,
        "correlation_id": metadata.correlation_id,
        "causation_id": metadata.causation_id,
        "reason": metadata.reason,
        "tags": list(event.tags),
        "unreadable": None if fault is None else str(fault),
        "data": redacted(msgspec.to_builtins(event.event)),
    }


def redacted(value: Any) -> Any:
    """JSON values without what no auditor needs to see."""
    return msgspec.json.decode(redact(msgspec.json.encode(value))[0])


def print_events(events: Sequence[Mapping[str, Any]], as_json: bool) -> None:
    """JSON lines, or a table of what tells events apart."""
    if as_json:
        for event in events:
            click.echo(orjson.dumps(event, default=str).decode())
        return
    if console.width < TABLE_WIDTH:
        for event in events:
            console.print(*_lines(event), sep="\n", markup=False, soft_wrap=True)
    elif events:
        shown = ("recorded_at", "service", "position", "type", "stream", "version", "actor")
        print_rows([{name: event[name] for name in shown} for event in events], right=("position",))
    for event in events:
        warn_of(event)


def _lines(event: Mapping[str, Any]) -> tuple[str, str]:
    """An event where a table has no room."""
    at, actor = event["recorded_at"].removesuffix("+00:00"), event["actor"]
    return (
        f"{at}  {event['service']}:{event['position']}  {event['type']}",
        f"    {event['stream']} v{event['version']}  {actor}",
    )


def warn_of(event: Mapping[str, Any]) -> None:
    """Say, beside what is shown, if an event's personal values do not open."""
    if event["unreadable"] is not None:
        where = f"{event['service']}:{event['position']} {event['type']}"
        click.secho(f"{where} is unreadable: {event['unreadable']}", fg="yellow", err=True)
