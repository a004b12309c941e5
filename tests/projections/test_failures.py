"""Whatever breaks, and wherever: no event is lost and none is applied twice."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import psycopg
import pytest

from eventstore.event import Recorded
from eventstore.store import EventStore
from projections import Cursor, Operations, ProjectionRunner, ReadModels, catalogue
from projections.batch import write
from projections.faults import POINTS, arm, disarm
from projections.member import Member, share_of
from projections.store_log import StoreLog
from tests.projections import life
from tests.projections.ledger import Balances, Totals, deposits, rows, run, store_many
from tests.projections.ledger import Deposited as Paid
from tests.projections.waiting import until
from tests.support.postgres import TestServer


def cut(database: str, application: str = "projections") -> None:
    """End the connections of the engine."""
    run(
        database,
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        " WHERE datname = current_database() AND application_name LIKE %s"
        " AND pid <> pg_backend_pid()",
        [f"{application}%"],
    )


def assert_each_once(database: str, accounts: int, times: int) -> None:
    each = sum(range(1, times + 1))
    assert rows(database, "SELECT DISTINCT balance_minor, deposits FROM balances") == [
        {"balance_minor": each, "deposits": times}
    ]
    assert rows(database, "SELECT deposits, amount_minor FROM totals") == [
        {"deposits": accounts * times, "amount_minor": accounts * each}
    ]
    assert rows(database, "SELECT DISTINCT position - seen AS missing FROM projections.checkpoints"
                ) == [{"missing": 0}]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    ("point", "passes"),
    [(point, 1) for point in POINTS]
    + [
        *(("catalogue.before_commit", passes) for passes in (2, 3, 5)),
        *(("projections.before_commit", 2), ("projections.after_commit", 3)),
        *(("projections.adopting", 2), ("reactors.after_react", 5)),
    ],
)
async def test_killed_anywhere_it_goes_on_where_it_was(
    database: str, point: str, passes: int
) -> None:
    await life.begin(database)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.projections.life", database, point, str(passes))
    )
    assert await process.wait() == 9
    await life.live(database, mended=True)
    each = 1 + 2 + 3 + 4
    assert rows(database, "SELECT * FROM balances ORDER BY account") == [
        {"account": f"acc_{n}", "owner": f"owner {n}", "balance_minor": balance, "deposits": times}
        for n, balance, times in [(0, each + life.UNLUCKY + 5, 6), (1, each, 4), (2, each, 4)]
    ]
    assert rows(database, "SELECT deposits, amount_minor FROM totals") == [
        {"deposits": 14, "amount_minor": 3 * each + life.UNLUCKY + 5}
    ]
    letters = rows(
        database,
        "SELECT stream, array_agg((payload ->> 'amount')::int ORDER BY position) AS sent"
        " FROM eventstore.events WHERE type = 'letter.sent' GROUP BY stream ORDER BY stream",
    )
    assert [letter["sent"] for letter in letters] == [
        *([1, 2, 3, 4, life.UNLUCKY, 5], [1, 2, 3, 4], [1, 2, 3, 4])
    ]
    noted = rows(database, "SELECT payload ->> 'text' AS text FROM eventstore.events"
                           " WHERE type = 'account.noted' ORDER BY position")  # fmt: skip
    assert [row["text"] for row in noted] == ["set", "fired"]
    assert rows(database, "SELECT DISTINCT position - seen AS missing FROM projections.checkpoints"
                ) == [{"missing": 0}]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    "point",
    ["projections.before_commit", "projections.after_commit", "projections.adopting"],
)
async def test_a_connection_cut_around_the_commit_is_replaced(
    store: EventStore, database: str, point: str
) -> None:
    def cut_once() -> None:
        disarm()
        cut(database, "projections bank projections-")

    async with ProjectionRunner(store, [Balances(), Totals()]) as runner:
        await deposits(store, accounts=2, times=2)
        arm(point, cut_once)
        if point == "projections.adopting":
            cut(database, "projections bank projections-")
        for amount in (3, 4):
            pairs = [(f"acc_{number}", Paid(amount)) for number in range(2)]
            position = await store_many(store, pairs)
            assert await runner.wait_for(position, 5)
    assert_each_once(database, 2, 4)


@pytest.mark.slow
async def test_all_connections_cut_again_and_again(store: EventStore, database: str) -> None:
    async with (
        ProjectionRunner(store, [Balances(), Totals()]) as runner,
        ReadModels(database) as reads,
    ):
        await deposits(store, accounts=2, times=0)
        position = 0
        for amount in range(1, 9):
            cut(database)
            cut(database, "read models")
            pairs = [(f"acc_{number}", Paid(amount)) for number in range(2)]
            position = await store_many(store, pairs)
            await reads.fetch("SELECT * FROM balances")
        assert await runner.wait_for(position, 10)
    assert_each_once(database, 2, 8)


@pytest.mark.slow
async def test_a_build_whose_connection_is_lost_while_it_changes_lanes_is_not_forgotten(
    store: EventStore, database: str
) -> None:
    class Fragile(Balances):
        """Fails a few times, so that it is isolated and comes back."""

        failures = 0

        def apply(self, recorded: Recorded[Any], cursor: Cursor) -> None:
            super().apply(recorded, cursor)
            if self.failures < 3:
                type(self).failures += 1
                raise psycopg.errors.DeadlockDetected("a few times")

    def lose() -> None:
        disarm()
        raise psycopg.OperationalError("lost")

    async with ProjectionRunner(store, [Fragile(), Totals()]) as runner:
        arm("projections.releasing", lose)
        await deposits(store, accounts=2, times=2)
        assert await runner.wait_for(await store.head(), 5)
    assert_each_once(database, 2, 2)


@pytest.mark.slow
async def test_a_second_runner_takes_over_from_one_that_lost_its_connections(
    store: EventStore, database: str
) -> None:
    async with (
        ProjectionRunner(store, [Balances(), Totals()]) as first,
        ProjectionRunner(store, [Balances(), Totals()]) as second,
    ):
        position = await deposits(store, accounts=2, times=3)
        for amount in range(4, 9):
            cut(database, "projections bank projections-")
            pairs = [(f"acc_{number}", Paid(amount)) for number in range(2)]
            position = await store_many(store, pairs)
        assert await first.wait_for(position, 10)
        assert await second.wait_for(position, 10)
    assert_each_once(database, 2, 8)


@pytest.mark.slow
async def test_the_server_goes_away_and_comes_back(own_server: TestServer) -> None:
    from tests.projections.ledger import new_store

    database = own_server.create_database("bank")
    async with (
        new_store(database) as store,
        ProjectionRunner(store, [Balances(), Totals()]) as runner,
    ):
        await deposits(store, accounts=2, times=2)
        await asyncio.to_thread(own_server.crash)
        await until(lambda: bool(runner.errors()))
        await asyncio.to_thread(own_server.start)
        position = await store_many(store, [("acc_0", Paid(3)), ("acc_1", Paid(3))])
        assert await runner.wait_for(position, 15)
        assert_each_once(database, 2, 3)


async def test_a_checkpoint_that_another_moved_is_not_moved(
    store: EventStore, database: str
) -> None:
    position = await deposits(store, accounts=1, times=1)
    async with ProjectionRunner(store, [Balances()]) as runner:
        assert await runner.wait_for(position, 5)
        (build,) = await runner.builds("balances")
    stale = Member(build, Balances(), position=0)
    page_of = StoreLog(store).read_page
    with catalogue.connect(database, "test") as connection:
        share = share_of(page_of(connection, 0, limit=9, types=Balances().types), 0, stale)
        assert share is not None
        share.events.clear()
        with pytest.raises(psycopg.Error, match="not where its owner left it"):
            write(connection, [share], None)


@pytest.mark.slow
async def test_a_disk_that_is_full_is_waited_for(store: EventStore, database: str) -> None:
    fails = iter([True] * 12)

    def full() -> None:
        if next(fails, False):
            run_raising_disk_full(database)

    async with ProjectionRunner(store, [Balances(), Totals()]) as runner:
        arm("projections.before_commit", full)
        position = await deposits(store, accounts=2, times=2)
        assert await runner.wait_for(position, 10, names=["totals"])
        assert await runner.wait_for(position, 10)
    assert_each_once(database, 2, 2)
    assert rows(database, "SELECT * FROM projections.parked_keys") == []


@pytest.mark.slow
async def test_a_rebuild_waits_for_a_full_disk_and_parks_nothing(
    store: EventStore, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("projections.drive.TRANSIENT_ATTEMPTS_MAX", 1)
    fails = iter([True] * 5)

    def full() -> None:
        if next(fails, False):
            run_raising_disk_full(database)

    await deposits(store, accounts=2, times=2)
    operations = Operations(store, [Balances()])
    arm("projections.before_commit", full)
    done = await operations.rebuild("balances", by=life.ANN)
    assert not next(fails, False)
    assert (done.build.parked_keys, done.build.seen) == (0, done.build.position)
    assert (await operations.verify("balances")).equal


def run_raising_disk_full(database: str) -> None:
    """What the server says when it cannot extend a file."""
    run(
        database,
        "DO $$ BEGIN RAISE EXCEPTION 'could not extend file: No space left on device'"
        " USING ERRCODE = 'disk_full'; END $$",
    )
