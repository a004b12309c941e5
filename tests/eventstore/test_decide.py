"""Deciding batches, against a model that takes appends one by one."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventstore import ANY, NO_STREAM, STREAM_EXISTS, Appended, Idempotency
from eventstore.decide import Plan, Request, Write
from eventstore.errors import EventStoreError, IdempotencyKeyReused, WrongExpectedVersion
from eventstore.expected_version import ExpectedVersion, agrees
from eventstore.record import make_row

ROW = make_row("s", UUID(int=0), "box.placed", 1, (), b"{}", b"{}")

streams = st.sampled_from(["a", "b", "c"])
expectations = st.sampled_from([ANY, NO_STREAM, STREAM_EXISTS, 0, 1, 2, 3])
writes = st.builds(
    lambda stream, expected, count: Write(stream, expected, [ROW] * count),
    streams,
    expectations,
    st.integers(1, 3),
)
keys = st.none() | st.builds(
    Idempotency, st.sampled_from(["k", "l"]), st.sampled_from([b"1", b"2"])
)
requests = st.builds(
    lambda writes, key: Request(writes, sum(len(w.rows) for w in writes), 0, key),
    st.lists(writes, min_size=1, max_size=3),
    keys,
)


class Model:
    """The log as it ought to be: one append at a time."""

    def __init__(self) -> None:
        self.streams: dict[str, int] = {}
        self.position = 0
        self.keys: dict[str, tuple[bytes, Appended]] = {}

    def append(self, request: Request) -> Appended | type[EventStoreError]:
        key = request.idempotency
        if key is not None and key.key in self.keys:
            request_hash, before = self.keys[key.key]
            if request_hash != key.request_hash:
                return IdempotencyKeyReused
            return Appended(before.position, before.versions, replayed=True)
        after = dict(self.streams)
        for write in request.writes:
            expected: ExpectedVersion = write.expected
            if not agrees(expected, after.get(write.stream, 0)):
                return WrongExpectedVersion
            after[write.stream] = after.get(write.stream, 0) + len(write.rows)
        self.streams = after
        self.position += request.events
        touched = {write.stream: after[write.stream] for write in request.writes}
        appended = Appended(self.position, touched)
        if key is not None:
            self.keys[key.key] = (key.request_hash, appended)
        return appended


@pytest.mark.slow
@given(st.lists(st.lists(requests, max_size=6), max_size=4))
def test_batches_decide_as_one_by_one(batches: list[list[Request]]) -> None:
    model = Model()
    plan = Plan(0, {}, {})
    for batch in batches:
        plan = Plan(plan.position, dict(plan.heads), dict(plan.known))
        first = plan.position + 1
        for request in batch:
            answer = plan.answer(request)
            given_out = plan.accept(request) if answer is None else answer
            expected = model.append(request)
            if isinstance(given_out, EventStoreError):
                assert type(given_out) is expected
            else:
                assert given_out == expected
        assert [item.position for item in plan.placed] == list(range(first, plan.position + 1))
    assert plan.heads == model.streams
    assert plan.position == model.position


def test_versions_that_applications_number_themselves() -> None:
    def answer(plan: Plan, first: int, count: int = 1) -> bool:
        request = Request([Write("s", ANY, [ROW] * count, first)], count, 0)
        if plan.answer(request) is not None:
            return False
        plan.accept(request)
        return True

    from_zero = Plan(0, {}, {})
    assert [answer(from_zero, first) for first in (2, 0, 0, 2, 1, 2)] == [
        False,
        True,
        False,
        False,
        True,
        True,
    ]
    assert [item.version for item in from_zero.placed] == [0, 1, 2]
    from_one = Plan(0, {}, {})
    assert [answer(from_one, first) for first in (1, 0, 1, 2)] == [True, False, False, True]
