"""`lonja db`: the embedded server by itself, and the services' databases."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import psycopg

from eventstore.layout import Layout
from eventstore.snapshots import drop_all
from lonja.commands.log.logs import SERVICE
from lonja.databases import guard_log, own_server, running_server
from lonja.output import AS_JSON, DATA_DIR, print_json, print_rows
from lonja.settings import SERVICES, Settings, load
from lonja.wiring import build_service
from projections import Operations


@click.group()
def db() -> None:
    """The embedded PostgreSQL and the services' databases."""


@db.command()
@DATA_DIR
def up(data_dir: Path | None) -> None:
    """Run the embedded PostgreSQL until Ctrl-C, for services in processes of their own."""
    settings = load(data_dir=data_dir)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with own_server(settings, SERVICES):
        click.echo(f"PostgreSQL serves {settings.data_dir}; stop it with Ctrl-C")
        stop.wait()
    click.echo("stopped")


@db.command()
@DATA_DIR
@AS_JSON
def migrate(data_dir: Path | None, as_json: bool) -> None:
    """Create what is missing: the databases, and in each the tables of its log and projections."""
    settings = load(data_dir=data_dir)
    conninfos = running_server(settings, SERVICES)
    asyncio.run(_migrate(settings, conninfos))
    _show(conninfos, as_json)


@db.command()
@SERVICE
@click.option(
    "--admin",
    required=True,
    metavar="URL",
    envvar="LONJA_ADMIN_URL",
    help="Of a superuser of the server; its database does not matter. Also LONJA_ADMIN_URL.",
)
@DATA_DIR
@AS_JSON
def guard(services: Sequence[str], admin: str, data_dir: Path | None, as_json: bool) -> None:
    """Give the logs to roles that nobody signs in as: who runs the services cannot lift what
    refuses to change events.

    For a server of your own; the embedded one is guarded whenever it starts. Repeat it with each
    release, before the services start: only who guards a log can change its tables.
    """
    settings = load(data_dir=data_dir)
    rows = [
        {"service": service, "owner": guard_log(service, conninfo, admin)}
        for service, conninfo in running_server(settings, services or SERVICES).items()
    ]
    if as_json:
        print_json(rows)
    else:
        print_rows(rows)


@db.command()
@DATA_DIR
@AS_JSON
def status(data_dir: Path | None, as_json: bool) -> None:
    """Each service's database: how many events it holds, how large it is, and whether its log is
    guarded: whether the service could not lift what refuses to change events (`lonja db guard`).
    """
    _show(running_server(load(data_dir=data_dir), SERVICES), as_json)


@db.command()
@SERVICE
@click.option("--drop", is_flag=True, help="Delete them. They are made again as streams are used.")
@DATA_DIR
@AS_JSON
def snapshots(services: Sequence[str], drop: bool, data_dir: Path | None, as_json: bool) -> None:
    """What is kept of long streams, so that they need not be folded from their start."""
    conninfos = running_server(load(data_dir=data_dir), services or SERVICES)
    rows = []
    for service, conninfo in conninfos.items():
        with psycopg.connect(conninfo) as connection:
            rows += (found := _snapshots(connection, service))
            if drop and found:
                for effect in drop_all(Layout(service, "eventstore")):
                    connection.execute(effect.sql.encode())
    if as_json:
        print_json(rows)
    else:
        print_rows(rows, right=("snapshots", "bytes"))
        if drop and rows:
            click.echo("deleted")


def _snapshots(connection: psycopg.Connection[Any], service: str) -> list[dict[str, Any]]:
    """By class of states; nothing where the tables were not made yet."""
    found = connection.execute("SELECT to_regclass('eventstore.state_snapshots')").fetchone()
    if found == (None,):
        return []
    rows = connection.execute(
        "SELECT class, count(*), sum(octet_length(state)), max(written_at)"
        " FROM eventstore.state_snapshots GROUP BY class ORDER BY class"
    ).fetchall()
    return [
        {"service": service, "state": name, "snapshots": count, "bytes": size, "newest": newest}
        for name, count, size, newest in rows
    ]


async def _migrate(settings: Settings, conninfos: dict[str, str]) -> None:
    for name, conninfo in conninfos.items():
        async with build_service(name, settings, conninfo, {}).store as store:
            await Operations(store, []).builds()  # makes what is missing of these


def _show(conninfos: dict[str, str], as_json: bool) -> None:
    rows = [_database(service, conninfo) for service, conninfo in conninfos.items()]
    if as_json:
        print_json(rows)
    else:
        print_rows(rows, right=("events", "megabytes"))


def _database(service: str, conninfo: str) -> dict[str, Any]:
    with psycopg.connect(conninfo) as connection:
        row = connection.execute(
            "SELECT current_database(), pg_database_size(current_database()) / 1000000,"
            " to_regclass('eventstore.log') IS NOT NULL,"
            " (SELECT NOT pg_has_role(relowner, 'USAGE') FROM pg_class"
            "   WHERE oid = to_regclass('eventstore.events'))"
        ).fetchone()
        assert row is not None
        database, megabytes, has_log, guarded = row
        events = None
        if has_log:
            head = connection.execute("SELECT position FROM eventstore.log").fetchone()
            events = head[0] if head else 0
    return {
        "service": service,
        "database": database,
        "events": events,
        "megabytes": megabytes,
        "guarded": guarded is True,
        "state": "ready" if has_log else "not migrated",
    }
