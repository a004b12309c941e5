"""Writing many rows at once, for `fold`: one statement, whose values travel as one array a column.

    upsert(
        cursor,
        "balances",
        {"account": ("text", accounts), "balance_minor": ("bigint", sums)},
        key=("account",),
        add=("balance_minor",),
    )

Each key at most once in a call: fold the batch first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from psycopg import sql

from projections.projection import Cursor

Columns = Mapping[str, tuple[str, Sequence[Any]]]
"""Column name to its type in PostgreSQL and its values, as many for each column."""


def insert(cursor: Cursor, table: str, columns: Columns) -> None:
    """Insert rows. Fails as INSERT does for a key that is there."""
    _run(cursor, columns, _insert(table, _types(columns)))


def upsert(
    cursor: Cursor, table: str, columns: Columns, *, key: Sequence[str], add: Sequence[str] = ()
) -> None:
    """Insert rows; where the key is there, add to the columns of `add` and replace the others."""
    _run(cursor, columns, _upsert(table, _types(columns), tuple(key), tuple(add)))


def update(
    cursor: Cursor, table: str, columns: Columns, *, key: Sequence[str], add: Sequence[str] = ()
) -> None:
    """Change the rows whose key is there in the same way; what is not there is left out."""
    _run(cursor, columns, _update(table, _types(columns), tuple(key), tuple(add)))


def _run(cursor: Cursor, columns: Columns, statement: str) -> None:
    values = [list(given) for _, given in columns.values()]
    if values and values[0]:
        cursor.execute(statement.encode(), values, prepare=True)


def _types(columns: Columns) -> tuple[tuple[str, str], ...]:
    return tuple((name, kind) for name, (kind, _) in columns.items())


def _names(names: Sequence[str], pattern: str = "{}", joined: str = ", ") -> str:
    return joined.join(pattern.replace("{}", _quoted(name)) for name in names)


def _quoted(name: str) -> str:
    return sql.Identifier(name).as_string()


def _given(types: tuple[tuple[str, str], ...]) -> str:
    arrays = ", ".join(f"%s::{kind}[]" for _, kind in types)
    return f"unnest({arrays}) AS given ({_names([name for name, _ in types])})"


@lru_cache(maxsize=512)
def _insert(table: str, types: tuple[tuple[str, str], ...]) -> str:
    names = _names([name for name, _ in types])
    return f"INSERT INTO {_quoted(table)} ({names}) SELECT * FROM {_given(types)}"


@lru_cache(maxsize=512)
def _upsert(
    table: str, types: tuple[tuple[str, str], ...], key: tuple[str, ...], add: tuple[str, ...]
) -> str:
    changed = [name for name, _ in types if name not in key]
    sets = _sets(table, changed, add, "excluded")
    action = f"DO UPDATE SET {sets}" if changed else "DO NOTHING"
    return f"{_insert(table, types)} ON CONFLICT ({_names(key)}) {action}"


@lru_cache(maxsize=512)
def _update(
    table: str, types: tuple[tuple[str, str], ...], key: tuple[str, ...], add: tuple[str, ...]
) -> str:
    changed = [name for name, _ in types if name not in key]
    sets = _sets(table, changed, add, "given")
    same = _names(key, f"{_quoted(table)}.{{}} = given.{{}}", " AND ")
    return f"UPDATE {_quoted(table)} SET {sets} FROM {_given(types)} WHERE {same}"


def _sets(table: str, changed: Sequence[str], add: tuple[str, ...], source: str) -> str:
    return ", ".join(
        _names(
            [name],
            f"{{}} = {_quoted(table)}.{{}} + {source}.{{}}"
            if name in add
            else f"{{}} = {source}.{{}}",
        )
        for name in changed
    )
