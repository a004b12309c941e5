"""Reactors: each message has its effect once, in order of its stream, whatever breaks."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from typing import Any, ClassVar

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from eventstore.append import Append
from eventstore.event import Actor, Event, event_type
from eventstore.feed import LocalFeed
from eventstore.feed_page import FeedPage
from eventstore.store import EventStore
from eventstore.types import EventTypes
from projections import Message, ProjectionMetrics, ProjectionRunner, Reactor, ReactorRunner
from projections.errors import InvalidProjection, UnknownProjection
from projections.faults import arm, disarm
from tests.projections.ledger import Deposited, Noted, Opened, append, rows, run, store_many
from tests.projections.waiting import until

OFFICE = Actor(kind="service", id="office")


@event_type("letter.written")
class Written(Event, frozen=True):
    amount: int


class Payment(msgspec.Struct):
    """What the office knows of a deposit."""

    amount_minor: int


class Office(Reactor):
    """Writes a letter for every deposit, in the stream of the account's letters."""

    name, source = "office.letters", "bank"
    reads: ClassVar[dict[str, type[msgspec.Struct]]] = {"account.deposited": Payment}
    attempts_max, backoff_seconds = 2, 0.001

    def __init__(self, store: EventStore) -> None:
        self.store = store
        self.calls: list[tuple[str, int]] = []
        self.broken: set[str] = set()
        self.gates: dict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self.gated: set[str] = set()

    async def react(self, message: Message) -> None:
        self.calls.append((message.stream, message.data.amount_minor))
        if message.stream in self.gated:
            await self.gates[message.stream].wait()
        if message.stream in self.broken:
            raise RuntimeError(f"no letters to {message.stream}")
        await self.store.append(
            Append(f"let_{message.stream}", [Written(message.data.amount_minor)]),
            metadata=message.caused(OFFICE),
            idempotency=message.idempotency,
        )


@pytest.fixture
async def office_store(new_database: Callable[[], str]) -> AsyncIterator[EventStore]:
    async with EventStore(new_database(), EventTypes([Written]), name="office") as opened:
        yield opened


@pytest.fixture
def office(office_store: EventStore) -> Office:
    return Office(office_store)


def runner_of(office: Office, bank: EventStore) -> ReactorRunner:
    return ReactorRunner(office.store, {"bank": LocalFeed(bank)}, [office])


async def letters(office: Office) -> list[tuple[str, int]]:
    return [
        (recorded.stream.removeprefix("let_"), recorded.event.amount)
        for recorded in await office.store.read(0)
    ]


async def test_each_message_has_its_effect_and_tells_its_cause(
    store: EventStore, office: Office
) -> None:
    async with runner_of(office, store) as runner:
        position = await append(store, "acc_1", Opened("Ada"), Deposited(1), Noted(""))
        assert await runner.wait_for("bank", position, 5)
        (letter,) = await office.store.read(0)
        (_, paid, _) = await store.read(0)
        assert letter.event == Written(1)
        assert letter.metadata.causation_id == str(paid.id)
        assert letter.metadata.correlation_id == paid.metadata.correlation_id
        assert runner.positions() == {"office.letters": position}
        assert runner.lags() == {"office.letters": 0}


async def test_one_stream_comes_in_order_and_others_are_not_held_up(
    store: EventStore, office: Office
) -> None:
    office.gated = {"acc_1"}
    async with runner_of(office, store) as runner:
        await store_many(store, [("acc_1", Deposited(1)), ("acc_2", Deposited(2))])
        position = await store_many(store, [("acc_1", Deposited(3)), ("acc_2", Deposited(4))])
        await until(lambda: ("acc_2", 4) in office.calls)
        assert ("acc_1", 3) not in office.calls
        assert not await runner.wait_for("bank", position, 0.01)
        office.gates["acc_1"].set()
        assert await runner.wait_for("bank", position, 5)
    assert await letters(office) == [("acc_2", 2), ("acc_2", 4), ("acc_1", 1), ("acc_1", 3)]


async def test_running_again_goes_on_from_the_checkpoint(store: EventStore, office: Office) -> None:
    for amount in (1, 2):
        async with runner_of(office, store) as runner:
            position = await append(store, "acc_1", Deposited(amount))
            assert await runner.wait_for("bank", position, 5)
    assert office.calls == [("acc_1", 1), ("acc_1", 2)]


async def test_a_message_that_comes_again_has_its_effect_once(
    store: EventStore, office: Office
) -> None:
    for _ in range(2):
        async with runner_of(office, store) as runner:
            position = await append(store, "acc_1", Deposited(1))
            assert await runner.wait_for("bank", position, 5)
        run(office.store.conninfo, "UPDATE projections.reactor_checkpoints SET position = 0")
    assert office.calls == [("acc_1", 1)] * 3
    assert await letters(office) == [("acc_1", 1)] * 2


@pytest.mark.slow
@pytest.mark.parametrize(
    "point",
    [
        "reactors.before_react",
        "reactors.after_react",
        "reactors.before_checkpoint",
        "reactors.before_park",
    ],
)
async def test_a_failure_anywhere_loses_and_doubles_nothing(
    store: EventStore, office: Office, point: str
) -> None:
    if point == "reactors.before_park":
        office.broken = {"acc_1"}

    def fail_once() -> None:
        disarm()
        office.broken.clear()
        raise ConnectionError(f"at {point}")

    arm(point, fail_once)
    async with runner_of(office, store) as runner:
        await append(store, "acc_1", Deposited(1))
        position = await append(store, "acc_2", Deposited(2))
        await until(
            lambda: len(rows(office.store.conninfo, "SELECT 1 FROM eventstore.events")) == 2
        )
        await until(
            lambda: (
                rows(office.store.conninfo, "SELECT position FROM projections.reactor_checkpoints")
                == [{"position": position}]
            )
        )
        assert await runner.parked() == []
    assert sorted(await letters(office)) == [("acc_1", 1), ("acc_2", 2)]


@pytest.mark.slow
async def test_a_failing_message_parks_its_stream_until_it_is_redriven(
    store: EventStore, office: Office
) -> None:
    office.broken = {"acc_1"}
    async with runner_of(office, store) as runner:
        await append(store, "acc_1", Deposited(1), Deposited(2))
        position = await append(store, "acc_2", Deposited(3))
        assert await runner.wait_for("bank", position, 5)
        assert await letters(office) == [("acc_2", 3)]
        (parked,) = await runner.parked()
        assert (parked.stream, parked.messages, parked.first_position) == ("acc_1", 2, 1)
        assert parked.error == "RuntimeError: no letters to acc_1"
        registry, at = CollectorRegistry(), {"reactor": "office.letters"}
        registry.register(ProjectionMetrics(ProjectionRunner(office.store, []), runner))
        assert registry.get_sample_value("reactor_parked_streams", at) == 1
        assert office.calls.count(("acc_1", 1)) == 2
        office.broken.clear()
        assert await runner.redrive("office.letters") == 1
        await until(
            lambda: len(rows(office.store.conninfo, "SELECT 1 FROM eventstore.events")) == 3
        )
        await until(
            lambda: not rows(office.store.conninfo, "SELECT 1 FROM projections.parked_streams")
        )
        position = await append(store, "acc_1", Deposited(4))
        assert await runner.wait_for("bank", position, 5)
        assert registry.get_sample_value("reactor_parked_streams", at) == 0
    assert await letters(office) == [("acc_2", 3), ("acc_1", 1), ("acc_1", 2), ("acc_1", 4)]


async def test_what_is_parked_stays_parked_over_a_restart(
    store: EventStore, office: Office
) -> None:
    office.broken = {"acc_1"}
    for amount in (1, 2):
        async with runner_of(office, store) as runner:
            position = await append(store, "acc_1", Deposited(amount))
            assert await runner.wait_for("bank", position, 5)
        office.broken.clear()
    assert await letters(office) == []
    (parked,) = await runner.parked()
    assert parked.messages == 2


async def test_data_that_cannot_be_read_park_at_once(store: EventStore, office: Office) -> None:
    class Strict(Office):
        reads: ClassVar[dict[str, type[msgspec.Struct]]] = {"account.opened": Payment}

    strict = Strict(office.store)
    async with runner_of(strict, store) as runner:
        position = await append(store, "acc_1", Opened("Ada"))
        assert await runner.wait_for("bank", position, 5)
        (parked,) = await runner.parked()
        assert parked.error.startswith("ValidationError")
        assert strict.calls == []


@pytest.mark.slow
async def test_a_second_process_takes_over_and_never_runs_beside(
    store: EventStore, office: Office
) -> None:
    other = Office(office.store)
    async with runner_of(office, store) as first:
        position = await append(store, "acc_1", Deposited(1))
        assert await first.wait_for("bank", position, 5)
        async with runner_of(other, store) as second:
            position = await append(store, "acc_1", Deposited(2))
            assert await first.wait_for("bank", position, 5)
            assert not await second.wait_for("bank", position, 0.2)
            await first.stop()
            position = await append(store, "acc_1", Deposited(3))
            assert await second.wait_for("bank", position, 5)
    assert (office.calls, other.calls) == ([("acc_1", 1), ("acc_1", 2)], [("acc_1", 3)])


@pytest.mark.slow
async def test_a_cut_connection_is_replaced(store: EventStore, office: Office) -> None:
    async with runner_of(office, store) as runner:
        for amount in range(4):
            run(
                office.store.conninfo,
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()",
            )
            position = await append(store, "acc_1", Deposited(amount))
        await until(
            lambda: (
                rows(office.store.conninfo, "SELECT position FROM projections.reactor_checkpoints")
                == [{"position": position}]
            )
        )
        assert await runner.wait_for("bank", position, 5)
    assert await letters(office) == [("acc_1", amount) for amount in range(4)]


class Unreliable:
    """A feed that fails every other time."""

    name = "bank"

    def __init__(self, feed: LocalFeed) -> None:
        self.feed, self.reads = feed, 0

    async def read(self, after: int, **given: Any) -> FeedPage:
        self.reads += 1
        if self.reads % 2:
            raise OSError("no route to host")
        return await self.feed.read(after, **given)


@pytest.mark.slow
async def test_a_feed_that_fails_is_read_again(store: EventStore, office: Office) -> None:
    feed = Unreliable(LocalFeed(store))
    async with ReactorRunner(office.store, {"bank": feed}, [office]) as runner:
        for amount in range(3):
            position = await append(store, "acc_1", Deposited(amount))
            assert await runner.wait_for("bank", position, 5)
    assert len(await letters(office)) == 3


async def test_reactors_at_one_place_read_a_feed_once(store: EventStore, office: Office) -> None:
    class Counting(Unreliable):
        async def read(self, after: int, **given: Any) -> FeedPage:
            self.reads += 1
            return await self.feed.read(after, **given)

    class Other(Office):
        name = "office.copies"

        async def react(self, message: Message) -> None:
            self.calls.append((message.stream, 0))

    feed, other = Counting(LocalFeed(store)), Other(office.store)
    async with ReactorRunner(office.store, {"bank": feed}, [office, other]) as runner:
        position = await append(store, "acc_1", Deposited(1))
        assert await runner.wait_for("bank", position, 5)
    assert feed.reads <= 3  # the beginning, the event, and what follows it
    assert len(office.calls) == len(other.calls) == 1


async def test_rebuilding_and_projections_never_call_a_reactor(
    store: EventStore, office: Office, database: str
) -> None:
    with pytest.raises(InvalidProjection):
        ProjectionRunner(store, [office])  # type: ignore[list-item]


async def test_reactors_that_cannot_be_run_are_refused(office: Office, store: EventStore) -> None:
    class Deaf(Office):
        reads: ClassVar[dict[str, type[msgspec.Struct]]] = {}

    with pytest.raises(InvalidProjection, match="there is no feed 'bank'"):
        await ReactorRunner(office.store, {}, [office]).start()
    with pytest.raises(InvalidProjection, match="two reactors"):
        ReactorRunner(office.store, {"bank": LocalFeed(store)}, [office, office])
    with pytest.raises(InvalidProjection, match="reads no event types"):
        ReactorRunner(office.store, {"bank": LocalFeed(store)}, [Deaf(office.store)])
    with pytest.raises(UnknownProjection):
        await runner_of(office, store).wait_for("bank", 1, 0, names=["nobody"])
