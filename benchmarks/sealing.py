"""How long after an event was recorded is it sealed, while appends come as fast as they can?

    python -m benchmarks.sealing [--seconds 20] [--data-dir DIR]

A process appends with as many callers as benchmarks/append.py; a sealer follows, first as a thread
of that process, which is how `lonja up` and `lonja serve` run it, then in a process of its own, as
when another replica is faster. The lag of an event is the time from `recorded_at` to when the
commit of the seal that covers it was acknowledged, by the same clock. `after` is how long it took
to seal the rest when the appends had stopped. Prints a table; the same as JSON goes to
.benchmarks/sealing.json.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import time
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import psycopg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from rich.console import Console
from rich.table import Table

from benchmarks.append import CALLERS, OrderPlaced, appends
from benchmarks.server import durable_server
from eventstore import EventStore, EventTypes
from eventstore.audit import Seal, Sealer, Signer

OUTPUT = Path(".benchmarks/sealing.json")
SIGNER = Signer(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))

Sealed = tuple[int, datetime, float]
"""The last position of a seal, when its commit was known, and the thread's CPU seconds by then."""


@dataclass(frozen=True)
class Result:
    """Lags in seconds, of events; CPU of the sealer's thread in microseconds an event."""

    what: str
    per_second: float
    seals: int
    p50: float
    p99: float
    max: float
    after: float
    cpu_us: float


def open_store(conninfo: str) -> EventStore:
    return EventStore(conninfo, EventTypes([OrderPlaced]), name="benchmark")


def follow(store: EventStore, seen: list[Sealed]) -> Sealer:
    """A sealer that says when it sealed what."""

    def note(seal: Seal) -> None:
        seen.append((seal.read().last, datetime.now(UTC), time.thread_time()))

    sealer = Sealer(store, SIGNER, sealed=note)
    sealer.start()
    return sealer


def append(conninfo: str, seconds: float, *, sealing: bool, tell: Connection) -> None:
    """The process that appends: tells how many a second, and what was sealed if it seals."""

    async def run() -> None:
        seen: list[Sealed] = []
        async with open_store(conninfo) as store:
            sealer = follow(store, seen) if sealing else None
            result = await appends(store, CALLERS, seconds, "")
            stopped = datetime.now(UTC)
            if sealer is not None:
                await asyncio.to_thread(until_sealed, store, seen)
                await asyncio.to_thread(sealer.stop)
        tell.send((result.per_second, stopped, seen))

    asyncio.run(run())


def until_sealed(store: EventStore, seen: list[Sealed]) -> None:
    """Wait for the seal of the last event."""
    head, deadline = store.head_sync(), time.monotonic() + 60
    while not seen or seen[-1][0] < head:
        if time.monotonic() > deadline:
            raise TimeoutError(f"sealed to {seen[-1:]} of {head} a minute after the last append")
        time.sleep(0.005)


def measure(conninfo: str, seconds: float, *, together: bool) -> Result:
    """One run on an empty database."""
    mine, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=append,
        args=(conninfo, seconds),
        kwargs={"sealing": together, "tell": theirs},
    )
    own: list[Sealed] = []
    with ExitStack() as stack:
        if not together:
            store = open_store(conninfo)
            store.open_sync()
            stack.callback(store.close_sync)
            stack.callback(follow(store, own).stop)
        process.start()
        per_second, stopped, seen = mine.recv()
        process.join()
        if not together:
            until_sealed(store, own)
            seen = own
    what = "in the process that appends" if together else "in a process of its own"
    lags = sorted(lags_of(conninfo, seen))
    return Result(
        f"sealer {what}",
        per_second,
        len(seen),
        lags[len(lags) // 2],
        lags[int(len(lags) * 0.99)],
        lags[-1],
        (seen[-1][1] - stopped).total_seconds(),
        seen[-1][2] / len(lags) * 1e6,
    )


def lags_of(conninfo: str, seen: list[Sealed]) -> list[float]:
    """The lag of every event. Fails if one is not sealed."""
    with closing(psycopg.connect(conninfo)) as connection:
        rows = connection.execute(
            "SELECT position, recorded_at FROM eventstore.events ORDER BY position"
        ).fetchall()
    lags, seals = [], iter(seen)
    last, at, _ = next(seals)
    for position, recorded_at in rows:
        while position > last:
            last, at, _ = next(seals)
        lags.append((at - recorded_at).total_seconds())
    return lags


def show(results: list[Result]) -> None:
    table = Table(title="From recorded to sealed, at full append speed")
    for heading in ("what", "events/s", "seals", "p50 s", "p99 s", "max s", "after s", "CPU µs"):
        table.add_column(heading, justify="left" if heading == "what" else "right")
    for result in results:
        lags = (result.p50, result.p99, result.max, result.after, result.cpu_us)
        table.add_row(
            result.what,
            f"{result.per_second:,.0f}",
            f"{result.seals:,}",
            *(f"{figure:.2f}" for figure in lags),
        )
    Console().print(table)
    OUTPUT.parent.mkdir(exist_ok=True)
    OUTPUT.write_text(json.dumps([asdict(result) for result in results], indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--data-dir", type=Path)
    options: Any = parser.parse_args()
    with durable_server(options.data_dir) as server:
        show(
            [
                measure(
                    server.create_database(f"sealing_{together:d}"),
                    options.seconds,
                    together=together,
                )
                for together in (True, False)
            ]
        )


if __name__ == "__main__":
    main()
