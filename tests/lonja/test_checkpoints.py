"""Checkpoints are kept outside the database while a service runs, on a schedule."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from eventstore import Append, EventStore
from lonja.sealing import BadCheckpoint, Checkpoints, LogSealer
from lonja.settings import Settings, load
from tests.projections.waiting import until
from tests.support.shelf import BoxMoved, metadata, open_shelf

OFTEN, SELDOM = 0.01, 3600.0


@pytest.fixture
async def store(database: str) -> AsyncIterator[EventStore]:
    async with open_shelf(database) as opened:
        yield opened


@pytest.fixture
def settings(tmp_path: Path) -> Callable[[float], Settings]:
    def made(checkpoint_seconds: float) -> Settings:
        found = load(data_dir=tmp_path / "data")
        audit = found.audit.model_copy(update={"checkpoint_seconds": checkpoint_seconds})
        return found.model_copy(update={"audit": audit})

    return made


@asynccontextmanager
async def sealing(settings: Settings, store: EventStore) -> AsyncIterator[Checkpoints]:
    sealer = LogSealer(settings, store)
    await sealer.start()
    try:
        yield Checkpoints(settings)
    finally:
        await sealer.stop()


async def move(store: EventStore) -> int:
    return (await store.append(Append("box", [BoxMoved("x")]), metadata=metadata())).position


def kept(checkpoints: Checkpoints) -> int:
    """The last position that is kept outside."""
    seal = checkpoints.latest("shelf")
    return seal.read().last if seal is not None else 0


async def test_the_newest_seal_is_kept_though_nothing_follows_it(
    store: EventStore, settings: Callable[[float], Settings]
) -> None:
    async with sealing(settings(OFTEN), store) as checkpoints:
        for _ in range(3):
            position = await move(store)
            await until(lambda position=position: kept(checkpoints) == position)  # type: ignore[misc]


async def test_the_last_seal_is_kept_when_the_service_ends(
    store: EventStore, settings: Callable[[float], Settings]
) -> None:
    async with sealing(settings(SELDOM), store) as checkpoints:
        await move(store)
        await until(lambda: kept(checkpoints) == 1)
        await move(store)
    assert kept(checkpoints) == 2


async def test_what_a_killed_service_did_not_keep_is_kept_at_the_next_start(
    store: EventStore, settings: Callable[[float], Settings]
) -> None:
    async with sealing(settings(SELDOM), store) as checkpoints:
        await move(store)
    for file in checkpoints.folder.rglob("*.json"):
        file.unlink()
    async with sealing(settings(SELDOM), store) as checkpoints:
        await until(lambda: kept(checkpoints) == 1)


async def test_a_folder_that_cannot_be_written_to_stops_no_sealing(
    store: EventStore, settings: Callable[[float], Settings]
) -> None:
    chosen = settings(OFTEN)
    folder = Checkpoints(chosen).folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.write_text("in the way")
    with capture_logs() as logs:
        async with sealing(chosen, store) as checkpoints:
            await move(store)
            await until(lambda: bool(logs))
            assert logs[0]["event"] == "checkpoint not kept"
            folder.unlink()
            await until(lambda: kept(checkpoints) == 1)


async def test_a_rewritten_log_does_not_replace_its_checkpoints(
    store: EventStore, settings: Callable[[float], Settings], new_database: Callable[[], str]
) -> None:
    chosen = settings(SELDOM)
    async with sealing(chosen, store) as checkpoints:
        await move(store)
    (file,) = checkpoints.folder.rglob("*.json")
    before = file.read_bytes()
    with capture_logs() as logs:
        async with open_shelf(new_database()) as anew, sealing(chosen, anew):
            await move(anew)
            await until(lambda: bool(logs))
    assert "checkpoint not kept" in {entry["event"] for entry in logs}
    assert file.read_bytes() == before


async def test_a_checkpoint_of_another_log_is_named(
    store: EventStore, settings: Callable[[float], Settings]
) -> None:
    async with sealing(settings(SELDOM), store) as checkpoints:
        await move(store)
    (file,) = checkpoints.folder.rglob("*.json")
    other = checkpoints.folder / "orders"
    other.mkdir()
    file.rename(other / file.name)
    with pytest.raises(BadCheckpoint, match="is a checkpoint of the log 'shelf', not of 'orders'"):
        checkpoints.latest("orders")
    (other / file.name).write_text('{"header": 5')
    with pytest.raises(BadCheckpoint, match="is no checkpoint: "):
        checkpoints.of("orders", 1)
