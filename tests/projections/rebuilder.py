"""A process that rebuilds.

rebuilder.py CONNINFO POINT PASSES    with one worker, and dies at a fault point
rebuilder.py CONNINFO workers         with two, slowly, until Ctrl-C; says when both are at work
"""

from __future__ import annotations

import asyncio
import functools
import itertools
import os
import sys

import projections.drive
from eventstore.event import Actor
from projections import Operations
from projections.faults import arm
from tests.projections.ledger import Balances, Independent, new_store, rows
from tests.projections.waiting import until

ANN = Actor(kind="staff", id="ann")


async def until_it_dies(conninfo: str, point: str, passes: int) -> None:
    count = itertools.count(1)
    arm(point, lambda: os._exit(9) if next(count) >= passes else None)
    projections.drive.EVENTS_FIRST = 64
    async with new_store(conninfo) as store:
        await Operations(store, [Balances()]).rebuild("balances", by=ANN)


async def with_workers(conninfo: str) -> None:
    async with new_store(conninfo) as store:
        crew = functools.partial(new_store, conninfo)
        operations = Operations(store, [Independent()], crew=crew)
        await operations.builds()  # makes the tables that `moved` looks into
        rebuilding = asyncio.create_task(
            operations.rebuild("balances", by=ANN, workers=2, events_per_second_max=100.0)
        )
        await until(lambda: moved(conninfo))
        print("worker 1 is at work", flush=True)
        await rebuilding


def moved(conninfo: str) -> bool:
    """Whether the second part has a batch behind it."""
    query = "SELECT FROM projections.checkpoints WHERE part = 1 AND position > 0"
    return bool(rows(conninfo, query))


if __name__ == "__main__":
    if sys.argv[2] == "workers":
        try:
            asyncio.run(with_workers(sys.argv[1]))
        except KeyboardInterrupt:
            print("stopped")
    else:
        asyncio.run(until_it_dies(sys.argv[1], sys.argv[2], int(sys.argv[3])))
