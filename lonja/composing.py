"""Composing for commands: from the files they are given, and what to tell of the result."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click
import yaml

if TYPE_CHECKING:
    from router.composition import CompositionError, CompositionResult, Contract


def compose_files(
    config: str | None, subgraphs: str | None, contract: Contract | None = None
) -> tuple[CompositionResult, dict[str, str]]:
    """Compose what rover's `supergraph.yaml` or a JSON list of subgraphs names, one of the two.

    Returns the result, and the SDL file of each subgraph that has one. Raises SourceError.
    """
    from router.composition import Subgraph, compose
    from router.sources import fetch_sdl, read_subgraphs_json, read_supergraph_yaml

    files: dict[str, str] = {}
    if config is not None:
        sources = read_supergraph_yaml(config)
        files = _schema_files(Path(config))
    else:
        assert subgraphs is not None
        sources = read_subgraphs_json(subgraphs)
    sources = asyncio.run(fetch_sdl(sources))
    given = [Subgraph(one.name, one.sdl or "", one.url) for one in sources]
    return compose(given, contract=contract), files


def _schema_files(config: Path) -> dict[str, str]:
    """The SDL files named in a `supergraph.yaml` that was read before, by subgraph."""
    entries = yaml.safe_load(config.read_text(encoding="utf-8"))["subgraphs"]
    return {
        str(name): str(config.parent / entry["schema"]["file"])
        for name, entry in entries.items()
        if isinstance(entry["schema"].get("file"), str)
    }


def print_problems(result: CompositionResult, files: dict[str, str]) -> None:
    """Errors and hints on standard error, each with its places."""
    for error in result.errors:
        _print_problem("error", "red", error, files)
    for one in result.hints:
        _print_problem("hint", "yellow", one, files)


def _print_problem(
    kind: str, colour: str, problem: CompositionError, files: dict[str, str]
) -> None:
    head = click.style(f"{kind} {problem.code}", fg=colour, bold=True)
    click.echo(f"{head}: {problem.message}", err=True)
    for place in problem.places:
        file = files.get(place.subgraph, place.subgraph)
        click.echo(f"  at {file}:{place.line}:{place.column}", err=True)


def errors_counted(result: CompositionResult) -> str:
    """How many errors there are, in words."""
    count = len(result.errors)
    return f"{count} error{'' if count == 1 else 's'}"
