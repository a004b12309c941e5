"""Our typed events through the library's contracts: one log, one append path, either way in."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import psycopg
import pytest
from eventsourcing.application import Repository
from eventsourcing.persistence import IntegrityError

from eventstore import Append, EventStore, MalformedEvent
from eventstore.mapper import NewEvent, library_events
from tests.support.shelf import Box, BoxMoved, BoxPlaced, BoxWeighed, metadata


def fold(box: Any, events: Iterable[Any]) -> Any:
    for recorded in events:
        box = (box or Box.initial(recorded.originator_id)).evolve(recorded.event)
    return box


async def test_the_library_reads_what_we_append(store: EventStore) -> None:
    await store.append(
        Append("box_1", [BoxPlaced("silk"), BoxMoved("here")], tags=("a",)), metadata=metadata()
    )
    events = library_events(store)
    assert list(events.get("box_1")) == await store.read_stream("box_1")
    assert Repository(events).get("box_1", projector_func=fold) == Box("box_1", "silk", ("here",))
    assert Repository(events).get("box_1", version=1, projector_func=fold) == Box("box_1", "silk")


async def test_we_read_what_the_library_puts(store: EventStore) -> None:
    given = metadata("cmd_9", reason="by the library")
    recordings = library_events(store).put(
        [
            NewEvent("box_1", 1, BoxPlaced("silk"), given),
            NewEvent("box_1", 2, BoxWeighed(2.5), given),
        ]
    )
    assert [recording.notification.id for recording in recordings] == [1, 2]
    recorded = await store.read_stream("box_1")
    assert [event.event for event in recorded] == [BoxPlaced("silk"), BoxWeighed(2.5)]
    assert [event.type_version for event in recorded] == [1, 1]
    assert recorded[0].metadata == given


async def test_both_ways_leave_the_same_row(store: EventStore) -> None:
    given = metadata()
    await store.append(Append("box_1", [BoxMoved("ü")], 0), metadata=given)
    library_events(store).put([NewEvent("box_2", 1, BoxMoved("ü"), given)])
    same = "type, type_version, version, tags, payload::text, metadata::text, octet_length(leaf)"
    with psycopg.connect(store.conninfo) as connection:
        one, other = connection.execute(f"SELECT {same} FROM eventstore.events".encode())
    assert one == other
    assert one[1] == 2


async def test_a_conflict_is_the_librarys_error(store: EventStore) -> None:
    events = library_events(store)
    first = NewEvent("box_1", 1, BoxPlaced("x"), metadata())
    events.put([first])
    for wrong in ([first], [NewEvent("box_1", 3, BoxPlaced("x"), metadata())]):
        with pytest.raises(IntegrityError):
            events.put(wrong)
    with pytest.raises(MalformedEvent):
        events.put([NewEvent("box_1", 2, BoxPlaced("\x00"), metadata())])
