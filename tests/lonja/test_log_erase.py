"""`lonja log erase` and `rotate-key`, as an operator uses them: the services need not run."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner, Result

from eventstore import Actor, Append, Client, EventStore, EventTypes, SubjectErased
from lonja.cli import main
from lonja.keys import master_keyring
from lonja.settings import SERVICES, load
from lonja.wiring import build_service
from tests.support.commands import CHEAP_SHOP
from tests.support.guests import GuestArrived, GuestLeft
from tests.support.leftovers import in_database
from tests.support.memory_feed import MemoryFeed
from tests.support.shelf import metadata
from tests.support.whole import PASSWORD, REGISTER

pytestmark = pytest.mark.slow

EMAIL, NAME = "zephyrine@lonja.example", "Zephyrine d'Ailleurs"
WHERE_FROM = {"x-client-ip": "203.0.113.77", "x-client-agent": "A tablet that nobody else has"}


@pytest.fixture
def databases(
    new_database: Callable[[], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, str]:
    """A database for each service; two of them tell of one person."""
    found = {service: new_database() for service in SERVICES}
    monkeypatch.setenv("LONJA_DATABASE_URLS", json.dumps(found))
    monkeypatch.setenv("LONJA_DATA_DIR", str(tmp_path / "data"))
    for service in ("users", "orders"):
        asyncio.run(arrive(found, service))
    return found


def opened(databases: dict[str, str], service: str) -> EventStore:
    """The log of a service, which has a type of the tests' own, as a process would open it."""
    types = EventTypes([GuestArrived, GuestLeft])
    return EventStore(databases[service], types, name=service, keyring=master_keyring(load()))


async def arrive(databases: dict[str, str], service: str, guest: str = "gst_1") -> None:
    async with opened(databases, service) as store:
        arrived, left = GuestArrived(guest, "Zephyrine", 2), GuestLeft(guest)
        await store.append(Append("sty_1", [arrived]), metadata=metadata())
        given = metadata(actor=Actor("user", guest), client=Client("203.0.113.7"))
        await store.append(Append("sty_1", [left]), metadata=given)


async def names(databases: dict[str, str], service: str) -> list[str]:
    async with opened(databases, service) as store:
        return [each.event.name for each in await store.read(types=["guest.arrived"])]


def lonja(*arguments: str, exit_code: int = 0, answer: str = "") -> Result:
    result = CliRunner().invoke(main, ["log", *arguments], input=answer)
    assert result.exit_code == exit_code, result.output
    return result


def test_a_person_is_forgotten_in_every_service(databases: dict[str, str]) -> None:
    given = ("erase", "gst_1", "--reason", "asked to", "--by", "me", "--yes", "--json")
    rows: list[dict[str, Any]] = json.loads(lonja(*given).stdout)
    assert [row["service"] for row in rows] == list(SERVICES)
    assert {row["service"]: row["key"] for row in rows} == {
        **dict.fromkeys(SERVICES, "none"),
        **dict.fromkeys(("users", "orders"), "destroyed"),
    }
    assert {row["read_models"] for row in rows} == {"forgotten"}
    assert [row["events"] for row in rows if row["service"] == "users"] == [2]
    for service in ("users", "orders"):
        assert asyncio.run(names(databases, service)) == ["erased"]
    with psycopg.connect(databases["journal"]) as connection:
        [(payload, actor)] = connection.execute(
            "SELECT payload, actor_id FROM eventstore.audit WHERE type = %s", [SubjectErased.TYPE]
        )
    assert (payload["subject"], payload["reason"], actor) == ("gst_1", "asked to", "me")
    again = json.loads(lonja(*given).stdout)
    assert {row["key"] for row in again} == {"was destroyed before"}
    assert [row["position"] for row in again] == [row["position"] for row in rows]
    assert "intact" in lonja("verify").output


def test_it_asks_before(databases: dict[str, str]) -> None:
    result = lonja("erase", "gst_1", "--reason", "x", answer="n\n", exit_code=1)
    assert "Forget gst_1 for ever?" in result.stderr
    assert asyncio.run(names(databases, "users")) == ["Zephyrine"]
    assert "destroyed" in lonja("erase", "gst_1", "--reason", "x", answer="y\n").output
    assert asyncio.run(names(databases, "users")) == ["erased"]


def test_who_waits_for_an_order_is_not_erased(databases: dict[str, str]) -> None:
    given = ("erase", "gst_1", "--reason", "x", "--yes")
    lonja("erase", "gst_9", "--reason", "x", exit_code=1)  # which makes the tables
    with psycopg.connect(databases["users"]) as connection:
        connection.execute(
            "INSERT INTO public.users_orders_under_way VALUES ('ord_1', 'gst_1', 'L-7')"
        )
    assert "gst_1 has orders under way: L-7" in lonja(*given, exit_code=1).stderr
    assert asyncio.run(names(databases, "users")) == ["Zephyrine"]
    lonja(*given, "--force")
    assert asyncio.run(names(databases, "users")) == ["erased"]


def test_who_nobody_knows_is_not_erased(databases: dict[str, str]) -> None:
    result = lonja("erase", "gst_9", "--reason", "x", "--yes", exit_code=1)
    assert "no service holds anything of 'gst_9'" in result.stderr
    with psycopg.connect(databases["users"]) as connection:
        count = connection.execute("SELECT count(*) FROM eventstore.subject_keys").fetchone()
    assert count == (1,)
    assert "give --yes" in lonja("erase", "gst_1", "--reason", "x", "--json", exit_code=2).stderr
    assert "say why" in lonja("erase", "gst_1", "--reason", " ", exit_code=2).stderr


def test_the_master_key_is_rotated_and_the_old_one_forgotten(
    databases: dict[str, str], tmp_path: Path
) -> None:
    keys = tmp_path / "data" / "keys"
    before = (keys / "master.key").read_text()
    rotated = json.loads(lonja("rotate-key", "--json").stdout)
    assert {name: count for name, count in rotated["keys"].items() if count} == {
        "users": 1,
        "orders": 1,
    }
    assert (keys / "master.key").read_text() != before
    assert (keys / "master.previous.key").read_text() == before
    assert all((path.stat().st_mode & 0o077) == 0 for path in keys.iterdir())
    assert asyncio.run(names(databases, "users")) == ["Zephyrine"]
    assert json.loads(lonja("rotate-key", "--json").stdout)["current"] == rotated["current"]
    assert "no longer accepted" in lonja("rotate-key", "--finish").output
    assert not (keys / "master.previous.key").exists()
    assert asyncio.run(names(databases, "users")) == ["Zephyrine"]
    result = lonja("rotate-key", "--finish", exit_code=1)
    assert "no rotation is under way" in result.stderr


def test_a_rotation_that_was_cut_off_goes_on(databases: dict[str, str], tmp_path: Path) -> None:
    """One that ended before the new key was written, and one before the keys were wrapped."""
    keys = tmp_path / "data" / "keys"
    (keys / "master.previous.key").write_text((keys / "master.key").read_text())
    first = json.loads(lonja("rotate-key", "--json").stdout)
    assert first["keys"]["users"] == 1
    lonja("rotate-key", "--finish")
    (keys / "master.previous.key").write_text((keys / "master.key").read_text())
    (keys / "master.key").write_text("ab" * 32)
    asyncio.run(arrive(databases, "users", "gst_2"))
    second = json.loads(lonja("rotate-key", "--json").stdout)
    assert (second["keys"]["users"], second["previous"]) == (1, first["current"])
    lonja("rotate-key", "--finish")
    assert asyncio.run(names(databases, "users")) == ["Zephyrine"] * 2


def test_the_master_key_may_be_a_setting(
    databases: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = (tmp_path / "data" / "keys" / "master.key").read_text()
    monkeypatch.setenv("LONJA_MASTER_KEY", "cd" * 32)
    wrong = lonja("tail", exit_code=1).stderr
    assert "wrapped by the master key" in wrong
    assert file not in wrong
    refused = lonja("rotate-key", exit_code=1).stderr
    assert "LONJA_MASTER_KEY_PREVIOUS" in refused
    monkeypatch.setenv("LONJA_MASTER_KEY_PREVIOUS", file)
    assert json.loads(lonja("rotate-key", "--json").stdout)["keys"]["orders"] == 1
    monkeypatch.delenv("LONJA_MASTER_KEY_PREVIOUS")
    assert asyncio.run(names(databases, "users")) == ["Zephyrine"]


@pytest.mark.parametrize("text", ["too short", "zz" * 32, "ab" * 31])
def test_a_master_key_that_is_none(
    databases: dict[str, str], text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LONJA_MASTER_KEY", text)
    result = lonja("tail", exit_code=1)
    assert "LONJA_MASTER_KEY is no master key: expected 64 hexadecimal digits" in result.stderr
    assert text not in result.stderr


async def register(databases: dict[str, str]) -> str:
    """A user of a shop that is shut since; their id."""
    service = build_service("users", load(), databases["users"], {"orders": MemoryFeed("orders")})
    async with service:
        given = {"email": EMAIL, "password": PASSWORD, "displayName": NAME, "idempotencyKey": "one"}
        answer = await service.execute(REGISTER, {"input": given}, headers=WHERE_FROM)
        user_id: str = answer["data"]["registerUser"]["user"]["id"]
        assert await service.runner.wait_for(await service.store.head(), 10)
    return user_id


def test_what_a_shop_that_is_shut_keeps_is_forgotten(
    databases: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the command itself: read models, the password, the address that nobody else could take."""
    for name, value in CHEAP_SHOP.items():
        monkeypatch.setenv(name, value)
    user_id = asyncio.run(register(databases))
    looked_for = (EMAIL, NAME, WHERE_FROM["x-client-ip"])
    assert in_database(databases["users"], looked_for)
    lonja("erase", user_id, "--reason", "asked to", "--yes")
    assert in_database(databases["users"], looked_for) == {}
    with psycopg.connect(databases["users"]) as connection:
        left = connection.execute(
            "SELECT count(*) FROM public.user_credentials WHERE user_id = %s", [user_id]
        ).fetchone()
        told = connection.execute(
            "SELECT count(*) FROM eventstore.events WHERE type = 'user.erased'"
        ).fetchone()
    assert (left, told) == ((0,), (1,))
