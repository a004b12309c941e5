"""A process that rebuilds and dies at a fault point: `rebuilder.py CONNINFO POINT PASSES`."""

from __future__ import annotations

import asyncio
import itertools
import os
import sys

import projections.drive
from eventstore.event import Actor
from projections import Operations
from projections.faults import arm
from tests.projections.ledger import Balances, new_store


async def main(conninfo: str, point: str, passes: int) -> None:
    count = itertools.count(1)
    arm(point, lambda: os._exit(9) if next(count) >= passes else None)
    projections.drive.EVENTS_FIRST = 64
    async with new_store(conninfo) as store:
        await Operations(store, [Balances()]).rebuild("balances", by=Actor(kind="staff", id="ann"))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
