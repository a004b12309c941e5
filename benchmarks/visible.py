"""How soon what was appended can be read, and what a rebuild beside it costs.

    python -m benchmarks.visible [--rate 1000] [--seconds 10] [--json FILE]

Callers append one event each at a steady rate and wait until the read model shows it: the time from
the call to the row, and to the answer of the append alone. Then the same while another process
rebuilds the read model over and over, at the priority of `lonja projections rebuild`. Then the rate
that appenders reach who wait for nothing, without and with the rebuild. Last, how long a reader of
the view waited at worst while it was switched.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

from benchmarks.rebuild import ACTOR, AT, FoldedBalances, PaidInto, fill, store_of
from eventstore import Append, EventStore, Metadata
from projections import Operations, ProjectionRunner, ReadModels
from projections.rebuild import NICENESS
from tests.support.postgres import TestServer

HISTORY_EVENTS = 300_000
"""Enough for seconds of rebuilding: to begin and to end it would cost more than what is between."""
APPENDERS = 64
METADATA = Metadata(actor=ACTOR, command_id="c", correlation_id="c", occurred_at=AT)


async def pay(store: EventStore, number: int) -> int:
    event = PaidInto(number % 1000, "paid at the counter")
    return (await store.append(Append(f"new_{number % 997}", [event]), metadata=METADATA)).position


async def steady(
    store: EventStore, runner: ProjectionRunner, rate: float, seconds: float
) -> tuple[list[float], list[float]]:
    """Milliseconds to the append's answer and to visibility, of each call."""
    appended: list[float] = []
    visible: list[float] = []

    async def one(number: int) -> None:
        started = time.perf_counter()
        position = await pay(store, number)
        appended.append((time.perf_counter() - started) * 1000)
        if await runner.wait_for(position, 10):
            visible.append((time.perf_counter() - started) * 1000)

    begun = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for number in range(round(rate * seconds)):
            await asyncio.sleep(max(0.0, begun + number / rate - time.perf_counter()))
            tasks.create_task(one(number))
    return appended, visible


async def unbounded(store: EventStore, seconds: float) -> float:
    """Appends a second that `APPENDERS` callers reach."""
    done = 0
    until = time.perf_counter() + seconds

    async def caller(first: int) -> None:
        nonlocal done
        while time.perf_counter() < until:
            await pay(store, first + done)
            done += 1

    await asyncio.gather(*(caller(number) for number in range(APPENDERS)))
    return done / seconds


@contextmanager
def rebuilding(conninfo: str) -> Iterator[None]:
    """Another process rebuilds over and over meanwhile."""
    context = multiprocessing.get_context("spawn")
    begun = context.Event()
    process = context.Process(target=rebuild_again_and_again, args=(conninfo, begun), daemon=True)
    process.start()
    begun.wait(60)
    try:
        yield
    finally:
        process.terminate()
        process.join()


def rebuild_again_and_again(conninfo: str, begun: Event) -> None:
    os.nice(NICENESS)

    async def work() -> None:
        async with store_of(conninfo) as store:
            operations = Operations(store, [FoldedBalances()])
            while True:
                begun.set()
                await operations.rebuild("balances", by=ACTOR, restart=True)

    asyncio.run(work())


async def longest_read(reads: ReadModels, operations: Operations) -> float:
    """Milliseconds that a reader waited at worst while the view changed ten times."""
    longest, switching = 0.0, True

    async def read() -> None:
        nonlocal longest
        while switching:
            started = time.perf_counter()
            await reads.fetch("SELECT * FROM balances WHERE account = 'new_1'")
            longest = max(longest, (time.perf_counter() - started) * 1000)

    reader = asyncio.create_task(read())
    await operations.rebuild("balances", by=ACTOR, restart=True)
    longest = 0.0
    await operations.switch("balances", by=ACTOR, force=True, reason="benchmark")
    for _ in range(9):
        await operations.roll_back("balances", by=ACTOR)
    switching = False
    await reader
    return longest


def quantiles(values: Sequence[float]) -> dict[str, float]:
    ordered = sorted(values)
    return {
        name: round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 1)
        for name, share in [("p50_ms", 0.5), ("p99_ms", 0.99), ("max_ms", 1.0)]
    }


async def measure(server: TestServer, rate: float, seconds: float) -> dict[str, Any]:
    conninfo = server.create_database("bank")
    found: dict[str, Any] = {"rate": rate}
    async with (
        store_of(conninfo) as store,
        ProjectionRunner(store, [FoldedBalances()]) as runner,
        ReadModels(conninfo) as reads,
    ):
        await asyncio.to_thread(fill, store, HISTORY_EVENTS)
        await runner.wait_for(await store.head(), 60)
        operations = Operations(store, [FoldedBalances()])
        appended, visible = await steady(store, runner, rate, seconds)
        found["append answered"], found["visible"] = quantiles(appended), quantiles(visible)
        with rebuilding(conninfo):
            _, visible = await steady(store, runner, rate, seconds)
        found["visible while rebuilding"] = quantiles(visible)
        alone = await unbounded(store, seconds)
        with rebuilding(conninfo):
            beside = await unbounded(store, seconds)
        found["appends_per_second"] = round(alone)
        found["appends_per_second_while_rebuilding"] = round(beside)
        await runner.wait_for(await store.head(), 60)
        found["reader_waited_ms_max"] = round(await longest_read(reads, operations), 1)
    return found | {"python": platform.python_version(), "cpus": os.cpu_count()}


def main() -> None:
    arguments = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    arguments.add_argument("--rate", type=float, default=1000)
    arguments.add_argument("--seconds", type=float, default=10)
    arguments.add_argument("--json", type=Path)
    given = arguments.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="lonja-benchmark-"))
    folder.chmod(0o755)
    server = TestServer(folder / "pg", durable=True)
    server.start()
    try:
        found = asyncio.run(measure(server, given.rate, given.seconds))
    finally:
        server.remove()
        shutil.rmtree(folder, ignore_errors=True)
    for name, value in found.items():
        print(f"{name:40}{value}")
    if given.json:
        given.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
