"""Appends that assume where the streams stand: one round trip, or care after all."""

from __future__ import annotations

import asyncio
from typing import Any

import psycopg
import pytest

from eventstore import (
    ANY,
    NO_STREAM,
    Append,
    Appended,
    Effect,
    EventStore,
    Idempotency,
    WrongExpectedVersion,
)
from eventstore.audit import verify
from eventstore.expected_version import ExpectedVersion
from tests.projections.waiting import until
from tests.support.faults import CuttingProxy
from tests.support.shelf import BoxPlaced, metadata, open_shelf

CAREFUL = 2
"""Round trips of an append that looks before it stores."""
NOTHING = 1 + 1
"""Refused, and then there is nothing to store."""


class Trips:
    """Appends to a store, and says how many round trips that took."""

    def __init__(self, proxy: CuttingProxy, store: EventStore) -> None:
        self.proxy, self.store = proxy, store

    async def append(
        self,
        stream: str,
        expected: ExpectedVersion,
        *,
        idempotency: Idempotency | None = None,
        effects: tuple[Effect, ...] = (),
    ) -> tuple[int, Appended | WrongExpectedVersion]:
        before = self.proxy.syncs
        answer: Appended | WrongExpectedVersion
        try:
            answer = await self.store.append(
                Append(stream, [BoxPlaced("x")], expected),
                metadata=metadata(),
                idempotency=idempotency,
                effects=effects,
            )
        except WrongExpectedVersion as error:
            answer = error
        return self.proxy.syncs - before, answer


async def test_who_knows_the_version_pays_one_round_trip(database: str) -> None:
    async with CuttingProxy(database) as proxy, open_shelf(proxy.conninfo) as store:
        trips = Trips(proxy, store)
        await trips.append("box_1", NO_STREAM)
        assert await trips.append("box_2", NO_STREAM) == (1, Appended(2, {"box_2": 1}))
        assert await trips.append("box_1", 1) == (1, Appended(3, {"box_1": 2}))
        assert await trips.append("box_1", 2) == (1, Appended(4, {"box_1": 3}))
        taken, _ = await trips.append("box_1", ANY)
        assert taken == CAREFUL
        key = Idempotency("k", b"1")
        taken, _ = await trips.append("box_2", 1, idempotency=key)
        assert taken == 1
        taken, again = await trips.append("box_2", 1, idempotency=key)
        assert (taken, again) == (NOTHING, Appended(6, {"box_2": 2}, replayed=True))
        taken, _ = await trips.append("box_3", NO_STREAM, effects=(Effect("SELECT 1"),))
        assert taken > CAREFUL
        with psycopg.connect(database) as connection:
            assert verify(connection, store.layout, {}).events == 7


async def test_an_assumption_that_is_wrong_is_a_conflict_of_its_writer_only(database: str) -> None:
    async with CuttingProxy(database) as proxy, open_shelf(proxy.conninfo) as store:
        trips = Trips(proxy, store)
        await trips.append("box_1", NO_STREAM)
        taken, answer = await trips.append("box_1", NO_STREAM)
        assert taken == NOTHING
        assert isinstance(answer, WrongExpectedVersion)
        taken, answer = await trips.append("box_2", 4)
        assert taken == NOTHING
        assert isinstance(answer, WrongExpectedVersion)
        answers = await asyncio.gather(
            *(
                store.append(Append(f"box_{n}", [BoxPlaced("x")], NO_STREAM), metadata=metadata())
                for n in range(6)
            ),
            return_exceptions=True,
        )
        assert [isinstance(answer, Appended) for answer in answers] == [n != 1 for n in range(6)]
        assert await trips.append("box_9", NO_STREAM) == (1, Appended(7, {"box_9": 1}))


async def test_others_who_append_to_other_streams_cost_nothing(database: str) -> None:
    async with (
        CuttingProxy(database) as proxy,
        open_shelf(proxy.conninfo) as store,
        open_shelf(database) as other,
    ):
        trips = Trips(proxy, store)
        await trips.append("box_1", NO_STREAM)
        for n in range(2, 8, 2):
            await other.append(Append("other", [BoxPlaced("x")]), metadata=metadata())
            turn_clock(store, 0.05)  # what is foreseen is wrong by the position only
            key = Idempotency(f"key_{n}", b"1")
            taken, answer = await trips.append(f"box_{n}", NO_STREAM, idempotency=key)
            assert (taken, answer) == (1, Appended(n + 1, {f"box_{n}": 1}))
            assert await other.replayed(key) == Appended(n + 1, {f"box_{n}": 1}, replayed=True)
            assert (await other.read_stream(f"box_{n}"))[0].position == n + 1
        taken, answer = await trips.append("other", 1)
        assert taken == NOTHING
        assert isinstance(answer, WrongExpectedVersion)
        assert answer.actual == 3
        with psycopg.connect(database) as connection:
            report = verify(connection, store.layout, {})
        assert (report.fault, report.events) == (None, 7)


async def test_a_call_that_was_cut_off_and_comes_late_is_stored_once(database: str) -> None:
    """It waits for the lock while its writer has lost its connection, connects and looks."""
    async with CuttingProxy(database) as proxy, open_shelf(proxy.conninfo) as store:
        await store.append(Append("box_1", [BoxPlaced("x")], NO_STREAM), metadata=metadata())
        with psycopg.connect(database) as holder:
            holder.execute("SELECT FROM eventstore.log FOR UPDATE")
            append = asyncio.create_task(
                store.append(Append("box_2", [BoxPlaced("x")], NO_STREAM), metadata=metadata())
            )
            with psycopg.connect(database, autocommit=True) as observer:
                await until(lambda: waiting(observer, "transactionid") == 1)
                proxy.cut()
                await until(lambda: waiting(observer, "tuple") == 1)
        assert await append == Appended(2, {"box_2": 1})
        assert len(await store.read()) == 2


@pytest.mark.parametrize("seconds", [-3600, -0.05, 3600])
async def test_an_event_is_not_recorded_at_a_time_that_was_made_up(
    database: str, seconds: float
) -> None:
    """The server's clock was set: what we believe it shows is not written down."""
    async with open_shelf(database) as store:
        await store.append(Append("box_1", [BoxPlaced("x")], NO_STREAM), metadata=metadata())
        turn_clock(store, seconds)
        for n in range(2, 5):
            await store.append(Append(f"box_{n}", [BoxPlaced("x")], NO_STREAM), metadata=metadata())
        times = [event.recorded_at for event in await store.read()]
        assert times == sorted(times)
        assert (times[-1] - times[0]).total_seconds() < 60
        with psycopg.connect(database) as connection:
            assert verify(connection, store.layout, {}).events == 4


async def test_batches_on_their_way_while_somebody_else_appends(store: EventStore) -> None:
    others = 5
    await store.append(Append("box", [BoxPlaced("x")]), metadata=metadata())
    committer = store._committer
    assert committer is not None
    async with open_shelf(store.conninfo) as other, asyncio.timeout(10):
        with psycopg.connect(store.conninfo, autocommit=True) as holder:
            holder.execute("SELECT pg_advisory_lock(7)")
            between = asyncio.create_task(
                other.append(
                    Append("other", [BoxPlaced("x")] * others),
                    metadata=metadata(),
                    effects=[Effect("SELECT pg_advisory_xact_lock(7)")],
                )
            )
            await until(lambda: waiting(holder, "advisory") == 1)
            appends = [
                asyncio.create_task(
                    store.append(
                        Append(f"box_{n}", [BoxPlaced("x")], NO_STREAM), metadata=metadata()
                    )
                )
                for n in range(64)
            ]
            await until(lambda: [flight.sent for flight in committer._flights] == [True, True])
            holder.execute("SELECT pg_advisory_unlock(7)")
        answers = await asyncio.gather(*appends)
        assert (await between).position == 1 + others
    log = await store.read()
    assert [event.position for event in log] == list(range(1, 66 + others))
    stored = {event.stream: event.position for event in log}
    assert stored.keys() == {"box", "other", *(f"box_{n}" for n in range(64))}
    for n, answer in enumerate(answers):
        assert answer == Appended(stored[f"box_{n}"], {f"box_{n}": 1})
    with psycopg.connect(store.conninfo) as connection:
        assert verify(connection, store.layout, {}).fault is None


def turn_clock(store: EventStore, seconds: float) -> None:
    """Make a store believe that the database's clock shows a later time."""
    assert store._committer is not None
    writer = store._committer._writer
    clock, learnt = writer._clock
    writer._clock = clock + int(seconds * 1_000_000), learnt


def waiting(connection: psycopg.Connection[Any], kind: str) -> int:
    """How many wait for a lock of a kind in this database, or for a transaction to end."""
    row = connection.execute(
        "SELECT count(*) FROM pg_locks JOIN pg_stat_activity a USING (pid) "
        "WHERE a.datname = current_database() AND locktype = %s AND NOT granted",
        [kind],
    ).fetchone()
    assert row is not None
    return int(row[0])
