"""`lonja log export`: logs as files, with a manifest that says what they hold."""

from __future__ import annotations

import asyncio
import csv
import hashlib
import io
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import click
import msgspec
import orjson
import psycopg

from eventstore.audit import last_seal
from eventstore.audit.export import export as exported_pages
from eventstore.layout import Layout
from eventstore.read import Query
from lonja.commands.log.filters import filtered, given
from lonja.commands.log.logs import SERVICE
from lonja.commands.log.names import find
from lonja.commands.log.proving import connected, progress_bar
from lonja.commands.log.recorded import AS, record, seen
from lonja.errors import LonjaError
from lonja.output import AS_JSON, DATA_DIR, print_json, print_rows
from lonja.settings import SERVICES, Settings, load
from subgraphs.shared.reading import Reading

CSV_COLUMNS = (
    "position",
    "stream",
    "version",
    "type",
    "type_version",
    "id",
    "recorded_at",
    "occurred_at",
    "actor_kind",
    "actor_id",
    "command_id",
    "correlation_id",
    "causation_id",
    "reason",
    "payload",
)
TAIL_BYTES = 1_048_576


class ExportUnusable(LonjaError):
    """The file that is there is not an export that could go on."""

    code = "EXPORT_UNUSABLE"


@click.command(short_help="Write logs to files, with manifests.")
@SERVICE
@click.option(
    "--format",
    "kind",
    type=click.Choice(["jsonl", "csv"]),
    default="jsonl",
    show_default=True,
    help="An event a line, as JSON or as CSV.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="The folder for the files.",
)
@filtered
@AS
@DATA_DIR
@AS_JSON
def export(
    services: Sequence[str],
    wanted: dict[str, Any],
    kind: str,
    output: Path,
    reader: str,
    data_dir: Path | None,
    as_json: bool,
) -> None:
    """Write the logs to files in OUTPUT, one a service, in the order of positions.

    All events, or those that match all that is given. JSON lines lose nothing: each is the record
    that the log's hashes are of. CSV is flat, for spreadsheets. A second run goes on where the
    first one ended, or was cut off. A manifest beside each file names range, filter, the last
    event with its hash, the SHA-256 of the file and the newest seal. The journal's log says that
    somebody exports before the first line is written, and whom it told of after the last.
    """
    settings = load(data_dir=data_dir)
    if wanted["actor_id"] is not None:
        wanted["actor_id"] = find(settings, reader, "export", wanted["actor_id"]).id
    asked = {"services": list(services or SERVICES), "format": kind, "filter": given(wanted)}
    asyncio.run(record(settings, reader, seen("export", {**asked, "begins": True})))
    output.mkdir(parents=True, exist_ok=True)
    reading = seen("export", asked)
    with progress_bar(as_json) as bar:
        rows = [
            _exported(settings, name, kind, wanted, output, reading, bar(name))
            for name in services or SERVICES
        ]
    asyncio.run(record(settings, reader, reading))
    if as_json:
        print_json(rows)
    else:
        print_rows(
            [{name: row[name] for name in ("service", "file", "events", "last")} for row in rows],
            right=("events", "last"),
        )


@dataclass(frozen=True, slots=True)
class _Format:
    """How events become lines. `position_of` reads the position back from a whole line."""

    header: bytes
    line: Callable[[bytes], bytes]
    position_of: Callable[[bytes], int]


def _exported(
    settings: Settings,
    service: str,
    kind: str,
    wanted: dict[str, Any],
    output: Path,
    reading: Reading,
    progress: Callable[[int, int], None],
) -> dict[str, Any]:
    """Gives the manifest, which is written twice: what it is of before the first line, the rest
    after the last.
    """
    path, form = output / f"{service}.{kind}", FORMATS[kind]
    with connected(settings, service) as (connection, layout), open(path, "a+b") as file:
        row = connection.execute(f"SELECT position, id FROM {layout.schema}.log".encode())
        head, log_id = row.fetchone() or (0, None)
        manifest: dict[str, Any] = {
            "service": service,
            "log_id": str(log_id),
            "format": kind,
            "filter": given(wanted),
            "file": path.name,
        }
        about = path.with_name(f"{path.name}.manifest.json")
        _check_same(about, manifest)
        last = _resume(path, file, form)
        if last > head:
            raise ExportUnusable(
                f"{path} ends with position {last}, but the log of {service} at {head}: it was "
                "restored to an earlier time since; move the file away to export anew"
            )
        _write(about, manifest)
        for page in exported_pages(connection, layout, Query(last, up_to=head, **wanted)):
            reading.saw(b"\n".join(line for _, line in page), events=len(page))
            file.write(b"".join(form.line(line) for _, line in page))
            last = page[-1][0]
            progress(last, head)
        progress(head, head)
        file.flush()
        os.fsync(file.fileno())
        seal = last_seal(connection, layout)
        manifest |= {
            "first": 1 if head else 0,
            "last": head,
            "events": _lines(path) - form.header.count(b"\n"),
            "last_event": _last_event(connection, layout, last),
            "sha256": _sha256(path),
            "bytes": path.stat().st_size,
            "seal": msgspec.to_builtins(seal.read()) if seal is not None else None,
        }
    _write(about, manifest)
    return manifest


def _check_same(path: Path, manifest: dict[str, Any]) -> None:
    """What goes on in a file is of the same log, and asked for in the same way. Raises
    ExportUnusable.
    """
    if not path.exists():
        return
    try:
        before = orjson.loads(path.read_bytes())
        found = {name: before[name] for name in manifest}
    except (ValueError, KeyError, TypeError):
        raise ExportUnusable(f"{path} is no manifest: move it away to export anew") from None
    for name, value in manifest.items():
        if found[name] != value:
            raise ExportUnusable(
                f"{path} is of an export whose {name} is {_text(found[name])}, not {_text(value)}: "
                "give another folder"
            )


def _text(value: Any) -> str:
    return orjson.dumps(value).decode()


def _write(path: Path, manifest: dict[str, Any]) -> None:
    path.write_bytes(orjson.dumps(manifest, option=orjson.OPT_INDENT_2, default=str))


def _last_event(
    connection: psycopg.Connection[Any], layout: Layout, position: int
) -> dict[str, Any] | None:
    """The last line's event, and the hash of it; None for an empty file."""
    row = connection.execute(
        f"SELECT id, leaf FROM {layout.schema}.events WHERE position = %s".encode(), [position]
    ).fetchone()
    return {"position": position, "id": row[0], "hash": row[1].hex()} if row is not None else None


def _lines(path: Path) -> int:
    with open(path, "rb") as file:
        return sum(part.count(b"\n") for part in iter(lambda: file.read(TAIL_BYTES), b""))


def _resume(path: Path, file: IO[bytes], form: _Format) -> int:
    """The position that the file ends with, a line that was cut off being cut away."""
    size = file.seek(0, os.SEEK_END)
    if size == 0:
        file.write(form.header)
        return 0
    start = max(0, size - TAIL_BYTES)
    file.seek(start)
    tail = file.read()
    end = tail.rfind(b"\n") + 1
    if end == 0:
        raise ExportUnusable(f"{path} holds no whole line: move it away to export anew")
    file.truncate(start + end)
    last = tail[:end].rstrip(b"\n").rpartition(b"\n")[2]
    if start + end == len(form.header):
        return 0
    try:
        return form.position_of(last)
    except (ValueError, msgspec.MsgspecError, IndexError):
        raise ExportUnusable(
            f"{path} does not end with an exported event: move it away to export anew"
        ) from None


class _Positioned(msgspec.Struct):
    position: int


def _csv_line(line: bytes) -> bytes:
    record = orjson.loads(line)
    metadata = record["metadata"]
    actor = metadata.get("actor") or {}
    flat = {
        **record,
        **metadata,
        "actor_kind": actor.get("kind"),
        "actor_id": actor.get("id"),
        "payload": orjson.dumps(record["payload"]).decode(),
    }
    return _csv_row([flat.get(column) for column in CSV_COLUMNS])


def _csv_row(values: Sequence[Any]) -> bytes:
    # One line an event, whatever is in it: a run that goes on looks for the last line.
    cells = [
        value.replace("\r", "\\r").replace("\n", "\\n") if isinstance(value, str) else value
        for value in values
    ]
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue().encode()


FORMATS = {
    "jsonl": _Format(
        header=b"",
        line=lambda line: line + b"\n",
        position_of=lambda line: msgspec.json.decode(line, type=_Positioned).position,
    ),
    "csv": _Format(
        header=_csv_row(CSV_COLUMNS),
        line=_csv_line,
        position_of=lambda line: int(line.split(b",", 1)[0]),
    ),
}


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
