"""How fast a keyed read model is rebuilt from a log, and against what.

    python -m benchmarks.rebuild [--events 1000000] [--json FILE]

One log of EVENTS, ten a stream, hundreds of streams under way at a time, on a server of its own
(fsync off: disks differ more than programs). Measured over it, best first:

    pure SQL               INSERT … SELECT over the payloads: the limit
    fold_sql               folded within the database, batch by batch; two workers, one
    fold, two workers      `projections rebuild --workers 2`
    fold, one worker
    apply                  no `fold` written: event by event, pipelined
    an upsert a commit     on a part of the log
    ProjectionRunner       that of `eventsourcing`, on a part of the log

Also the peak memory of the processes, and whether every way left the same rows.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import json
import os
import platform
import random
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_URL, UUID, uuid5

import psycopg
from psycopg.sql import SQL

from eventstore import (
    Actor,
    Append,
    Event,
    EventStore,
    EventTypes,
    Metadata,
    Recorded,
    event_type,
)
from projections import Cursor, Operations, Projection
from projections.bulk import upsert

if TYPE_CHECKING:
    from tests.support.postgres import TestServer

EVENTS_PER_STREAM, STREAMS_AT_A_TIME, APPEND_EVENTS = 10, 500, 5_000
PART_EVENTS = 3_000
"""How much of the log the slow ways get."""
ACTOR = Actor(kind="system_timer", id="benchmark")
AT = datetime(2026, 1, 1, tzinfo=UTC)


@event_type("account.paid_into")
class PaidInto(Event, frozen=True):
    amount_minor: int
    note: str


class Balances(Projection):
    """One row an account, written event by event."""

    name, version, handles, parallel, bare = "balances", 1, (PaidInto,), True, True
    tables = """CREATE TABLE balances (
        account text PRIMARY KEY, balance_minor bigint NOT NULL, payments integer NOT NULL)"""

    def apply(self, recorded: Recorded[Any], cursor: Cursor) -> None:
        cursor.execute(
            "INSERT INTO balances VALUES (%s, %s, 1) ON CONFLICT (account) DO UPDATE SET"
            " balance_minor = balances.balance_minor + excluded.balance_minor,"
            " payments = balances.payments + 1",
            (recorded.stream, recorded.event.amount_minor),
        )


class FoldedBalances(Balances):
    """The same rows, written by sets."""

    def fold(self, batch: Sequence[Recorded[Any]], cursor: Cursor) -> None:
        sums: dict[str, int] = {}
        times: dict[str, int] = {}
        for recorded in batch:
            account = recorded.stream
            sums[account] = sums.get(account, 0) + recorded.event.amount_minor
            times[account] = times.get(account, 0) + 1
        upsert(
            cursor,
            "balances",
            {
                "account": ("text", list(sums)),
                "balance_minor": ("bigint", list(sums.values())),
                "payments": ("integer", list(times.values())),
            },
            key=("account",),
            add=("balance_minor", "payments"),
        )


class BalancesBySql(FoldedBalances):
    """The same rows, written within the database."""

    fold_sql = (
        "INSERT INTO balances"
        " SELECT stream, sum((payload ->> 'amount_minor')::bigint), count(*)"
        " FROM batch GROUP BY stream ON CONFLICT (account) DO UPDATE SET"
        " balance_minor = balances.balance_minor + excluded.balance_minor,"
        " payments = balances.payments + excluded.payments",
    )


def store_of(conninfo: str) -> EventStore:
    return EventStore(conninfo, EventTypes([PaidInto]), name="bank")


def fill(store: EventStore, events: int) -> None:
    """Append the log: the events of a stream lie near each other, as those of an order do."""
    chance = random.Random(7)
    metadata = Metadata(actor=ACTOR, command_id="c", correlation_id="c", occurred_at=AT)
    window = [[f"acc_{number:09}", 0] for number in range(STREAMS_AT_A_TIME)]
    opened, done = STREAMS_AT_A_TIME, 0
    while done < events:
        batch: dict[str, list[Event]] = {}
        for _ in range(min(APPEND_EVENTS, events - done)):
            place = chance.randrange(STREAMS_AT_A_TIME)
            stream = window[place]
            batch.setdefault(str(stream[0]), []).append(
                PaidInto(chance.randrange(100_000), "paid at the counter")
            )
            stream[1] = int(stream[1]) + 1
            if stream[1] == EVENTS_PER_STREAM:
                window[place] = [f"acc_{opened:09}", 0]
                opened += 1
        store.append_sync([Append(name, new) for name, new in batch.items()], metadata=metadata)
        done += sum(map(len, batch.values()))


PURE_SQL = """INSERT INTO {into}
    SELECT stream, sum((payload ->> 'amount_minor')::bigint), count(*)
      FROM eventstore.events WHERE type = 'account.paid_into' GROUP BY stream"""


def pure_sql(conninfo: str) -> float:
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA limit_of_all")
        connection.execute("SET search_path = limit_of_all")
        connection.execute(Balances.tables.encode())
        started = time.perf_counter()
        connection.execute(PURE_SQL.format(into="limit_of_all.balances").encode())
        return time.perf_counter() - started


def differing(conninfo: str, schema: str) -> int:
    """How many rows differ from those that pure SQL left."""
    query = f"""SELECT count(*) FROM limit_of_all.balances a
        FULL JOIN {schema}.balances b USING (account)
        WHERE (a.balance_minor, a.payments) IS DISTINCT FROM (b.balance_minor, b.payments)"""
    with psycopg.connect(conninfo) as connection:
        row = connection.execute(query.encode()).fetchone()
        assert row is not None
        return int(row[0])


async def rebuilt(store: EventStore, projection: Projection, workers: int) -> tuple[float, str]:
    """Seconds of a rebuild, and the schema it left."""
    crew = functools.partial(store_of, store.conninfo)
    operations = Operations(store, [projection], crew=crew)
    done = await operations.rebuild("balances", by=ACTOR, workers=workers, restart=True)
    return done.seconds, done.build.schema_name


def an_upsert_a_commit(conninfo: str, store: EventStore) -> float:
    """Seconds for PART_EVENTS events."""
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA plain")
        connection.execute("SET search_path = plain")
        connection.execute(Balances.tables.encode())
        events = store.read_sync(connection, 0, PART_EVENTS)
        projection = Balances()
        started = time.perf_counter()
        for recorded in events:
            with connection.transaction():
                projection.apply(recorded, connection.cursor())
        return time.perf_counter() - started


def library_runner(conninfo: str) -> float | None:
    """Seconds that the library's own runner takes for PART_EVENTS events of its own log."""
    from eventsourcing.application import Application
    from eventsourcing.domain import Aggregate, event
    from eventsourcing.persistence import Tracking
    from eventsourcing.postgres import PostgresTrackingRecorder
    from eventsourcing.projection import Projection as LibraryProjection
    from eventsourcing.projection import ProjectionRunner as LibraryRunner

    class Account(Aggregate):
        def __init__(self, name: str) -> None:
            self.name, self.balance = name, 0

        @event("PaidInto")
        def pay_into(self, amount: int) -> None:
            self.balance += amount

    class Accounts(Application[UUID]):
        name = "bank"

    class View(PostgresTrackingRecorder):
        def __init__(self, datastore: Any, **given: Any) -> None:
            super().__init__(datastore, **given)
            self.sql_create_statements.append(
                SQL(
                    "CREATE TABLE IF NOT EXISTS library_balances"
                    " (account text PRIMARY KEY, balance bigint, payments int)"
                )
            )

        def pay(self, account: str, amount: int, tracking: Tracking) -> None:
            with self.datastore.transaction(commit=True) as cursor:
                cursor.execute(
                    "INSERT INTO library_balances VALUES (%s, %s, 1) ON CONFLICT (account)"
                    " DO UPDATE SET balance = library_balances.balance + excluded.balance,"
                    " payments = library_balances.payments + 1",
                    (account, amount),
                )
                self._insert_tracking(cursor, tracking)

    class Projected(LibraryProjection[View]):
        topics: Sequence[str] = ()

        def process_event(self, domain_event: Any, tracking: Tracking) -> None:
            amount = getattr(domain_event, "amount", 0)
            self.view.pay(str(domain_event.originator_id), amount, tracking)

    given = psycopg.conninfo.conninfo_to_dict(conninfo)
    environment = {
        "PERSISTENCE_MODULE": "eventsourcing.postgres",
        "POSTGRES_DBNAME": str(given["dbname"]),
        "POSTGRES_HOST": str(given["host"]),
        "POSTGRES_PORT": str(given["port"]),
        "POSTGRES_USER": str(given["user"]),
        "POSTGRES_PASSWORD": "",
    }
    application = Accounts(environment)
    for number in range(PART_EVENTS // EVENTS_PER_STREAM):
        account = Account(str(uuid5(NAMESPACE_URL, str(number))))
        for amount in range(EVENTS_PER_STREAM - 1):
            account.pay_into(amount)
        application.save(account)
    last = application.recorder.max_notification_id()
    assert last is not None
    started = time.perf_counter()
    with LibraryRunner(
        application_class=Accounts,
        projection_class=Projected,
        view_class=View,
        env=environment,
    ) as runner:
        runner.wait(last, timeout=120)
        seconds = time.perf_counter() - started
    application.close()
    return seconds


async def measure(server: TestServer, events: int) -> dict[str, Any]:
    conninfo = server.create_database("bank")
    figures: dict[str, float] = {}
    differ: dict[str, int] = {}
    async with store_of(conninfo) as store:
        started = time.perf_counter()
        await asyncio.to_thread(fill, store, events)
        print(f"appended {events:,} events in {time.perf_counter() - started:.0f} s", flush=True)
        with psycopg.connect(conninfo, autocommit=True) as connection:
            connection.execute("VACUUM ANALYZE")
        figures["pure SQL"] = events / await asyncio.to_thread(pure_sql, conninfo)
        for way, projection, workers in [
            ("fold_sql, two workers", BalancesBySql(), 2),
            ("fold_sql, one worker", BalancesBySql(), 1),
            ("fold, two workers", FoldedBalances(), 2),
            ("fold, one worker", FoldedBalances(), 1),
            ("apply", Balances(), 1),
        ]:
            seconds, schema = await rebuilt(store, projection, workers)
            figures[way] = events / seconds
            differ[way] = differing(conninfo, schema)
            print(f"{way}: {figures[way]:,.0f}/s", flush=True)
        figures["an upsert a commit"] = PART_EVENTS / await asyncio.to_thread(
            an_upsert_a_commit, conninfo, store
        )
    seconds = await asyncio.to_thread(library_runner, server.create_database("library"))
    if seconds is not None:
        figures["ProjectionRunner"] = PART_EVENTS / seconds
    return {
        "events": events,
        "events_per_second": {way: round(rate) for way, rate in figures.items()},
        "rows_that_differ": differ,
        "peak_memory_mib": {
            "rebuilding": _peak_mib(resource.RUSAGE_SELF),
            "its worker": _peak_mib(resource.RUSAGE_CHILDREN),
        },
        "python": platform.python_version(),
        "cpus": os.cpu_count(),
    }


def _peak_mib(who: int) -> int:
    return round(resource.getrusage(who).ru_maxrss / 1024)


def main() -> None:
    arguments = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    arguments.add_argument("--events", type=int, default=1_000_000)
    arguments.add_argument("--json", type=Path)
    given = arguments.parse_args()
    from tests.support.postgres import TestServer  # workers, which import this, need none of it

    folder = Path(tempfile.mkdtemp(prefix="lonja-benchmark-"))
    folder.chmod(0o755)
    server = TestServer(folder / "pg")
    server.start()
    try:
        found = asyncio.run(measure(server, given.events))
    finally:
        server.remove()
        shutil.rmtree(folder, ignore_errors=True)
    rates = found["events_per_second"]
    limit, library = rates["pure SQL"], rates.get("ProjectionRunner") or 0
    print(f"\n{'':24}{'events/s':>12}{'of the limit':>14}{'x the library':>15}")
    for way, rate in rates.items():
        times = f"{rate / library:,.0f}" if library else "-"
        print(f"{way:24}{rate:>12,}{rate / limit:>14.2f}{times:>15}")
    print(f"peak memory, MiB: {found['peak_memory_mib']}")
    print(f"rows that differ: {found['rows_that_differ']}")
    if given.json:
        given.json.write_text(json.dumps(found, indent=2) + "\n")
    if any(found["rows_that_differ"].values()):
        sys.exit("some ways left other rows")


if __name__ == "__main__":
    main()
