"""`lonja projections`: see, rebuild, compare and switch read models while the shop goes on."""

from __future__ import annotations

import asyncio
import getpass
import math
import os
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bar

from eventstore import Actor
from lonja.operating import found, identity, opened, rows_of_builds, rows_of_parked
from lonja.output import AS_JSON, DATA_DIR, console, print_json, print_rows
from lonja.settings import Settings, load
from projections import Operations
from projections.rebuild import NICENESS, Progress
from projections.scratch import Trial

T = TypeVar("T")

WATCH_SECONDS = 1.0
GRACE_HOURS_MAX = 24.0 * 365
REASON = click.option("--reason", default="", help="Why; recorded with who did it.")
BY = click.option(
    "--by", default=getpass.getuser, show_default="you", help="Who does it; recorded."
)


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end; Ctrl-C stops after the batch at hand."""
    return asyncio.run(work)


@click.group()
def projections() -> None:
    """The read models: builds, rebuilds, switches, what is parked."""


@projections.command("list")
@click.option("--watch", is_flag=True, help="Refresh every second, until Ctrl-C.")
@DATA_DIR
@AS_JSON
def list_builds(watch: bool, data_dir: Path | None, as_json: bool) -> None:
    """Every build: version, state, position, lag, rate, what is parked, size."""
    settings = load(data_dir=data_dir)
    try:
        run(_list(settings, watch, as_json))
    except KeyboardInterrupt:
        if not watch:
            raise


@projections.command()
@click.argument("name")
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="Processes that share the work.",
)
@click.option("--restart", is_flag=True, help="Give up what an earlier rebuild has done.")
@click.option(
    "--rate-max",
    type=click.FloatRange(min=0, min_open=True),
    default=math.inf,
    help="Positions a second, a worker.",
)
@click.option("--dry-run", is_flag=True, help="Estimate time and disk, compare a sample; undo it.")
@click.option("--stream", help="Only this stream, into a scratch copy.")
@click.option("--since", type=click.DateTime(), help="Only from this time (UTC) on, likewise.")
@REASON
@BY
@DATA_DIR
@AS_JSON
def rebuild(
    name: str,
    workers: int,
    restart: bool,
    rate_max: float,
    dry_run: bool,
    stream: str | None,
    since: datetime | None,
    reason: str,
    by: str,
    data_dir: Path | None,
    as_json: bool,
) -> None:
    """Build NAME anew beside the live tables. Ctrl-C stops; the same command goes on."""
    if dry_run and (stream or since):
        raise click.UsageError("--dry-run undoes what --stream and --since keep: give one of them")
    settings = load(data_dir=data_dir)
    if dry_run or stream or since:
        moment = None if since is None else since.replace(tzinfo=UTC)
        trial = run(_try(settings, name, dry_run, stream, moment))
        _print_trial(trial, as_json)
        return
    with suppress(OSError):  # those that serve go first
        os.nice(NICENESS)
    run(_rebuild(settings, name, workers, restart, rate_max, reason, _actor(by), as_json))


@projections.command()
@click.argument("name")
@DATA_DIR
@AS_JSON
def verify(name: str, data_dir: Path | None, as_json: bool) -> None:
    """Compare the live NAME with the rebuilt one at one position. Exit code 1 if they differ."""
    result = run(_with(load(data_dir=data_dir), name, lambda o, n: o.verify(n)))
    if as_json:
        print_json(asdict(result) | {"equal": result.equal, "differences": result.differences})
    else:
        shown = ("table", "live_rows", "other_rows", "differences")
        print_rows(
            [
                {key: value for key, value in asdict(t).items() if key in shown}
                for t in result.tables
            ],
            right=shown[1:],
        )
        verdict = "equal" if result.equal else f"differ in {', '.join(result.examples)}"
        console.print(f"{result.live} and {result.other} at position {result.position}: {verdict}")
    if not result.equal:
        raise SystemExit(1)


@projections.command()
@click.argument("name")
@click.option("--force", is_flag=True, help="Even if the builds differ; needs --reason.")
@click.option(
    "--grace-hours",
    type=click.FloatRange(min=0, max=GRACE_HOURS_MAX),
    default=24.0,
    show_default=True,
    help="How long the old build is kept for a rollback.",
)
@REASON
@BY
@DATA_DIR
@AS_JSON
def switch(
    name: str,
    force: bool,
    grace_hours: float,
    reason: str,
    by: str,
    data_dir: Path | None,
    as_json: bool,
) -> None:
    """Let readers see the rebuilt NAME, in one transaction; the old one follows for a while."""
    done = run(
        _with(
            load(data_dir=data_dir),
            name,
            lambda o, n: o.switch(
                n, by=_actor(by), reason=reason, force=force, grace_seconds=grace_hours * 3600
            ),
        )
    )
    _print_switched(done, as_json)


@projections.command()
@click.argument("name")
@REASON
@BY
@DATA_DIR
@AS_JSON
def rollback(name: str, reason: str, by: str, data_dir: Path | None, as_json: bool) -> None:
    """Let readers see again what NAME was before the last switch."""
    done = run(
        _with(
            load(data_dir=data_dir),
            name,
            lambda o, n: o.roll_back(n, by=_actor(by), reason=reason),
        )
    )
    _print_switched(done, as_json)


@projections.command()
@click.option("--traceback", "full", is_flag=True, help="With the traceback of each.")
@DATA_DIR
@AS_JSON
def parked(full: bool, data_dir: Path | None, as_json: bool) -> None:
    """Keys and streams whose events wait because one of them failed."""
    rows = run(_parked(load(data_dir=data_dir)))
    if as_json:
        print_json(rows)
        return
    print_rows([{k: v for k, v in row.items() if k != "traceback"} for row in rows])
    for row in rows if full else ():
        console.print(f"\n{row['name']} {row['key']}\n{row['traceback']}")


@projections.command()
@click.argument("name", required=False)
@click.option("--key", help="Only this key (of a reactor: this stream).")
@REASON
@BY
@DATA_DIR
@AS_JSON
def redrive(
    name: str | None, key: str | None, reason: str, by: str, data_dir: Path | None, as_json: bool
) -> None:
    """Apply parked events of NAME (or of all) again, in order; a running service does it."""
    count = run(_redrive(load(data_dir=data_dir), name, key, reason, _actor(by)))
    if as_json:
        print_json({"asked": count})
    else:
        console.print(f"asked for {count} to be redriven; see `lonja projections parked`")


@projections.command()
@click.argument("name")
@click.argument("key")
@click.option("--reason", required=True, help="Why; recorded with who did it.")
@BY
@DATA_DIR
@AS_JSON
def skip(name: str, key: str, reason: str, by: str, data_dir: Path | None, as_json: bool) -> None:
    """Give up the event that KEY of NAME failed at; those behind it are redriven.

    Of a reactor, KEY is the parked stream, and what is given up is its first message.
    """
    position = run(_skip(load(data_dir=data_dir), name, key, reason, _actor(by)))
    if as_json:
        print_json({"skipped": position})
    else:
        console.print(f"skipped position {position}" if position else f"nothing parked as {key}")


def _actor(by: str) -> Actor:
    return Actor(kind="staff", id=by)


async def _with(
    settings: Settings,
    name: str,
    act: Callable[[Operations, str], Coroutine[Any, Any, T]],
) -> T:
    async with found(settings, name) as (served, plain):
        return await act(served.operations, plain)


async def _list(settings: Settings, watch: bool, as_json: bool) -> None:
    async with opened(settings) as all_served:
        before: dict[tuple[str, str, int], int] = {}
        at = time.monotonic()
        while True:
            now = time.monotonic()
            rows = await rows_of_builds(all_served, before, now - at)
            before, at = {identity(row): row["position"] for row in rows}, now
            if as_json:
                print_json(rows)
            else:
                if watch:
                    console.clear()
                print_rows(rows, right=_NUMBERS)
            if not watch:
                return
            await asyncio.sleep(WATCH_SECONDS)


_NUMBERS = (
    *("version", "build", "position", "lag", "lag_seconds"),
    *("rate", "missing", "parked", "megabytes"),
)


async def _rebuild(
    settings: Settings,
    name: str,
    workers: int,
    restart: bool,
    rate_max: float,
    reason: str,
    actor: Actor,
    as_json: bool,
) -> None:
    async with found(settings, name) as (served, plain):
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:,.0f} of {task.total:,.0f} positions"),
            TextColumn("{task.fields[rate]}"),
        )
        with Bar(*columns, console=console, disable=as_json or not console.is_terminal) as bar:
            task = bar.add_task(f"{served.name}/{plain}", total=1, rate="")

            def tell(progress: Progress) -> None:
                if as_json:
                    print_json(asdict(progress))
                eta = "" if progress.eta_seconds is None else f", {progress.eta_seconds:.0f} s left"
                bar.update(
                    task,
                    completed=progress.done,
                    total=max(1, progress.head),
                    rate=f"{progress.rate:,.0f}/s{eta}",
                )

            done = await served.operations.rebuild(
                plain,
                by=actor,
                reason=reason,
                workers=workers,
                restart=restart,
                events_per_second_max=rate_max,
                progress=tell,
            )
    if as_json:
        print_json({"build": asdict(done.build), "events": done.events, "seconds": done.seconds})
        return
    rate = done.events / done.seconds if done.seconds else 0.0
    console.print(
        f"{done.build} is ready at position {done.build.position:,}: {done.events:,} positions in "
        f"{done.seconds:.1f} s ({rate:,.0f}/s). Now `lonja projections verify {name}`, then switch"
    )


async def _try(
    settings: Settings, name: str, dry: bool, stream: str | None, since: datetime | None
) -> Trial:
    async with found(settings, name) as (served, plain):
        if dry:
            return await served.operations.dry_run(plain)
        return await served.operations.scratch(plain, stream=stream, since=since)


def _print_trial(trial: Trial, as_json: bool) -> None:
    if as_json:
        print_json(asdict(trial))
        return
    where = f"into the schema {trial.schema}" if trial.schema else "and undid it"
    console.print(
        f"folded {trial.events:,} events of {trial.streams:,} streams {where}: "
        + ", ".join(f"{rows:,} rows of {table}" for table, rows in trial.rows.items())
    )
    if not trial.schema:
        console.print(
            f"all {trial.total_events:,} events: about {trial.estimated_seconds:.1f} s of folding, "
            f"{trial.estimated_bytes / 1_048_576:.1f} MiB"
        )
    console.print(
        f"{trial.differences:,} rows differ from the live ones"
        + (f", among them {', '.join(trial.examples)}" if trial.examples else "")
    )
    if trial.differences:
        console.print("(those made of more streams than were folded differ by nature)")
    for error in trial.errors:
        console.print(f"would be parked: {error}")


def _print_switched(done: Any, as_json: bool) -> None:
    if as_json:
        print_json({"live": asdict(done.live), "before": asdict(done.before),
                    "position": done.position})  # fmt: skip
    else:
        console.print(
            f"{done.live} is live since position {done.position:,}; {done.before} follows until "
            f"{done.before.follow_until:%Y-%m-%d %H:%M} UTC and can be rolled back to"
        )


async def _parked(settings: Settings) -> list[dict[str, Any]]:
    async with opened(settings) as all_served:
        return await rows_of_parked(all_served)


async def _skip(settings: Settings, name: str, key: str, reason: str, actor: Actor) -> int:
    async with found(settings, name) as (served, plain):
        skip = (
            served.operations.skip_message if plain in served.reactors else served.operations.skip
        )
        return await skip(plain, key, by=actor, reason=reason)


async def _redrive(
    settings: Settings, name: str | None, key: str | None, reason: str, actor: Actor
) -> int:
    if name is not None:
        async with found(settings, name) as (served, plain):
            if plain in served.reactors:
                return await served.operations.redrive_reactor(plain, key, by=actor, reason=reason)
            return await served.operations.redrive(plain, key, by=actor, reason=reason)
    asked = 0
    async with opened(settings) as all_served:
        for served in all_served:
            asked += await served.operations.redrive(key=key, by=actor, reason=reason)
            asked += await served.operations.redrive_reactor(stream=key, by=actor, reason=reason)
    return asked
