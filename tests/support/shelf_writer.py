"""A process that appends: `python -m tests.support.shelf_writer CONNINFO NAME COUNT`.

Writes to a stream of its own and to one shared with others; prints each acknowledged position.
"""

from __future__ import annotations

import asyncio
import sys

from eventstore import Append, WrongExpectedVersion
from tests.support.shelf import BoxMoved, metadata, open_shelf


async def main(conninfo: str, name: str, count: int) -> None:
    async with open_shelf(conninfo) as store:
        limit = asyncio.Semaphore(8)

        async def write(n: int) -> None:
            async with limit:
                own = Append(f"own_{name}", [BoxMoved(f"{name}:{n}")])
                appended = await store.append(own, metadata=metadata(f"{name}_{n}"))
                print(appended.position, f"{name}:{n}", flush=True)

        async def contend() -> None:
            for _ in range(count // 10):
                version = len(await store.read_stream("shared"))
                event = Append("shared", [BoxMoved(name)], version)
                try:
                    await store.append(event, metadata=metadata())
                except WrongExpectedVersion:
                    continue

        await asyncio.gather(contend(), *(write(n) for n in range(count)))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
