"""Where a text is still to be found: in the tables of databases and in files, in whatever form."""

from __future__ import annotations

import base64
import json
import quopri
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import psycopg
from psycopg import sql

BASE64_TEXT_MIN = 8
"""Shorter texts have too few whole groups in base64 to be looked for."""
_TABLES = (
    "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
    " WHERE c.relkind IN ('r', 'm') AND n.nspname NOT IN ('pg_catalog', 'information_schema')"
    " AND n.nspname NOT LIKE 'pg_toast%%' ORDER BY 1, 2"
)


def forms(text: str) -> set[str]:
    """How a text may be written, in lower case: plain, escaped in JSON, hexadecimal, encoded for
    mails, and in base64 wherever in a longer text it stands.
    """
    raw = text.encode()
    written = {text, json.dumps(text)[1:-1], raw.hex(), quopri.encodestring(raw).decode()}
    if len(raw) >= BASE64_TEXT_MIN:
        for before in range(3):
            first = -before % 3
            whole = raw[first : len(raw) - (len(raw) - first) % 3]
            written |= {
                base64.b64encode(whole).decode(),
                base64.urlsafe_b64encode(whole).decode(),
            }
    return {each.lower() for each in written}


def in_database(conninfo: str, texts: Iterable[str]) -> dict[str, set[str]]:
    """The texts that are found in each table, of all that the database has."""
    wanted = {text: forms(text) for text in texts}
    found: dict[str, set[str]] = {}
    with psycopg.connect(conninfo, autocommit=True) as connection:
        for schema, table in connection.execute(_TABLES).fetchall():
            query = sql.SQL("SELECT each::text FROM {} AS each").format(
                sql.Identifier(schema, table)
            )
            written = "\n".join(row[0] for row in connection.execute(query)).lower()
            if seen := _seen(written, wanted):
                found[f"{schema}.{table}"] = seen
    return found


def in_files(folder: Path, texts: Iterable[str]) -> dict[str, set[str]]:
    """The texts that are found in each file below a folder, or in its name."""
    wanted = {text: forms(text) for text in texts}
    found = {}
    for path, content in _files(folder):
        written = f"{path}\n{content}".replace("=\n", "").replace("=\r\n", "").lower()
        if seen := _seen(written, wanted):
            found[path] = seen
    return found


def _files(folder: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield str(path.relative_to(folder)), path.read_bytes().decode(errors="replace")


def _seen(written: str, wanted: Mapping[str, set[str]]) -> set[str]:
    return {text for text, ways in wanted.items() if any(way in written for way in ways)}
