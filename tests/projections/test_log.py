"""Reading the log: pages, parts, and a gap, which never comes but would be waited for and shown."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from eventstore.store import EventStore
from projections import catalogue
from projections.store_log import GAP_SECONDS_MAX, StoreLog
from tests.projections.ledger import Deposited, Noted, append, run

TYPES = ["account.deposited"]


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


async def test_parts_share_the_events_and_see_all_positions(
    store: EventStore, database: str
) -> None:
    for number in range(30):
        await append(store, f"acc_{number}", Deposited(number), Noted(""))
    log = StoreLog(store)
    with catalogue.connect(database, "test") as connection:
        whole = log.read_page(connection, 10, limit=40, types=TYPES)
        parts = [
            log.ask_page(connection, 10, limit=40, types=TYPES, part=part, parts=3)()
            for part in range(3)
        ]
    assert {(page.position, page.seen) for page in [whole, *parts]} == {(50, 40)}
    found = sorted(
        (event for page in parts for event in page.events), key=lambda event: event.position
    )
    assert found == whole.events
    assert all(page.events for page in parts)


async def test_bare_events_come_without_id_and_metadata(store: EventStore, database: str) -> None:
    await append(store, "acc_1", Deposited(1), Noted(""), Deposited(2))
    log = StoreLog(store)
    with catalogue.connect(database, "test") as connection:
        whole = log.read_page(connection, 0, limit=9, types=TYPES)
        for parts in (1, 2):
            pages = [
                log.ask_page(
                    connection, 0, limit=9, types=TYPES, part=part, parts=parts, bare=True
                )()
                for part in range(parts)
            ]
            events = [event for page in pages for event in page.events]
            assert events
            for bare, full in zip(events, whole.events, strict=True):
                assert replace(bare, id=full.id, metadata=full.metadata) == full
                with pytest.raises(AttributeError, match="says `bare`"):
                    _ = bare.metadata.actor


@pytest.mark.parametrize("parts", [1, 2])
async def test_a_gap_is_waited_for_then_passed_and_shows(
    store: EventStore, database: str, parts: int
) -> None:
    for number in range(6):
        await append(store, f"acc_{number}", Deposited(number))
    run(database, "ALTER TABLE eventstore.events DISABLE TRIGGER ALL")
    run(database, "DELETE FROM eventstore.events WHERE position = 3")
    clock = Clock()
    log = StoreLog(store, clock=clock)
    with catalogue.connect(database, "test") as connection:

        def read(after: int) -> tuple[int, int, list[int]]:
            pages = [
                log.ask_page(connection, after, limit=9, types=TYPES, part=part, parts=parts)()
                for part in range(parts)
            ]
            assert len({(page.position, page.seen) for page in pages}) == 1
            events = sorted(event.position for page in pages for event in page.events)
            return pages[0].position, pages[0].seen, events

        assert read(0) == (2, 2, [1, 2])
        assert read(2) == (2, 0, [])
        clock.now = GAP_SECONDS_MAX
        if parts == 1:
            assert read(2) == (6, 3, [4, 5, 6])
