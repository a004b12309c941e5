"""Who reads logs from the command line is recorded in the journal's log, before it is shown."""

from __future__ import annotations

import getpass
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import click
import msgspec
import psycopg

from eventstore import Actor, EventStore, EventStoreError, Metadata
from lonja.databases import running_server
from lonja.errors import LonjaError, NoDatabase
from lonja.settings import Settings
from lonja.wiring import build_service
from subgraphs.journal.verifying import record_verified
from subgraphs.shared.ids import new_id
from subgraphs.shared.log_audit import Verified
from subgraphs.shared.reading import Reading, record_reads

AS = click.option(
    "--as",
    "reader",
    default=getpass.getuser,
    show_default="you",
    help="Who reads; recorded in the journal's log.",
)


class NotRecorded(LonjaError):
    """The journal's log cannot be written to."""

    code = "NOT_RECORDED"


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
    """Append what is read to the journal's log, in the name of the operating system's user or of
    `--as`. Raises NotRecorded: what cannot be recorded is not shown.
    """
    try:
        async with _journal(settings) as store:
            await record_reads(store, [reading.event()], _metadata(reader))
    except NotRecorded as error:
        raise NotRecorded(
            f"what is read of a log is first recorded in that of the journal, which failed: {error}"
        ) from None


async def record_verifications(
    settings: Settings, reader: str, found: Mapping[str, Verified]
) -> None:
    """Append what verifications found, by service. Raises NotRecorded."""
    async with _journal(settings) as store:
        for service, verified in found.items():
            await record_verified(store, service, verified, _metadata(reader))


@asynccontextmanager
async def _journal(settings: Settings) -> AsyncIterator[EventStore]:
    try:
        conninfo = running_server(settings, ["journal"])["journal"]
        async with build_service("journal", settings, conninfo, {}).store as store:
            yield store
    except (NoDatabase, EventStoreError, psycopg.Error) as error:
        raise NotRecorded(str(error).strip()) from None


def _metadata(reader: str) -> Metadata:
    command = new_id("cmd")
    return Metadata(
        actor=Actor("staff", reader),
        command_id=command,
        correlation_id=command,
        occurred_at=datetime.now(UTC),
    )
