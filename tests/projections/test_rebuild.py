"""Rebuilding beside the live tables, comparing, switching, and going back."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eventstore.event import Actor, Event, Recorded
from eventstore.store import EventStore
from projections import Cursor, Projection, ProjectionRunner, ReadModels, catalogue
from projections.catalogue import State
from projections.errors import (
    InvalidProjection,
    NotAProjection,
    NotCaughtUp,
    NothingToFold,
    NothingToSwitch,
    RebuildInProgress,
    UnknownProjection,
    VerificationFailed,
    VersionBehind,
)
from projections.faults import arm
from projections.operations import OPERATOR_EVENTS, Operations
from projections.rebuild import Progress, give_up
from tests.projections.ledger import (
    TYPES,
    Balances,
    BalancesByFold,
    Deposited,
    Noted,
    Opened,
    Totals,
    append,
    deposits,
    new_store,
    rows,
    run,
    store_many,
)
from tests.projections.waiting import until

ANN = Actor(kind="staff", id="usr_ann")


class BalancesTwo(Balances):
    """The next version: one more column."""

    version = 2
    tables = Balances.tables.replace("owner text NOT NULL", "owner text, initial text")

    def apply(self, recorded: Recorded[Any], cursor: Cursor) -> None:
        super().apply(recorded, cursor)
        if isinstance(recorded.event, Opened):
            cursor.execute(
                "UPDATE balances SET initial = left(owner, 1) WHERE account = %s",
                (recorded.stream,),
            )


@pytest.fixture
async def store(database: str) -> AsyncIterator[EventStore]:
    async with new_store(database, (*TYPES, *OPERATOR_EVENTS)) as opened:
        yield opened


@pytest.mark.slow
async def test_a_rebuild_is_ready_equal_and_switched_to_while_traffic_goes_on(
    store: EventStore, database: str
) -> None:
    operations = Operations(store, [Balances(), Totals()])
    async with (
        ProjectionRunner(store, [Balances(), Totals()]) as runner,
        ReadModels(database) as reads,
    ):
        await deposits(store, accounts=3, times=50)
        seen: list[Progress] = []
        done = await operations.rebuild("balances", by=ANN, progress=seen.append)
        assert done.build.state is State.READY
        assert seen[-1].done == seen[-1].head
        await deposits_more(store)
        found = await operations.verify("balances")
        assert found.equal
        assert found.tables[0].live_rows == 3
        switched = await operations.switch("balances", by=ANN, reason="verified")
        assert (switched.live.number, switched.before.number) == (2, 1)
        position = await deposits_more(store)
        assert await runner.wait_for(position, 5)
        total = sum(range(51)) + 2
        assert await reads.fetch("SELECT DISTINCT balance_minor FROM balances") == [
            {"balance_minor": total}
        ]
        states = {build.number: build.state for build in await operations.builds("balances")}
        assert states == {1: State.FOLLOWING, 2: State.LIVE}
        back = await operations.roll_back("balances", by=ANN, reason="changed my mind")
        assert back.live.number == 1
        position = await deposits_more(store)
        assert await runner.wait_for(position, 5)
        assert await reads.fetch("SELECT DISTINCT balance_minor FROM balances") == [
            {"balance_minor": total + 1}
        ]
        assert (await operations.verify("balances")).equal


async def deposits_more(store: EventStore) -> int:
    return await store_many(store, [(f"acc_{number}", Deposited(1)) for number in range(3)])


@pytest.mark.slow
async def test_without_a_service_running_everything_works_too(
    store: EventStore, database: str
) -> None:
    operations = Operations(store, [Balances()])
    await deposits(store, accounts=3, times=5)
    await operations.rebuild("balances", by=ANN)
    position = await deposits_more(store)
    found = await operations.verify("balances")
    assert found.equal
    await operations.switch("balances", by=ANN)
    assert rows(database, "SELECT DISTINCT deposits FROM balances") == [{"deposits": 5}]
    async with ProjectionRunner(store, [Balances()]) as runner:
        assert await runner.wait_for(position, 5)
    assert rows(database, "SELECT DISTINCT deposits FROM balances") == [{"deposits": 6}]


@pytest.mark.slow
async def test_what_the_operator_did_is_in_the_log(store: EventStore) -> None:
    operations = Operations(store, [Totals()])
    await append(store, "acc_1", Deposited(1))
    await operations.rebuild("totals", by=ANN, reason="a look")
    await operations.switch("totals", by=ANN, reason="it is equal")
    await operations.roll_back("totals", by=ANN, reason="never mind")
    recorded = await store.read_stream("projection_totals")
    assert [(r.type, r.metadata.actor, r.metadata.reason) for r in recorded] == [
        ("projection.rebuild_started", ANN, "a look"),
        ("projection.rebuilt", ANN, "a look"),
        ("projection.switched", ANN, "it is equal"),
        ("projection.rolled_back", ANN, "never mind"),
    ]


@pytest.mark.slow
async def test_differences_are_named_and_the_switch_refused(
    store: EventStore, database: str
) -> None:
    operations = Operations(store, [Balances()])
    async with ProjectionRunner(store, [Balances()]) as runner:
        position = await deposits(store, accounts=4, times=2)
        assert await runner.wait_for(position, 5)
        run(database, "UPDATE balances_b1.balances SET owner = 'Eve' WHERE account = 'acc_1'")
        run(database, "DELETE FROM balances_b1.balances WHERE account = 'acc_2'")
        run(database, "INSERT INTO balances_b1.balances VALUES ('acc_9', 'Nobody')")
        await operations.rebuild("balances", by=ANN)
        found = await operations.verify("balances")
        assert (found.equal, found.differences) == (False, 3)
        assert found.examples == ["balances acc_1", "balances acc_2", "balances acc_9"]
        with pytest.raises(VerificationFailed, match="balances acc_1"):
            await operations.switch("balances", by=ANN)
        await operations.switch("balances", by=ANN, force=True, reason="rows were edited by hand")
        assert rows(database, "SELECT owner FROM balances WHERE account = 'acc_1'") == [
            {"owner": "owner 1"}
        ]


@pytest.mark.slow
async def test_a_new_version_serves_once_it_has_caught_up(store: EventStore, database: str) -> None:
    async with ProjectionRunner(store, [Balances()]) as runner:
        position = await deposits(store, accounts=3, times=2)
        assert await runner.wait_for(position, 5)
    async with ProjectionRunner(store, [Balances(), BalancesTwo()]) as runner:
        await until(lambda: bool(rows(database, "SELECT 1 FROM projections.builds"
                                      " WHERE version = 2 AND state = 'live'")))  # fmt: skip
        position = await deposits_more(store)
        assert await runner.wait_for(position, 5)
        assert rows(database, "SELECT DISTINCT initial, deposits FROM balances") == [
            {"initial": "o", "deposits": 3}
        ]
        await Operations(store, [Balances(), BalancesTwo()]).roll_back("balances", by=ANN)
        position = await deposits_more(store)
        assert await runner.wait_for(position, 5)
        assert rows(database, "SELECT DISTINCT deposits FROM balances") == [{"deposits": 4}]


@pytest.mark.slow
async def test_a_statement_prepared_before_a_switch_goes_on_after_it(
    store: EventStore, database: str
) -> None:
    versions = [Balances(), BalancesTwo()]
    async with ReadModels(database, connections_max=1) as reads:
        async with ProjectionRunner(store, versions[:1]) as runner:
            assert await runner.wait_for(await append(store, "acc_1", Opened("Ada")), 5)
            for _ in range(8):  # more than it takes to be prepared
                (before,) = await reads.fetch("SELECT * FROM balances")
        operations = Operations(store, versions)
        await operations.rebuild("balances", by=ANN)
        await operations.switch("balances", by=ANN)
        (after,) = await reads.fetch("SELECT * FROM balances")
    assert after == before | {"initial": "A"}


@pytest.mark.slow
async def test_a_second_rebuild_is_refused_naming_the_first(store: EventStore) -> None:
    operations = Operations(store, [Totals()])
    await deposits(store, accounts=2, times=2)
    halted, go = threading.Event(), threading.Event()

    def halt() -> None:
        halted.set()
        go.wait(10)

    arm("rebuild.before_ready", halt)
    first = asyncio.create_task(operations.rebuild("totals", by=ANN))
    assert await asyncio.to_thread(halted.wait, 10)
    for restart in (False, True):
        with pytest.raises(RebuildInProgress, match=r"totals build 2 .* is building"):
            await operations.rebuild("totals", by=ANN, restart=restart)
    with pytest.raises(NothingToSwitch, match="still being built"):
        await operations.switch("totals", by=ANN)
    go.set()
    await first
    with pytest.raises(RebuildInProgress, match="is ready"):
        await operations.rebuild("totals", by=ANN)
    done = await operations.rebuild("totals", by=ANN, restart=True)
    assert done.build.number == 3


@pytest.mark.slow
async def test_a_rebuild_that_was_stopped_goes_on_where_it_was(
    store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    operations = Operations(store, [Balances()])
    await store_many(store, [(f"acc_{n}", Opened("Ada")) for n in range(500)])
    await store_many(store, [(f"acc_{n}", Deposited(1)) for n in range(500)])
    task: asyncio.Task[Any]

    def stop(progress: Progress) -> None:
        if progress.done < progress.head:
            loop.call_soon_threadsafe(task.cancel)

    loop = asyncio.get_running_loop()
    monkeypatch.setattr("projections.drive.EVENTS_FIRST", 256)
    task = asyncio.create_task(operations.rebuild("balances", by=ANN, progress=stop))
    with pytest.raises(asyncio.CancelledError):
        await task
    monkeypatch.undo()
    (_, building) = await operations.builds("balances")
    assert building.state is State.BUILDING
    assert 0 < building.position < await store.head()
    done = await operations.rebuild("balances", by=ANN)
    assert (done.build.number, done.resumed_from) == (building.number, building.position)
    assert (await operations.verify("balances")).equal


@pytest.mark.slow
async def test_a_dry_run_says_what_would_change_and_writes_nothing(
    store: EventStore, database: str
) -> None:
    operations = Operations(store, [Balances()])
    async with ProjectionRunner(store, [Balances()]) as runner:
        position = await deposits(store, accounts=4, times=2)
        assert await runner.wait_for(position, 5)
    run(database, "UPDATE balances_b1.balances SET owner = 'Eve' WHERE account = 'acc_1'")
    trial = await operations.dry_run("balances")
    assert (trial.events, trial.total_events, trial.rows) == (12, 12, {"balances": 4})
    assert (trial.differences, trial.examples) == (1, ("balances acc_1",))
    assert trial.estimated_seconds > 0
    assert trial.estimated_bytes > 0
    assert rows(database, "SELECT 1 FROM pg_namespace WHERE nspname LIKE '%%scratch'") == []
    assert len(await operations.builds()) == 1


@pytest.mark.slow
async def test_a_dry_run_takes_streams_that_share_commands_together(
    store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    operations = Operations(store, [Totals()])
    async with ProjectionRunner(store, [Totals()]) as runner:
        position = await deposits(store, accounts=4, times=2)  # of one correlation
        assert await runner.wait_for(position, 5)
    assert (await operations.dry_run("totals", streams=1)).differences == 0
    monkeypatch.setattr("projections.store_log.RELATED_STREAMS_MAX", 2)
    alone = await operations.dry_run("totals", streams=1)
    assert (alone.streams, alone.differences) == (1, 1)


@pytest.mark.slow
async def test_a_scratch_copy_holds_one_stream_or_what_is_new(
    store: EventStore, database: str
) -> None:
    operations = Operations(store, [Balances(), Totals()])
    await deposits(store, accounts=3, times=2)
    one = await operations.scratch("balances", stream="acc_1")
    assert (one.schema, one.events, one.rows) == ("balances_scratch", 3, {"balances": 1})
    since = (await store.read(7))[0].recorded_at
    new = await operations.scratch("totals", since=since)
    assert (new.events, new.differences) == (3, 1)
    assert rows(database, "SELECT deposits FROM totals_scratch.totals") == [{"deposits": 3}]
    failing = await operations.scratch("balances", since=since)
    assert failing.rows == {"balances": 0}
    with pytest.raises(NothingToFold, match="no event in the stream 'acc_9'"):
        await operations.scratch("balances", stream="acc_9")
    with pytest.raises(NothingToFold, match="no event since 2100"):
        await operations.scratch("balances", since=datetime(2100, 1, 1, tzinfo=UTC))
    assert rows(database, "SELECT count(*) AS kept FROM balances_scratch.balances") == [{"kept": 0}]


async def test_what_cannot_be_rebuilt_is_refused(store: EventStore) -> None:
    operations = Operations(store, [Totals()], reactors=["mail"])
    with pytest.raises(UnknownProjection, match="known: totals"):
        await operations.rebuild("total", by=ANN)
    with pytest.raises(NotAProjection, match="never replayed"):
        await operations.rebuild("mail", by=ANN)
    with pytest.raises(InvalidProjection, match="parallel"):
        await operations.rebuild("totals", by=ANN, workers=2)
    with pytest.raises(NothingToSwitch):
        await operations.verify("totals")
    with pytest.raises(NothingToSwitch):
        await operations.roll_back("totals", by=ANN)
    async with ProjectionRunner(store, [BalancesTwo()]):
        pass
    with pytest.raises(VersionBehind):
        await Operations(store, [Balances()]).rebuild("balances", by=ANN)


@pytest.mark.slow
async def test_a_build_that_nobody_can_bring_on_is_not_switched_to(
    store: EventStore, database: str
) -> None:
    operations = Operations(store, [Totals()])
    async with ProjectionRunner(store, [Totals()]) as runner:
        await append(store, "acc_1", Deposited(1))
        await operations.rebuild("totals", by=ANN)
        with catalogue.connect(database, "test") as connection:
            run(
                database,
                "UPDATE projections.checkpoints c SET hold_at = position,"
                " hold_until = clock_timestamp() + interval '1 minute'"
                " FROM projections.builds b WHERE b.id = build_id AND state = 'ready'",
            )
            position = await append(store, "acc_1", Deposited(1))
            assert await runner.wait_for(position, 5)
            assert catalogue.builds(connection, "totals")[1].position < position
        with pytest.raises(NotCaughtUp):
            await operations.switch(
                "totals", by=ANN, force=True, reason="test", timeout_seconds=0.2
            )


@pytest.mark.slow
async def test_past_its_grace_period_a_build_is_dropped(store: EventStore, database: str) -> None:
    operations = Operations(store, [Totals()])
    async with ProjectionRunner(store, [Totals()]):
        await operations.rebuild("totals", by=ANN)
        await operations.switch("totals", by=ANN, grace_seconds=0.0)
        await until(lambda: not rows(database, "SELECT 1 FROM pg_namespace"
                                     " WHERE nspname = 'totals_b1'"))  # fmt: skip
        with pytest.raises(NothingToSwitch, match="nothing follows"):
            await operations.roll_back("totals", by=ANN)
    builds = await operations.builds("totals", retired=True)
    assert [build.state for build in builds] == [State.RETIRED, State.LIVE]


@pytest.mark.slow
async def test_a_build_that_nobody_wants_is_given_up(store: EventStore, database: str) -> None:
    operations = Operations(store, [Balances()])
    async with ProjectionRunner(store, [Balances()]) as runner:
        await deposits(store, accounts=2, times=2)
        done = await operations.rebuild("balances", by=ANN)
        await give_up(database, done.build)
        assert [build.state for build in await operations.builds()] == [State.LIVE]
        await until(lambda: not rows(database, "SELECT FROM pg_namespace"
                                     " WHERE nspname = 'balances_b2'"))  # fmt: skip
        switched = await operations.rebuild("balances", by=ANN)
        await operations.switch("balances", by=ANN)
        await give_up(database, switched.build)  # it is live: nothing happens
        assert await runner.wait_for(await deposits_more(store), 5)


@pytest.mark.slow
async def test_readers_see_one_build_or_the_other_and_never_an_error(
    store: EventStore, database: str
) -> None:
    class Two(Projection):
        """Two tables that must be seen from one build."""

        name, handles = "two", (Opened,)
        tables = "CREATE TABLE first (account text); CREATE TABLE second (account text)"

        def apply(self, recorded: Recorded[Any], cursor: Cursor) -> None:
            cursor.execute("INSERT INTO first VALUES (%s)", (recorded.stream,))
            cursor.execute("INSERT INTO second VALUES (%s)", (recorded.stream,))

    operations = Operations(store, [Two()])
    stopped = False
    longest = 0.0

    async def read(reads: ReadModels, left: str, right: str) -> None:
        nonlocal longest
        loop = asyncio.get_running_loop()
        while not stopped:
            started = loop.time()
            (row,) = await reads.fetch(f"SELECT * FROM {left} JOIN {right} USING (account)")
            assert row == {"account": "acc_1"}
            longest = max(longest, loop.time() - started)

    async with ProjectionRunner(store, [Two()]) as runner, ReadModels(database) as reads:
        assert await runner.wait_for(await append(store, "acc_1", Opened("Ada")), 5)
        readers = [
            asyncio.create_task(read(reads, *pair))
            for pair in [("first", "second"), ("second", "first")] * 2
        ]
        for _ in range(3):
            await operations.rebuild("two", by=ANN)
            await operations.switch("two", by=ANN)
            for _ in range(3):
                await operations.roll_back("two", by=ANN)
            await operations.rebuild("two", by=ANN, restart=True)
            await operations.switch("two", by=ANN)
        stopped = True
        await asyncio.gather(*readers)
    assert longest < 0.5


def logs(least: int) -> st.SearchStrategy[list[tuple[str, Event]]]:
    """Small logs; a deposit of less than nothing is one that fails."""
    events = st.one_of(
        st.builds(Deposited, st.integers(least, 9)),
        st.builds(Noted, st.just("")),
        st.builds(Opened, st.sampled_from(["Ada", "Bo"])),
    )
    accounts = st.sampled_from(["acc_1", "acc_2", "acc_3"])
    return st.lists(st.tuples(accounts, events), min_size=1, max_size=6)


@pytest.mark.slow
@pytest.mark.parametrize("projection", [Balances(), BalancesByFold(), Totals()])
def test_rebuilt_equals_live_at_every_prefix(new_database: Any, projection: Projection) -> None:
    @settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(events=logs(least=0 if projection.folds else -5))
    def holds(events: list[tuple[str, Event]]) -> None:
        asyncio.run(check(events))

    async def check(events: list[tuple[str, Event]]) -> None:
        async with new_store(new_database()) as store:
            operations = Operations(store, [projection])
            async with ProjectionRunner(store, [projection]) as runner:
                for pair in events:
                    position = await store_many(store, [pair])
                    assert await runner.wait_for(position, 10)
                    await operations.rebuild(projection.name, by=ANN, restart=True)
                    found = await operations.verify(projection.name)
                    assert found.equal, found.examples

    holds()
