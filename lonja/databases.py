"""Where each service's database is: on a configured server, or on the embedded one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from eventstore.guard import guard
from eventstore.layout import Layout
from lonja.errors import CannotGuard, DataDirectoryUnusable, NoDatabase
from lonja.postgres import EmbeddedPostgres, create_database, running_conninfo
from lonja.settings import Settings


def postgres_dir(settings: Settings) -> Path:
    """The embedded server's part of the data directory."""
    return settings.data_dir / "postgres"


def database_name(service: str) -> str:
    """The name of a service's database, and of the role that it signs in with."""
    return f"lonja_{service}"


LOG_SCHEMA = "eventstore"


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
    """Service to conninfo. An embedded server runs meanwhile for those without a configured one.

    `throwaway`: the data directory is gone afterwards, so the server need not end tidily.

    Raises the errors of EmbeddedPostgres.start, and NoDatabase where a server cannot be reached.
    """
    found, rest = _configured(settings, services)
    if not rest:
        yield found
        return
    make_data_dir(settings.data_dir)
    with EmbeddedPostgres(postgres_dir(settings), throwaway=throwaway) as server:
        conninfo = server.conninfo("postgres")
        embedded = _on_embedded(conninfo, rest)
        for service in rest:
            guard_log(service, embedded[service], conninfo)
        yield found | embedded


def guard_log(service: str, conninfo: str, admin: str) -> str:
    """Give a service's log to a role of its own, which nobody signs in as; returns its name.

    `admin` is of a superuser of the same server. Raises CannotGuard, EventStoreError, and
    psycopg.OperationalError where there is no connection.
    """
    parts = conninfo_to_dict(conninfo)
    database, role = str(parts["dbname"]), str(parts.get("user"))
    owner = f"{database}_log"
    with psycopg.connect(make_conninfo(admin, dbname=database), autocommit=True) as connection:
        superuser = connection.execute(
            "SELECT rolsuper FROM pg_roles WHERE rolname = %s", [role]
        ).fetchone()
        if superuser is None:
            raise CannotGuard(service, f"there is no role {role!r}, which it signs in as")
        if superuser == (True,):
            raise CannotGuard(service, f"it signs in as superuser {role!r}: give it another role")
        try:
            guard(connection, Layout(service, LOG_SCHEMA), owner=owner, service=role)
        except psycopg.errors.InsufficientPrivilege as error:
            raise CannotGuard(service, f"{_first_line(error)}: give a superuser as admin") from None
    return owner


def running_server(settings: Settings, services: Iterable[str]) -> dict[str, str]:
    """Service to conninfo on a server that somebody else runs. Raises NoDatabase."""
    found, rest = _configured(settings, services)
    if not rest:
        return found
    conninfo = running_conninfo(postgres_dir(settings))
    if conninfo is None:
        raise NoDatabase(
            f"no PostgreSQL for {', '.join(rest)}: neither LONJA_DATABASE_URL nor a "
            "LONJA_DATABASE_URLS entry names one, and nothing serves "
            f"{settings.data_dir}. Set one, or start the embedded server with `lonja db up`"
        )
    return found | _on_embedded(conninfo, rest)


def _on_embedded(conninfo: str, services: Iterable[str]) -> dict[str, str]:
    """One database a service, which no role but the service's own may open."""
    found = {}
    for service in services:
        name = database_name(service)
        create_database(conninfo, name, owner=name, by_files=True)
        found[service] = psycopg.conninfo.make_conninfo(conninfo, dbname=name, user=name)
    return found


def _configured(settings: Settings, services: Iterable[str]) -> tuple[dict[str, str], list[str]]:
    """`database_urls` as they are, the others' databases on `database_url`; and, where that is not
    set, the services left over.
    """
    asked = list(services)
    found = {name: url for name in asked if (url := settings.database_urls.get(name))}
    rest = [name for name in asked if name not in found]
    if not settings.database_url:
        return found, rest
    for service in rest:
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
    return found, []


def _first_line(error: psycopg.Error) -> str:
    return str(error).strip().partition("\n")[0]
