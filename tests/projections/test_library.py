"""Projections over an application of `eventsourcing`, as its users write them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, ClassVar
from uuid import UUID

import psycopg
import pytest
from eventsourcing.application import Application
from eventsourcing.cryptography import AESCipher
from eventsourcing.domain import Aggregate, event
from eventsourcing.utils import get_topic
from psycopg.conninfo import conninfo_to_dict

from eventstore import Actor
from eventstore.event import Recorded
from projections import Cursor, Operations, Projection, ProjectionRunner
from projections.errors import InvalidProjection
from projections.library import ApplicationLog, last_position
from projections.projection import check
from tests.projections.ledger import METADATA, rows
from tests.projections.waiting import until

pytestmark = pytest.mark.slow
ME = Actor("staff", "ann")


class Account(Aggregate):
    @event("Opened")
    def __init__(self, owner: str) -> None:
        self.owner, self.minor = owner, 0

    @event("Deposited")
    def deposit(self, minor: int) -> None:
        self.minor += minor

    @event("Renamed")
    def rename(self, owner: str) -> None:
        self.owner = owner


class Bank(Application[UUID]):
    def open(self, owner: str, **given: Any) -> UUID:
        account = Account(owner)
        self.save(account, **given)
        return account.id

    def deposit(self, account_id: UUID, *amounts: int) -> int:
        account: Account = self.repository.get(account_id)
        for minor in amounts:
            account.deposit(minor)
        return last_position(self.save(account))


class Balances(Projection):
    """`minor` below zero fails, by the table's own rule."""

    name, version = "balances", 1
    handles: ClassVar[tuple[type[Any] | str, ...]] = (Account.Opened, get_topic(Account.Deposited))  # type: ignore[attr-defined]
    tables = """CREATE TABLE balances (account text PRIMARY KEY, owner text NOT NULL,
        by_whom text NOT NULL, minor bigint NOT NULL DEFAULT 0 CHECK (minor >= 0))"""

    def apply(self, recorded: Recorded[Any], cursor: Cursor) -> None:
        happened = recorded.event
        if isinstance(happened, Account.Opened):  # type: ignore[attr-defined]
            cursor.execute(
                "INSERT INTO balances (account, owner, by_whom) VALUES (%s, %s, %s)",
                (recorded.stream, happened.owner, recorded.metadata.actor.id),
            )
        else:
            cursor.execute(
                "UPDATE balances SET minor = minor + %s WHERE account = %s",
                (happened.minor, recorded.stream),
            )


def environment(database: str) -> dict[str, str]:
    given = conninfo_to_dict(database)
    return {
        "PERSISTENCE_MODULE": "eventstore.persistence",
        **{f"POSTGRES_{name.upper()}": str(value) for name, value in given.items()},
    }


ENCRYPTED = {
    "COMPRESSOR_TOPIC": "zlib",
    "CIPHER_TOPIC": "eventsourcing.cryptography:AESCipher",
    "CIPHER_KEY": AESCipher.create_key(16),
}


@pytest.fixture(params=[{}, ENCRYPTED], ids=["plain", "encrypted"])
async def bank(database: str, request: pytest.FixtureRequest) -> AsyncIterator[Bank]:
    bank = Bank(environment(database) | request.param)
    yield bank
    bank.close()


def balances(database: str) -> dict[str, int]:
    return {row["owner"]: row["minor"] for row in rows(database, "SELECT * FROM balances")}


async def test_it_follows_and_rebuilds_an_application(bank: Bank, database: str) -> None:
    log = ApplicationLog(bank)
    early = bank.open("Ada")
    async with ProjectionRunner(log.store, [Balances()], source=log) as runner:
        late = bank.open("Bo", metadata=METADATA)
        bank.deposit(early, 3, 4)
        assert await runner.wait_for(bank.deposit(late, 5), 5)
        assert balances(database) == {"Ada": 7, "Bo": 5}
        assert {row["by_whom"] for row in rows(database, "SELECT * FROM balances")} == {
            *("bank", METADATA.actor.id)
        }
        (build,) = await runner.builds()
        assert (build.unknown, build.seen) == (0, 5)

        operations = Operations(log.store, [Balances()], source=log)
        await operations.rebuild("balances", by=ME)
        assert (await operations.verify("balances")).equal
        assert (await operations.dry_run("balances")).differences == 0
        await operations.switch("balances", by=ME)
        assert await runner.wait_for(bank.deposit(early, 1), 5)
        assert balances(database) == {"Ada": 8, "Bo": 5}


async def test_parked_events_are_redriven(bank: Bank, database: str) -> None:
    log = ApplicationLog(bank)
    async with ProjectionRunner(log.store, [Balances()], source=log) as runner:
        account = bank.open("Ada")
        assert await runner.wait_for(bank.deposit(account, -5, 7), 5)
        operations = Operations(log.store, [Balances()], source=log)
        (waiting,) = await operations.parked()
        assert (waiting.key, waiting.events) == (str(account), 2)
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute(
                "ALTER TABLE balances_b1.balances DROP CONSTRAINT balances_minor_check"
            )
        assert await operations.redrive("balances", by=ME) == 1
        await until(lambda: balances(database) == {"Ada": 2})
        assert await operations.parked() == []


async def test_an_event_whose_class_is_gone_parks_its_stream_alone(
    bank: Bank, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = ApplicationLog(bank)
    account, other = bank.open("Ada"), bank.open("Bo")
    position = bank.deposit(account, 1)
    to_domain_event = bank.mapper.to_domain_event

    def lose(stored: Any) -> Any:
        if stored.originator_id == account and stored.originator_version == 2:
            raise LookupError("no such class any more")
        return to_domain_event(stored)

    monkeypatch.setattr(bank.mapper, "to_domain_event", lose)
    async with ProjectionRunner(log.store, [Balances()], source=log) as runner:
        assert await runner.wait_for(bank.deposit(other, 2), 5)
        assert balances(database) == {"Ada": 0, "Bo": 2}
        (waiting,) = await Operations(log.store, [Balances()], source=log).parked()
        assert (waiting.first_position, waiting.key) == (position, str(account))
        assert "no such class any more" in waiting.error


def test_what_cannot_be_followed_is_refused() -> None:
    with pytest.raises(InvalidProjection, match=r"PERSISTENCE_MODULE to eventstore\.persistence"):
        ApplicationLog(Bank())

    class Wrong(Balances):
        handles: ClassVar[tuple[type[Any] | str, ...]] = (Account,)

    with pytest.raises(InvalidProjection, match="Account in `handles` has no type name"):
        check(Wrong())
