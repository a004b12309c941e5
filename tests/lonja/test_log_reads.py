"""Reading logs from the command line leaves a trace in the journal's log, or shows nothing."""

from __future__ import annotations

import asyncio
import getpass
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner

from eventstore import ANY, Actor, Append, EventStore, EventTypes, Metadata
from lonja.cli import main
from lonja.keys import master_keyring
from lonja.settings import SERVICES, load
from subgraphs.orders.cart_events import CartCreated, CartDestinationSet, CartLineSet
from subgraphs.orders.parts import Destination
from subgraphs.shared.ids import new_id
from tests.support.log_command import log_command as lonja
from tests.support.log_command import settings_for

pytestmark = pytest.mark.slow
AT = datetime(2026, 1, 1, tzinfo=UTC)


class Logs:
    """Databases of all services; orders has one cart of one customer."""

    def __init__(self, databases: dict[str, str]) -> None:
        self.databases = databases
        self.customer, self.cart = new_id("usr"), new_id("crt")
        asyncio.run(self._write(databases["orders"]))

    async def _write(self, conninfo: str) -> None:
        created = CartCreated(self.cart, self.customer, self.customer, "EUR", AT)
        async with EventStore(conninfo, EventTypes([CartCreated]), name="orders") as store:
            await store.append(
                Append(self.cart, [created]),
                metadata=Metadata(
                    actor=Actor("user", self.customer),
                    command_id="cmd_1",
                    correlation_id="cor_1",
                    occurred_at=AT,
                ),
            )
            (event,) = await store.read_stream(self.cart)
            self.event_id = str(event.id)

    def reads(self, *arguments: str) -> list[dict[str, Any]]:
        """What `lonja log reads` lists, without what it adds itself."""
        result = lonja("reads", "--service", "journal", *arguments, "--json")
        assert result.exit_code == 0, result.output
        return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.fixture
def logs(new_database: Callable[[], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Logs:
    databases = {service: new_database() for service in SERVICES}
    settings_for(databases, tmp_path / "data", monkeypatch)
    return Logs(databases)


def test_each_way_to_read_is_recorded(logs: Logs, tmp_path: Path) -> None:
    lonja("checkpoint")
    commands = [
        ("show", logs.cart),
        ("show", logs.cart, "--at", "1"),
        ("tail", "--service", "orders"),
        ("search", "--actor", logs.customer),
        ("trace", "cor_1"),
        ("prove", logs.event_id),
        ("export", "--service", "orders", "-o", str(tmp_path / "out")),
    ]
    for command in commands:
        result = lonja(*command, "--as", "maria")
        assert result.exit_code == 0, result.output
    found = logs.reads("--by", "maria")
    assert [row["asked"][0]["field"].removeprefix("lonja log ") for row in found] == [
        *("show", "show", "tail", "search", "trace", "prove"),
        *("export", "export"),  # that it begins, and whom it told of
    ]
    assert {row["reader"] for row in found} == {"maria"}
    assert json.loads(found[1]["asked"][0]["arguments"]) == {"stream": logs.cart, "at": "1"}
    told = [row for row in found if row["asked"][0]["field"] != "lonja log trace"]
    assert [row["persons"] for row in told if row["events"]] == [[logs.customer]] * 6
    assert found[-1]["events"] == 1


async def _late(conninfo: str, cart: str) -> datetime:
    """A line of the 3rd that is recorded first, and then one of the 2nd; when the first was."""
    types = EventTypes([CartCreated, CartLineSet])
    async with EventStore(conninfo, types, name="orders") as store:
        for day, variant in ((3, "var_c"), (2, "var_b")):
            line = CartLineSet(cart, variant, variant, "Silk", 100, 1)
            at = AT.replace(day=day)
            who = Metadata(
                actor=Actor("staff", "anna"),
                command_id=f"cmd_{day}",
                correlation_id="cor_2",
                occurred_at=at,
            )
            await store.append(Append(cart, [line], ANY), metadata=who)
        _, first, _ = await store.read_stream(cart)
    return first.recorded_at


def test_a_time_is_when_it_was_recorded_or_when_it_happened(logs: Logs) -> None:
    first = asyncio.run(_late(logs.databases["orders"], logs.cart)).isoformat()
    then = "2026-01-02T12:00:00"

    def lines(*arguments: str) -> tuple[list[str], list[int]]:
        shown = lonja("show", logs.cart, "--json", "--at", *arguments)
        assert shown.exit_code == 0, shown.output
        found = json.loads(shown.stdout)
        return list(found["state"]["lines"]), found["without"]

    assert lines(first) == (["var_c"], []), "what was known"
    assert lines(then, "--effective") == (["var_b"], [2]), "what is known now"
    before = lonja("show", logs.cart, "--at", then)
    assert (before.exit_code, "the first event recorded" in before.stderr) == (1, True)
    shown = lonja("show", logs.cart, "--at", then, "--effective").stdout
    assert "version 3, occurred 2026-01-02" in shown
    assert "without 2, which happened later" in shown
    for wrong in ((), ("--at", "1")):
        refused = lonja("show", logs.cart, "--effective", *wrong)
        assert (refused.exit_code, "--effective needs --at TIME" in refused.stderr) == (2, True)


async def _set_destination(conninfo: str, cart: str, customer: str) -> None:
    types = EventTypes([CartCreated, CartDestinationSet])
    keyring = master_keyring(load())
    async with EventStore(conninfo, types, name="orders", keyring=keyring) as store:
        home = Destination("ES", "07001", "Zsófia", ("Carrer 1",), "Palma")
        who = Metadata(
            actor=Actor("user", customer),
            command_id="cmd_2",
            correlation_id="cor_1",
            occurred_at=AT,
        )
        event = CartDestinationSet(cart, home, customer)
        await store.append(Append(cart, [event], ANY), metadata=who)


def test_what_does_not_open_is_marked_and_found(logs: Logs) -> None:
    asyncio.run(_set_destination(logs.databases["orders"], logs.cart, logs.customer))
    assert lonja("verify", "--service", "orders").exit_code == 0
    with psycopg.connect(logs.databases["orders"]) as connection:
        connection.execute("UPDATE eventstore.subject_keys SET wrapped = set_byte(wrapped, 20, 7)")
    for command in (
        ("tail", "--service", "orders"),
        ("search", "--actor", logs.customer),
        ("show", logs.cart),
        ("trace", "cor_1"),
    ):
        shown = lonja(*command)
        assert (shown.exit_code, "Zsófia" in shown.stdout) == (0, False), shown.output
        if command[0] != "trace":
            assert "orders:2 cart.destination_set is unreadable" in shown.stderr
    first, second = json.loads(lonja("show", logs.cart, "--json").stdout)
    assert first["unreadable"] is None
    assert "does not unwrap" in second["unreadable"]
    assert second["data"]["destination"]["city"] == "unreadable"
    verified = lonja("verify", "--service", "orders", "--json")
    assert (verified.exit_code, "not all of it can be read" in verified.stderr) == (1, True)
    (row,) = json.loads(verified.stdout)
    assert (row["state"], row["unreadable"], "position 2" in row["fault"]) == ("intact", 1, True)
    doctor = CliRunner().invoke(main, ["doctor"])
    assert "1 do not unwrap: the key of" in " ".join(doctor.stdout.split())


def test_the_user_of_the_system_is_named_unless_another_is(logs: Logs) -> None:
    lonja("show", logs.cart)
    lonja("show", logs.cart, "--as", "joan")
    assert [row["reader"] for row in logs.reads("--person", logs.customer)] == [
        getpass.getuser(),
        "joan",
    ]
    assert [row["reader"] for row in logs.reads("--by", "joan")] == ["joan"]
    assert "joan" in lonja("reads", "--service", "journal").stdout
    nobody = lonja("reads", "--service", "journal", "--person", new_id("usr"))
    assert (nobody.exit_code, nobody.stdout) == (1, "")
    looked = [row["asked"][0]["field"] for row in logs.reads()]
    assert looked.count("lonja log reads") == 4, "looking at it is a read too"


def test_what_finds_nothing_was_asked_all_the_same(logs: Logs) -> None:
    assert lonja("search", "--service", "orders", "--actor", "usr_nobody").exit_code == 1
    (row,) = logs.reads()
    assert (row["events"], row["persons"]) == (0, [])
    assert "usr_nobody" in row["asked"][0]["arguments"]


def test_without_the_journals_database_nothing_is_shown(
    logs: Logs, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    away = "host=/nowhere connect_timeout=1 dbname=x"
    monkeypatch.setenv("LONJA_DATABASE_URLS", json.dumps({**logs.databases, "journal": away}))
    for command in (
        ("show", logs.cart),
        ("tail", "--service", "orders"),
        ("search", "--service", "orders"),
        ("export", "--service", "orders", "-o", str(tmp_path / "out")),
    ):
        result = lonja(*command)
        assert (result.exit_code, result.stdout) == (1, ""), command
        assert "recorded in that of the journal, which failed" in result.stderr
    assert not (tmp_path / "out").exists()


def test_verifications_are_recorded_where_that_is_possible(
    logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert lonja("verify", "--service", "orders", "--as", "maria").exit_code == 0
    line = lonja("tail", "--service", "journal", "--json").stdout.splitlines()[0]
    event = json.loads(line)
    assert (event["type"], event["actor"]) == ("log.verified", "staff maria")
    assert (event["data"]["service"], event["data"]["events"]) == ("orders", 1)
    away = "host=/nowhere connect_timeout=1 dbname=x"
    monkeypatch.setenv("LONJA_DATABASE_URLS", json.dumps({**logs.databases, "journal": away}))
    result = lonja("verify", "--service", "orders")
    assert (result.exit_code, "intact" in result.stdout) == (0, True)
    assert "the journal does not know of this verification" in result.stderr
