"""What commands print: tables for people, JSON for machines."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import orjson
from rich.console import Console, JustifyMethod
from rich.markup import escape
from rich.table import Table

DATA_DIR = click.option(
    "--data-dir",
    type=click.Path(path_type=Path),
    help="Where data is kept (LONJA_DATA_DIR).",
)
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON, for machines.")

PLAIN_WIDTH = 140
console = Console(highlight=False, width=None if sys.stdout.isatty() else PLAIN_WIDTH)
"""Colours only on a terminal; elsewhere lines of a fixed width, wide enough for the trace."""


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    options = orjson.OPT_INDENT_2 if sys.stdout.isatty() else 0
    click.echo(orjson.dumps(value, option=options, default=str).decode())


def print_rows(rows: Iterable[Mapping[str, Any]], *, right: Sequence[str] = ()) -> None:
    """A table whose columns are the keys of the first row; columns in `right` are aligned right."""
    rows = list(rows)
    if not rows:
        console.print("nothing")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in rows[0]:
        justify: JustifyMethod = "right" if name in right else "left"
        table.add_column(name.replace("_", " "), justify=justify, overflow="fold")
    for row in rows:
        table.add_row(*("" if value is None else _shown(value) for value in row.values()))
    console.print(table)


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return escape(str(value))
