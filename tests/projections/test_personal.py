"""Projections of personal fields: opened, "erased", or parked where they do not open."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, ClassVar

import msgspec
import psycopg
import pytest

from eventstore import Append, ErasedSubject, EventStore, SubjectErased, SubjectKeyLost
from projections import (
    Message,
    Projection,
    ProjectionRunner,
    Reactor,
    ReactorRunner,
    catalogue,
)
from projections.log import Undecodable
from projections.projection import Cursor
from projections.store_log import StoreLog
from tests.projections.waiting import until
from tests.support.guests import GuestArrived, GuestLeft, open_house
from tests.support.leftovers import in_database
from tests.support.shelf import metadata


class Names(Projection):
    """One row a guest, emptied when they are erased: what is rebuilt afterwards is the same."""

    name, version, handles = "names", 1, (GuestArrived, SubjectErased)
    tables = "CREATE TABLE names (guest text PRIMARY KEY, name text)"

    def apply(self, recorded: Any, cursor: Cursor) -> None:
        match recorded.event:
            case GuestArrived(guest_id=guest, name=name):
                cursor.execute("INSERT INTO names VALUES (%s, %s)", (guest, name))
            case SubjectErased(subject=subject):
                cursor.execute("UPDATE names SET name = 'erased' WHERE guest = %s", (subject,))


@pytest.fixture
async def house(database: str) -> AsyncIterator[EventStore]:
    async with open_house(database) as opened:
        yield opened


async def arrive(store: EventStore, *guests: str) -> int:
    """Each in a stream of their own; the last position."""
    appends = [
        Append(f"sty_{guest}", [GuestArrived(guest, f"Name of {guest}", 1)]) for guest in guests
    ]
    return (await store.append(appends, metadata=metadata())).position


def rows(conninfo: str) -> dict[str, str]:
    with psycopg.connect(conninfo) as connection:
        return dict(connection.execute("SELECT guest, name FROM read_models.names").fetchall())


async def test_what_is_live_and_what_is_rebuilt_are_the_same(house: EventStore) -> None:
    await arrive(house, "one", "two")
    async with ProjectionRunner(house, [Names()]) as runner:
        assert await runner.wait_for(2, 10)
        assert rows(house.conninfo) == {"one": "Name of one", "two": "Name of two"}
        await house.persons.erase("one", reason="asked to", metadata=metadata())
        assert await runner.wait_for(3, 10)
        live = rows(house.conninfo)
    with psycopg.connect(house.conninfo) as connection:
        connection.execute("DROP SCHEMA projections, read_models CASCADE")
        connection.execute("DROP SCHEMA names_b1 CASCADE")
    async with ProjectionRunner(house, [Names()]) as runner:
        assert await runner.wait_for(3, 10)
    assert rows(house.conninfo) == live == {"one": "erased", "two": "Name of two"}
    with pytest.raises(ErasedSubject):
        await arrive(house, "one")


@pytest.mark.parametrize("parts", [1, 2])
async def test_pages_are_opened_while_they_are_asked_for(house: EventStore, parts: int) -> None:
    """What takes the page apart may run when the connection is in use, or gone."""
    await arrive(house, "one", "two", "three")
    log, types = StoreLog(house), [GuestArrived.TYPE]
    with catalogue.connect(house.conninfo, "test") as connection:
        pages = [
            log.ask_page(connection, 0, limit=9, types=types, part=part, parts=parts)
            for part in range(parts)
        ]
    found = {each.event.name for page in pages for each in page().events}
    assert found == {"Name of one", "Name of two", "Name of three"}


async def test_one_that_does_not_open_does_not_hold_up_the_others(house: EventStore) -> None:
    await arrive(house, "one", "two")
    await house.append(Append("sty_one", [GuestLeft("one")]), metadata=metadata())
    with psycopg.connect(house.conninfo) as connection:
        connection.execute("DELETE FROM eventstore.subject_keys WHERE subject = 'one'")
    with catalogue.connect(house.conninfo, "test") as connection:
        page = StoreLog(house).read_page(connection, 0, limit=9, types=[GuestArrived.TYPE])
    one, two = page.events
    assert page.undecodable
    assert isinstance(one.event, Undecodable)
    assert isinstance(one.event.error, SubjectKeyLost)
    assert two.event.name == "Name of two"


class Greeted(msgspec.Struct):
    name: str


class Greeter(Reactor):
    name, source = "house.greeter", ""
    reads: ClassVar[dict[str, type[msgspec.Struct]]] = {"guest.arrived": Greeted}
    attempts_max, backoff_seconds = 1, 0.001

    def __init__(self) -> None:
        self.ill, self.greeted = True, list[str]()

    async def react(self, message: Message) -> None:
        if self.ill:
            raise RuntimeError("the greeter is ill")
        self.greeted.append(message.data.name)


async def test_what_is_parked_is_not_kept_in_plain_and_reacted_to_all_the_same(
    house: EventStore,
) -> None:
    greeter = Greeter()
    async with ReactorRunner(house, {}, [greeter]) as runner:
        position = await arrive(house, "one", "two")
        assert await runner.wait_for("", position, 10)
        assert {stream.stream for stream in await runner.parked()} == {"sty_one", "sty_two"}
        assert in_database(house.conninfo, ["Name of one", "Name of two"]) == {}
        await house.persons.erase("one", reason="asked to", metadata=metadata())
        greeter.ill = False
        assert await runner.redrive(greeter.name) == 2
        await until(lambda: len(greeter.greeted) == 2)
    assert sorted(greeter.greeted) == ["Name of two", "erased"]


async def test_what_does_not_open_parks_its_own_stream(house: EventStore) -> None:
    """It is reacted to once it can be read; the others are at once."""
    greeter = Greeter()
    greeter.ill = False
    position = await arrive(house, "one", "two")
    with psycopg.connect(house.conninfo) as connection:
        connection.execute("CREATE TABLE kept AS SELECT * FROM eventstore.subject_keys")
        connection.execute("DELETE FROM eventstore.subject_keys WHERE subject = 'one'")
    async with ReactorRunner(house, {}, [greeter]) as runner:
        assert await runner.wait_for("", position, 10)
        (parked,) = await runner.parked()
        assert parked.stream == "sty_one"
        assert "no record of an erasure" in parked.error
        assert greeter.greeted == ["Name of two"]
        with psycopg.connect(house.conninfo) as connection:
            connection.execute(
                "INSERT INTO eventstore.subject_keys SELECT * FROM kept WHERE subject = 'one'"
            )
        assert await runner.redrive(greeter.name) == 1
        await until(lambda: len(greeter.greeted) == 2)
    assert greeter.greeted == ["Name of two", "Name of one"]


class OneName(Projection):
    """Breaks by a rule of the database, whose error shows the row."""

    name, version, handles = "one_name", 1, (GuestArrived,)
    tables = "CREATE TABLE one_name (name text CHECK (length(name) < 5))"

    def apply(self, recorded: Any, cursor: Cursor) -> None:
        cursor.execute("INSERT INTO one_name VALUES (%s)", (recorded.event.name,))


async def test_why_something_is_parked_shows_no_values(house: EventStore) -> None:
    position = await arrive(house, "one")
    async with ProjectionRunner(house, [OneName()]) as runner:
        assert await runner.wait_for(position, 10)
    with psycopg.connect(house.conninfo) as connection:
        [(error, trace)] = connection.execute(
            "SELECT error, traceback FROM projections.parked_keys"
        ).fetchall()
    assert "one_name_name_check" in error
    for text in (error, trace):
        assert "(values are not kept)" in text
    assert in_database(house.conninfo, ["Name of one"]) == {}
