"""Backup and restore: what was restored verifies against the checkpoint that was kept elsewhere; a
log restored to before it is found out, by who verifies and by who follows.
"""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from eventstore import Append, EventStore, ForeignPosition, InvalidAppend, LocalFeed, Unless
from eventstore.audit import Report, Seal, Signer, seal_next, verify
from eventstore.layout import connect
from lonja.postgres_host import find_binaries
from tests.support.shelf import BoxMoved, BoxPlaced, metadata, open_shelf

SIGNER = Signer(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
KEYS = {SIGNER.key_id: SIGNER.key.public_key()}

pytestmark = pytest.mark.skipif(
    not (find_binaries() / "pg_dump").exists(), reason="this PostgreSQL comes without pg_dump"
)


async def grow(store: EventStore, count: int) -> None:
    events = [BoxMoved(str(n)) for n in range(count)]
    await store.append(Append("box", events), metadata=metadata())


def checkpoint(store: EventStore, folder: Path) -> Path:
    """Seal all there is and keep the seal outside the database."""
    with connect(store.conninfo, "test") as connection:
        seal = seal_next(connection, store.layout, SIGNER, datetime.now(UTC))
    assert seal is not None
    file = folder / f"{seal.read().number}.json"
    file.write_bytes(msgspec.json.encode(seal))
    return file


def verified(store: EventStore, kept: Path) -> Report:
    seal = msgspec.json.decode(kept.read_bytes(), type=Seal)
    with connect(store.conninfo, "test") as connection:
        return verify(connection, store.layout, KEYS, checkpoint=seal)


def back_up(conninfo: str, folder: Path) -> Path:
    file = folder / "backup"
    command = [find_binaries() / "pg_dump", "--format=custom", f"--file={file}", conninfo]
    subprocess.run(command, check=True)
    return file


def restore(backup: Path, conninfo: str) -> None:
    """Into an empty database, stopping at the first error."""
    command = [find_binaries() / "pg_restore", "--exit-on-error", f"--dbname={conninfo}", backup]
    subprocess.run(command, check=True)


@pytest.mark.slow
async def test_a_restored_log_verifies_and_goes_on(
    store: EventStore, new_database: Callable[[], str], tmp_path: Path
) -> None:
    """The backup is made while others append: it holds the log up to some position, whole."""
    await grow(store, 50)
    kept = checkpoint(store, tmp_path)
    going_on = True

    async def append() -> None:
        while going_on:
            await grow(store, 3)

    appending = asyncio.create_task(append())
    backup = await asyncio.to_thread(back_up, store.conninfo, tmp_path)
    going_on = False
    await appending

    database = new_database()
    await asyncio.to_thread(restore, backup, database)
    async with open_shelf(database) as restored:
        report = verified(restored, kept)
        assert report.intact, report.fault
        head = await restored.head()
        assert 50 <= report.events == head <= await store.head()
        assert len(await restored.read_stream("box")) == head
        appended = await restored.append(Append("box", [BoxPlaced("x")], head), metadata=metadata())
        assert appended.position == head + 1
        assert verified(restored, checkpoint(restored, tmp_path)).intact
        with (
            psycopg.connect(database) as connection,
            pytest.raises(psycopg.IntegrityError, match="events are never changed"),
        ):
            connection.execute("DELETE FROM eventstore.events")


@pytest.mark.slow
async def test_a_log_restored_to_before_its_checkpoint_is_found_out(
    store: EventStore, new_database: Callable[[], str], tmp_path: Path
) -> None:
    await grow(store, 5)
    checkpoint(store, tmp_path)
    backup = await asyncio.to_thread(back_up, store.conninfo, tmp_path)
    await grow(store, 5)
    kept = checkpoint(store, tmp_path)
    follower = await LocalFeed(store).read(0)

    database = new_database()
    await asyncio.to_thread(restore, backup, database)
    async with open_shelf(database) as restored:
        assert verified(restored, tmp_path / "1.json").intact
        fault = verified(restored, kept).fault
        assert fault is not None
        assert (fault.position, fault.what) == (6, "the chain of seals")

        with pytest.raises(ForeignPosition, match="ends at 5; it was restored to an earlier time"):
            await LocalFeed(restored).read(follower.position)
        with pytest.raises(InvalidAppend, match="at most 5, where the log ends"):
            await restored.append(
                Append("box", [BoxPlaced("x")]),
                metadata=metadata(),
                unless=[Unless(("a",), follower.position)],
            )

        elsewhere = tmp_path / "restored"
        elsewhere.mkdir()
        await grow(restored, 5)  # as long as before, and sealed as often, but another log
        checkpoint(restored, elsewhere)
        fault = verified(restored, kept).fault
        assert fault is not None
        assert fault.what == "the chain of seals"
