"""Append: what is stored, what is refused, what is answered again."""

from __future__ import annotations

import asyncio
import math
import threading
from datetime import datetime

import psycopg
import pytest

from eventstore import (
    ANY,
    NO_STREAM,
    STREAM_EXISTS,
    Append,
    Effect,
    EffectFailed,
    EffectRefused,
    EventStore,
    ExpectedVersion,
    Idempotency,
    IdempotencyKeyReused,
    InvalidAppend,
    MalformedEvent,
    UnknownEventType,
    WrongExpectedVersion,
    event_type,
)
from eventstore.append import EVENT_BYTES_MAX
from eventstore.event import Event
from tests.support.shelf import BoxMoved, BoxPlaced, BoxWeighed, metadata

PLACED = BoxPlaced("silk")


def execute(store: EventStore, *statements: str) -> list[tuple[object, ...]]:
    with psycopg.connect(store.conninfo, autocommit=True) as connection:
        for statement in statements:
            cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


async def test_events_come_back_as_they_were_appended(store: EventStore) -> None:
    given = metadata("cmd_7", causation_id="evt_1", reason="moved house")
    appended = await store.append(
        Append("box_1", [PLACED, BoxWeighed(1.5)], NO_STREAM, tags=('a "b" \\', "ü")),
        metadata=given,
    )
    assert (appended.position, appended.versions) == (2, {"box_1": 2})
    first, second = await store.read_stream("box_1")
    assert (first.event, second.event) == (PLACED, BoxWeighed(1.5))
    assert first.metadata == given
    assert (first.position, first.version, second.position, second.version) == (1, 1, 2, 2)
    assert (first.type, first.type_version, first.tags) == ("box.placed", 1, ('a "b" \\', "ü"))
    assert first.recorded_at.tzinfo is not None
    assert await store.event(second.id) == second


@pytest.mark.parametrize(
    ("expected", "refused_at"),
    [(ANY, None), (NO_STREAM, 1), (STREAM_EXISTS, 0), (0, 1), (1, 0), (2, 0)],
)
async def test_a_stream_must_be_where_it_is_expected(
    store: EventStore, expected: ExpectedVersion, refused_at: int | None
) -> None:
    stream = "box_1"
    if refused_at == 1 or expected is ANY:
        await store.append(Append(stream, [PLACED]), metadata=metadata())
    if refused_at is None:
        await store.append(Append(stream, [PLACED], expected), metadata=metadata())
        return
    with pytest.raises(WrongExpectedVersion) as refused:
        await store.append(Append(stream, [PLACED], expected), metadata=metadata())
    assert (refused.value.stream, refused.value.actual) == (stream, refused_at)
    assert await store.head() == refused_at


async def test_several_streams_are_appended_together_or_not_at_all(store: EventStore) -> None:
    both = [Append("box_1", [PLACED], 0), Append("box_2", [PLACED, PLACED], 0)]
    appended = await store.append(both, metadata=metadata())
    assert appended.versions == {"box_1": 1, "box_2": 2}
    with pytest.raises(WrongExpectedVersion):
        await store.append(
            [Append("box_3", [PLACED], 0), Append("box_2", [PLACED], 0)], metadata=metadata()
        )
    assert await store.read_stream("box_3") == []
    assert await store.head() == 3


async def test_one_conflict_fails_one_caller_of_a_batch(store: EventStore) -> None:
    appends = [Append(f"box_{n % 10}", [PLACED], NO_STREAM) for n in range(30)]
    answers = await asyncio.gather(
        *(store.append(append, metadata=metadata()) for append in appends), return_exceptions=True
    )
    stored = [answer for answer in answers if not isinstance(answer, BaseException)]
    assert len(stored) == 10
    assert sorted(answer.position for answer in stored) == list(range(1, 11))
    assert sum(isinstance(answer, WrongExpectedVersion) for answer in answers) == 20


async def test_two_writers_of_one_stream_in_two_stores(store: EventStore) -> None:
    async with EventStore(store.conninfo, store.types, name=store.name) as other:

        async def write(which: EventStore) -> int:
            won = 0
            for version in range(50):
                try:
                    await which.append(Append("box_1", [PLACED], version), metadata=metadata())
                except WrongExpectedVersion:
                    continue
                won += 1
            return won

        won = await asyncio.gather(write(store), write(other))
    events = await store.read_stream("box_1")
    assert [event.version for event in events] == list(range(1, sum(won) + 1))


async def test_the_same_request_is_answered_again(store: EventStore) -> None:
    key = Idempotency("order-1", b"\x00hash")
    assert await store.replayed(key) is None
    first = await store.append(
        Append("box_1", [PLACED], 0), metadata=metadata(), idempotency=key, outcome=b"\xffdone"
    )
    again = await store.append(
        Append("box_1", [PLACED], 0), metadata=metadata(), idempotency=key, outcome=b"other"
    )
    assert (again.position, again.versions, again.outcome) == (1, {"box_1": 1}, b"\xffdone")
    assert (first.replayed, again.replayed) == (False, True)
    assert await store.replayed(key) == again
    assert await store.head() == 1


async def test_a_key_is_not_for_two_requests(store: EventStore) -> None:
    await store.append(
        Append("box_1", [PLACED]), metadata=metadata(), idempotency=Idempotency("key", b"1")
    )
    other = Idempotency("key", b"2")
    with pytest.raises(IdempotencyKeyReused):
        await store.append(Append("box_1", [PLACED]), metadata=metadata(), idempotency=other)
    with pytest.raises(IdempotencyKeyReused):
        await store.replayed(other)


async def test_a_key_used_many_times_at_once_is_stored_once(store: EventStore) -> None:
    key = Idempotency("key", b"1")
    answers = await asyncio.gather(
        *(
            store.append(Append("box_1", [PLACED]), metadata=metadata(), idempotency=key)
            for _ in range(20)
        )
    )
    assert sum(not answer.replayed for answer in answers) == 1
    assert {answer.position for answer in answers} == {1}


async def test_a_refused_append_does_not_use_up_its_key(store: EventStore) -> None:
    key = Idempotency("key", b"1")
    with pytest.raises(WrongExpectedVersion):
        await store.append(Append("box_1", [PLACED], 5), metadata=metadata(), idempotency=key)
    answer = await store.append(Append("box_1", [PLACED]), metadata=metadata(), idempotency=key)
    assert not answer.replayed


async def test_an_outcome_without_events_is_kept(store: EventStore) -> None:
    key = Idempotency("inbox:1", b"")
    answer = await store.append((), metadata=metadata(), idempotency=key, outcome=b"seen")
    assert (answer.position, answer.versions, answer.replayed) == (0, {}, False)
    assert await store.replayed(key) is not None
    with pytest.raises(InvalidAppend, match="idempotency key"):
        await store.append((), metadata=metadata())


async def test_effects_are_stored_with_the_events(store: EventStore) -> None:
    execute(store, "CREATE TABLE stock (sku text, left_over int CHECK (left_over >= 0))")
    execute(store, "INSERT INTO stock VALUES ('silk', 3)")
    take = Effect("UPDATE stock SET left_over = left_over - %s WHERE sku = %s", (1, "silk"))
    answers = await asyncio.gather(
        *(
            store.append(Append(f"box_{n}", [PLACED]), metadata=metadata(), effects=[take])
            for n in range(10)
        ),
        *(store.append(Append(f"other_{n}", [PLACED]), metadata=metadata()) for n in range(10)),
        return_exceptions=True,
    )
    refused = [answer for answer in answers if isinstance(answer, EffectRefused)]
    assert len(refused) == 7
    assert refused[0].constraint == "stock_left_over_check"
    assert execute(store, "SELECT left_over FROM stock") == [(0,)]
    assert [event.position for event in await store.read(0)] == list(range(1, 14))


async def test_an_effect_that_cannot_run_fails_its_append(store: EventStore) -> None:
    nonsense = Effect("UPDATE nowhere SET a = %(a)s", {"a": 1})
    with pytest.raises(EffectFailed) as failed:
        await store.append(Append("box_1", [PLACED]), metadata=metadata(), effects=[nonsense])
    assert failed.value.sqlstate == "42P01"
    assert await store.head() == 0


async def test_a_conflict_runs_no_effects(store: EventStore) -> None:
    execute(store, "CREATE TABLE noted (n int)")
    note = Effect("INSERT INTO noted VALUES (1)")
    with pytest.raises(WrongExpectedVersion):
        await store.append(Append("box_1", [PLACED], 9), metadata=metadata(), effects=[note])
    assert execute(store, "SELECT * FROM noted") == []


async def test_an_effect_refused_only_at_commit(store: EventStore) -> None:
    execute(store, "CREATE TABLE noted (n int UNIQUE DEFERRABLE INITIALLY DEFERRED)")
    twice = [Effect("INSERT INTO noted VALUES (1)"), Effect("INSERT INTO noted VALUES (1)")]
    answers = await asyncio.gather(
        store.append(Append("box_1", [PLACED]), metadata=metadata(), effects=twice),
        store.append(Append("box_2", [PLACED]), metadata=metadata()),
        return_exceptions=True,
    )
    assert isinstance(answers[0], EffectRefused)
    assert not isinstance(answers[1], BaseException)
    assert await store.head() == 1


async def test_threads_append_too(store: EventStore) -> None:
    def write(n: int) -> None:
        for _ in range(5):
            store.append_sync(Append(f"box_{n}", [PLACED]), metadata=metadata())

    threads = [threading.Thread(target=write, args=[n]) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        await asyncio.to_thread(thread.join)
    assert [event.position for event in await store.read(0)] == list(range(1, 21))


@event_type("box.moved", version=2)
class LikeBoxMoved(Event, frozen=True):
    """Of the name of another."""

    place: str


@event_type("box.unheard")
class Unheard(Event, frozen=True):
    pass


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (BoxPlaced("a\x00b"), "NUL"),
        (BoxPlaced("a\ud800b"), "surrogate"),
        (BoxPlaced(7), "Expected `str`, got `int`"),  # type: ignore[arg-type]
        (BoxWeighed(math.nan), "nan is not a number"),
        (BoxWeighed(math.inf), "inf is not a number"),
        (BoxPlaced("x" * EVENT_BYTES_MAX), f"at most {EVENT_BYTES_MAX}"),
    ],
)
async def test_malformed_events_are_refused(
    store: EventStore, event: BoxPlaced, reason: str
) -> None:
    with pytest.raises(MalformedEvent, match=reason):
        await store.append(Append("box_1", [event]), metadata=metadata())


async def test_unregistered_types_are_refused(store: EventStore) -> None:
    with pytest.raises(UnknownEventType, match=r"box\.unheard"):
        await store.append(Append("box_1", [Unheard()]), metadata=metadata())
    with pytest.raises(MalformedEvent, match="it is a LikeBoxMoved, the type is registered as Box"):
        await store.append(Append("box_1", [LikeBoxMoved("x")]), metadata=metadata())


async def test_text_that_looks_like_an_escaped_nul_is_fine(store: EventStore) -> None:
    await store.append(Append("box_1", [BoxMoved("\\u0000")]), metadata=metadata())
    assert (await store.read_stream("box_1"))[0].event == BoxMoved("\\u0000")


@pytest.mark.parametrize(
    ("append", "what"),
    [
        (Append("", [PLACED]), "stream is ''"),
        (Append("s" * 300, [PLACED]), "stream is 300 bytes"),
        (Append("a\x00", [PLACED]), "stream is"),
        (Append("\ud800", [PLACED]), "stream is"),
        (Append("s", [PLACED], -1), "expected version is -1"),
        (Append("s", [PLACED], True), "expected version is True"),
        (Append("s", [PLACED], tags=("",)), "tag is ''"),
        (Append("s", [PLACED], tags=("t",) * 33), "number of tags is 33"),
        (Append("s", []), "number of events is 0"),
    ],
)
async def test_absurd_appends_are_refused(store: EventStore, append: Append, what: str) -> None:
    with pytest.raises(InvalidAppend, match=what):
        await store.append(append, metadata=metadata())


async def test_metadata_that_cannot_be_stored_is_refused(store: EventStore) -> None:
    for wrong in (
        metadata(reason="a\x00"),
        metadata(reason="\udfff"),
        metadata(occurred_at=datetime(2026, 1, 1)),  # noqa: DTZ001
    ):
        with pytest.raises(InvalidAppend):
            await store.append(Append("box_1", [PLACED]), metadata=wrong)


async def test_an_effect_that_waits_too_long_for_a_lock_fails_alone(
    store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eventstore.committer.LOCK_SECONDS_MAX", 0.05)
    execute(store, "CREATE TABLE stock AS SELECT 3 AS left_over")
    take = Effect("UPDATE stock SET left_over = left_over - 1")
    async with EventStore(store.conninfo, store.types, name=store.name) as impatient:
        with psycopg.connect(store.conninfo) as holder:
            holder.execute("UPDATE stock SET left_over = 5")
            answers = await asyncio.gather(
                impatient.append(Append("box_1", [PLACED]), metadata=metadata(), effects=[take]),
                impatient.append(Append("box_2", [PLACED]), metadata=metadata()),
                return_exceptions=True,
            )
    assert isinstance(answers[0], EffectFailed)
    assert answers[0].sqlstate == "55P03"
    assert not isinstance(answers[1], BaseException)
