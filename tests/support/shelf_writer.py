"""A process that appends: `python -m tests.support.shelf_writer CONNINFO NAME COUNT`.

Writes to a stream of its own, the place of each box being its idempotency key, and to one shared
with others; prints the position and place of what was acknowledged, "refused" and the place of what
was refused.
"""

from __future__ import annotations

import asyncio
import sys

from eventstore import Append, Idempotency, WrongExpectedVersion
from tests.support.shelf import BoxMoved, metadata, open_shelf


async def main(conninfo: str, name: str, count: int) -> None:
    async with open_shelf(conninfo) as store:
        limit = asyncio.Semaphore(8)

        async def write(n: int) -> None:
            place = f"{name}:{n}"
            async with limit:
                own = Append(f"own_{name}", [BoxMoved(place)])
                key = Idempotency(place, b"")
                about = metadata(f"{name}_{n}")
                appended = await store.append(own, metadata=about, idempotency=key)
                print(appended.position, place, flush=True)

        async def contend() -> None:
            for n in range(count // 10):
                version = len(await store.read_stream("shared"))
                place = f"{name}!{n}"
                event = Append("shared", [BoxMoved(place)], version)
                try:
                    appended = await store.append(event, metadata=metadata())
                except WrongExpectedVersion:
                    print("refused", place, flush=True)
                else:
                    print(appended.position, place, flush=True)

        await asyncio.gather(contend(), *(write(n) for n in range(count)))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
