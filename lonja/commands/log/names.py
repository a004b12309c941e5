"""What people know things by, made into ids: an order's number, a tracking number, the reference of
a payment provider, an e-mail address. Ids stay as they are.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import psycopg

from lonja.commands.log.logs import NothingFound
from lonja.commands.log.recorded import record, seen
from lonja.databases import running_server
from lonja.settings import Settings
from lonja.wiring import build_service
from subgraphs.journal.numbers import STREAMS


@dataclass(frozen=True, slots=True)
class Named:
    """The id of what was asked for. `by` is what it was named by, where that was no id: an address
    is not recorded, nor shown again.
    """

    id: str
    by: str | None = None


def find(settings: Settings, reader: str, command: str, name: str) -> Named:
    """What `name` names. A search by an e-mail address is recorded where it finds nobody, too.

    Raises NothingFound for an address that nobody has, and for a number of several things.
    """
    if "@" in name:
        user = asyncio.run(_owner_of(settings, name))
        if user is None:
            nobody = seen(command, {"by": "e-mail address", "found": False})
            asyncio.run(record(settings, reader, nobody))
            raise NothingFound(
                "nobody has this e-mail address: nobody ever did, or who had it was erased, and "
                "then no way leads from an address to them. Their id still finds what is left"
            )
        return Named(user, "e-mail address")
    streams = _numbered(settings, name)
    if len(streams) > 1:
        raise NothingFound(f"{name!r} is the number of several: give one of {', '.join(streams)}")
    return Named(streams[0], "number") if streams else Named(name)


async def _owner_of(settings: Settings, email: str) -> str | None:
    conninfo = running_server(settings, ["users"])["users"]
    service = build_service("users", settings, conninfo, {})
    async with service.store:
        owner: str | None = await service.resources.users.owner_of(email)
    return owner


def _numbered(settings: Settings, number: str) -> list[str]:
    """From the journal's copy of all logs, the one place where numbers are indexed."""
    conninfo = running_server(settings, ["journal"])["journal"]
    try:
        with psycopg.connect(conninfo) as connection:
            rows = connection.execute(STREAMS.encode(), {"number": number}).fetchall()
    except (psycopg.errors.UndefinedTable, psycopg.OperationalError):
        return []  # the journal never ran, or is away: then nothing can be recorded, or shown
    return sorted(stream for (stream,) in rows)
