"""Does a log stay as fast when it is large? The same store with 100,000 and with 10 million events.

    python -m benchmarks.growth [--events 10000000] [--rounds 5] [--seconds 2] [--data-dir DIR]
                                [--shared-buffers 64MB]

With --data-dir the filled logs are kept, and used again by the next run.

Both logs are on one durable PostgreSQL, filled by SQL with events like those of the shop: streams
of ten events spread over ten thousand positions, a tag on each tenth, hashes that verify. They are
measured by turns, round after round, so that whatever else the machine does hits both: read the
ratios. What is read from anywhere costs the pages that are not in the server's memory: with 64 MB
as the embedded one has, all of them; --shared-buffers gives it more, as a server for so large a log
has. Prints a table; the same as JSON goes to .benchmarks/growth.json. Ten million events take
about 9 GB and ten minutes to fill.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from benchmarks.append import EVENT, OrderPlaced, metadata
from benchmarks.server import durable_server
from eventstore import Append, EventStore, EventTypes, Unless
from lonja.postgres import SETTINGS

OUTPUT = Path(".benchmarks/growth.json")
SMALL_EVENTS = 100_000
FILL_EVENTS = 50_000
CALLERS = 64
STREAM_EVENTS = 10
GROUP = 10_000
"""Positions over which the events of a stream are spread."""
SPEED_KEPT_MIN = 0.8
RECENT_EVENTS = 50_000
"""What is read and followed nearly always: it fits the memory of the server, whatever lies behind.
What is read anywhere else costs the pages that are not in memory, too.
"""
NEW = 10**9
"""What is appended has correlations beyond those of the fill."""

FILL = """
INSERT INTO eventstore.events
SELECT position, version, at, 1, id, stream, 'benchmark.order_placed',
       sha256('\\x00'::bytea || convert_to('{"id":"' || id || '","metadata":' || metadata
         || ',"payload":' || payload || ',"position":' || position || ',"recorded_at":"'
         || to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') || '","stream":"'
         || stream || '","tags":' || to_json(tags) || ',"type":"benchmark.order_placed",'
         || '"type_version":1,"version":' || version || '}', 'UTF8')),
       tags, metadata::json, payload::json
  FROM (SELECT position, (position - 1) % %(group)s / (%(group)s / %(each)s) + 1 AS version,
               %(start)s::timestamptz + position * interval '1 ms' AS at,
               ('019ab000-' || substr(lpad(to_hex(position), 12, '0'), 1, 4) || '-7'
                 || substr(lpad(to_hex(position), 12, '0'), 5, 3) || '-8'
                 || substr(lpad(to_hex(position), 12, '0'), 8, 3) || '-0000000'
                 || substr(lpad(to_hex(position), 12, '0'), 11, 2) || '000')::uuid AS id,
               'ord_' || lpad(n::text, 12, '0') AS stream,
               CASE WHEN position % 10 = 0 THEN ARRAY['customer:' || n] ELSE '{}'::text[] END
                 AS tags,
               '{"actor":{"id":"usr_' || n % 5000 || '","kind":"user"},"command_id":"cmd_'
                 || position || '","correlation_id":"cor_' || n || '","occurred_at":'
                 || '"2026-01-01T00:00:00Z","traceparent":'
                 || '"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}' AS metadata,
               %(payload)s AS payload
          FROM (SELECT position, (position - 1) / %(group)s * (%(group)s / %(each)s)
                         + (position - 1) % (%(group)s / %(each)s) AS n
                  FROM generate_series(%(first)s::bigint, %(last)s::bigint) position) numbered
       ) made
"""
STREAMS = """
INSERT INTO eventstore.streams (stream, version, first_position, position)
SELECT stream, max(version), min(position), max(position) FROM eventstore.events
 WHERE position BETWEEN %s AND %s GROUP BY stream
ON CONFLICT (stream) DO UPDATE SET version = excluded.version, position = excluded.position
"""


def fill(store: EventStore, events: int, progress: Callable[[int], None]) -> None:
    """Events as appends would have left them, and the statistics that autovacuum would keep."""
    payload = store.types.encode(EVENT).decode()
    with psycopg.connect(store.conninfo, autocommit=True) as connection:
        for first in range(store.head_sync() + 1, events + 1, FILL_EVENTS):
            last = min(first + FILL_EVENTS - 1, events)
            given = {"first": first, "last": last, "payload": payload, "start": "2026-01-01Z"}
            given |= {"group": GROUP, "each": STREAM_EVENTS}
            sql = FILL.replace(" % ", " %% ").encode()
            with connection.transaction():
                connection.execute(store.layout.sql.partitions, [last, 1_000_000])
                connection.execute(sql, given)
                connection.execute(STREAMS, [first, last])
                connection.execute(
                    "UPDATE eventstore.log SET position = %s, recorded_at = "
                    "%s::timestamptz + %s * interval '1 ms'",
                    [last, given["start"], last],
                )
            progress(last)
        connection.execute("VACUUM (ANALYZE)")
        connection.execute("CHECKPOINT")


async def appends(store: EventStore, callers: int, seconds: float) -> float:
    """Events a second: each caller appends ten events to a new stream, then goes to the next."""
    done = 0
    end = time.perf_counter() + seconds

    async def call(caller: int) -> None:
        nonlocal done
        while time.perf_counter() < end:
            stream = f"ord_{store.new_id()}"
            for version in range(STREAM_EVENTS):
                given = metadata(NEW + caller)
                await store.append(Append(stream, [EVENT], version), metadata=given)
                done += 1

    start = time.perf_counter()
    await asyncio.gather(*(call(n) for n in range(callers)))
    return done / (time.perf_counter() - start)


class Log:
    """A filled store, and what is asked of it: each gives how many a second."""

    def __init__(self, store: EventStore, events: int, seconds: float) -> None:
        self.store, self.events, self.seconds = store, events, seconds
        self._chance = random.Random(7)

    def measurements(self) -> dict[str, Callable[[], Awaitable[float]]]:
        """By name; those whose name ends in a star are the bar."""
        return {
            f"append, {CALLERS} callers, events/s *": lambda: appends(
                self.store, CALLERS, self.seconds
            ),
            "append, one caller, events/s *": lambda: appends(self.store, 1, self.seconds),
            "append to old streams, one caller, events/s": lambda: self._often(self._append_old),
            "append under a condition, one caller, events/s": lambda: self._often(self._condition),
            "read a recent stream, streams/s *": lambda: self._often(self._recent_stream),
            "read any stream, streams/s": lambda: self._often(self._stream),
            "tail near the end, events/s *": lambda: self._often(self._recent_page),
            "read a page anywhere, events/s": lambda: self._often(self._page),
            "read backwards from the end, pages/s": lambda: self._often(self._newest),
            "read from a time on, pages/s": lambda: self._often(self._since),
            "read a correlation, reads/s": lambda: self._often(self._correlation),
            "read an actor's newest, pages/s": lambda: self._often(self._actor),
            "read a tag, reads/s": lambda: self._often(self._tag),
            "read an event by its id, reads/s": lambda: self._often(self._by_id),
        }

    async def _often(self, ask: Callable[[], Awaitable[int]]) -> float:
        count, start = 0, time.perf_counter()
        while (took := time.perf_counter() - start) < self.seconds:
            count += await ask()
        return count / took

    def _any_stream(self) -> str:
        return f"ord_{self._chance.randrange(self.events // STREAM_EVENTS):012}"

    def _any_position(self) -> int:
        return self._chance.randrange(self.events - 1000)

    async def _append_old(self) -> int:
        await self.store.append(Append(self._any_stream(), [EVENT]), metadata=metadata(NEW))
        return 1

    async def _condition(self) -> int:
        tag = f"customer:{self._chance.randrange(self.events // STREAM_EVENTS)}"
        unless = Unless((tag,), self.events)
        append = Append(f"ord_{self.store.new_id()}", [EVENT])
        await self.store.append(append, metadata=metadata(NEW), unless=[unless])
        return 1

    async def _stream(self) -> int:
        return await self._read_stream(self._any_stream())

    async def _recent_stream(self) -> int:
        last = self.events // STREAM_EVENTS - 1
        number = last - self._chance.randrange(RECENT_EVENTS // STREAM_EVENTS)
        return await self._read_stream(f"ord_{number:012}")

    async def _read_stream(self, stream: str) -> int:
        assert len(await self.store.read_stream(stream)) >= STREAM_EVENTS
        return 1

    async def _page(self) -> int:
        return len(await self.store.read(self._any_position(), limit=1000))

    async def _recent_page(self) -> int:
        after = self.events - 1000 - self._chance.randrange(RECENT_EVENTS - 1000)
        return len(await self.store.read(after, limit=1000))

    async def _newest(self) -> int:
        return len(await self.store.read(0, limit=100, backwards=True)) // 100

    async def _since(self) -> int:
        since = (await self.store.read(self._any_position(), limit=1))[0].recorded_at
        found = await self.store.read(0, limit=100, since=since)
        assert found[0].recorded_at == since
        return 1

    async def _correlation(self) -> int:
        correlation = f"cor_{self._any_stream().removeprefix('ord_').lstrip('0') or 0}"
        found = await self.store.read(0, correlation_id=correlation)
        assert len(found) == STREAM_EVENTS
        return 1

    async def _actor(self) -> int:
        actor = f"usr_{self._chance.randrange(1000)}"
        return bool(await self.store.read(0, actor_id=actor, limit=10, backwards=True))

    async def _tag(self) -> int:
        position = self._any_position() // 10 * 10 + 10
        number = (position - 1) // GROUP * (GROUP // STREAM_EVENTS)
        tag = f"customer:{number + (position - 1) % (GROUP // STREAM_EVENTS)}"
        assert await self.store.read(0, tags=[tag])
        return 1

    async def _by_id(self) -> int:
        digits = f"{self._any_position() + 1:012x}"
        text = f"019ab000-{digits[:4]}-7{digits[4:7]}-8{digits[7:10]}-0000000{digits[10:]}000"
        assert await self.store.event(UUID(text)) is not None
        return 1


async def measure(small: Log, large: Log, rounds: int) -> list[dict[str, Any]]:
    """Medians of some rounds, small and large by turns."""
    rows: list[dict[str, Any]] = []
    for what in small.measurements():
        figures: list[tuple[float, float]] = []
        for number in range(rounds + 1):
            turns = [small, large] if number % 2 else [large, small]
            speeds = {id(log): await log.measurements()[what]() for log in turns}
            if number:  # the first round warms caches and plans
                figures.append((speeds[id(small)], speeds[id(large)]))
        ratio = statistics.median(after / before for before, after in figures)
        before, after = (statistics.median(column) for column in zip(*figures, strict=True))
        rows.append({"what": what, "small": before, "large": after, "kept": ratio})
    return rows


async def run(options: Any, create: Callable[[str], str]) -> list[dict[str, Any]]:
    types = EventTypes([OrderPlaced])
    with Progress(disable=not sys.stderr.isatty()) as bars:
        logs = []
        for name, events in (("small", SMALL_EVENTS), ("large", options.events)):
            store = EventStore(create(name), types, name="benchmark")
            await store.open()
            task = bars.add_task(f"{events:,} events", total=events)
            start = time.perf_counter()
            fill(store, events, lambda at, t=task: bars.update(t, completed=at))
            print(f"{events:,} events filled in {time.perf_counter() - start:,.0f} s", flush=True)
            logs.append(Log(store, events, options.seconds))
    try:
        return await measure(logs[0], logs[1], options.rounds)
    finally:
        for log in logs:
            await log.store.close()


def show(rows: list[dict[str, Any]], events: int) -> None:
    table = Table(title="How a log keeps its speed as it grows (* at least 80 % is wanted)")
    for heading in ("what", f"{SMALL_EVENTS:,} events", f"{events:,} events", "kept"):
        table.add_column(heading, justify="left" if heading == "what" else "right")
    for row in rows:
        low = row["what"].endswith("*") and row["kept"] < SPEED_KEPT_MIN
        kept = f"{'[red]' if low else ''}{row['kept']:.0%}"
        table.add_row(row["what"], f"{row['small']:,.0f}", f"{row['large']:,.0f}", kept)
    Console().print(table)
    OUTPUT.parent.mkdir(exist_ok=True)
    OUTPUT.write_text(json.dumps(rows, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--shared-buffers", default=SETTINGS["shared_buffers"], metavar="SIZE")
    options: Any = parser.parse_args()
    with durable_server(options.data_dir, {"shared_buffers": options.shared_buffers}) as server:
        show(asyncio.run(run(options, server.create_database)), options.events)


if __name__ == "__main__":
    main()
