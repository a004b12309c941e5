"""Bad input, item by item: an error that names the thing, what was found and what was expected.

What is wrong with checkpoint files and master keys is tested where they are read, in
tests/lonja/test_log_proofs.py and privacy/test_sealed.py.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

import pytest

from eventstore import (
    Append,
    Event,
    EventStore,
    EventStoreError,
    ForeignPosition,
    Idempotency,
    InvalidAppend,
    InvalidRead,
    LocalFeed,
    MalformedEvent,
    UnknownEventType,
    Unless,
    event_type,
)
from eventstore.append import METADATA_BYTES_MAX
from tests.support.shelf import BoxPlaced, BoxWeighed, metadata

Act = Callable[[EventStore], Awaitable[Any]]


@event_type("box.unheard_of")
class Unregistered(Event, frozen=True):
    pass


def append(event: Any = None, *, stream: Any = "box", expected: Any = 0, **given: Any) -> Act:
    """Append one event that is fine but for what is given."""
    tags, about = given.pop("tags", ()), given.pop("metadata", metadata())
    event = BoxPlaced("x") if event is None else event
    return lambda store: store.append(
        Append(stream, [event], expected, tags), metadata=about, **given
    )


def read(*given: Any, **conditions: Any) -> Act:
    return lambda store: store.read(*given, **conditions)


def read_stream(stream: Any, **bounds: Any) -> Act:
    return lambda store: store.read_stream(stream, **bounds)


def replayed(key: str) -> Act:
    return lambda store: store.replayed(Idempotency(key, b""))


def tail(after: int) -> Act:
    return lambda store: anext(aiter(store.tail(after)))


def feed(after: int, **given: Any) -> Act:
    return lambda store: LocalFeed(store).read(after, **given)


NUL, SURROGATE = "a\0b", "a\ud800b"
PAGE = "expected a whole number from 1 to 10000"
POSITION = "expected a whole number from 0 to 9223372036854775807"

BAD: list[tuple[str, Act, type[EventStoreError], str]] = [
    ("an event over the limit", append(BoxPlaced("x" * 1_048_577)), MalformedEvent,
     "event 'box.placed' version 1 cannot be used: its payload has 1048599 bytes, at most 1048576"),
    ("an unregistered type", append(Unregistered()), UnknownEventType,
     "event type 'box.unheard_of' version 1 is not registered; known: ['box.moved', 'box.placed'"),
    ("NUL in an event", append(BoxPlaced(NUL)), MalformedEvent, "text has a NUL character"),
    ("a surrogate in an event", append(BoxPlaced(SURROGATE)), MalformedEvent, "a lone surrogate"),
    ("NaN", append(BoxWeighed(float("nan"))), MalformedEvent, "nan is not a number of JSON"),
    ("infinity", append(BoxWeighed(float("-inf"))), MalformedEvent, "-inf is not a number"),
    ("a whole number that is no double", append(BoxPlaced("x", grams=2**53)), MalformedEvent,
     "9007199254740992 is beyond 2^53 - 1: give it as text"),
    ("one far beyond", append(BoxPlaced("x", grams=-(10**30))), MalformedEvent, ""),
    ("a field of another type", append(BoxPlaced(5)), MalformedEvent,  # type: ignore[arg-type]
     "Expected `str`, got `int` - at `$.label`"),
    ("a negative version", append(expected=-1), InvalidAppend,
     "expected version is -1, expected a version, or one of Expect"),
    ("a version that is none", append(expected=True), InvalidAppend, "expected version is True"),
    ("a stream without a name", append(stream=""), InvalidAppend, "stream is '', expected text"),
    ("a stream with NUL", append(stream=NUL), InvalidAppend, "stream is 'a\\x00b', expected text"),
    ("a stream with a surrogate", append(stream=SURROGATE), InvalidAppend,
     "stream is 'a\\ud800b', expected valid Unicode"),
    ("a stream with a long name", append(stream="ü" * 128), InvalidAppend,
     "stream is 256 bytes long, expected at most 255 bytes"),
    ("tags in one text", append(tags="abc"), InvalidAppend, "tags is 'abc', expected several"),
    ("too many tags", append(tags=("a",) * 33), InvalidAppend, "number of tags is 33, expected at"),
    ("metadata with NUL", append(metadata=metadata(reason=NUL)), InvalidAppend, "a NUL character"),
    ("metadata with a surrogate", append(metadata=metadata(reason=SURROGATE)), InvalidAppend,
     "metadata is text with a lone surrogate, expected valid Unicode"),
    ("metadata of another type", append(metadata=metadata(reason=5)), InvalidAppend,
     "metadata is Expected `str | null`, got `int` - at `$.reason`, expected what"),
    ("metadata without end", append(metadata=metadata(reason="x" * METADATA_BYTES_MAX)),
     InvalidAppend, "bytes long, expected at most 65536 bytes"),
    ("a time without a zone",
     append(metadata=metadata(occurred_at=datetime(2026, 1, 1))),  # noqa: DTZ001
     InvalidAppend, "occurred_at is 2026-01-01 00:00:00, expected a time with its zone"),
    ("a key with NUL", append(idempotency=Idempotency(NUL, b"")), InvalidAppend, "idempotency key"),
    ("a hash that is text", append(idempotency=Idempotency("a", "b")),  # type: ignore[arg-type]
     InvalidAppend, "request hash is 'b', expected bytes"),
    ("an outcome that is text", append(outcome="x"), InvalidAppend, "outcome is 'x', expected by"),
    ("a condition of the future", append(unless=[Unless(("a",), 9)]), InvalidAppend,
     "position of a condition is 9, expected at most 0, where the log ends"),
    ("no page", read(limit=0), InvalidRead, f"limit is 0, {PAGE}"),
    ("an absurd page", read(limit=10**12), InvalidRead, f"limit is 1000000000000, {PAGE}"),
    ("a page of text", read(limit="5"), InvalidRead, f"limit is '5', {PAGE}"),
    ("a negative position", read(-1), InvalidRead, f"position is -1, {POSITION}"),
    ("an absurd position", read(2**64), InvalidRead, f"position is {2**64}, {POSITION}"),
    ("an end before the start", read(up_to=-1), InvalidRead, f"up_to is -1, {POSITION}"),
    ("types in one text", read(types="a.b"), InvalidRead, "types is 'a.b', expected several texts"),
    ("a type with NUL", read(types=[NUL]), InvalidRead, "types is 'a\\x00b', expected text"),
    ("tags without end", read(tags=["a"] * 1001), InvalidRead, "number of tags is 1001, expected"),
    ("a tag with a surrogate", read(tags=[SURROGATE]), InvalidRead, "expected valid Unicode"),
    ("a correlation with NUL", read(correlation_id=NUL), InvalidRead, "correlation id is 'a"),
    ("an actor with NUL", read(actor_id=NUL), InvalidRead, "actor id is 'a\\x00b', expected text"),
    ("a time read from without a zone", read(since=datetime(2026, 1, 1)),  # noqa: DTZ001
     InvalidRead, "since is datetime.datetime(2026, 1, 1, 0, 0), expected a time with its zone"),
    ("a stream read with NUL", read_stream(NUL), InvalidRead, "stream is 'a\\x00b', expected text"),
    ("a stream that is a number", read_stream(5), InvalidRead, "stream is 5, expected text"),
    ("a negative version read", read_stream("box", after_version=-1), InvalidRead,
     f"after_version is -1, {POSITION}"),
    ("an absurd stream page", read_stream("box", limit=10**9), InvalidRead,
     "limit is 1000000000, expected a whole number from 1 to 100000"),
    ("an event id that is none", lambda store: store.event("x"),  # type: ignore[arg-type]
     InvalidRead, "event id is 'x', expected a UUID"),
    ("a key asked for with NUL", replayed(NUL), InvalidRead, "idempotency key is 'a\\x00b'"),
    ("a position of another store", tail(7), ForeignPosition,
     "7 is no position of the log 'shelf': the log ends at 0; it was restored to an earlier time"),
    ("a feed's position of another store", feed(7), ForeignPosition, "7 is no position of the log"),
    ("an absurd feed page", feed(0, limit=10_001), InvalidRead, f"limit is 10001, {PAGE}"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("act", "error", "message"), [bad[1:] for bad in BAD], ids=[bad[0] for bad in BAD]
)
async def test_it_is_refused_clearly(
    store: EventStore, act: Act, error: type[EventStoreError], message: str
) -> None:
    with pytest.raises(error) as refused:
        await act(store)
    assert type(refused.value) is error
    assert message in str(refused.value)
    assert refused.value.code != EventStoreError.code
    assert await store.head() == 0


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("orders:5", "it is one of 'orders'"),
        ("shelf:-1", "expected shelf:NUMBER"),
        ("shelf:1.5", "expected shelf:NUMBER"),
        ("shelf:99999999999999999999", "expected shelf:NUMBER"),
        ("shelf:１", "expected shelf:NUMBER"),
        ("", "expected shelf:NUMBER"),
    ],
)
async def test_a_receipt_of_another_store(store: EventStore, text: str, reason: str) -> None:
    with pytest.raises(ForeignPosition) as refused:
        store.position_of(text)
    assert str(refused.value) == f"{text!r} is no position of the log 'shelf': {reason}"


async def test_one_bad_append_does_not_fail_those_beside_it(store: EventStore) -> None:
    """It is refused before it comes into a batch."""
    with pytest.raises(InvalidAppend):
        await append(idempotency=Idempotency("a", 5))(store)  # type: ignore[arg-type]
    assert (await append()(store)).position == 1
