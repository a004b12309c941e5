"""One event whose personal part does not open stops nobody who reads the others."""

from __future__ import annotations

import psycopg
import pytest

from eventstore import (
    Actor,
    Append,
    Client,
    EventStore,
    EventStoreError,
    LocalFeed,
    SealedDataCorrupt,
    SubjectKeyCorrupt,
    SubjectKeyLost,
    WrongMasterKey,
)
from eventstore.feed import from_lines, to_lines
from eventstore.privacy.readable import Readable, readable
from tests.support.guests import GuestArrived, GuestLeft, open_house
from tests.support.shelf import metadata

KEYS = {
    "the row of the key is gone": (
        "DELETE FROM eventstore.subject_keys WHERE subject = 'two'",
        SubjectKeyLost,
    ),
    "the key was damaged": (
        "UPDATE eventstore.subject_keys SET wrapped = set_byte(wrapped, 20, 7) "
        "WHERE subject = 'two'",
        SubjectKeyCorrupt,
    ),
}
TEXTS = {
    "the sealed text was damaged": (
        "UPDATE eventstore.events SET payload = regexp_replace("
        """payload::text, 'sealed":"....', 'sealed":"AAAA')::json WHERE position = 2""",
        SealedDataCorrupt,
    ),
    "there is no sealed text": (
        """UPDATE eventstore.events SET payload = '{"$personal":{},"guest_id":"two","nights":1}'"""
        " WHERE position = 2",
        SealedDataCorrupt,
    ),
}
DAMAGE = {**KEYS, **TEXTS}


async def arrive(store: EventStore, *guests: str) -> None:
    for guest in guests:
        event = GuestArrived(guest, f"Name of {guest}", 1, ("+34 611",))
        await store.append(Append(f"sty_{guest}", [event]), metadata=metadata())


def damage(store: EventStore, change: str) -> None:
    with psycopg.connect(store.conninfo) as connection:
        connection.execute("ALTER TABLE eventstore.events DISABLE TRIGGER ALL")
        connection.execute(change.encode())


def opened(store: EventStore) -> Readable:
    with psycopg.connect(store.conninfo) as connection:
        return readable(connection, store.layout, store.privacy, store.types)


async def goes_on(store: EventStore) -> None:
    page = await LocalFeed(store, public_only=False).read(0)
    assert from_lines(to_lines(page)) == page
    one, two, three = page.events
    assert [event.unreadable is None for event in page.events] == [True, False, True]
    assert b"Name of one" in one.data
    assert b"Name of three" in three.data
    assert b"Name of two" not in two.data
    assert b'"name":"unreadable"' in two.data
    assert b'"nights":1' in two.data, "what is plain is still there"
    assert (two.subject, "name" in two.personal) == ("two", True)


@pytest.mark.parametrize("change", [change for change, _ in KEYS.values()], ids=KEYS)
async def test_a_feed_from_memory_goes_on_and_marks_it(house: EventStore, change: str) -> None:
    await arrive(house, "one", "two", "three")
    damage(house, change)
    await goes_on(house)


@pytest.mark.parametrize("change", [change for change, _ in DAMAGE.values()], ids=DAMAGE)
async def test_a_feed_from_the_database_goes_on_and_marks_it(
    house: EventStore, change: str
) -> None:
    await arrive(house, "one", "two", "three")
    damage(house, change)
    async with open_house(house.conninfo) as other:
        await goes_on(other)


async def test_a_client_that_does_not_open_is_marked(house: EventStore) -> None:
    for guest in ("one", "two"):
        told = metadata(client=Client("203.0.113.9", "a browser"), actor=Actor("user", guest))
        await house.append(Append(f"sty_{guest}", [GuestLeft(guest)]), metadata=told)
    damage(house, KEYS["the row of the key is gone"][0])
    one, two = (await LocalFeed(house, public_only=False).read(0)).events
    assert one.metadata.client is not None
    assert (one.metadata.client.ip, one.unreadable) == ("203.0.113.9", None)
    assert two.metadata.client is not None
    assert two.metadata.client.ip == "unreadable"
    assert "no record of an erasure" in (two.unreadable or "")


async def test_what_concerns_everybody_stops_the_feed(house: EventStore) -> None:
    await arrive(house, "one")
    damage(house, "UPDATE eventstore.subject_keys SET master_id = 'ff'")
    with pytest.raises(WrongMasterKey):
        await LocalFeed(house).read(0)


async def test_who_decides_is_refused_what_who_looks_is_shown(house: EventStore) -> None:
    await arrive(house, "one", "two")
    damage(house, KEYS["the row of the key is gone"][0])
    with pytest.raises(SubjectKeyLost):
        await house.read_stream("sty_two")
    house.privacy.seen = {}
    [recorded] = await house.read_stream("sty_two")
    assert recorded.event == GuestArrived("two", "unreadable", 1, ("unreadable",))
    assert isinstance(house.privacy.seen[2], SubjectKeyLost)


@pytest.mark.parametrize(("change", "error"), DAMAGE.values(), ids=DAMAGE)
async def test_what_does_not_open_is_found(
    house: EventStore, change: str, error: type[EventStoreError]
) -> None:
    await arrive(house, "one", "two", "three")
    await house.persons.erase("three", reason="asked to", metadata=metadata())
    assert opened(house) == Readable(3, 0)
    damage(house, change)
    found = opened(house)
    assert (found.sealed, found.unreadable, found.position) == (3, 1, 2)
    assert isinstance(found.fault, error)
