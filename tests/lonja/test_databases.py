"""Which service's database is where."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner, Result
from psycopg.conninfo import make_conninfo

from lonja.cli import main
from lonja.databases import own_server, running_server
from lonja.errors import NoDatabase
from lonja.settings import SERVICES, Settings


@pytest.fixture
def data_dir() -> Iterator[Path]:
    # Not pytest's tmp_path: that one is closed to the account the server runs as.
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.mark.slow
def test_services_without_a_database_of_their_own_are_in_the_embedded_one(
    data_dir: Path, database: str
) -> None:
    settings = Settings(data_dir=data_dir, database_urls={"orders": database})
    with own_server(settings, ["orders", "users"], throwaway=True) as conninfos:
        assert conninfos["orders"] == database
        assert "lonja_users" in conninfos["users"]
        assert running_server(settings, ["orders", "users"]) == conninfos
        with psycopg.connect(conninfos["users"]) as connection:
            assert connection.execute("SELECT current_user").fetchone() == ("lonja_users",)
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute("ALTER TABLE eventstore.events DISABLE TRIGGER ALL")


def test_nothing_is_embedded_where_every_service_has_a_database(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "none", database_urls={"orders": "dbname=mine"})
    with own_server(settings, ["orders"]) as conninfos:
        assert conninfos == {"orders": "dbname=mine"}
    assert not settings.data_dir.exists()


def test_services_with_no_database_at_all_are_named(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, database_urls={"orders": "dbname=mine"})
    with pytest.raises(NoDatabase, match="no PostgreSQL for users, products"):
        running_server(settings, ["users", "orders", "products"])


def test_a_log_on_a_server_of_ones_own_is_guarded(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE ROLE merchant LOGIN")
        connection.execute(f"ALTER DATABASE {connection.info.dbname} OWNER TO merchant".encode())
    orders = make_conninfo(database, user="merchant")
    arguments = ["db", "guard", "--service", "orders", "--json", "--data-dir", str(tmp_path)]

    def guard(conninfo: str, admin: str) -> Result:
        urls = dict.fromkeys(SERVICES, database) | {"orders": conninfo}
        monkeypatch.setenv("LONJA_DATABASE_URLS", json.dumps(urls))
        return CliRunner().invoke(main, [*arguments, "--admin", admin])

    def guarded() -> bool:
        """What `lonja db status` says of orders."""
        status = CliRunner().invoke(main, ["db", "status", "--json", "--data-dir", str(tmp_path)])
        assert status.exit_code == 0, status.output
        return bool(json.loads(status.stdout)[SERVICES.index("orders")]["guarded"])

    refused = guard(database, database)
    assert refused.exit_code == 1
    assert "it signs in as superuser 'postgres': give it another role" in refused.output
    refused = guard(orders, orders)
    assert refused.exit_code == 1
    assert "give a superuser as admin" in refused.output
    assert not guarded()
    for _ in "once", "again":
        done = guard(orders, database)
        assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)[0]["owner"].endswith("_log")
    assert guarded()
    with (
        psycopg.connect(orders) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute("DROP SCHEMA eventstore CASCADE")
