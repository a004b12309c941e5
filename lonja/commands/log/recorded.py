"""Who reads logs from the command line is recorded in the journal's log, before it is shown."""

from __future__ import annotations

import getpass
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import click
import msgspec
import psycopg

from eventstore import Actor, EventStoreError, Metadata
from lonja.databases import running_server
from lonja.errors import LonjaError, NoDatabase
from lonja.settings import Settings
from lonja.wiring import build_service
from subgraphs.shared.ids import new_id
from subgraphs.shared.reading import Reading, record_reads

AS = click.option(
    "--as",
    "reader",
    default=getpass.getuser,
    show_default="you",
    help="Who reads; recorded in the journal's log.",
)


class ReadNotRecorded(LonjaError):
    """Nobody reads a log without a trace."""

    code = "READ_NOT_RECORDED"


def seen(
    command: str, arguments: Mapping[str, Any], events: Iterable[Mapping[str, Any]] = ()
) -> Reading:
    """What a command was asked, without the options that were not given, and what it shows."""
    reading = Reading()
    given = {name: value for name, value in arguments.items() if value not in (None, (), [])}
    reading.ask(f"lonja log {command}", given)
    see(reading, events)
    return reading


def see(reading: Reading, events: Iterable[Mapping[str, Any]]) -> None:
    """Add events that are shown."""
    for event in events:
        reading.saw(msgspec.json.encode(event, enc_hook=str))


async def record(settings: Settings, reader: str, reading: Reading) -> None:
    """Append it to the journal's log, in the name of the operating system's user or of `--as`.

    Raises ReadNotRecorded: what cannot be recorded is not shown.
    """
    command = new_id("cmd")
    metadata = Metadata(
        actor=Actor("staff", reader),
        command_id=command,
        correlation_id=command,
        occurred_at=datetime.now(UTC),
    )
    try:
        conninfo = running_server(settings, ["journal"])["journal"]
        async with build_service("journal", settings, conninfo, {}).store as store:
            await record_reads(store, [reading.event()], metadata)
    except (NoDatabase, EventStoreError, psycopg.Error) as error:
        raise ReadNotRecorded(
            f"what is read of a log is first recorded in that of the journal, which failed: {error}"
        ) from None
