"""A person is forgotten: by the log, by memory, in every process, for ever."""

from __future__ import annotations

import asyncio
from typing import Any

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from eventsourcing.persistence import IntegrityError

from eventstore import (
    Actor,
    Append,
    Client,
    ErasedSubject,
    Event,
    EventStore,
    EventTypes,
    InvalidAppend,
    Keyring,
    LocalFeed,
    Note,
    Personal,
    Streams,
    SubjectErased,
    WrongExpectedVersion,
    event_type,
)
from eventstore.audit.seal import Signer, seal_next
from eventstore.audit.verify import verify
from eventstore.mapper import NewEvent, library_events
from eventstore.privacy.holdings import Holdings, Key, holdings
from tests.support.guests import (
    GuestArrived,
    GuestLeft,
    GuestWrote,
    Home,
    Stay,
    open_house,
)
from tests.support.keys import MASTER
from tests.support.shelf import OCCURRED, metadata

ARRIVED = GuestArrived("gst_1", "Zephyrine", 3, ("+34 611",), Home("12 Rue X", "Lyon", 4), 1990)
FORGOTTEN = GuestArrived("gst_1", "erased", 3, ("erased",), None, None)


async def arrive(store: EventStore, guest: str = "gst_1", stream: str = "sty_1") -> None:
    given = metadata(client=Client("203.0.113.7", "a browser"), actor=Actor("user", guest))
    await store.append(Append(stream, [GuestArrived(guest, "Zephyrine", 3)]), metadata=given)


async def erase(store: EventStore, guest: str = "gst_1", **more: Any) -> Any:
    return await store.persons.erase(guest, reason="asked to", metadata=metadata(), **more)


async def test_everything_of_a_person_reads_erased(house: EventStore) -> None:
    given = metadata(client=Client("203.0.113.7"), actor=Actor("user", "gst_1"))
    events = [ARRIVED, GuestWrote("gst_1", "my text"), GuestLeft("gst_1")]
    await house.append(Append("sty_1", events), metadata=given)
    await arrive(house, "gst_2", "sty_2")
    appended = await erase(house)
    assert (appended.versions, appended.replayed) == ({"subject:gst_1": 1}, False)
    recorded = await house.read()
    assert [each.event for each in recorded] == [
        FORGOTTEN,
        GuestWrote("gst_1", "erased"),
        GuestLeft("gst_1"),
        GuestArrived("gst_2", "Zephyrine", 3),
        SubjectErased("gst_1", "asked to", OCCURRED),
    ]
    clients = [
        each.client for each in await house.persons.clients([each.metadata for each in recorded])
    ]
    assert clients[0] == Client("erased", "erased", "gst_1")
    assert clients[3] == Client("203.0.113.7", "a browser", "gst_2")
    page = await LocalFeed(house, public_only=False).read(0)
    assert b'"name":"erased"' in page.events[0].data
    assert page.events[0].personal == ("born", "home", "name", "phones")
    assert page.events[0].metadata.client == Client("erased", "erased", "gst_1")


async def test_the_key_is_gone_and_the_row_stays(house: EventStore) -> None:
    await arrive(house)
    await erase(house)
    with psycopg.connect(house.conninfo) as connection:
        rows = connection.execute(
            "SELECT subject, wrapped, master_id, erased_at IS NOT NULL FROM eventstore.subject_keys"
        ).fetchall()
    assert ("gst_1", None, None, True) in rows


async def test_erasing_again_changes_nothing(house: EventStore) -> None:
    await arrive(house)
    first = await erase(house)
    again = await erase(house, appends=[Append("sty_1", [GuestLeft("gst_1")])])
    assert (again.position, again.versions, again.replayed) == (2, first.versions, True)
    assert await house.head() == 2
    by_thread = await asyncio.to_thread(
        lambda: house.persons.erase_sync("gst_1", reason="x", metadata=metadata())
    )
    assert by_thread.replayed


async def test_what_a_log_holds_of_a_person(house: EventStore) -> None:
    """Sealed events, those whose command came from them, and old ones that no erasure reaches."""

    async def held(guest: str) -> Holdings:
        return await house.reading(lambda c: holdings(c, house.layout, house.types, guest))

    assert await held("gst_1") == Holdings(Key.NONE, 0, 0)
    await arrive(house)
    given = metadata(client=Client("203.0.113.7"), actor=Actor("user", "gst_1"))
    await house.append(Append("sty_1", [GuestLeft("gst_1")]), metadata=given)
    await house.append(Append("sty_1", [GuestLeft("gst_1")]), metadata=metadata())
    await arrive(house, "gst_10", "sty_2")
    with psycopg.connect(house.conninfo) as connection:
        connection.execute("ALTER TABLE eventstore.events DISABLE TRIGGER ALL")
        connection.execute(
            """UPDATE eventstore.events SET payload = '{"guest_id":"gst_1","text":"old"}', """
            "type = 'guest.wrote', type_version = 1 WHERE position = 3"
        )
    assert await held("gst_1") == Holdings(Key.HELD, sealed=2, plain=1)
    await erase(house)
    assert await held("gst_1") == Holdings(Key.DESTROYED, sealed=2, plain=1)
    assert (await house.read(2))[0].event == GuestWrote("gst_1", "old")


async def test_two_who_erase_at_once(house: EventStore) -> None:
    await arrive(house)
    async with open_house(house.conninfo) as other:
        erased = await asyncio.gather(*(erase(store) for store in (house, other) * 5))
    assert sorted(each.replayed for each in erased) == [False] + [True] * 9


async def test_no_event_of_a_person_comes_after_their_erasure(house: EventStore) -> None:
    """While two processes that know the key go on appending, to one stream or to two at once."""
    await arrive(house)
    async with open_house(house.conninfo) as other:
        await arrive(other, stream="sty_2")
        begun = asyncio.Event()

        async def tell(store: EventStore, name: str, streams: int) -> int:
            """How many events were stored until the person was erased."""
            for number in range(200):
                appends = [
                    Append(f"{name}_{part}", [GuestWrote("gst_1", "text")], number)
                    for part in range(streams)
                ]
                try:
                    await store.append(appends, metadata=metadata())
                except ErasedSubject:
                    return number * streams
                begun.set()
            raise AssertionError("nobody says that the person was erased")

        async with asyncio.TaskGroup() as group:
            telling = [
                group.create_task(tell(store, f"{name}{n}", 1 + n % 2))
                for n in range(4)
                for name, store in (("here", house), ("there", other))
            ]
            await begun.wait()
            erased = await erase(other)
    wrote = await house.read(types=["guest.wrote"])
    assert len(wrote) == sum(task.result() for task in telling)
    assert all(recorded.position < erased.position for recorded in wrote)
    assert {recorded.event.text for recorded in wrote} == {"erased"}


async def test_nothing_more_is_stored_of_who_was_erased(house: EventStore) -> None:
    """Also by a process that knows the key, and by one that never saw the person."""
    await arrive(house)
    async with open_house(house.conninfo) as knowing, open_house(house.conninfo) as new:
        await arrive(knowing)
        await erase(house)
        for store in (house, knowing, new):
            with pytest.raises(ErasedSubject, match="'gst_1' was erased") as raised:
                await arrive(store)
            assert raised.value.code == "SUBJECT_ERASED"
            with pytest.raises(ErasedSubject):
                await asyncio.to_thread(
                    lambda store=store: store.append_sync(
                        Append("sty_1", [ARRIVED]), metadata=metadata()
                    )
                )
        await knowing.append(Append("sty_1", [GuestLeft("gst_1")]), metadata=metadata())
    assert await house.head() == 4


async def test_the_library_stores_nothing_more_either(house: EventStore) -> None:
    await arrive(house)
    async with open_house(house.conninfo) as knowing:
        events = library_events(knowing)
        events.put([NewEvent("sty_2", 1, ARRIVED, metadata())])
        await erase(house)
        with pytest.raises(IntegrityError, match="'gst_1' was erased"):
            events.put([NewEvent("sty_3", 1, ARRIVED, metadata())])
        assert [each.event for each in events.get("sty_2")] == [FORGOTTEN]


async def test_who_was_never_seen_can_be_erased(house: EventStore) -> None:
    """What others still have to tell of them is refused then."""
    await erase(house, "gst_9")
    with pytest.raises(ErasedSubject):
        await arrive(house, "gst_9")


async def test_what_an_erased_person_does_is_stored_without_where_from(house: EventStore) -> None:
    await erase(house)
    given = metadata(client=Client("203.0.113.7"), actor=Actor("user", "gst_1"))
    await house.append(Append("sty_1", [GuestLeft("gst_1")]), metadata=given)
    assert (await house.read(1))[0].metadata.client is None


async def test_what_is_appended_with_an_erasure(house: EventStore) -> None:
    await arrive(house)
    with pytest.raises(WrongExpectedVersion):
        await erase(house, appends=[Append("sty_1", [GuestLeft("gst_1")], 7)])
    assert (await house.read())[0].event.name == "Zephyrine"  # all or nothing
    with pytest.raises(InvalidAppend, match="personal ones of 'gst_1'"):
        await erase(house, appends=[Append("sty_1", [GuestWrote("gst_1", "bye")])])
    appended = await erase(house, appends=[Append("sty_1", [GuestLeft("gst_1")], 1)])
    assert appended.versions == {"subject:gst_1": 1, "sty_1": 2}


@pytest.mark.parametrize("subject", ["", "x" * 201, "a\x00"])
async def test_a_subject_is_an_id(house: EventStore, subject: str) -> None:
    with pytest.raises(InvalidAppend, match="subject is"):
        await erase(house, subject)


async def test_old_versions_of_events_have_stand_ins_of_their_own(house: EventStore) -> None:
    await arrive(house)
    with psycopg.connect(house.conninfo) as connection:
        connection.execute("ALTER TABLE eventstore.events DISABLE TRIGGER ALL")
        connection.execute("UPDATE eventstore.events SET type_version = 1")
    await erase(house)
    [recorded, _] = await house.read()
    assert recorded.event.name == "erased erased"


async def test_states_in_memory_are_forgotten(house: EventStore) -> None:
    """In the process that erases at once, in others when they are told: polling is at rest here."""
    async with open_house(house.conninfo) as other:
        here, there = Streams(house), Streams(other)
        await arrive(house)
        for streams in (here, there):
            assert (await streams.load(Stay, "sty_1"))[0].name == "Zephyrine"
        await erase(house)
        assert (await here.load(Stay, "sty_1"))[0].name == "erased"
        async with asyncio.timeout(10):
            await other.wait(1, 10)
            while (await there.load(Stay, "sty_1"))[0].name != "erased":
                await other.wait(2, 0.01)


async def test_a_state_folded_during_an_erasure_is_not_kept(house: EventStore) -> None:
    streams = Streams(house)
    await arrive(house)

    async def meanwhile(*_: Any, **__: Any) -> Any:
        house.read_stream = reading  # type: ignore[method-assign]
        events = await reading("sty_1")
        await erase(house)
        await streams.load(Stay, "sty_2")
        return events

    reading, house.read_stream = house.read_stream, meanwhile  # type: ignore[method-assign]
    assert (await streams.load(Stay, "sty_1"))[0].name == "Zephyrine"
    assert (await streams.load(Stay, "sty_1"))[0].name == "erased"


async def test_proofs_stay_valid(house: EventStore) -> None:
    key = Ed25519PrivateKey.generate()
    signer = Signer(key)
    await arrive(house)
    with psycopg.connect(house.conninfo, autocommit=True) as connection:
        seal = seal_next(connection, house.layout, signer, OCCURRED)
        await erase(house)
        report = verify(
            connection, house.layout, {signer.key_id: key.public_key()}, checkpoint=seal
        )
    assert report.intact
    assert (report.events, report.sealed) == (2, 1)


async def test_notes_beside_the_log_are_forgotten_too(house: EventStore) -> None:
    notes = [Note("gst_1", "table 1", b"one"), Note("gst_2", "table 2", b"two")]
    sealed = await house.persons.seal_notes(notes)
    assert None not in sealed
    kept = [
        note._replace(data=text.encode())
        for note, text in zip(notes, sealed, strict=True)
        if text is not None
    ]
    assert await house.persons.open_notes(kept) == [b"one", b"two"]
    await erase(house)
    assert await house.persons.open_notes(kept) == [None, b"two"]
    assert [text is None for text in await house.persons.seal_notes(notes)] == [True, False]


@event_type("guest.seen", subject="guest_id")
class GuestSeen(Event, frozen=True):
    guest_id: str
    where: Personal[str | None] = None


async def test_what_tells_nothing_of_a_person_is_stored_of_the_erased_too(database: str) -> None:
    types = EventTypes([GuestSeen])
    async with EventStore(database, types, name="house", keyring=Keyring.of(MASTER)) as store:
        for seen in (GuestSeen("gst_1"), GuestSeen("gst_1", "on the stairs")):
            await store.append(Append("sty_1", [seen]), metadata=metadata())
        await erase(store)
        await store.append(Append("sty_1", [GuestSeen("gst_1")]), metadata=metadata())
        with pytest.raises(ErasedSubject):
            await store.append(Append("sty_1", [GuestSeen("gst_1", "x")]), metadata=metadata())
        events = [recorded.event.where for recorded in await store.read_stream("sty_1")]
        assert events == [None, "erased", None]
        held = await store.reading(lambda c: holdings(c, store.layout, types, "gst_1"))
    assert (held.sealed, held.plain) == (1, 0)
