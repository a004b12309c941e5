"""`lonja log tail` and `search`: events as they were recorded."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import click

from eventstore import EventStore
from lonja.commands.log.filters import filtered
from lonja.commands.log.logs import (
    LAST,
    SERVICE,
    NothingFound,
    described,
    open_stores,
    print_events,
)
from lonja.commands.log.names import find
from lonja.commands.log.recorded import AS, record, see, seen
from lonja.commands.log.types import described as described_types
from lonja.output import AS_JSON, DATA_DIR
from lonja.settings import SERVICES, Settings, load
from subgraphs.shared.reading import Reading


@click.command(short_help="The newest events; --follow goes on as they come.")
@SERVICE
@LAST
@click.option("--follow", "-f", is_flag=True, help="Go on as events come, until Ctrl-C.")
@AS
@DATA_DIR
@AS_JSON
def tail(
    services: Sequence[str],
    last: int,
    follow: bool,
    reader: str,
    data_dir: Path | None,
    as_json: bool,
) -> None:
    """The newest events, oldest first; JSON lines with --json."""
    settings = load(data_dir=data_dir)
    try:
        asyncio.run(_tail(settings, services or SERVICES, last, follow, reader, as_json))
    except KeyboardInterrupt:
        if not follow:
            raise


@click.command(short_help="Events by type, actor, correlation, tag and time.")
@SERVICE
@filtered
@LAST
@AS
@DATA_DIR
@AS_JSON
def search(
    services: Sequence[str],
    wanted: dict[str, Any],
    last: int,
    reader: str,
    data_dir: Path | None,
    as_json: bool,
) -> None:
    """The newest events that match all that is given, oldest first."""
    settings = load(data_dir=data_dir)
    if wanted["actor_id"] is not None:
        wanted["actor_id"] = find(settings, reader, "search", wanted["actor_id"]).id
    found = asyncio.run(_search(settings, services or SERVICES, last, reader, wanted))
    if not found:
        raise NothingFound("no event matches all that was given" + _unknown_types(services, wanted))
    print_events(found, as_json)


def _unknown_types(services: Sequence[str], wanted: dict[str, Any]) -> str:
    """A hint where a type was asked for that no service has."""
    known = described_types(services or SERVICES)
    unknown = [name for name in wanted["types"] or () if name not in known]
    if not unknown:
        return ""
    near = get_close_matches(unknown[0], known, n=1)
    hint = f", perhaps {near[0]!r}" if near else ""
    return f": there is no event type {unknown[0]!r}{hint} (`lonja log types` lists them)"


async def _search(
    settings: Settings, services: Sequence[str], last: int, reader: str, wanted: dict[str, Any]
) -> list[dict[str, Any]]:
    async with open_stores(settings, services) as stores:
        found = await _newest(stores, last, wanted)
    asked = {"services": list(services), "last": last, **wanted}
    await record(settings, reader, seen("search", asked, found))
    return found


async def _newest(
    stores: dict[str, EventStore], last: int, wanted: dict[str, Any]
) -> list[dict[str, Any]]:
    pages = await asyncio.gather(
        *(store.read(0, limit=last, backwards=True, **wanted) for store in stores.values())
    )
    events = [
        described(name, stores[name], event)
        for name, page in zip(stores, pages, strict=True)
        for event in page
    ]
    events.sort(key=lambda event: event["recorded_at"])
    return events[-last:]


async def _tail(
    settings: Settings,
    services: Sequence[str],
    last: int,
    follow: bool,
    reader: str,
    as_json: bool,
) -> None:
    asked = {"services": list(services), "last": last, "follow": follow}
    async with open_stores(settings, services) as stores:
        heads = {name: await store.head() for name, store in stores.items()}
        newest = await _newest(stores, last, {})
        await record(settings, reader, seen("tail", asked, newest))
        print_events(newest, as_json)
        if follow:
            followed = seen("tail", {**asked, "last": None, "after": heads})
            try:
                async with asyncio.TaskGroup() as group:
                    for name, store in stores.items():
                        group.create_task(_follow(name, store, heads[name], followed, as_json))
            finally:
                # What came meanwhile; that it would be followed is recorded already.
                await asyncio.shield(record(settings, reader, followed))


async def _follow(
    name: str, store: EventStore, after: int, followed: Reading, as_json: bool
) -> None:
    async for page in store.tail(after):
        events = [described(name, store, event) for event in page]
        see(followed, events)
        print_events(events, as_json)
