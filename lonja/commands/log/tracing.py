"""`lonja log trace`: what one intent led to, over all services."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from uuid import UUID

import click

from eventstore import EventStore
from lonja.commands.log.logs import EVENTS_MAX, NothingFound, open_stores
from lonja.commands.log.names import find
from lonja.commands.log.recorded import AS, record, seen
from lonja.output import AS_JSON, DATA_DIR, console, print_json
from lonja.settings import SERVICES, Settings, load
from lonja.trace import Traced, drawn, tree_of


@click.command(short_help="What one intent led to in all services: a tree.")
@click.argument("what")
@AS
@DATA_DIR
@AS_JSON
def trace(what: str, reader: str, data_dir: Path | None, as_json: bool) -> None:
    """What one intent led to, over all services: a tree with times since its first event.

    WHAT is a correlation id, or the id of an event; or a stream, by its id or its number, which
    stands for the intent that began it: `lonja log trace L-…` shows what became of an order.
    """
    settings = load(data_dir=data_dir)
    named = find(settings, reader, "trace", what)
    correlation, events = asyncio.run(_traced(settings, named.id))
    shown = map(asdict, events)
    asked = {"correlation": correlation, "of": named.id, "by": named.by}
    asyncio.run(record(settings, reader, seen("trace", asked, shown)))
    root = tree_of(events)
    if root is None:
        raise NothingFound(
            f"no service has events with the correlation id {what!r}, and no event, stream or "
            "number is called so"
        )
    if as_json:
        print_json(asdict(root))
    else:
        if correlation != what:
            click.echo(f"correlation {correlation}", err=True)
        console.print(drawn(root))


async def _traced(settings: Settings, what: str) -> tuple[str, list[Traced]]:
    """The correlation id that is meant, and its events."""
    async with open_stores(settings, SERVICES) as stores:
        if events := await _trace(stores, what):
            return what, events
        for store in stores.values():
            first = await _first(store, what)
            if first is not None:
                return first, await _trace(stores, first)
    return what, []


async def _first(store: EventStore, what: str) -> str | None:
    """The correlation of an event, or of the first one of a stream."""
    try:
        event = await store.event(UUID(what))
    except ValueError:
        event = next(iter(await store.read_stream(what, limit=1)), None)
    return event.metadata.correlation_id if event is not None else None


async def _trace(stores: Mapping[str, EventStore], correlation: str) -> list[Traced]:
    pages = await asyncio.gather(
        *(store.read(0, limit=EVENTS_MAX, correlation_id=correlation) for store in stores.values())
    )
    return [
        Traced(
            str(event.id),
            name,
            event.type,
            event.stream,
            event.metadata.actor.kind,
            event.metadata.causation_id,
            event.recorded_at,
        )
        for name, page in zip(stores, pages, strict=True)
        for event in page
    ]
