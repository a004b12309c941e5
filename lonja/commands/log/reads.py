"""`lonja log reads`: who read what of the logs, and of whom it told."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import orjson

from eventstore import EventStore, Recorded
from lonja.commands.log.logs import LAST, SERVICE, NothingFound, open_stores
from lonja.commands.log.names import find
from lonja.commands.log.recorded import AS, record, seen
from lonja.output import AS_JSON, DATA_DIR, print_rows
from lonja.settings import SERVICES, Settings, load
from subgraphs.shared.events import AuditRead

PAGE_EVENTS = 1000


@click.command(short_help="Who read what of the logs, and about whom.")
@SERVICE
@click.option("--by", help="The id of who read.")
@click.option("--person", help="The id, or e-mail address, of a user whom it told of.")
@LAST
@AS
@DATA_DIR
@AS_JSON
def reads(
    services: Sequence[str],
    by: str | None,
    person: str | None,
    last: int,
    reader: str,
    data_dir: Path | None,
    as_json: bool,
) -> None:
    """The newest reads of the logs by auditors, oldest first; JSON lines with --json.

    Reads by GraphQL are in the log of the service that was asked, those by `lonja log` in the
    journal's. Looking here is one too.
    """
    settings = load(data_dir=data_dir)
    if person is not None:
        person = find(settings, reader, "reads", person).id
    found = asyncio.run(_reads(settings, services or SERVICES, by, person, last))
    asked = {"services": list(services), "by": by, "person": person, "last": last}
    asyncio.run(record(settings, reader, seen("reads", asked, found)))
    if not found:
        raise NothingFound("nobody read what was asked for")
    if as_json:
        for row in found:
            click.echo(orjson.dumps(row, default=str).decode())
    else:
        print_rows([_shown(row) for row in found], right=("events",))


async def _reads(
    settings: Settings, services: Sequence[str], by: str | None, person: str | None, last: int
) -> list[dict[str, Any]]:
    async with open_stores(settings, services) as stores:
        pages = await asyncio.gather(
            *(_newest(name, store, by, person, last) for name, store in stores.items())
        )
    found = [row for page in pages for row in page]
    return sorted(found, key=lambda row: row["at"])[-last:]


async def _newest(
    service: str, store: EventStore, by: str | None, person: str | None, last: int
) -> list[dict[str, Any]]:
    """The newest reads of one service's log, those of `person` alone if that is given."""
    found: list[dict[str, Any]] = []
    after = 0
    while len(found) < last:
        page = await store.read(
            after, limit=PAGE_EVENTS, backwards=True, types=[AuditRead.TYPE], actor_id=by
        )
        found += [
            _row(service, recorded)
            for recorded in page
            if person is None or person in recorded.event.persons
        ]
        if len(page) < PAGE_EVENTS:
            break
        after = page[-1].position
    return found[:last]


def _row(service: str, recorded: Recorded[AuditRead]) -> dict[str, Any]:
    event = recorded.event
    return {
        "at": recorded.recorded_at.isoformat(timespec="milliseconds"),
        "service": service,
        "reader": recorded.metadata.actor.id,
        "asked": [
            {"field": each.field, "of": each.of or None, "arguments": each.arguments}
            for each in event.asked
        ],
        "events": event.events,
        "persons": list(event.persons),
        "persons_unlisted": event.persons_unlisted,
    }


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    first, *more = row["asked"]
    what = " ".join(filter(None, (first["field"], first["of"], first["arguments"])))
    persons = len(row["persons"]) + row["persons_unlisted"]
    return {
        "at": row["at"],
        "reader": row["reader"],
        "asked": what + (f" and {len(more)} more" if more else ""),
        "events": row["events"],
        "persons": row["persons"][0] if persons == 1 else persons,
    }
