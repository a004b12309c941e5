"""Personal fields are sealed in the log, and read as they were by whoever has the key."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from eventsourcing.application import Repository

from eventstore import (
    Actor,
    Append,
    Client,
    EventStore,
    EventStoreError,
    Keyring,
    LocalFeed,
    MalformedEvent,
    MasterKey,
    NoKeyring,
    SealedDataCorrupt,
    SubjectKeyCorrupt,
    SubjectKeyLost,
    WrongMasterKey,
)
from eventstore.feed import from_lines, to_lines
from eventstore.mapper import NewEvent, library_events
from tests.support.guests import (
    GuestArrived,
    GuestLeft,
    GuestWrote,
    Home,
    guest_types,
    open_house,
)
from tests.support.keys import MASTER, OTHER_MASTER
from tests.support.shelf import metadata

ARRIVED = GuestArrived(
    "gst_1", 'Zéphyrine Q"uill}\\', 3, ("+34 611",), Home("12 Rue X", "Lyon"), 1990
)


def stored(conninfo: str) -> list[str]:
    """Every payload and metadata as the database has them."""
    with psycopg.connect(conninfo) as connection:
        rows = connection.execute(
            "SELECT payload::text || metadata::text FROM eventstore.events ORDER BY position"
        ).fetchall()
    return [text for (text,) in rows]


async def arrive(store: EventStore, guest: str = "gst_1", stream: str = "sty_1") -> None:
    event = GuestArrived(guest, f"Name of {guest}", 1)
    await store.append(Append(stream, [event]), metadata=metadata())


async def test_what_is_personal_is_read_but_not_stored_in_plain(house: EventStore) -> None:
    events = [ARRIVED, GuestWrote("gst_1", "my text"), GuestLeft("gst_1")]
    await house.append(Append("sty_1", events), metadata=metadata())
    assert [recorded.event for recorded in await house.read_stream("sty_1")] == events
    assert [recorded.event for recorded in await house.read()] == events
    arrived, wrote, left = stored(house.conninfo)
    assert arrived.startswith('{"$personal":{"of":"gst_1","sealed":"')
    assert '"},"guest_id":"gst_1","nights":3}' in arrived
    for text in ("Zéph", "Lyon", "611", "1990", "my text"):
        assert text not in arrived + wrote + left


async def test_each_event_is_sealed_anew(house: EventStore) -> None:
    for _ in range(2):
        await house.append(Append("sty_1", [ARRIVED]), metadata=metadata())
    one, two = stored(house.conninfo)
    assert one != two


async def test_every_way_of_reading_opens(house: EventStore) -> None:
    await house.append(Append("sty_1", [ARRIVED]), metadata=metadata())
    [recorded] = await house.read_stream("sty_1")
    assert house.read_stream_sync("sty_1") == [recorded]
    assert await house.event(recorded.id) == recorded
    with psycopg.connect(house.conninfo) as connection:
        assert house.read_sync(connection, 0) == [recorded]
    async for page in house.tail(0):
        assert page == [recorded]
        break


async def test_another_process_makes_no_second_key(house: EventStore) -> None:
    await arrive(house)
    async with open_house(house.conninfo) as other:
        await arrive(other, stream="sty_2")
        events = await house.read()
    assert [recorded.event.name for recorded in events] == ["Name of gst_1"] * 2


async def test_the_library_seals_and_opens(house: EventStore) -> None:
    library_events(house).put([NewEvent("sty_1", 1, ARRIVED, metadata())])
    [text] = stored(house.conninfo)
    assert "Lyon" not in text
    recorded = await house.read_stream("sty_1")
    assert recorded[0].event == ARRIVED
    assert list(library_events(house).get("sty_1")) == recorded

    def names(found: Any, events: Any) -> Any:
        return [event.event.name for event in events]

    found = Repository(library_events(house)).get("sty_1", projector_func=names)
    assert found == [ARRIVED.name]


async def test_old_events_in_plain_are_read_as_they_are(house: EventStore) -> None:
    """Those stored before their type had personal fields; the upcaster sees a plain payload."""
    await arrive(house)
    with psycopg.connect(house.conninfo) as connection:
        connection.execute("ALTER TABLE eventstore.events DISABLE TRIGGER ALL")
        connection.execute(
            "UPDATE eventstore.events SET type_version = 1, "
            """payload = '{"first":"Ada","guest_id":"gst_1","last":"L","nights":1}'"""
        )
    [recorded] = await house.read()
    assert recorded.event == GuestArrived("gst_1", "Ada L", 1)
    page = await LocalFeed(house).read(0)
    assert (page.events[0].personal[-1], page.events[0].subject) == ("phones", "gst_1")


# Where commands come from


async def test_the_client_is_sealed_for_who_acts(house: EventStore) -> None:
    given = metadata(client=Client("203.0.113.7", "a browser"))
    await house.append(Append("sty_1", [GuestLeft("gst_1")]), metadata=given)
    [text] = stored(house.conninfo)
    assert "203.0.113.7" not in text
    assert '"client":{"of":"usr_1","sealed":' in text
    [recorded] = await house.read()
    assert recorded.metadata.client is not None
    assert recorded.metadata.client.ip is None
    [opened] = await house.persons.clients([recorded.metadata])
    assert opened.client == Client("203.0.113.7", "a browser", "usr_1")


async def test_the_client_of_a_machine_is_that_of_whom_its_events_tell(house: EventStore) -> None:
    given = metadata(actor=Actor("provider", "bank"), client=Client("203.0.113.7"))
    for stream, event in (("sty_1", GuestWrote("gst_9", "x")), ("sty_2", GuestLeft("gst_9"))):
        await house.append(Append(stream, [event]), metadata=given)
    of_guest, of_nobody = await house.read()
    assert of_guest.metadata.client is not None
    assert of_guest.metadata.client.of == "gst_9"
    assert of_nobody.metadata.client == Client("203.0.113.7")


# Feeds


@pytest.mark.parametrize("kept", [True, False], ids=["recent", "from the database"])
async def test_feeds_give_opened_and_marked_data(house: EventStore, kept: bool) -> None:
    given = metadata(client=Client("203.0.113.7"))
    await house.append(Append("sty_1", [ARRIVED, GuestLeft("gst_1")]), metadata=given)
    async with open_house(house.conninfo) as other:
        store = house if kept else other
        public = await LocalFeed(store).read(0)
        full = await LocalFeed(store, public_only=False).read(0)
    for page in (public, full, from_lines(to_lines(public))):
        arrived, left = page.events
        assert b"Lyon" in arrived.data
        assert arrived.personal == ("born", "home", "name", "phones")
        assert arrived.subject == "gst_1"
        assert (left.personal, left.subject) == ((), None)
    assert public.events[0].metadata.client is not None
    assert public.events[0].metadata.client.ip is None
    assert full.events[0].metadata.client == Client("203.0.113.7", None, "usr_1")


# What is wrong


async def test_a_store_with_personal_fields_needs_keys(database: str) -> None:
    with pytest.raises(NoKeyring, match=r"'house' seals personal data of \['guest\.arrived'"):
        await EventStore(database, guest_types(), name="house").open()


async def test_an_event_that_does_not_say_whose_it_is(house: EventStore) -> None:
    for subject in ("", "x" * 201, "a\x00b"):
        event = GuestWrote(subject, "text")
        with pytest.raises(MalformedEvent, match="its field guest_id"):
            await house.append(Append("sty_1", [event]), metadata=metadata())
    assert await house.head() == 0


async def test_a_wrong_master_key_is_named_when_the_store_opens(house: EventStore) -> None:
    await arrive(house)
    with pytest.raises(WrongMasterKey) as raised:
        async with open_house(house.conninfo, OTHER_MASTER):
            raise AssertionError("it opened")
    assert raised.value.found == MASTER.id
    assert raised.value.expected == [OTHER_MASTER.id]
    assert MASTER.id in str(raised.value)
    assert MASTER.secret.hex() not in repr(MASTER) + str(raised.value)


CHANGES = {
    "a wrapped key that was changed": (
        "UPDATE eventstore.subject_keys SET wrapped = set_byte(wrapped, 20, 7)",
        SubjectKeyCorrupt,
    ),
    "a wrapped key that was cut off": (
        "UPDATE eventstore.subject_keys SET wrapped = 'x'",
        SubjectKeyCorrupt,
    ),
    "the key of somebody else": (
        "UPDATE eventstore.subject_keys k SET wrapped = o.wrapped FROM eventstore.subject_keys o "
        "WHERE o.subject <> k.subject",
        SubjectKeyCorrupt,
    ),
    "a key that was lost, not erased": ("DELETE FROM eventstore.subject_keys", SubjectKeyLost),
    "a key of another master": (
        "UPDATE eventstore.subject_keys SET master_id = 'ff'",
        WrongMasterKey,
    ),
    "sealed data that was changed": (
        "UPDATE eventstore.events SET payload = "
        """regexp_replace(payload::text, 'sealed":"....', 'sealed":"AAAA')::json""",
        SealedDataCorrupt,
    ),
    "sealed data of another stream": (
        "UPDATE eventstore.events SET stream = 'sty_9'",
        SealedDataCorrupt,
    ),
    "no sealed data": (
        """UPDATE eventstore.events SET payload = '{"$personal":{"of":"gst_1"},"nights":1}' """
        "WHERE position = 1",
        SealedDataCorrupt,
    ),
}


@pytest.mark.parametrize(("change", "error"), CHANGES.values(), ids=CHANGES)
async def test_what_does_not_open_is_said(
    house: EventStore, change: str, error: type[EventStoreError]
) -> None:
    """By a store that is open already: it does not read as erased, and no other event fails."""
    await arrive(house)
    await arrive(house, "gst_2")
    await house.append(Append("sty_1", [GuestLeft("gst_1")]), metadata=metadata())
    with psycopg.connect(house.conninfo) as connection:
        connection.execute("ALTER TABLE eventstore.events DISABLE TRIGGER ALL")
        connection.execute(change.encode())
    with pytest.raises(error, match="house"):
        await house.read()
    assert len(await house.read(types=["guest.left"])) == 1


# Rotating the master key


async def test_keys_are_wrapped_anew_while_the_store_is_used(house: EventStore) -> None:
    """By a process that reads next, and by one that makes a key next."""
    for number in range(3):
        await arrive(house, f"gst_{number}", f"sty_{number}")
    masters = [MASTER]
    async with (
        open_house(house.conninfo, keyring=Keyring(lambda: masters)) as reading,
        open_house(house.conninfo, keyring=Keyring(lambda: masters)) as making,
        open_house(house.conninfo, OTHER_MASTER, MASTER) as rotating,
    ):
        keys = rotating.privacy.keys
        assert keys is not None
        masters[:] = [OTHER_MASTER, MASTER]  # what a running process finds when it looks again
        await arrive(making, "gst_9", "sty_9")
        assert [rotating.reading_sync(keys.rewrap) for _ in range(2)] == [3, 0]
        assert len(await reading.read()) == 4
    async with open_house(house.conninfo, OTHER_MASTER) as after:
        names = [recorded.event.name for recorded in await after.read()]
    assert names == [f"Name of gst_{number}" for number in (0, 1, 2, 9)]


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_master_key_has_32_bytes(size: int) -> None:
    with pytest.raises(ValueError, match=f"has {size} bytes, expected 32"):
        MasterKey(b"x" * size)
