"""What the engine keeps: made where it is missing, brought on from what an earlier release left."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from eventstore.store import EventStore
from projections import ProjectionRunner, catalogue
from projections.errors import UnknownLayout
from tests.projections.ledger import Balances, Deposited, append, deposits, rows, run

LAYOUT = "SELECT number FROM projections.layout"
FIRST = "DROP TABLE projections.layout"
"""Undoes the steps since the first layout."""


def install(database: str) -> None:
    with catalogue.connect(database, "test") as connection:
        catalogue.install(connection)


def test_processes_that_start_together_make_it_once(database: str) -> None:
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(install, [database] * 8))
    assert rows(database, LAYOUT) == [{"number": catalogue.LAYOUT}]


@pytest.mark.slow
async def test_the_first_layout_is_brought_on_with_all_that_it_holds(
    store: EventStore, database: str
) -> None:
    await deposits(store, accounts=2, times=2)
    await append(store, "acc_1", Deposited(-1000))
    async with ProjectionRunner(store, [Balances()]) as runner:
        assert await runner.wait_for(await store.head(), 5)
        builds = await runner.builds()
    run(database, FIRST)
    async with ProjectionRunner(store, [Balances()]) as runner:
        assert await runner.builds() == builds
        position = await append(store, "acc_0", Deposited(3))
        assert await runner.wait_for(position, 5)
    assert builds[0].parked_keys == 1
    assert rows(database, "SELECT balance_minor FROM balances ORDER BY account") == [
        {"balance_minor": 6},
        {"balance_minor": 3},
    ]
    assert rows(database, LAYOUT) == [{"number": catalogue.LAYOUT}]


def test_a_step_that_fails_leaves_what_was_there(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(database)
    run(database, FIRST)
    monkeypatch.setattr("projections.catalogue.LAYOUT", catalogue.LAYOUT + 1)
    with pytest.raises(FileNotFoundError):  # the step after the last
        install(database)
    assert rows(database, "SELECT to_regclass('projections.layout') AS there") == [{"there": None}]


async def test_the_layout_of_a_later_release_is_refused(store: EventStore, database: str) -> None:
    install(database)
    run(database, "UPDATE projections.layout SET number = 99")
    with pytest.raises(
        UnknownLayout, match=f"layout 99, this release knows 1 to {catalogue.LAYOUT}"
    ):
        await ProjectionRunner(store, [Balances()]).start()
