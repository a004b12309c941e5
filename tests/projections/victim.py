"""A process that runs projections and dies at a fault point: `victim.py CONNINFO POINT PASSES`."""

from __future__ import annotations

import asyncio
import itertools
import os
import sys

from projections import ProjectionRunner
from projections.faults import arm
from tests.projections.ledger import Balances, Totals, new_store


async def main(conninfo: str, point: str, passes: int) -> None:
    count = itertools.count(1)
    arm(point, lambda: os._exit(9) if next(count) >= passes else None)
    async with (
        new_store(conninfo) as store,
        ProjectionRunner(store, [Balances(), Totals()]) as runner,
    ):
        await runner.wait_for(await store.head(), 20)


asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
