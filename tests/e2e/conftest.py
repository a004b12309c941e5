"""The whole shop for a module of tests: every service on a database of its own, HTTP in front."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from tests.support.postgres import TestServer
from tests.support.whole import WholeShop, shop_settings, whole_shop


@pytest.fixture(scope="module")
def databases(postgres_server: TestServer) -> Iterator[list[str]]:
    """Names of the databases a module made; they go when it ends."""
    names: list[str] = []
    yield names
    with psycopg.connect(postgres_server.conninfo("postgres"), autocommit=True) as connection:
        for name in names:
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@pytest.fixture(scope="module")
async def shop(
    postgres_server: TestServer, databases: list[str], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[WholeShop]:
    """The running shop."""

    def new_database() -> str:
        databases.append(f"t_{uuid4().hex}")
        return postgres_server.create_database(databases[-1])

    folder: Path = tmp_path_factory.mktemp("shop")
    async with whole_shop(shop_settings(folder, new_database)) as whole:
        yield whole
