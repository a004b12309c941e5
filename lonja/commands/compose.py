"""`lonja compose` and `lonja check`: compose subgraphs, and compare with what is in use.

Exit codes: 0 composed, or nothing breaks; 1 composition failed, or something breaks; 2 wrong usage,
which a file that cannot be read is too.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lonja.composing import compose_files, errors_counted, print_problems
from lonja.output import AS_JSON, print_json

if TYPE_CHECKING:
    from router.composition import CompositionResult, Contract
    from router.composition.changes import SchemaChanges

Command = Callable[..., None]

CONFIG = click.option("--config", metavar="FILE", help="rover's supergraph.yaml.")
SUBGRAPHS = click.option("--subgraphs", metavar="FILE", help="JSON list of {name, url, sdl}.")


@click.command()
@CONFIG
@SUBGRAPHS
@click.option("-o", "--output", metavar="FILE", help="Write the supergraph there.")
@click.option("--include-tag", multiple=True, metavar="TAG", help="Contract: show only these.")
@click.option("--exclude-tag", multiple=True, metavar="TAG", help="Contract: hide these.")
@AS_JSON
def compose(
    config: str | None,
    subgraphs: str | None,
    output: str | None,
    include_tag: tuple[str, ...],
    exclude_tag: tuple[str, ...],
    as_json: bool,
) -> None:
    """Compose subgraphs into a supergraph.

    Prints the supergraph's SDL, or every error there is with its code, subgraphs and coordinates.
    With tags it is a contract: what they hide is marked @inaccessible.
    """
    from router.composition import Contract

    contract = Contract(frozenset(include_tag), frozenset(exclude_tag))
    result, files = _compose(config, subgraphs, contract if include_tag or exclude_tag else None)
    if output is not None and result.supergraph_sdl is not None:
        _write(Path(output), result.supergraph_sdl)
    if as_json:
        print_json(_with_files(result.to_json(), files))
    else:
        if output is None and result.supergraph_sdl is not None:
            click.echo(result.supergraph_sdl, nl=False)
        _print_problems(result, files)
    if not result.ok:
        raise SystemExit(1)


@click.command()
@CONFIG
@SUBGRAPHS
@click.option("--against", metavar="FILE", required=True, help="The supergraph now in use.")
@AS_JSON
def check(config: str | None, subgraphs: str | None, against: str, as_json: bool) -> None:
    """Compose subgraphs and list what would break, or change, for clients of a supergraph."""
    from router.composition.changes import SchemaChanges, compare
    from router.errors import RouterError
    from router.sources import SourceError, read_text

    result, files = _compose(config, subgraphs)
    changes = SchemaChanges()
    try:
        old = read_text(against)
        if result.supergraph_sdl is not None:
            changes = compare(old, result.supergraph_sdl)
    except SourceError as error:
        raise click.UsageError(str(error)) from error
    except RouterError as error:
        raise click.UsageError(f"{against}: {error}") from error
    ok = result.ok and changes.ok
    if as_json:
        composed = _with_files(result.to_json(), files)
        print_json(
            {
                "ok": ok,
                "breaking": [one.to_json() for one in changes.breaking],
                "dangerous": [one.to_json() for one in changes.dangerous],
                "errors": composed["errors"],
                "hints": composed["hints"],
            }
        )
    else:
        _print_problems(result, files)
        if result.ok:
            _print_changes(changes)
    if not ok:
        raise SystemExit(1)


def _compose(
    config: str | None, subgraphs: str | None, contract: Contract | None = None
) -> tuple[CompositionResult, dict[str, str]]:
    """The result, and the file of each subgraph that has one."""
    if (config is None) == (subgraphs is None):
        raise click.UsageError("give exactly one of --config and --subgraphs")
    from router.errors import RouterError

    try:
        return compose_files(config, subgraphs, contract)
    except RouterError as error:
        raise click.UsageError(str(error)) from error


def _with_files(result: dict[str, Any], files: dict[str, str]) -> dict[str, Any]:
    for problem in (*result["errors"], *result["hints"]):
        for place in problem.get("places", ()):
            if place["subgraph"] in files:
                place["file"] = files[place["subgraph"]]
    return result


def _print_problems(result: CompositionResult, files: dict[str, str]) -> None:
    print_problems(result, files)
    if result.errors:
        click.echo(f"composition failed: {errors_counted(result)}", err=True)


def _print_changes(changes: SchemaChanges) -> None:
    for kind, found in (("breaking", changes.breaking), ("dangerous", changes.dangerous)):
        for one in found:
            click.echo(f"{kind} {one.kind}: {one.description}")
    click.echo(f"{len(changes.breaking)} breaking, {len(changes.dangerous)} dangerous changes")


def _write(path: Path, text: str) -> None:
    """Replace a file whole, so that a router reloading it never sees half of it."""
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
            os.chmod(name, 0o644)
            os.replace(name, path)
        except BaseException:
            os.unlink(name)
            raise
    except OSError as error:
        raise click.UsageError(f"{path} cannot be written: {error.strerror}") from error
