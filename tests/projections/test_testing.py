"""The checks for authors of projections find what they are for; writing by sets does its part."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import pytest

from eventstore.event import Recorded
from eventstore.store import EventStore
from projections import Cursor, catalogue
from projections.bulk import insert, update, upsert
from projections.testing import Unequal, check_projection
from tests.projections.ledger import Balances, BalancesByFold, Totals, deposits


class BalancesInBulk(Balances):
    """Written with `projections.bulk`."""

    parallel = True

    def fold(self, batch: Sequence[Recorded[Any]], cursor: Cursor) -> None:
        opened = [r for r in batch if r.type == "account.opened"]
        insert(
            cursor,
            "balances",
            {
                "account": ("text", [r.stream for r in opened]),
                "owner": ("text", [r.event.owner for r in opened]),
            },
        )
        sums: dict[str, int] = {}
        times: dict[str, int] = {}
        for r in batch:
            if r.type == "account.deposited":
                sums[r.stream] = sums.get(r.stream, 0) + r.event.amount_minor
                times[r.stream] = times.get(r.stream, 0) + 1
        update(
            cursor,
            "balances",
            {
                "account": ("text", list(sums)),
                "balance_minor": ("bigint", list(sums.values())),
                "deposits": ("int", list(times.values())),
            },
            key=("account",),
            add=("balance_minor", "deposits"),
        )


class BalancesBySql(Balances):
    """Rebuilt within the database."""

    parallel = True
    fold_sql = (
        "INSERT INTO balances (account, owner) SELECT stream, payload ->> 'owner'"
        " FROM batch WHERE type = 'account.opened'",
        "WITH sums AS (SELECT stream, sum((payload ->> 'amount_minor')::bigint) AS amount,"
        " count(*) AS times FROM batch WHERE type = 'account.deposited' GROUP BY stream)"
        " UPDATE balances SET balance_minor = balance_minor + amount, deposits = deposits + times"
        " FROM sums WHERE account = stream",
    )


class WrongSql(BalancesBySql):
    """Counts nothing."""

    fold_sql = BalancesBySql.fold_sql[:1]


class Forgetful(BalancesByFold):
    """Folds the first event of a batch only."""

    def fold(self, batch: Sequence[Recorded[Any]], cursor: Cursor) -> None:
        super().fold(batch[:1], cursor)


class Random(Totals):
    """Not the same rows from the same events."""

    counter = itertools.count()

    def apply(self, recorded: Recorded[Any], cursor: Cursor) -> None:
        cursor.execute("INSERT INTO totals VALUES (true, %s, 0) ON CONFLICT DO NOTHING",
                       [next(self.counter)])  # fmt: skip


class BareAndYet(Totals):
    """Says that it does not use what it uses."""

    bare = True

    def apply(self, recorded: Recorded[Any], cursor: Cursor) -> None:
        cursor.execute("SELECT %s", [recorded.metadata.actor.id])


class BareById(BareAndYet):
    def apply(self, recorded: Recorded[Any], cursor: Cursor) -> None:
        cursor.execute("SELECT %s", [str(recorded.id)])


@pytest.mark.slow
async def test_good_projections_pass(store: EventStore, database: str) -> None:
    await deposits(store, accounts=3, times=4)
    events = await store.read(0)
    for projection in (Balances(), BalancesByFold(), BalancesInBulk(), BalancesBySql(), Totals()):
        rows = check_projection(database, projection, events)
        assert rows.keys() == {"totals"} or rows["balances"][0] == '(acc_0,"owner 0",10,4)'


async def test_a_fold_that_differs_and_an_apply_that_varies_are_found(
    store: EventStore, database: str
) -> None:
    await deposits(store, accounts=3, times=4)
    events = await store.read(0)
    with pytest.raises(Unequal, match="`fold` of"):
        check_projection(database, Forgetful(), events)
    with pytest.raises(Unequal, match="`fold_sql`"):
        check_projection(database, WrongSql(), events)
    with pytest.raises(Unequal, match="`apply` again"):
        check_projection(database, Random(), events)
    with pytest.raises(AttributeError, match="says `bare`"):
        check_projection(database, BareAndYet(), events)
    with pytest.raises(TypeError, match="says `bare`"):
        check_projection(database, BareById(), events)


def test_rows_are_inserted_updated_and_upserted_by_sets(database: str) -> None:
    with catalogue.connect(database, "test") as connection:
        cursor = connection.cursor()
        connection.execute("CREATE TABLE stock (sku text PRIMARY KEY, held int, note text)")
        insert(cursor, "stock", {"sku": ("text", ["a", "b"]), "held": ("int", [1, 2])})
        new = {"sku": ("text", ["b", "c"]), "held": ("int", [5, 6]), "note": ("text", ["n", None])}
        upsert(cursor, "stock", new, key=("sku",), add=("held",))
        update(
            cursor, "stock", {"sku": ("text", ["a", "z"]), "held": ("int", [9, 9])}, key=("sku",)
        )
        upsert(cursor, "stock", {"sku": ("text", ["a", "d"])}, key=("sku",))
        upsert(cursor, "stock", {"sku": ("text", [])}, key=("sku",))
        found = connection.execute("SELECT * FROM stock ORDER BY sku").fetchall()
    assert found == [("a", 9, None), ("b", 7, "n"), ("c", 6, None), ("d", None, None)]
