"""The newest events in memory: the same as those in the database, or none at all."""

from __future__ import annotations

import uuid

import msgspec

from eventstore import Append, EventStore, LocalFeed
from eventstore.decide import Placed
from eventstore.recent import Recent
from eventstore.record import make_row
from tests.support.shelf import BoxMoved, BoxPlaced, BoxWeighed, metadata, open_shelf, shelf_types

METADATA = msgspec.json.encode(metadata())


def placed(
    first: int, count: int, type_: str = "item.added", payload: bytes = b"{}"
) -> list[Placed]:
    rows = [make_row("box_1", uuid.uuid4(), type_, 1, (), METADATA, payload) for _ in range(count)]
    return [Placed(row, "box_1", first + n, n + 1) for n, row in enumerate(rows)]


def positions(recent: Recent, after: int, up_to: int, **how: object) -> list[int] | None:
    asked = {"types": None, "limit": 1_000, **how}
    found = recent.read(after, up_to, **asked)  # type: ignore[arg-type]
    return None if found is None else [event.position for event in found]


def test_what_was_added_is_read() -> None:
    recent = Recent()
    recent.add(placed(1, 3), 0, 0)
    recent.add(placed(4, 2, "box.made"), 0, 0)
    assert positions(recent, 0, 5) == [1, 2, 3, 4, 5]
    assert positions(recent, 1, 4) == [2, 3, 4]
    assert positions(recent, 0, 5, limit=2) == [1, 2]
    assert positions(recent, 0, 5, types=["box.made"]) == [4, 5]
    assert positions(recent, 0, 5, types=["item.added"], limit=2) == [1, 2]


def test_what_is_not_kept_is_not_made_up() -> None:
    recent = Recent()
    assert positions(recent, 0, 1) is None
    recent.add(placed(11, 3), 0, 0)  # a log that was there before
    assert positions(recent, 9, 13) is None
    assert positions(recent, 10, 14) is None
    assert positions(recent, 10, 13) == [11, 12, 13]


def test_events_of_another_process_in_between_end_what_is_kept() -> None:
    recent = Recent()
    recent.add(placed(1, 3), 0, 0)
    recent.add(placed(5, 1), 0, 0)
    assert positions(recent, 0, 5) is None
    assert positions(recent, 4, 5) == [5]


def test_it_is_bounded() -> None:
    recent = Recent(events_max=10, bytes_max=100_000)
    for first in range(1, 100):
        recent.add(placed(first, 1), 0, 0)
        kept = recent._kept[1]
        assert len(kept) <= 20
        assert len(recent._sizes) == len(kept)
    assert positions(recent, 95, 99) == [96, 97, 98, 99]
    recent.add(placed(100, 5, payload=b'"' + b"x" * 90_000 + b'"'), 0, 0)
    assert recent._bytes <= 200_000
    assert positions(recent, 103, 104) == [104]
    assert positions(recent, 99, 104) is None


async def test_a_feed_gives_the_same_from_memory_as_from_the_database(database: str) -> None:
    async with open_shelf(database) as store:
        for number in range(3):
            stream = f"box_{number}"
            events = [BoxPlaced("a", number), BoxWeighed(1.5), BoxMoved("shelf")]
            await store.append(Append(stream, events), metadata=metadata())
        head = await store.head()
        assert store.recent.read(0, head, types=None, limit=10) is not None
        async with EventStore(database, shelf_types(), name=store.name) as other:
            assert other.recent.read(0, head, types=None, limit=10) is None
            for public_only in (True, False):
                for limit in (1, 2, 10):
                    remembered = await LocalFeed(store, public_only).read(0, limit=limit)
                    assert remembered == await LocalFeed(other, public_only).read(0, limit=limit)


async def test_following_a_log_that_this_process_writes_reads_no_rows(database: str) -> None:
    async with open_shelf(database) as store:
        await store.append(Append("box_1", [BoxPlaced("a")]), metadata=metadata())
        store.read_raw = None  # type: ignore[assignment, method-assign]
        page = await LocalFeed(store, public_only=False).read(0)
        assert [event.type for event in page.events] == ["box.placed"]


def test_metadata_of_others_is_not_kept() -> None:
    """Applications of `eventsourcing` append without metadata of ours."""
    recent = Recent()
    recent.add(placed(1, 2), 0, 0)
    row = make_row("box_1", uuid.uuid4(), "item.added", 1, (), b"{}", b"{}")
    recent.add([Placed(row, "box_1", 3, 3)], 0, 0)
    assert positions(recent, 0, 3) is None
    recent.add(placed(4, 1), 0, 0)
    assert positions(recent, 3, 4) == [4]
