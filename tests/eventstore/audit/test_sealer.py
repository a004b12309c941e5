"""The sealer follows its log until it is stopped, whatever happens meanwhile."""

from __future__ import annotations

import asyncio

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from structlog.testing import capture_logs

from eventstore import Append, EventStore
from eventstore.audit import Report, Seal, Sealer, Signer, status, verify
from tests.projections.waiting import until
from tests.support.shelf import BoxMoved, metadata

SIGNER = Signer(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
KEYS = {SIGNER.key_id: SIGNER.key.public_key()}


async def move(store: EventStore, *places: str) -> None:
    await store.append(Append("box", [BoxMoved(place) for place in places]), metadata=metadata())


def last(seals: list[Seal]) -> int:
    return seals[-1].read().last if seals else 0


async def test_it_follows_the_log(store: EventStore) -> None:
    seals: list[Seal] = []
    sealer = Sealer(store, SIGNER, seal_seconds=0.01, sealed=seals.append)
    sealer.start()
    for turn in range(1, 4):
        await move(store, "a", "b")
        await until(lambda turn=turn: last(seals) == 2 * turn)  # type: ignore[misc]
    await asyncio.to_thread(sealer.stop)
    with psycopg.connect(store.conninfo, autocommit=True) as connection:
        report = verify(connection, store.layout, KEYS, checkpoint=seals[-1])
    assert report == Report(events=6, sealed=6, seals=len(seals))


async def test_it_seals_what_there_is_before_it_ends(store: EventStore) -> None:
    seals: list[Seal] = []
    sealer = Sealer(store, SIGNER, seal_seconds=3600, sealed=seals.append)
    sealer.start()
    await move(store, "a")
    await until(lambda: last(seals) == 1)
    await move(store, "b")  # while it rests
    await asyncio.to_thread(sealer.stop)
    assert last(seals) == 2


async def test_what_goes_wrong_is_logged_and_tried_again(
    store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eventstore.audit.sealer.FAILED_SECONDS", 0.01)
    sealer = Sealer(store, SIGNER, seal_seconds=0.01)
    with capture_logs() as logs, psycopg.connect(store.conninfo, autocommit=True) as connection:
        connection.execute("ALTER TABLE eventstore.seals RENAME TO hidden")
        sealer.start()
        await move(store, "a")
        await until(lambda: bool(logs))
        assert (logs[0]["event"], logs[0]["head"]) == ("log not sealed", 1)
        connection.execute("ALTER TABLE eventstore.hidden RENAME TO seals")
        await until(lambda: status(connection, store.layout).sealed == 1)
    await asyncio.to_thread(sealer.stop)
