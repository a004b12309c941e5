"""Reading read models: a pool that sees the live build of each projection by plain names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool

from projections import views

Params = Sequence[Any] | Mapping[str, Any]
Row = dict[str, Any]

CONNECTIONS_MAX = 8
WAIT_SECONDS_MAX = 10.0
STATEMENT_SECONDS_MAX = 10.0
ATTEMPTS_MAX = 3


class ReadModels:
    """`fetch` and `fetch_one` run one statement each, in a transaction of its own.

    `statements` counts them, so that a test can hold the number of statements of a screen still
    while its rows grow. A statement is tried again when its connection is lost, or when a switch
    changed what its cached plan returns: reading twice does no harm.
    """

    def __init__(
        self, conninfo: str, *, connections_max: int = CONNECTIONS_MAX, name: str = "reads"
    ) -> None:
        self.statements = 0
        options = (
            f"-c search_path={views.SCHEMA},public -c default_transaction_read_only=on"
            f" -c statement_timeout={round(STATEMENT_SECONDS_MAX * 1000)}"
        )
        self._pool: AsyncConnectionPool[psycopg.AsyncConnection[Row]] = AsyncConnectionPool(
            conninfo,
            kwargs={
                "autocommit": True,
                "row_factory": dict_row,
                "options": options,
                "application_name": f"read models {name}"[:63],
                "connect_timeout": 5,
            },
            min_size=1,
            max_size=connections_max,
            timeout=WAIT_SECONDS_MAX,
            open=False,
            name=name,
        )

    async def open(self) -> None:
        """Connect in the background."""
        await self._pool.open()

    async def close(self) -> None:
        """Close all connections."""
        await self._pool.close()

    async def __aenter__(self) -> ReadModels:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def fetch(self, sql: str, params: Params = ()) -> list[Row]:
        """All rows of a statement, as dicts by column name."""
        self.statements += 1
        attempt = 1
        while True:
            async with self._pool.connection() as connection:
                try:
                    cursor = await connection.execute(sql.encode(), params or None)
                    return await cursor.fetchall()
                except psycopg.Error as error:
                    if attempt >= ATTEMPTS_MAX or not await _may_try_again(connection, error):
                        raise
            await self._pool.check()  # others may be lost, too
            attempt += 1

    async def fetch_one(self, sql: str, params: Params = ()) -> Row | None:
        """The first row of a statement, None if it has none."""
        rows = await self.fetch(sql, params)
        return rows[0] if rows else None


async def _may_try_again(connection: psycopg.AsyncConnection[Row], error: psycopg.Error) -> bool:
    """Whether another connection may do better; then this one is given up."""
    stale_plan = isinstance(error, psycopg.errors.FeatureNotSupported) and "cached plan" in str(
        error
    )
    ended = isinstance(error, psycopg.errors.AdminShutdown | psycopg.errors.CrashShutdown)
    if stale_plan or ended or connection.broken or connection.closed:
        await connection.close()
        return True
    return False
