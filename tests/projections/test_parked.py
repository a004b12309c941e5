"""An event that fails parks its key; the rest goes on, and nothing of the key is lost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import psycopg
import pytest
from prometheus_client import CollectorRegistry

from eventstore.event import Event, Recorded, event_type
from eventstore.store import EventStore
from projections import Cursor, ProjectionMetrics, ProjectionRunner, catalogue, parked
from projections.errors import ReasonNeeded
from tests.projections.ledger import (
    TYPES,
    Balances,
    Deposited,
    Opened,
    Totals,
    append,
    new_store,
    rows,
    run,
    store_many,
)
from tests.projections.waiting import until


class Fragile(Balances):
    """Fails on the accounts in `broken`, until somebody mends it."""

    broken: ClassVar[set[str]] = set()

    def apply(self, recorded: Recorded[Any], cursor: Cursor) -> None:
        super().apply(recorded, cursor)
        if recorded.stream in self.broken:
            raise RuntimeError(f"cannot stand {recorded.stream}")


class FragileByFold(Fragile):
    def fold(self, batch: Sequence[Recorded[Any]], cursor: Cursor) -> None:
        for recorded in batch:
            self.apply(recorded, cursor)


@pytest.fixture(autouse=True)
def _mended() -> None:
    Fragile.broken.clear()


def balances(database: str) -> dict[str, int]:
    found = rows(database, "SELECT account, balance_minor FROM balances")
    return {row["account"]: row["balance_minor"] for row in found}


@pytest.mark.slow
@pytest.mark.parametrize("projection", [Fragile(), FragileByFold()])
async def test_a_failing_event_parks_its_key_and_the_rest_goes_on(
    store: EventStore, database: str, projection: Fragile
) -> None:
    Fragile.broken.add("acc_1")
    async with ProjectionRunner(store, [projection, Totals()]) as runner:
        for name in ("acc_1", "acc_2"):
            await append(store, name, Opened("Ada"))
        position = await store_many(
            store, [("acc_1", Deposited(3)), ("acc_2", Deposited(4)), ("acc_2", Deposited(5))]
        )
        assert await runner.wait_for(position, 5)
        assert balances(database) == {"acc_2": 9}
        with catalogue.connect(database, "test") as connection:
            (key,) = parked.listed(connection)
        assert (key.projection, key.key, key.events, key.first_position) == (
            *("balances", "acc_1", 2, 1),
        )
        assert key.error == "RuntimeError: cannot stand acc_1"
        assert "in apply" in key.traceback
        (build,) = await runner.builds("balances")
        assert (build.parked_keys, build.parked_events) == (1, 2)
        registry = CollectorRegistry()
        registry.register(ProjectionMetrics(runner))
        at = {"projection": "balances", "build": "1", "state": "live"}
        await until(lambda: registry.get_sample_value("projection_parked_keys", at) == 1)
        assert registry.get_sample_value("projection_position", at) == position
        assert registry.get_sample_value("projection_missing_positions", at) == 0


async def test_a_broken_constraint_parks_too(store: EventStore, database: str) -> None:
    async with ProjectionRunner(store, [Balances()]) as runner:
        await append(store, "acc_1", Opened("Ada"), Deposited(-1), Deposited(2))
        position = await append(store, "acc_2", Opened("Bo"), Deposited(2))
        assert await runner.wait_for(position, 5)
        assert balances(database) == {"acc_1": 0, "acc_2": 2}


@pytest.mark.slow
async def test_a_redrive_applies_what_waited_in_order_and_the_key_goes_on(
    store: EventStore, database: str
) -> None:
    Fragile.broken.add("acc_1")
    async with ProjectionRunner(store, [Fragile()]) as runner:
        position = await append(store, "acc_1", Opened("Ada"), Deposited(3))
        assert await runner.wait_for(position, 5)
        with catalogue.connect(database, "test") as connection:
            assert parked.ask_redrive(connection, "balances") == 1
            await until(lambda: parked.listed(connection)[0].attempts == 2)
            Fragile.broken.clear()
            assert parked.ask_redrive(connection, "balances", "acc_1") == 1
            await until(lambda: not parked.listed(connection))
        position = await append(store, "acc_1", Deposited(4))
        assert await runner.wait_for(position, 5)
        assert balances(database) == {"acc_1": 7}


@pytest.mark.slow
async def test_skipping_needs_a_reason_and_gives_up_one_event_only(
    store: EventStore, database: str
) -> None:
    async with ProjectionRunner(store, [Balances()]) as runner:
        position = await append(store, "acc_1", Opened("Ada"), Deposited(-1), Deposited(2))
        assert await runner.wait_for(position, 5)
        with catalogue.connect(database, "test") as connection:
            (key,) = parked.listed(connection)
            with pytest.raises(ReasonNeeded):
                parked.skip(connection, key.build_id, key.key, reason=" ")
            assert parked.skip(connection, key.build_id, key.key, reason="typed wrongly") == 2
            await until(lambda: not parked.listed(connection))
        assert balances(database) == {"acc_1": 2}


async def test_parked_keys_are_known_after_a_restart(store: EventStore, database: str) -> None:
    Fragile.broken.add("acc_1")
    for _ in range(2):
        async with ProjectionRunner(store, [Fragile()]) as runner:
            position = await append(store, "acc_1", Opened("Ada"))
            assert await runner.wait_for(position, 5)
        Fragile.broken.clear()  # mended or not: events of the key wait for their turn
    with catalogue.connect(database, "test") as connection:
        assert parked.listed(connection)[0].events == 2
    assert balances(database) == {}


@event_type("account.deposited", version=2)
class DepositedLater(Event, frozen=True):
    amount_minor: int
    currency: str


async def test_an_event_that_cannot_be_read_parks_only_where_it_is_handled(
    store: EventStore, database: str
) -> None:
    class Accounts(Balances):
        handles = (Opened,)

    position = await append(store, "acc_1", Opened("Ada"))
    async with new_store(database, (Opened, DepositedLater)) as later:
        await append(later, "acc_1", DepositedLater(5, "EUR"))
    async with ProjectionRunner(store, [Accounts(), Totals()]) as runner:
        position = await append(store, "acc_2", Opened("Bo"), Deposited(6))
        assert await runner.wait_for(position, 5)
        with catalogue.connect(database, "test") as connection:
            (key,) = parked.listed(connection)
        assert (key.projection, key.key) == ("totals", "acc_1")
        assert key.error.startswith("UnknownEventType")
        assert balances(database) == {"acc_1": 0, "acc_2": 0}
        assert rows(database, "SELECT amount_minor FROM totals") == [{"amount_minor": 6}]


async def test_unknown_types_are_passed_over_and_counted(database: str) -> None:
    async with new_store(database) as store:
        position = await append(store, "acc_1", Opened("Ada"), Deposited(1))
    async with (
        new_store(database, [kind for kind in TYPES if kind is not Opened]) as store,
        ProjectionRunner(store, [Totals()]) as runner,
    ):
        assert await runner.wait_for(position, 5)
        (build,) = await runner.builds("totals")
        assert (build.unknown, build.applied, build.seen) == (1, 1, 2)


class Deadlocking(Totals):
    """Its first tries end as a deadlock does."""

    tries: ClassVar[int] = 0

    def apply(self, recorded: Recorded[Any], cursor: Cursor) -> None:
        super().apply(recorded, cursor)
        type(self).tries += 1
        if self.tries <= 3:
            raise psycopg.errors.DeadlockDetected("deadlock detected")


async def test_a_deadlock_is_tried_again_and_parks_nothing(
    store: EventStore, database: str
) -> None:
    async with ProjectionRunner(store, [Deadlocking()]) as runner:
        position = await append(store, "acc_1", Opened("Ada"), Deposited(1))
        assert await runner.wait_for(position, 5)
        assert Deadlocking.tries > 3
    assert rows(database, "SELECT amount_minor FROM totals") == [{"amount_minor": 1}]
    assert rows(database, "SELECT * FROM projections.parked_keys") == []


@pytest.mark.slow
async def test_a_checkpoint_beyond_the_log_is_not_run(store: EventStore, database: str) -> None:
    async with ProjectionRunner(store, [Totals()]):
        pass
    run(database, "UPDATE projections.checkpoints SET position = 5")
    async with ProjectionRunner(store, [Totals()]) as runner:
        await until(lambda: "the log of this database ends at 0" in str(runner.errors()))
        run(database, "UPDATE projections.checkpoints SET position = 0")
        position = await append(store, "acc_1", Deposited(1))
        assert await runner.wait_for(position, 5)
    assert rows(database, "SELECT amount_minor FROM totals") == [{"amount_minor": 1}]
