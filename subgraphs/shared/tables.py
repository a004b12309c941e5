"""Tables of a service that are neither its log nor a read model: guards, queues, secrets."""

from __future__ import annotations

import psycopg

_LOCK = 7_311_004_118_227_001
"""An advisory lock, so that replicas that start together create each table once."""


async def create_tables(conninfo: str, sql: str) -> None:
    """Run idempotent DDL (`CREATE … IF NOT EXISTS`) in one transaction.

    Name tables with their schema, `public.user_credentials`: read models live in others.
    """
    if not sql.strip():
        return
    async with await psycopg.AsyncConnection.connect(conninfo) as connection:
        await connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        await connection.execute(sql.encode())
