"""Any sequence of appends, reads and subscriptions, from two stores, does what a list in memory
would do; states loaded from snapshots are those folded from it.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from itertools import count
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from eventstore import (
    ANY,
    NO_STREAM,
    STREAM_EXISTS,
    Append,
    Appended,
    EventStore,
    Idempotency,
    IdempotencyKeyReused,
    Limits,
    LocalFeed,
    Streams,
    WrongExpectedVersion,
)
from eventstore.expected_version import ExpectedVersion, agrees
from tests.support.shelf import Box, BoxMoved, metadata, shelf_types

streams = st.sampled_from(["box_1", "box_2", "box_3"])
expectations = st.sampled_from([ANY, NO_STREAM, STREAM_EXISTS, 0, 1, 2, 5])
keys = st.none() | st.builds(
    Idempotency, st.sampled_from(["k1", "k2", "k3"]), st.sampled_from([b"1", b"2"])
)
appends = st.lists(st.tuples(streams, expectations, st.integers(1, 3)), min_size=1, max_size=3)
which = st.integers(0, 1)


@dataclass(frozen=True, slots=True)
class Kept(Box):
    """A box that is loaded from snapshots."""

    SNAPSHOT_VERSION: ClassVar[int] = 1


class AgainstAList(RuleBasedStateMachine):
    """`log` is what the store should hold: (stream, version, place) by position. `followed` is how
    far each subscription is: two of each store, of one event at a time and of several.
    """

    conninfo = ""
    schemas = count(1)

    @initialize()
    def open(self) -> None:
        schema = f"model_{next(self.schemas)}"
        self.stores = [
            EventStore(
                self.conninfo,
                shelf_types(),
                name="model",
                schema=schema,
                limits=Limits(snapshot_events=3),
            )
            for _ in "ab"
        ]
        for store in self.stores:
            store.open_sync()
        self.log: list[tuple[str, int, str]] = []
        self.keys: dict[str, tuple[bytes, int]] = {}
        self.places = count()
        self.followed = {(store, limit): 0 for store in (0, 1) for limit in (1, 4)}
        self.runner = asyncio.Runner()

    def teardown(self) -> None:
        if hasattr(self, "runner"):
            self.runner.close()
        for store in getattr(self, "stores", ()):
            store.close_sync()

    def head(self, stream: str) -> int:
        return sum(1 for name, _, _ in self.log if name == stream)

    @rule(store=which, wanted=appends, key=keys)
    def append(
        self, store: int, wanted: list[tuple[str, ExpectedVersion, int]], key: Idempotency | None
    ) -> None:
        before, after = list(self.log), list(self.log)
        conflict = False
        given: list[Append] = []
        for stream, expected, number in wanted:
            head = sum(1 for name, _, _ in after if name == stream)
            conflict = conflict or not agrees(expected, head)
            places = [f"place {next(self.places)}" for _ in range(number)]
            given.append(Append(stream, [BoxMoved(place) for place in places], expected))
            after += [(stream, head + 1 + n, place) for n, place in enumerate(places)]
        known = self.keys.get(key.key) if key is not None else None
        answer: Appended | Exception
        try:
            answer = self.stores[store].append_sync(given, metadata=metadata(), idempotency=key)
        except (WrongExpectedVersion, IdempotencyKeyReused) as error:
            answer = error
        if known is not None and key is not None:
            if known[0] != key.request_hash:
                assert isinstance(answer, IdempotencyKeyReused)
            else:
                assert isinstance(answer, Appended)
                assert (answer.replayed, answer.position) == (True, known[1])
        elif conflict:
            assert isinstance(answer, WrongExpectedVersion)
            assert self.log == before
        else:
            assert isinstance(answer, Appended)
            assert (answer.replayed, answer.position) == (False, len(after))
            self.log = after
            if key is not None:
                self.keys[key.key] = (key.request_hash, len(after))

    @rule(store=which, stream=streams, after=st.integers(0, 4), backwards=st.booleans())
    def read_stream(self, store: int, stream: str, after: int, backwards: bool) -> None:
        read = self.stores[store].read_stream_sync(stream, after_version=after, backwards=backwards)
        expected = [(version, place) for name, version, place in self.log if name == stream]
        expected = expected[after:]
        assert [(event.version, event.event.place) for event in read] == (
            expected[::-1] if backwards else expected
        )

    @rule(store=which, after=st.integers(0, 10), limit=st.integers(1, 5))
    def read_log(self, store: int, after: int, limit: int) -> None:
        read = self.stores[store].reading_sync(
            lambda connection: self.stores[store].read_sync(connection, after, limit)
        )
        expected = self.log[after : after + limit]
        assert [(event.stream, event.version, event.event.place) for event in read] == expected

    @rule(store=which, limit=st.sampled_from([1, 4]))
    def follow(self, store: int, limit: int) -> None:
        """The next page of a subscription: nothing twice, nothing left out, something if there is
        anything (maybe less than there is: another store may have appended just now).
        """
        after = self.followed[store, limit]
        feed = LocalFeed(self.stores[store])
        page = self.runner.run(feed.read(after, limit=limit))
        found = [
            (event.stream, event.version, json.loads(event.data)["place"]) for event in page.events
        ]
        assert found == self.log[after : after + len(found)]
        assert found or after == len(self.log)
        assert len(found) <= limit
        assert page.position == after + len(found)
        self.followed[store, limit] = page.position

    @rule(store=which, stream=streams)
    def load(self, store: int, stream: str) -> None:
        """With nothing in memory, so from a snapshot if there is one."""
        box, version = self.runner.run(Streams(self.stores[store]).load(Kept, stream))
        assert box.places == tuple(place for name, _, place in self.log if name == stream)
        assert version == self.head(stream)

    @rule(store=which, key=keys)
    def ask(self, store: int, key: Idempotency | None) -> None:
        if key is None:
            return
        known = self.keys.get(key.key)
        if known is not None and known[0] != key.request_hash:
            with pytest.raises(IdempotencyKeyReused):
                self.stores[store].replayed_sync(key)
            return
        seen = self.stores[store].replayed_sync(key)
        assert (seen and seen.position) == (known and known[1])

    @invariant()
    def the_head_is_the_length(self) -> None:
        for store in getattr(self, "stores", ()):
            assert store.head_sync() == len(self.log)


@pytest.mark.slow
def test_the_store_is_as_good_as_a_list(database: str) -> None:
    machine = type("OnThisDatabase", (AgainstAList,), {"conninfo": database})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=25,
            stateful_step_count=20,
            deadline=None,
            # Twenty steps can be read as they are; to find fewer takes minutes over a database.
            phases=[Phase.explicit, Phase.reuse, Phase.generate],
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
