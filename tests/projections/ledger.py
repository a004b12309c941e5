"""A small bank for the tests: accounts, and read models that show an event counted twice."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg.rows import dict_row

from eventstore.append import Append, Idempotency
from eventstore.event import Actor, Event, Metadata, Recorded, event_type
from eventstore.store import EventStore
from eventstore.types import EventTypes
from projections import Cursor, Projection

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
METADATA = Metadata(
    actor=Actor(kind="user", id="usr_1"),
    command_id="cmd_1",
    correlation_id="cor_1",
    occurred_at=NOW,
)


@event_type("account.opened")
class Opened(Event, frozen=True):
    owner: str


@event_type("account.deposited")
class Deposited(Event, frozen=True):
    amount_minor: int


@event_type("account.noted")
class Noted(Event, frozen=True):
    text: str


TYPES = (Opened, Deposited, Noted)


class Balances(Projection):
    """One row an account. `amount_minor` below zero fails, by the table's own rule."""

    name, version, handles = "balances", 1, (Opened, Deposited)
    tables = """
        CREATE TABLE balances (
            account text PRIMARY KEY,
            owner text NOT NULL,
            balance_minor bigint NOT NULL DEFAULT 0 CHECK (balance_minor >= 0),
            deposits integer NOT NULL DEFAULT 0
        )
    """

    def apply(self, recorded: Recorded[Any], cursor: Cursor) -> None:
        match recorded.event:
            case Opened(owner=owner):
                cursor.execute(
                    "INSERT INTO balances (account, owner) VALUES (%s, %s)",
                    (recorded.stream, owner),
                )
            case Deposited(amount_minor=amount):
                cursor.execute(
                    "UPDATE balances SET balance_minor = balance_minor + %s,"
                    " deposits = deposits + 1 WHERE account = %s",
                    (amount, recorded.stream),
                )


class BalancesByFold(Balances):
    """The same rows, written by sets (of deposits that the table takes)."""

    def fold(self, batch: Sequence[Recorded[Any]], cursor: Cursor) -> None:
        opened: list[tuple[str, str]] = []
        sums: dict[str, list[int]] = {}
        for recorded in batch:
            if isinstance(recorded.event, Opened):
                opened.append((recorded.stream, recorded.event.owner))
                sums.pop(recorded.stream, None)  # there was no account to pay into before
            else:
                total = sums.setdefault(recorded.stream, [0, 0])
                total[0] += recorded.event.amount_minor
                total[1] += 1
        with cursor.copy("COPY balances (account, owner) FROM STDIN") as copy:
            for row in opened:
                copy.write_row(row)
        cursor.execute(
            "UPDATE balances b SET balance_minor = b.balance_minor + s.amount,"
            " deposits = b.deposits + s.times"
            " FROM unnest(%s::text[], %s::bigint[], %s::int[]) AS s (account, amount, times)"
            " WHERE s.account = b.account",
            (list(sums), [s[0] for s in sums.values()], [s[1] for s in sums.values()]),
        )


class Independent(BalancesByFold):
    """Accounts have nothing to do with each other."""

    parallel = True


class Totals(Projection):
    """One row in all: it depends on every event, so a lost or doubled one shows."""

    name, version, handles = "totals", 1, (Deposited,)
    tables = """
        CREATE TABLE totals (only_row boolean PRIMARY KEY, deposits bigint, amount_minor bigint)
    """

    def apply(self, recorded: Recorded[Any], cursor: Cursor) -> None:
        cursor.execute(
            "INSERT INTO totals VALUES (true, 1, %(amount)s) ON CONFLICT (only_row) DO UPDATE"
            " SET deposits = totals.deposits + 1,"
            " amount_minor = totals.amount_minor + %(amount)s",
            {"amount": recorded.event.amount_minor},
        )


def new_store(conninfo: str, types: Sequence[type[Event]] = TYPES) -> EventStore:
    return EventStore(conninfo, EventTypes(types), name="bank")


async def append(store: EventStore, stream: str, *events: Event, key: str | None = None) -> int:
    """Append events to one stream; return the last position."""
    idempotency = None if key is None else Idempotency(key, b"")
    appended = await store.append(
        Append(stream, events), metadata=METADATA, idempotency=idempotency
    )
    return appended.position


async def deposits(store: EventStore, accounts: int, times: int) -> int:
    """Open accounts and pay into each, mixed; return the last position."""
    position = 0
    for number in range(accounts):
        position = await append(store, f"acc_{number}", Opened(f"owner {number}"))
    for amount in range(1, times + 1):
        position = await store_many(
            store, [(f"acc_{number}", Deposited(amount)) for number in range(accounts)]
        )
    return position


async def store_many(store: EventStore, pairs: Sequence[tuple[str, Event]]) -> int:
    """Append each event to its stream, all in one transaction; return the last position."""
    appends = [Append(stream, [event]) for stream, event in pairs]
    return (await store.append(appends, metadata=METADATA)).position


def rows(conninfo: str, query: str, params: Sequence[Any] = ()) -> list[dict[str, Any]]:
    """Rows of a query, where read models are seen by their plain names."""
    options = "-c search_path=read_models,public"
    with psycopg.connect(conninfo, options=options, row_factory=dict_row) as connection:
        return connection.execute(query.encode(), params).fetchall()


def run(conninfo: str, statement: str, params: Sequence[Any] = ()) -> None:
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute(statement.encode(), params)
