"""Things are found by what people call them; a search for an address leaves no address behind."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from eventstore import ANY, Actor, Append, EventStore, Metadata
from eventstore.event import Event
from lonja.keys import address_key
from lonja.output import console
from lonja.settings import SERVICES, load
from lonja.wiring import build_service
from subgraphs.payments.events import PaymentAuthorized
from subgraphs.shared.ids import new_id
from subgraphs.users.email_streams import EmailStreams
from subgraphs.users.events import EmailReleased, EmailReserved, RoleGranted
from tests.support.leftovers import in_database
from tests.support.log_command import log_command as lonja
from tests.support.log_command import settings_for
from tests.support.memory_feed import MemoryFeed

pytestmark = pytest.mark.slow
EMAIL = "zsofia.unnep@example.com"


class Logs:
    """A user with an address, a payment with a reference, and the journal's copy of both."""

    def __init__(self, databases: dict[str, str]) -> None:
        self.databases = databases
        self.user, self.payment = new_id("usr"), new_id("pay")
        emails = EmailStreams(address_key(load()))
        self.reservation = emails.reservation(EMAIL)
        self.append("users", self.user, RoleGranted(self.user, "STAFF", "hired"))
        self.append("users", self.reservation, EmailReserved(self.user))
        paid = PaymentAuthorized(new_id("ord"), self.payment, "", 100, "EUR", "pi_3Q")
        self.append("payments", self.payment, paid)
        asyncio.run(self._copy())

    def append(self, service: str, stream: str, event: Event) -> None:
        asyncio.run(self._append(service, stream, event))

    async def _append(self, service: str, stream: str, event: Event) -> None:
        async with self._store(service) as store:
            who = Metadata(
                actor=Actor("staff", self.user),
                command_id="cmd_1",
                correlation_id="cor_1",
                occurred_at=datetime.now(UTC),
            )
            await store.append(Append(stream, [event], ANY), metadata=who)

    def _store(self, service: str) -> EventStore:
        return build_service(service, load(), self.databases[service], {}).store

    async def _copy(self) -> None:
        """What the journal does while it runs."""
        payments = build_service("payments", load(), self.databases["payments"], {})
        feeds = {"payments": payments.full_feed, "users": MemoryFeed("users")}
        journal = build_service("journal", load(), self.databases["journal"], feeds)
        async with payments.store, journal:
            assert await journal.resources.follower.wait_for("payments", 1, 10)


@pytest.fixture
def logs(new_database: Callable[[], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Logs:
    databases = {service: new_database() for service in SERVICES}
    settings_for(databases, tmp_path / "data", monkeypatch)
    return Logs(databases)


def test_a_number_stands_for_its_stream(logs: Logs) -> None:
    for name in (logs.payment, "pi_3Q", "PI_3q"):
        shown = lonja("show", name, "--json")
        assert shown.exit_code == 0, shown.output
        assert json.loads(shown.stdout)[0]["stream"] == logs.payment
    (event,) = json.loads(lonja("show", logs.payment, "--json").stdout)
    for name in ("cor_1", "pi_3Q", logs.payment, event["id"]):
        traced = lonja("trace", name)
        assert (traced.exit_code, logs.payment in traced.stdout) == (0, True), traced.output
    unknown = lonja("show", "pi_4")
    assert (unknown.exit_code, "nothing has such a number" in unknown.stderr) == (1, True)


def test_an_address_stands_for_its_user_until_they_are_erased(logs: Logs) -> None:
    for command in (
        ("show", "Zsofia.Unnep@Example.com"),
        ("search", "--actor", EMAIL),
        ("reads", "--person", EMAIL),
    ):
        found = lonja(*command, "--json")
        assert (found.exit_code, logs.user in found.stdout) == (0, True), found.output
    logs.append("users", logs.reservation, EmailReleased(logs.user))
    nobody = lonja("show", EMAIL)
    assert (nobody.exit_code, nobody.stdout) == (1, "")
    assert "nobody has this e-mail address" in nobody.stderr
    assert "was erased" in nobody.stderr
    *_, last = lonja("reads", "--json").stdout.splitlines()
    assert json.loads(json.loads(last)["asked"][0]["arguments"]) == {
        "by": "e-mail address",
        "found": False,
    }
    for conninfo in logs.databases.values():
        assert in_database(conninfo, [EMAIL, "Zsofia.Unnep"]) == {}


def test_what_is_asked_wrongly_is_led_on(logs: Logs) -> None:
    (event,) = json.loads(lonja("show", logs.payment, "--json").stdout)
    for arguments, code, said in (
        (("show", event["id"]), 1, f"is version 1 of the stream {logs.payment}"),
        (("show", logs.user, "--diff", "0", "9"), 1, "has no version 9: the last one is 1"),
        (("prove", logs.payment), 2, "is no event's id"),
        (("search", "--type", "payment.authorised"), 1, "perhaps 'payment.authorized'"),
        (("search", "--since", "yesterday"), 2, "no time like 2026-11-24"),
        (("trace", "nothing"), 1, "no event, stream or number is called so"),
    ):
        found = lonja(*arguments)
        assert (found.exit_code, found.stdout) == (code, ""), found.output
        assert said in " ".join(found.stderr.split())


def test_a_time_may_be_of_another_zone(logs: Logs) -> None:
    recorded = json.loads(lonja("show", logs.payment, "--json").stdout)[0]["recorded_at"]
    here = datetime.fromisoformat(recorded).astimezone(timezone(timedelta(hours=5)))
    before, after = (here + timedelta(seconds=by) for by in (-1, 1))
    of = ("search", "--service", "payments", "--json")
    assert lonja(*of, "--since", before.isoformat()).exit_code == 0
    assert lonja(*of, "--since", after.isoformat()).exit_code == 1


def test_a_narrow_terminal_cuts_no_id(logs: Logs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "width", 80)
    for command in (("tail", "--service", "payments"), ("show", logs.payment), ("reads",)):
        shown = lonja(*command).stdout
        assert "…" not in shown, shown
    assert logs.payment in lonja("tail", "--service", "payments").stdout


def test_the_help_of_each_command_fits_a_line() -> None:
    listed = lonja("--help").stdout.partition("Commands:")[2]
    assert "..." not in listed, listed
