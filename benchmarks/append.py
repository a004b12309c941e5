"""How fast is an append, and how fast is reading? Ours against the library's recorder, in one run.

    python -m benchmarks.append [--seconds 3] [--data-dir DIR]

Every store is on the same PostgreSQL with fsync and synchronous_commit on. One event an append, of
some 200 bytes, ours with metadata and hash. Figures depend on the machine, its disk and what else
runs on it: read them as ratios. Prints a table; the same as JSON goes to .benchmarks/append.json.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import statistics
import sys
import sysconfig
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
from eventsourcing.persistence import ApplicationRecorder, StoredEvent
from eventsourcing.postgres import PostgresApplicationRecorder, PostgresDatastore
from psycopg.conninfo import conninfo_to_dict
from rich.console import Console
from rich.table import Table

from benchmarks.server import durable_server
from eventstore import (
    Actor,
    Append,
    Event,
    EventStore,
    EventTypes,
    Metadata,
    event_type,
)
from eventstore.audit import verify
from eventstore.recorders import LogApplicationRecorder

OUTPUT = Path(".benchmarks/append.json")
CALLERS = 64
PROCESSES = 4


@event_type("benchmark.order_placed")
class OrderPlaced(Event, frozen=True):
    customer_id: str
    lines: list[str]
    total_minor: int
    currency: str = "EUR"


EVENT = OrderPlaced("usr_01jdx8f0k2m4", ["prd_silk", "prd_cotton", "prd_linen"] * 3, 12_345)
STATE = json.dumps({"customer_id": EVENT.customer_id, "lines": EVENT.lines, "total_minor": 12_345})


def metadata(n: int) -> Metadata:
    return Metadata(
        actor=Actor("user", f"usr_{n % 100}"),
        command_id=f"cmd_{n}",
        correlation_id=f"cor_{n}",
        occurred_at=datetime.now(UTC),
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    )


@dataclass(frozen=True)
class Result:
    """`per_second` events; latency of one append in milliseconds, where it was measured."""

    what: str
    per_second: float
    p50_ms: float | None = None
    p99_ms: float | None = None
    cpu_us: float | None = None


def summarise(what: str, latencies: list[float], seconds: float, cpu: float) -> Result:
    ordered = sorted(latencies)
    return Result(
        what,
        len(ordered) / seconds,
        statistics.median(ordered) * 1000,
        ordered[int(len(ordered) * 0.99)] * 1000,
        cpu / len(ordered) * 1e6,
    )


async def appends(store: EventStore, callers: int, seconds: float, what: str) -> Result:
    latencies: list[float] = []
    end = time.perf_counter() + seconds

    async def call(caller: int) -> None:
        version = 0
        stream = f"ord_{uuid4().hex}"
        while (start := time.perf_counter()) < end:
            await store.append(
                Append(stream, [EVENT], version), metadata=metadata(caller * 1000 + version)
            )
            version += 1
            latencies.append(time.perf_counter() - start)

    cpu, start = time.process_time(), time.perf_counter()
    await asyncio.gather(*(call(caller) for caller in range(callers)))
    took = time.perf_counter() - start
    return summarise(what, latencies, took, time.process_time() - cpu)


def recorded(recorder: ApplicationRecorder, callers: int, seconds: float, what: str) -> Result:
    """Threads that insert one stored event at a time."""
    latencies: list[float] = []
    end = time.perf_counter() + seconds

    def call() -> None:
        version, originator = 0, uuid4()
        while (start := time.perf_counter()) < end:
            version += 1
            event = StoredEvent(originator, version, "benchmark.order_placed", STATE.encode())
            recorder.insert_events([event])
            latencies.append(time.perf_counter() - start)

    threads = [threading.Thread(target=call) for _ in range(callers)]
    cpu, start = time.process_time(), time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - start
    return summarise(what, latencies, took, time.process_time() - cpu)


def raw_inserts(conninfo: str, seconds: float) -> Result:
    """The least that one durable insert can cost: one connection, one row a transaction."""
    latencies: list[float] = []
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute("CREATE TABLE raw (n bigserial PRIMARY KEY, state text)")
        end = time.perf_counter() + seconds
        cpu, start = time.process_time(), time.perf_counter()
        while (before := time.perf_counter()) < end:
            connection.execute("INSERT INTO raw (state) VALUES (%s)", [STATE], prepare=True)
            latencies.append(time.perf_counter() - before)
        took = time.perf_counter() - start
    return summarise("raw psycopg, 1 row a commit", latencies, took, time.process_time() - cpu)


def copied(conninfo: str) -> Result:
    """The most that PostgreSQL takes: COPY into the same table layout, one transaction."""
    count = 100_000
    with psycopg.connect(conninfo) as connection:
        connection.execute("CREATE TABLE copied (n bigint PRIMARY KEY, stream text, state json)")
        start = time.perf_counter()
        with connection.cursor().copy("COPY copied FROM STDIN") as copy:
            for n in range(count):
                copy.write_row((n, f"ord_{n}", STATE))
        connection.commit()
        return Result("COPY, all in one transaction", count / (time.perf_counter() - start))


def reads(store: EventStore) -> Result:
    """Typed events, in pages of the usual size, over one connection."""
    with psycopg.connect(store.conninfo) as connection:
        start, after, count = time.perf_counter(), 0, 0
        cpu = time.process_time()
        while page := store.read_sync(connection, after):
            after, count = page[-1].position, count + len(page)
        took, cpu = time.perf_counter() - start, time.process_time() - cpu
    return Result("read, typed, by position", count / took, cpu_us=cpu / count * 1e6)


def library_recorder(conninfo: str) -> tuple[PostgresDatastore, PostgresApplicationRecorder]:
    parts = conninfo_to_dict(conninfo)
    datastore = PostgresDatastore(
        dbname=str(parts["dbname"]),
        host=str(parts["host"]),
        port=str(parts["port"]),
        user=str(parts["user"]),
        password="",
        pool_size=16,
        max_overflow=64,
    )
    recorder = PostgresApplicationRecorder(datastore, events_table_name="library_events")
    recorder.create_table()
    return datastore, recorder


def verified(store: EventStore) -> Result:
    """Every hash recomputed from the rows. What is not sealed is checked all the same."""
    with psycopg.connect(store.conninfo) as connection:
        cpu, start = time.process_time(), time.perf_counter()
        report = verify(connection, store.layout, {})
        took, cpu = time.perf_counter() - start, time.process_time() - cpu
    assert report.intact
    return Result("verify", report.events / took, cpu_us=cpu / report.events * 1e6)


async def work(conninfo: str, callers: int, seconds: float) -> None:
    """One of several processes: says that it is ready, waits for its turn, prints how many events
    it appended a second, and the 99th percentile.
    """
    async with EventStore(conninfo, EventTypes([OrderPlaced]), name="benchmark") as store:
        await appends(store, callers, 0.1, "")
        print(flush=True)
        sys.stdin.readline()
        result = await appends(store, callers, seconds, "")
        print(result.per_second, result.p99_ms)


async def processes(conninfo: str, callers: int, seconds: float) -> Result:
    """Several at once, each with as many callers."""
    running = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "benchmarks.append", "--work", conninfo),
            *("--callers", str(callers), "--seconds", str(seconds)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        for _ in range(PROCESSES)
    ]
    for process in running:
        assert process.stdout is not None
        await process.stdout.readline()
    outputs = await asyncio.gather(*(process.communicate(b"\n") for process in running))
    figures = [tuple(float(word) for word in out.split()) for out, _ in outputs]
    return Result(
        f"eventstore, {PROCESSES} processes of {callers} coroutines",
        sum(per_second for per_second, _ in figures),
        p99_ms=max(p99 for _, p99 in figures),
    )


async def measure(create: Callable[[str], str], seconds: float) -> list[Result]:
    results: list[Result] = []
    datastore, library = library_recorder(create("library"))
    try:
        for callers in (1, CALLERS):
            what = f"library's recorder, {callers} threads"
            results.append(await asyncio.to_thread(recorded, library, callers, seconds, what))
    finally:
        datastore.close()
    types = EventTypes([OrderPlaced])
    async with EventStore(create("ours"), types, name="benchmark") as store:
        for callers in (1, CALLERS):
            what = f"eventstore, {callers} coroutines"
            results.append(await appends(store, callers, seconds, what))
        results.append(await asyncio.to_thread(reads, store))
        results.append(await asyncio.to_thread(verified, store))
        results.append(await processes(store.conninfo, CALLERS // PROCESSES, seconds))
        results.append(await processes(store.conninfo, CALLERS, seconds))
    async with EventStore(create("ours_threads"), types, name="benchmark") as store:
        recorder = LogApplicationRecorder(store, str)
        for callers in (1, CALLERS):
            what = f"eventstore's recorder, {callers} threads"
            results.append(await asyncio.to_thread(recorded, recorder, callers, seconds, what))
    scratch = create("scratch")
    results.append(raw_inserts(scratch, seconds))
    results.append(copied(scratch))
    return results


def show(results: list[Result]) -> None:
    python = f"Python {platform.python_version()}"
    if "--enable-optimizations" not in (sysconfig.get_config_var("CONFIG_ARGS") or ""):
        python += " (built without PGO)"
    table = Table(title=f"Append and read, {python}, {platform.machine()}")
    for heading in ("what", "events/s", "p50 ms", "p99 ms", "client CPU µs"):
        table.add_column(heading, justify="left" if heading == "what" else "right")
    for result in results:
        figures = (result.p50_ms, result.p99_ms, result.cpu_us)
        table.add_row(
            result.what,
            f"{result.per_second:,.0f}",
            *("" if figure is None else f"{figure:,.2f}" for figure in figures),
        )
    Console().print(table)
    OUTPUT.parent.mkdir(exist_ok=True)
    OUTPUT.write_text(json.dumps([asdict(result) for result in results], indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--work", help=argparse.SUPPRESS)
    parser.add_argument("--callers", type=int, help=argparse.SUPPRESS)
    options: Any = parser.parse_args()
    if options.work:
        asyncio.run(work(options.work, options.callers, options.seconds))
        return
    with durable_server(options.data_dir) as server:
        show(asyncio.run(measure(server.create_database, options.seconds)))


if __name__ == "__main__":
    main()
