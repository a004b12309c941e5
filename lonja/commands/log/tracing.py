"""`lonja log trace`: what one intent led to, over all services."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from pathlib import Path

import click

from lonja.commands.log.logs import EVENTS_MAX, NothingFound, open_stores
from lonja.commands.log.recorded import AS, record, seen
from lonja.output import AS_JSON, DATA_DIR, console, print_json
from lonja.settings import SERVICES, Settings, load
from lonja.trace import Traced, drawn, tree_of


@click.command()
@click.argument("correlation")
@AS
@DATA_DIR
@AS_JSON
def trace(correlation: str, reader: str, data_dir: Path | None, as_json: bool) -> None:
    """What one intent led to, over all services: a tree with times since its first event."""
    settings = load(data_dir=data_dir)
    events = asyncio.run(_trace(settings, correlation))
    shown = map(asdict, events)
    asyncio.run(record(settings, reader, seen("trace", {"correlation": correlation}, shown)))
    root = tree_of(events)
    if root is None:
        raise NothingFound(f"no service has events with the correlation id {correlation!r}")
    if as_json:
        print_json(asdict(root))
    else:
        console.print(drawn(root))


async def _trace(settings: Settings, correlation: str) -> list[Traced]:
    async with open_stores(settings, SERVICES) as stores:
        pages = await asyncio.gather(
            *(
                store.read(0, limit=EVENTS_MAX, correlation_id=correlation)
                for store in stores.values()
            )
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
