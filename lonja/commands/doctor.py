"""`lonja doctor`: what this machine lacks, and what to do about it."""

from __future__ import annotations

import platform
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import click
import psycopg

from eventstore import EventStoreError
from eventstore.privacy.subject_keys import SubjectKeys
from lonja.databases import postgres_dir, running_server
from lonja.demo import dataset
from lonja.errors import LonjaError, NoDatabase
from lonja.keys import internal_secret
from lonja.output import AS_JSON, DATA_DIR, print_json, print_rows
from lonja.postgres import running_conninfo
from lonja.postgres_host import account_to_run_as, find_binaries, make_reachable
from lonja.serving import claim_port
from lonja.settings import ROUTER_PORT, SERVICES, Settings, load
from lonja.wiring import build_service

CONNECT_SECONDS_MAX = 2
KEYS_MAX = 100_000


class Unhealthy(LonjaError):
    """Something that Lonja needs is missing."""

    code = "UNHEALTHY"


@click.command()
@DATA_DIR
@AS_JSON
def doctor(data_dir: Path | None, as_json: bool) -> None:
    """Look at everything Lonja needs. Exit code 1 if something it cannot do without is missing."""
    settings = load(data_dir=data_dir)
    rows = [_looked_at(what, look) for what, look in _examinations(settings)]
    if as_json:
        print_json(rows)
    else:
        print_rows(rows)
    missing = [row["what"] for row in rows if row["state"] == "missing"]
    if missing:
        raise Unhealthy(f"needs attention: {', '.join(missing)}")


Examination = Callable[[], str]
"""Returns what was found. Raises LonjaError for what is missing, _MayBe for what may be absent."""


class _MayBe(Exception):
    """Not there, and not needed for everything."""


def _looked_at(what: str, look: Examination) -> dict[str, str]:
    try:
        return {"what": what, "state": "good", "found": look()}
    except _MayBe as note:
        return {"what": what, "state": "absent", "found": str(note)}
    except LonjaError as error:
        return {"what": what, "state": "missing", "found": str(error)}


def _examinations(settings: Settings) -> Iterator[tuple[str, Examination]]:
    yield "Python", lambda: f"{platform.python_implementation()} {sys.version.split()[0]}"
    yield "data directory", lambda: _data_dir(settings)
    yield "internal secret", lambda: _secret(settings)
    if settings.database_url or set(SERVICES) - settings.database_urls.keys():
        yield "PostgreSQL", lambda: _postgres(settings)
    for name, url in settings.database_urls.items():
        yield f"PostgreSQL of {name}", lambda url=url: _server(url)  # type: ignore[misc]
    yield f"port {ROUTER_PORT}", lambda: _port(settings)
    yield "keys of persons", lambda: _persons(settings)
    yield "demo data", _demo_data
    for service in SERVICES:
        yield f"service {service}", lambda name=service: _service(settings, name)  # type: ignore[misc]


def _data_dir(settings: Settings) -> str:
    if not settings.database_url:
        make_reachable(postgres_dir(settings), account_to_run_as())
    return str(settings.data_dir)


def _secret(settings: Settings) -> str:
    return f"{len(internal_secret(settings))} bytes"


def _postgres(settings: Settings) -> str:
    conninfo = settings.database_url or running_conninfo(postgres_dir(settings))
    if not conninfo:
        return f"embedded, not running; binaries in {find_binaries()}"
    return _server(conninfo)


def _server(conninfo: str) -> str:
    try:
        with psycopg.connect(conninfo, connect_timeout=CONNECT_SECONDS_MAX) as connection:
            row = connection.execute("SHOW server_version").fetchone()
            return f"{row[0] if row else '?'} at {connection.info.host}"
    except psycopg.Error as error:
        raise Unhealthy(f"cannot be reached: {str(error).strip()}") from None


def _persons(settings: Settings) -> str:
    """Whether the keys of persons unwrap; that there is one for everybody, `log verify` says."""
    try:
        conninfos = running_server(settings, SERVICES)
        wrong = [
            str(error)
            for name, conninfo in conninfos.items()
            if (keys := build_service(name, settings, conninfo, {}).store.privacy.keys)
            for error in _broken_keys(keys, conninfo)
        ]
    except (NoDatabase, psycopg.Error) as error:
        raise _MayBe(f"no database to look into: {str(error).strip().splitlines()[0]}") from None
    if wrong:
        raise Unhealthy(f"{len(wrong)} do not unwrap: {wrong[0]}")
    return "every one unwraps (`lonja log verify` opens what they seal)"


def _broken_keys(keys: SubjectKeys, conninfo: str) -> list[EventStoreError]:
    with psycopg.connect(conninfo, connect_timeout=CONNECT_SECONDS_MAX) as connection:
        try:
            return keys.broken(connection, KEYS_MAX)
        except psycopg.errors.UndefinedTable:
            return []


def _demo_data() -> str:
    try:
        return dataset.folder().parent.name
    except dataset.DatasetMissing as error:
        raise _MayBe(str(error)) from None


def _port(settings: Settings) -> str:
    try:
        claim_port(settings.host, ROUTER_PORT)
    except LonjaError as error:
        raise _MayBe(f"in use, perhaps by Lonja: {error}") from None
    return "free"


def _service(settings: Settings, name: str) -> str:
    url = settings.service_url(name)
    parts = urlsplit(url)
    address = (parts.hostname or "", parts.port or 80)
    try:
        with socket.create_connection(address, timeout=CONNECT_SECONDS_MAX):
            return f"answers at {url}"
    except OSError:
        raise _MayBe(f"no process of its own at {url} (`lonja serve {name}`)") from None
