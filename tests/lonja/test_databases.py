"""Which service's database is where."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from lonja.databases import own_server, running_server
from lonja.errors import NoDatabase
from lonja.settings import Settings


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


def test_nothing_is_embedded_where_every_service_has_a_database(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "none", database_urls={"orders": "dbname=mine"})
    with own_server(settings, ["orders"]) as conninfos:
        assert conninfos == {"orders": "dbname=mine"}
    assert not settings.data_dir.exists()


def test_services_with_no_database_at_all_are_named(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, database_urls={"orders": "dbname=mine"})
    with pytest.raises(NoDatabase, match="no PostgreSQL for users, products"):
        running_server(settings, ["users", "orders", "products"])
