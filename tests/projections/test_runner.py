"""The runner: rows and checkpoint together, every event once, whoever runs and whatever breaks."""

from __future__ import annotations

from typing import Any

import pytest

from eventstore.event import Recorded
from eventstore.store import EventStore
from projections import Cursor, ProjectionRunner, ReadModels
from projections.errors import (
    InvalidProjection,
    TablesChanged,
    TableTaken,
    UnknownProjection,
    VersionBehind,
)
from projections.projection import Projection
from tests.projections.ledger import (
    Balances,
    BalancesByFold,
    Deposited,
    Noted,
    Opened,
    Totals,
    append,
    deposits,
    rows,
    store_many,
)


async def test_what_was_appended_is_visible_at_its_position(
    store: EventStore, database: str
) -> None:
    async with (
        ProjectionRunner(store, [Balances(), Totals()]) as runner,
        ReadModels(database) as reads,
    ):
        await append(store, "acc_1", Opened("Ada"))
        position = await append(store, "acc_1", Deposited(5), Deposited(7))
        assert await runner.wait_for(position, 5)
        assert await reads.fetch_one("SELECT * FROM balances WHERE account = %s", ["acc_1"]) == {
            "account": "acc_1",
            "owner": "Ada",
            "balance_minor": 12,
            "deposits": 2,
        }
        assert await reads.fetch("SELECT amount_minor FROM totals") == [{"amount_minor": 12}]
        assert runner.positions() == {"balances": position, "totals": position}
        assert reads.statements == 2


async def test_events_that_nobody_handles_move_the_position_too(store: EventStore) -> None:
    async with ProjectionRunner(store, [Totals()]) as runner:
        position = await append(store, "acc_1", Opened("Ada"), Noted("unhandled"))
        assert await runner.wait_for(position, 5)
        (build,) = await runner.builds("totals")
        assert (build.position, build.seen, build.applied) == (position, position, 0)


async def test_a_position_that_does_not_come_is_waited_for_no_longer_than_asked(
    store: EventStore,
) -> None:
    async with ProjectionRunner(store, [Totals()]) as runner:
        assert not await runner.wait_for(1, 0.01)
        with pytest.raises(UnknownProjection, match="known: totals"):
            await runner.wait_for(1, 0.01, names=["total"])


async def test_running_again_applies_nothing_twice(store: EventStore, database: str) -> None:
    position = await deposits(store, accounts=3, times=4)
    for _ in range(2):
        async with ProjectionRunner(store, [Balances(), Totals()]) as runner:
            assert await runner.wait_for(position, 5)
    assert rows(database, "SELECT DISTINCT balance_minor, deposits FROM balances") == [
        {"balance_minor": 10, "deposits": 4}
    ]
    assert rows(database, "SELECT deposits, amount_minor FROM totals") == [
        {"deposits": 12, "amount_minor": 30}
    ]


async def test_a_fold_leaves_the_rows_that_apply_leaves(store: EventStore, database: str) -> None:
    position = await deposits(store, accounts=5, times=3)
    async with ProjectionRunner(store, [BalancesByFold()]) as runner:
        assert await runner.wait_for(position, 5)
    assert rows(database, "SELECT count(*) AS n, sum(balance_minor) AS sum FROM balances") == [
        {"n": 5, "sum": 30}
    ]


async def test_a_service_without_projections_has_nothing_to_wait_for(store: EventStore) -> None:
    async with ProjectionRunner(store, []) as runner:
        assert await runner.wait_for(1, 0.01)


@pytest.mark.slow
async def test_of_two_runners_one_writes_and_both_know_the_position(
    store: EventStore, database: str
) -> None:
    async with ProjectionRunner(store, [Totals()]) as first:
        position = await deposits(store, accounts=2, times=2)
        assert await first.wait_for(position, 5)
        async with ProjectionRunner(store, [Totals()]) as second:
            position = await deposits_more(store)
            assert await second.wait_for(position, 5)
            assert await first.wait_for(position, 5)
            await first.stop()
            position = await deposits_more(store)
            assert await second.wait_for(position, 5)
    assert rows(database, "SELECT deposits FROM totals") == [{"deposits": 8}]


async def deposits_more(store: EventStore) -> int:
    return await store_many(store, [("acc_0", Deposited(1)), ("acc_1", Deposited(1))])


class SlowTotals(Totals):
    """Takes its time over each event."""

    name = "slow_totals"
    tables = Totals.tables.replace("totals", "slow_totals")

    def apply(self, recorded: Recorded[Any], cursor: Cursor) -> None:
        cursor.execute("SELECT pg_sleep(0.4)")
        cursor.execute("INSERT INTO slow_totals VALUES (true, 1, 1) ON CONFLICT DO NOTHING")


@pytest.mark.slow
async def test_a_slow_projection_does_not_hold_up_the_others(store: EventStore) -> None:
    async with ProjectionRunner(store, [SlowTotals(), Totals()]) as runner:
        position = await deposits(store, accounts=4, times=1)
        assert await runner.wait_for(position, 4, names=["totals"])
        position = await store_many(store, [(f"acc_{n}", Deposited(1)) for n in range(40)])
        assert await runner.wait_for(position, 1, names=["totals"])
        assert not await runner.wait_for(position, 0, names=["slow_totals"])


# -- declarations that cannot be run


class HandlesNothing(Totals):
    handles = ()


class BalancesTwo(Balances):
    version = 2
    tables = Balances.tables.replace("owner text NOT NULL", "owner text, note text")


class OtherTables(Balances):
    tables = BalancesTwo.tables


class AlsoBalances(Balances):
    name = "also_balances"


@pytest.mark.parametrize(
    ("declared", "refusal"),
    [
        (HandlesNothing(), "declares no handled event types"),
        (type("Nameless", (Totals,), {"name": "No Name"})(), "lower-case letters"),
        (type("Tableless", (Totals,), {"tables": " "})(), "declares no `tables`"),
        (type("Zeroth", (Totals,), {"version": 0})(), "versions start at 1"),
    ],
)
async def test_a_declaration_that_cannot_be_run_is_refused(
    store: EventStore, declared: Projection, refusal: str
) -> None:
    with pytest.raises(InvalidProjection, match=refusal):
        ProjectionRunner(store, [declared])


async def test_a_projection_given_twice_is_refused(store: EventStore) -> None:
    with pytest.raises(InvalidProjection, match="declared twice"):
        ProjectionRunner(store, [Totals(), Totals()])


async def test_a_version_lower_than_the_live_one_is_refused(store: EventStore) -> None:
    async with ProjectionRunner(store, [BalancesTwo()]):
        pass
    with pytest.raises(VersionBehind, match="version 2 is live"):
        await ProjectionRunner(store, [Balances()]).start()


async def test_other_tables_without_another_version_are_refused(store: EventStore) -> None:
    async with ProjectionRunner(store, [Balances()]):
        pass
    with pytest.raises(TablesChanged, match="declare it as version 2"):
        await ProjectionRunner(store, [OtherTables()]).start()


async def test_two_projections_cannot_show_one_table(store: EventStore, database: str) -> None:
    with pytest.raises(TableTaken, match="'balances', which projection 'balances' has"):
        await ProjectionRunner(store, [Balances(), AlsoBalances()]).start()
    assert rows(database, "SELECT * FROM projections.builds") == []
