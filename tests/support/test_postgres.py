"""The test database itself."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest

from tests.support.postgres import TestServer


@pytest.mark.parametrize("turn", [1, 2])
def test_every_test_has_an_empty_database(database: str, turn: int) -> None:
    with psycopg.connect(database) as connection:
        connection.execute("CREATE TABLE once (turn int)")


def test_databases_are_apart(new_database: Callable[[], str]) -> None:
    assert new_database() != new_database()


@pytest.mark.slow
def test_a_server_of_ones_own_keeps_its_data(own_server: TestServer) -> None:
    conninfo = own_server.create_database("kept")
    with psycopg.connect(conninfo) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS one")
    own_server.stop()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(conninfo)
    own_server.start()
    own_server.crash()
    own_server.start()
    with psycopg.connect(conninfo) as connection:
        assert connection.execute("SELECT one FROM kept").fetchone() == (1,)
