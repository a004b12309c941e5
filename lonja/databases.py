"""Where each service's database is: on a configured server, or on the embedded one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from lonja.errors import DataDirectoryUnusable, NoDatabase
from lonja.postgres import EmbeddedPostgres, create_database, running_conninfo
from lonja.settings import Settings


def postgres_dir(settings: Settings) -> Path:
    """The embedded server's part of the data directory."""
    return settings.data_dir / "postgres"


def database_name(service: str) -> str:
    """The name of a service's database, and of the role that owns it."""
    return f"lonja_{service}"


def make_data_dir(data_dir: Path) -> None:
    """Make the data directory unless it is there. Raises DataDirectoryUnusable."""
    try:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o711)
    except OSError as error:
        raise DataDirectoryUnusable(
            f"data directory {data_dir} cannot be made ({error.strerror}): give another --data-dir"
        ) from None


@contextmanager
def own_server(
    settings: Settings, services: Iterable[str], *, throwaway: bool = False
) -> Iterator[dict[str, str]]:
    """Service to conninfo. Without a configured server, an embedded one runs meanwhile.

    `throwaway`: the data directory is gone afterwards, so the server need not end tidily.

    Raises the errors of EmbeddedPostgres.start, and NoDatabase where a server cannot be reached.
    """
    if settings.database_url:
        yield _on_configured(settings, services)
        return
    make_data_dir(settings.data_dir)
    with EmbeddedPostgres(postgres_dir(settings), throwaway=throwaway) as server:
        yield _on_embedded(server.conninfo("postgres"), services)


def running_server(settings: Settings, services: Iterable[str]) -> dict[str, str]:
    """Service to conninfo on a server that somebody else runs. Raises NoDatabase."""
    if settings.database_url or settings.database_urls:
        return _on_configured(settings, services)
    conninfo = running_conninfo(postgres_dir(settings))
    if conninfo is None:
        raise NoDatabase(
            f"no PostgreSQL: LONJA_DATABASE_URL is not set and nothing serves {settings.data_dir}. "
            "Set it, or start the embedded server with `lonja db up`"
        )
    return _on_embedded(conninfo, services)


def _on_embedded(conninfo: str, services: Iterable[str]) -> dict[str, str]:
    """One database a service, which no role but the service's own may open."""
    found = {}
    for service in services:
        name = database_name(service)
        create_database(conninfo, name, owner=name, by_files=True)
        found[service] = psycopg.conninfo.make_conninfo(conninfo, dbname=name, user=name)
    return found


def _on_configured(settings: Settings, services: Iterable[str]) -> dict[str, str]:
    """`database_urls` as they are; the other services get a database on `database_url`."""
    found = {}
    for service in services:
        if url := settings.database_urls.get(service):
            found[service] = url
            continue
        name = database_name(service)
        try:
            create_database(settings.database_url, name)
        except psycopg.errors.InsufficientPrivilege as error:
            raise NoDatabase(
                f"the role of LONJA_DATABASE_URL may not create database {name} "
                f"({_first_line(error)}): give it CREATEDB, or create the database yourself"
            ) from None
        except psycopg.Error as error:
            raise NoDatabase(
                f"PostgreSQL cannot be used for {service} ({_first_line(error)}): "
                "check LONJA_DATABASE_URL and that the server is up"
            ) from None
        found[service] = psycopg.conninfo.make_conninfo(settings.database_url, dbname=name)
    return found


def _first_line(error: psycopg.Error) -> str:
    return str(error).strip().partition("\n")[0]
