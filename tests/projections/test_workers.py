"""Rebuilding with several processes, and rebuilds that are killed and go on: the same rows."""

from __future__ import annotations

import asyncio
import functools
import itertools
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Sequence
from typing import Any

import pytest

from eventstore.event import Actor, Recorded
from eventstore.store import EventStore
from eventstore.types import EventTypes, Upcaster
from projections import Cursor, Operations, ProjectionRunner
from projections.catalogue import State
from projections.faults import arm
from projections.rebuild import Progress
from projections.workers import WorkerFailed
from tests.projections.ledger import (
    Balances,
    Deposited,
    Independent,
    Noted,
    Totals,
    append,
    deposits,
    new_store,
    rows,
    run,
)
from tests.projections.test_failures import cut
from tests.projections.test_parked import DepositedLater
from tests.projections.test_testing import BalancesBySql
from tests.projections.waiting import until

ANN = Actor(kind="staff", id="ann")


def operations_of(store: EventStore) -> Operations:
    return Operations(store, [Independent()], crew=functools.partial(new_store, store.conninfo))


class BySql(Independent):
    """Folded within the database, which fails for a deposit of less than nothing."""

    fold_sql = BalancesBySql.fold_sql

    def fold(self, batch: Sequence[Recorded[Any]], cursor: Cursor) -> None:
        for recorded in batch:
            self.apply(recorded, cursor)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
async def test_a_rebuild_within_the_database_leaves_what_events_leave(
    store: EventStore, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    monkeypatch.setattr("projections.spans.SPAN_EVENTS", 64)
    operations = Operations(store, [BySql()], crew=functools.partial(new_store, store.conninfo))
    await deposits(store, accounts=10, times=20)
    async with ProjectionRunner(store, [BySql()]) as runner:
        await append(store, "acc_1", Noted("not handled"))
        bad = await append(store, "acc_3", Deposited(-1000), Deposited(5))
        position = await append(store, "acc_4", Deposited(7))
        assert await runner.wait_for(position, 10)
        done = await operations.rebuild("balances", by=ANN, workers=workers)
        assert done.build.seen == done.build.position
        assert done.build.applied == position - 1
        assert (done.build.parked_keys, done.build.parked_events) == (1, 2)
        assert bad > 0
        found = await operations.verify("balances")
        assert found.equal, found.examples


@pytest.mark.slow
async def test_a_part_within_the_database_that_loses_its_connection_catches_up(
    store: EventStore, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("projections.spans.SPAN_EVENTS", 64)
    await deposits(store, accounts=10, times=60)
    batches = itertools.count(1)

    def lose() -> None:
        """Part 1 loses its third batch, wherever the other part is by then."""
        if threading.current_thread().name.endswith("_1") and next(batches) == 3:
            cut(database, "projections bank rebuild part 1")

    operations = Operations(store, [BySql()])
    arm("projections.before_commit", lose)
    done = await operations.rebuild("balances", by=ANN, workers=2)
    assert next(batches) > 3
    assert (done.build.number, done.build.seen) == (2, done.build.position)
    assert done.build.applied == 10 * 61
    found = await operations.verify("balances")
    assert found.equal, found.examples


async def test_old_payloads_are_never_folded_within_the_database(database: str) -> None:
    upcasters = [Upcaster("account.deposited", 1, lambda old: old | {"currency": "EUR"})]

    class InCurrency(Totals):
        handles = (DepositedLater,)
        fold_sql = ("INSERT INTO totals SELECT true, count(*), -1 FROM batch",)

    async with new_store(database) as store:
        await append(store, "acc_1", Deposited(1), Deposited(2))
    types = EventTypes([DepositedLater], upcasters)
    async with EventStore(database, types, name="bank") as store:
        await append(store, "acc_1", DepositedLater(3, "EUR"))
        await Operations(store, [InCurrency()]).rebuild("totals", by=ANN)
    assert rows(database, "SELECT amount_minor FROM totals_b2.totals") == [{"amount_minor": 6}]


@pytest.mark.slow
async def test_two_workers_leave_what_one_leaves(store: EventStore, database: str) -> None:
    position = await deposits(store, accounts=40, times=20)
    operations = operations_of(store)
    async with ProjectionRunner(store, [Independent()]) as runner:
        done = await operations.rebuild("balances", by=ANN, workers=2)
        assert (done.build.part_count, done.build.seen) == (1, done.build.position)
        assert done.build.applied == position
        found = await operations.verify("balances")
        assert found.equal, found.examples
        await operations.switch("balances", by=ANN)
        assert await runner.wait_for(position, 5)
    assert rows(database, "SELECT DISTINCT balance_minor FROM balances") == [{"balance_minor": 210}]


@pytest.mark.slow
async def test_a_worker_that_is_killed_fails_the_rebuild_which_then_goes_on(
    store: EventStore,
) -> None:
    await deposits(store, accounts=10, times=300)
    operations = operations_of(store)
    killed = False

    def kill(progress: Progress) -> None:
        nonlocal killed
        if not killed:
            child = multiprocessing.active_children()[0]
            assert child.pid is not None
            os.kill(child.pid, signal.SIGKILL)
            killed = True

    with pytest.raises(WorkerFailed, match="exit code -9"):
        await operations.rebuild("balances", by=ANN, workers=2, progress=kill)
    done = await operations.rebuild("balances", by=ANN, workers=2)
    assert done.build.number == 2
    assert (await operations.verify("balances")).equal


@pytest.mark.slow
async def test_ctrl_c_stops_all_workers_and_the_rebuild_goes_on(
    store: EventStore, database: str
) -> None:
    await deposits(store, accounts=10, times=300)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.projections.rebuilder", database, "workers"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"worker 1 is at work\n"
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: it reaches all of them
    assert await process.communicate() == (b"stopped\n", b"")
    operations = operations_of(store)
    (_, building) = await operations.builds("balances")
    assert building.state is State.BUILDING
    done = await operations.rebuild("balances", by=ANN, workers=2)
    assert (done.build.number, done.build.seen) == (2, done.build.position)
    assert (await operations.verify("balances")).equal


@pytest.mark.slow
@pytest.mark.parametrize(
    ("point", "passes"),
    [
        ("projections.before_commit", 2),
        ("projections.after_commit", 1),
        ("projections.after_commit", 3),
        ("rebuild.before_ready", 1),
    ],
)
async def test_a_rebuild_killed_at_any_point_goes_on_where_it_was(
    store: EventStore, database: str, point: str, passes: int
) -> None:
    await deposits(store, accounts=2, times=150)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.projections.rebuilder", database, point, str(passes))
    )
    assert await process.wait() == 9
    operations = Operations(store, [Balances()])
    (_, building) = await operations.builds("balances")
    assert building.state is State.BUILDING
    done = await operations.rebuild("balances", by=ANN)
    assert (done.build.number, done.resumed_from) == (building.number, building.position)
    found = await operations.verify("balances")
    assert found.equal
    assert rows(database, "SELECT DISTINCT deposits FROM balances_b2.balances") == [
        {"deposits": 150}
    ]


@pytest.mark.slow
async def test_a_hold_is_kept_and_ends_by_itself(store: EventStore, database: str) -> None:
    async with ProjectionRunner(store, [Balances()]) as runner:
        position = await deposits(store, accounts=1, times=1)
        assert await runner.wait_for(position, 5)
        run(
            database,
            "UPDATE projections.checkpoints SET hold_at = position + 1,"
            " hold_until = clock_timestamp() + interval '400 milliseconds'",
        )
        later = await append(store, "acc_0", *[Deposited(1)] * 3)
        await until(lambda: runner.position("balances") == position + 1)
        assert not await runner.wait_for(later, 0.05)
        assert await runner.wait_for(later, 5)
