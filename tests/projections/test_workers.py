"""Rebuilding with several processes, and rebuilds that are killed and go on: the same rows."""

from __future__ import annotations

import asyncio
import functools
import multiprocessing
import os
import signal
import sys

import pytest

from eventstore.event import Actor
from eventstore.store import EventStore
from projections import Operations, ProjectionRunner
from projections.catalogue import State
from projections.rebuild import Progress
from projections.workers import WorkerFailed
from tests.projections.ledger import (
    Balances,
    BalancesByFold,
    Deposited,
    append,
    deposits,
    new_store,
    rows,
    run,
)
from tests.projections.waiting import until

ANN = Actor(kind="staff", id="ann")


class Independent(BalancesByFold):
    """Accounts have nothing to do with each other."""

    parallel = True


def operations_of(store: EventStore) -> Operations:
    return Operations(store, [Independent()], crew=functools.partial(new_store, store.conninfo))


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
