"""Letting go of idempotency keys: nobody repeats a request after that long."""

from __future__ import annotations

from typing import Any

import psycopg

from eventstore.layout import Layout

PRUNE_SECONDS = 3600.0
BATCH_KEYS = 1_000
"""Deleted in one transaction: so few that no append waits for it."""


def prune_keys(layout: Layout, days: float, connection: psycopg.Connection[Any]) -> bool:
    """Delete some keys that were recorded more than `days` ago, the oldest first; whether there may
    be more. A request that comes with one of them is carried out as if it were new.
    """
    table = f"{layout.schema}.idempotency"
    deleted = connection.execute(
        f"DELETE FROM {table} WHERE ctid = ANY(ARRAY(SELECT ctid FROM {table} "
        "WHERE recorded_at < now() - make_interval(secs => %s) "
        "ORDER BY recorded_at LIMIT %s FOR UPDATE SKIP LOCKED))".encode(),
        [days * 86_400, BATCH_KEYS],
    )
    return deleted.rowcount == BATCH_KEYS
