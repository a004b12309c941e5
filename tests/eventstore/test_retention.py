"""Idempotency keys are let go after a time, a few at once, and no younger ones."""

from __future__ import annotations

import psycopg
import pytest

from eventstore import Append, EventStore, Idempotency, Limits
from eventstore.background import Background
from eventstore.layout import Layout
from eventstore.retention import BATCH_KEYS, prune_keys
from tests.support.shelf import BoxPlaced, metadata, open_shelf


async def place(store: EventStore, key: str) -> bool:
    """Whether it was answered as before."""
    appended = await store.append(
        Append("box", [BoxPlaced(key)]), metadata=metadata(), idempotency=Idempotency(key, b"")
    )
    return appended.replayed


def grow_old(conninfo: str, key: str, days: float) -> None:
    with psycopg.connect(conninfo) as connection:
        connection.execute(
            "UPDATE eventstore.idempotency "
            "SET recorded_at = recorded_at - make_interval(secs => %s) WHERE key = %s",
            [days * 86_400, key],
        )


async def test_old_keys_are_forgotten_and_younger_ones_are_not(store: EventStore) -> None:
    for key in ("old", "young"):
        await place(store, key)
    grow_old(store.conninfo, "old", 31)
    grow_old(store.conninfo, "young", 29)
    with psycopg.connect(store.conninfo) as connection:
        assert prune_keys(store.layout, 30, connection) is False
    assert await place(store, "young")
    assert not await place(store, "old")


async def test_keys_go_a_batch_at_a_time(store: EventStore) -> None:
    with psycopg.connect(store.conninfo, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO eventstore.idempotency SELECT 'key ' || n, '', 1, '{}', '', "
            "now() - interval '1 day' FROM generate_series(1, %s) n",
            [BATCH_KEYS + 1],
        )
        assert prune_keys(store.layout, 0.5, connection)
        assert connection.execute("SELECT count(*) FROM eventstore.idempotency").fetchone() == (1,)
        assert not prune_keys(store.layout, 0.5, connection)


async def test_a_store_lets_them_go_by_itself(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eventstore.store.PRUNE_SECONDS", 0.01)
    limits = Limits(idempotency_days=1.0)
    async with open_shelf(database, limits=limits) as store:
        await place(store, "key")
        grow_old(database, "key", 2)
        with psycopg.connect(database, autocommit=True) as connection:
            while connection.execute("SELECT 1 FROM eventstore.idempotency").fetchone():
                pass
        assert not await place(store, "key")


def test_too_many_jobs_are_refused() -> None:
    background = Background(Layout("shelf", "eventstore"), jobs_max=2)
    assert [background.offer(key, lambda connection: False) for key in "abac"] == [
        True,
        True,
        True,
        False,
    ]
