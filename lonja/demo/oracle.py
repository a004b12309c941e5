"""What the parquet files themselves say: totals that share no code with the shop.

Everything is computed in SQL over the files. Of the shop's outcome only the list of the baskets it
confirmed is taken: which ones can be served depends on who comes first to the last unit.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lonja.demo import dataset

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True, slots=True)
class Truth:
    """Facts of the slice. Money in cents; units by product id."""

    baskets: int
    households: int
    lines: int
    refused_lines: dict[str, int]
    hopeless_baskets: int
    """Baskets none of whose lines can be sold."""
    demanded_units: int
    paid_cents_by_basket: dict[int, int]
    """What was paid for the lines that can be sold; hopeless baskets are absent."""
    units_by_basket: dict[int, int]
    sold_units: dict[int, int]
    """Units of the confirmed baskets, by product."""


LINES = """
CREATE OR REPLACE TEMP TABLE judged AS
SELECT t.basket_id, t.product_id, t.household_id, t.quantity,
       cast(round(t.sales_value * 100) AS BIGINT) AS cents,
       CASE WHEN t.quantity < 1 THEN 'QUANTITY_NOT_POSITIVE'
            WHEN t.quantity > 999 THEN 'QUANTITY_TOO_LARGE'
            WHEN p.product_id IS NULL THEN 'UNKNOWN_VARIANT' END AS refused
FROM transactions t JOIN slice USING (basket_id) LEFT JOIN products p USING (product_id)
"""


def truth(*, baskets: int, offset: int, confirmed: Iterable[int]) -> Truth:
    """The facts of a slice, given which of its baskets the shop confirmed."""
    with dataset.connect() as connection:
        dataset.select_slice(connection, baskets=baskets, offset=offset)
        connection.execute(LINES)
        connection.execute("CREATE TEMP TABLE confirmed (basket_id BIGINT)")
        rows = [(basket,) for basket in confirmed]
        if rows:
            connection.executemany("INSERT INTO confirmed VALUES (?)", rows)
        return _facts(connection)


def _facts(connection: duckdb.DuckDBPyConnection) -> Truth:
    def rows(query: str) -> list[tuple[Any, ...]]:
        return connection.execute(query).fetchall()

    ((n_baskets, n_households, n_lines),) = rows(
        "SELECT count(DISTINCT basket_id), count(DISTINCT household_id), count(*) FROM judged"
    )
    ((hopeless,),) = rows(
        "SELECT count(*) FROM (SELECT 1 FROM judged GROUP BY basket_id"
        " HAVING count(*) FILTER (refused IS NULL) = 0)"
    )
    sellable = rows(
        "SELECT basket_id, sum(cents)::BIGINT, sum(quantity)::BIGINT FROM judged"
        " WHERE refused IS NULL GROUP BY basket_id"
    )
    return Truth(
        baskets=n_baskets,
        households=n_households,
        lines=n_lines,
        refused_lines=dict(
            rows(
                "SELECT refused, count(*) FROM judged WHERE refused IS NOT NULL"
                " GROUP BY refused ORDER BY refused"
            )
        ),
        hopeless_baskets=hopeless,
        demanded_units=sum(units for _, _, units in sellable),
        paid_cents_by_basket={basket: cents for basket, cents, _ in sellable},
        units_by_basket={basket: units for basket, _, units in sellable},
        sold_units=dict(
            rows(
                "SELECT product_id, sum(quantity)::BIGINT FROM judged"
                " WHERE refused IS NULL AND basket_id IN (SELECT basket_id FROM confirmed)"
                " GROUP BY product_id"
            )
        ),
    )
