"""`lonja log verify`, `checkpoint`, `prove`, `check-proof`: that logs stand as they were."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import click
import msgspec
import orjson
import psycopg
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from eventstore.audit import NotProvable, Seal, Signer, check, key_id, last_seal, seal_next
from eventstore.audit import prove as prove_event
from eventstore.audit import verify as verify_log
from eventstore.layout import Layout
from eventstore.privacy.readable import Readable, readable
from lonja.commands.log.logs import SERVICE
from lonja.commands.log.recorded import AS, NotRecorded, record, record_verifications, seen
from lonja.databases import running_server
from lonja.errors import LonjaError
from lonja.keys import seal_key
from lonja.output import AS_JSON, DATA_DIR, console, print_json, print_rows
from lonja.sealing import Checkpoints, public_key, read_checkpoint, trusted_keys
from lonja.settings import SERVICES, Settings, load
from lonja.wiring import build_service
from subgraphs.shared.log_audit import Verified

SEALS_MAX = 1_000_000


class EventId(click.ParamType[UUID]):
    """The id of an event, as `lonja log show` and `--json` give it."""

    name = "EVENT"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> UUID:
        try:
            return UUID(value)
        except ValueError:
            self.fail(
                f"{value!r} is no event's id, a UUID: `lonja log show STREAM` names those of its "
                "events",
                param,
            )


class LogBroken(LonjaError):
    """A log is not what its seals and checkpoints say."""

    code = "LOG_BROKEN"


class LogUnreadable(LonjaError):
    """What a log says of persons who were not erased does not open."""

    code = "LOG_UNREADABLE"


class NoProof(LonjaError):
    """An event that cannot be proved, or a file that proves nothing."""

    code = "NO_PROOF"


@click.command(short_help="Recompute every hash; name the first that is wrong.")
@SERVICE
@click.option(
    "--checkpoint",
    "checkpoint_file",
    type=click.Path(path_type=Path),
    help="Hold the log against this file instead of those that are kept. Give one --service.",
)
@AS
@DATA_DIR
@AS_JSON
def verify(
    services: Sequence[str],
    checkpoint_file: Path | None,
    reader: str,
    data_dir: Path | None,
    as_json: bool,
) -> None:
    """Recompute every hash of the logs; name the first position that does not agree.

    Each log is held against its seals, and they against the checkpoints outside the database. Then
    what is sealed for persons is opened: a lost or damaged key is in no hash. What was found of the
    log is an event of the journal, where that can be reached. Exit code 1 if a log is broken, or if
    not all of it can be read.
    """
    if checkpoint_file is not None and len(services) != 1:
        raise click.UsageError("--checkpoint needs exactly one --service, whose checkpoint it is")
    settings = load(data_dir=data_dir)
    found = {}
    with progress_bar(as_json) as bar:
        for service in services or SERVICES:
            found[service] = _verified(settings, service, checkpoint_file, bar(service))
        opened = {name: _opened(settings, name, bar(f"{name}, sealed")) for name in found}
    rows = [_row(service, verified, opened[service]) for service, verified in found.items()]
    try:
        asyncio.run(record_verifications(settings, reader, found))
    except NotRecorded as error:
        click.echo(f"the journal does not know of this verification: {error}", err=True)
    if as_json:
        print_json(rows)
    else:
        print_rows(rows, right=("events", "sealed", "seals", "unreadable"))
    broken = [row["service"] for row in rows if row["state"] != "intact"]
    if broken:
        raise LogBroken(f"not as it was written: {', '.join(broken)}; see the positions above")
    if unread := [name for name, each in opened.items() if each.unreadable]:
        raise LogUnreadable(
            f"as written, but not all of it can be read: {', '.join(unread)}; see the reasons above"
        )


@click.command(short_help="Seal now, and keep the seals outside the database.")
@SERVICE
@DATA_DIR
@AS_JSON
def checkpoint(services: Sequence[str], data_dir: Path | None, as_json: bool) -> None:
    """Seal the logs up to their ends and keep the last seal of each outside the database."""
    settings = load(data_dir=data_dir)
    signer, checkpoints = Signer(seal_key(settings)), Checkpoints(settings)
    rows = []
    for service in services or SERVICES:
        with connected(settings, service) as (connection, layout):
            for _ in range(SEALS_MAX):
                if seal_next(connection, layout, signer, datetime.now(UTC)) is None:
                    break
            newest = last_seal(connection, layout)
        if newest is None:
            rows.append({"service": service, "events": 0, "seal": None, "file": None})
            continue
        header = newest.read()
        file = str(checkpoints.write(newest))
        rows.append(
            {"service": service, "events": header.last, "seal": header.number, "file": file}
        )
    if as_json:
        print_json(rows)
    else:
        print_rows(rows, right=("events", "seal"))


@click.command(short_help="Write the proof of one event.")
@click.argument("event", type=EventId())
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Default: standard output.")
@AS
@DATA_DIR
def prove(event: UUID, output: Path | None, reader: str, data_dir: Path | None) -> None:
    """Write the proof of one EVENT (its id), which can be checked without the database."""
    settings = load(data_dir=data_dir)
    reasons = []
    for service in SERVICES:
        with connected(settings, service) as (connection, layout):
            try:
                text = msgspec.json.encode(prove_event(connection, layout, event))
            except NotProvable as error:
                reasons.append(str(error))
                continue
        asyncio.run(
            record(settings, reader, seen("prove", {"event": event}, [{"proof": text.decode()}]))
        )
        if output is None:
            click.echo(text)
        else:
            output.write_bytes(text)
            click.echo(f"{output}: proof of an event of {service}", err=True)
        return
    unsealed = next((reason for reason in reasons if "not sealed" in reason), None)
    raise NoProof(unsealed or f"no service has an event {event}")


@click.command(name="check-proof")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--key",
    "keys",
    multiple=True,
    help="A trusted public key, 64 hexadecimal digits. Default: this installation's.",
)
@DATA_DIR
@AS_JSON
def check_proof(file: Path, keys: Sequence[str], data_dir: Path | None, as_json: bool) -> None:
    """Say what FILE proves, by its seal's signature. Needs no database."""
    try:
        text = file.read_bytes()
    except OSError as error:
        raise NoProof(f"{file} cannot be read: {error.strerror}") from None
    given = {key_id(key): key for key in map(public_key, keys)}
    try:
        record = check(text, given or trusted_keys(load(data_dir=data_dir)))
    except NotProvable as error:
        raise NoProof(f"{file}: {error}") from None
    if as_json:
        print_json({"proved": True, "record": record})
    else:
        console.print("[green]proved[/green]: this event is in the sealed log as it stands here")
        console.print(orjson.dumps(record, option=orjson.OPT_INDENT_2).decode(), markup=False)


@contextmanager
def connected(settings: Settings, service: str) -> Iterator[tuple[psycopg.Connection[Any], Layout]]:
    """A connection to a service's log, and where its tables are. Raises NoDatabase."""
    conninfo = running_server(settings, [service])[service]
    layout = build_service(service, settings, conninfo, {}).store.layout
    with psycopg.connect(conninfo, autocommit=True) as connection:
        layout.migrate(connection)
        yield connection, layout


def _verified(
    settings: Settings,
    service: str,
    checkpoint_file: Path | None,
    progress: Callable[[int, int], None],
) -> Verified:
    newest: Seal | None
    kept: Callable[[int], Seal | None]
    if checkpoint_file is not None:
        newest = read_checkpoint(checkpoint_file, service)
        kept = {newest.read().number: newest}.get
    else:
        checkpoints = Checkpoints(settings)
        newest, kept = checkpoints.latest(service), partial(checkpoints.of, service)
    with connected(settings, service) as (connection, layout):
        report = verify_log(
            connection,
            layout,
            trusted_keys(settings),
            checkpoint=newest,
            kept=kept,
            progress=progress,
        )
    return Verified.of(report, newest)


def _opened(settings: Settings, service: str, progress: Callable[[int, int], None]) -> Readable:
    conninfo = running_server(settings, [service])[service]
    store = build_service(service, settings, conninfo, {}).store
    with psycopg.connect(conninfo, autocommit=True) as connection:
        return readable(connection, store.layout, store.privacy, store.types, progress=progress)


def _row(service: str, verified: Verified, opened: Readable) -> dict[str, Any]:
    return {
        "service": service,
        "events": verified.events,
        "sealed": verified.sealed,
        "seals": verified.seals,
        "checkpoint": verified.checkpoint,
        "state": "intact" if verified.fault is None else "broken",
        "unreadable": opened.unreadable,
        "fault": verified.fault or (opened.fault and f"position {opened.position}: {opened.fault}"),
    }


@contextmanager
def progress_bar(quiet: bool) -> Iterator[Callable[[str], Callable[[int, int], None]]]:
    """Makes a progress function for each service: bars with what is left to wait, on a terminal."""
    terminal = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    hidden = quiet or not terminal.is_terminal
    with Progress(
        *columns, TimeRemainingColumn(), console=terminal, transient=True, disable=hidden
    ) as bars:

        def bar(service: str) -> Callable[[int, int], None]:
            task = bars.add_task(service, total=None)
            return lambda done, of: bars.update(task, completed=done, total=of)

        yield bar
