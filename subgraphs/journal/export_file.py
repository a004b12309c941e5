"""The file of an export: an event a line, JSON or CSV, in the order of service and position.

A file that was cut off goes on after its last whole line.
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import msgspec

from subgraphs.journal.reads import Row
from subgraphs.shared.reading import persons_in

START = ("", 0)
"""Before the first event of any service."""
TAIL_BYTES = 2_097_152
"""Longer than any line: an event has a megabyte at most."""
CHUNK_BYTES = 1_048_576

_FIELDS = (
    *("service", "position", "id", "stream", "version", "type", "type_version", "recorded_at"),
    *("occurred_at", "actor_kind", "actor_id", "on_behalf_of", "ip", "reason", "command_id"),
    *("correlation_id", "causation_id", "redacted", "unreadable", "data"),
)


@dataclass(frozen=True, slots=True)
class Format:
    """How events become lines, and where a line says what it is of."""

    header: bytes
    line: Callable[[Row], bytes]
    place_of: Callable[[bytes], tuple[str, int]]


@dataclass(frozen=True, slots=True)
class Contents:
    """What a whole file has: counted from it, whoever wrote how much of it."""

    events: int
    bytes: int
    sha256: str
    persons: frozenset[str]


class _Place(msgspec.Struct):
    service: str
    position: int


def _json_line(row: Row) -> bytes:
    return msgspec.json.encode({name: row[name] for name in _FIELDS}, enc_hook=str) + b"\n"


def _json_place(line: bytes) -> tuple[str, int]:
    place = msgspec.json.decode(line, type=_Place)
    return place.service, place.position


def _csv_line(row: Row) -> bytes:
    plain: Mapping[str, Any] = msgspec.to_builtins(
        {name: row[name] for name in _FIELDS}, enc_hook=str
    )
    return _csv_row([_cell(plain[name]) for name in _FIELDS])


def _cell(value: Any) -> Any:
    """One line an event, whatever is in it: a run that goes on looks for the last line."""
    match value:
        case str():
            return value.replace("\r", "\\r").replace("\n", "\\n")
        case dict() | list():
            return msgspec.json.encode(value).decode()
        case _:
            return value


def _csv_row(cells: Sequence[Any]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue().encode()


def _csv_place(line: bytes) -> tuple[str, int]:
    service, position, _ = line.split(b",", 2)
    return service.decode(), int(position)


FORMATS = {
    "JSONL": Format(b"", _json_line, _json_place),
    "CSV": Format(_csv_row(_FIELDS), _csv_line, _csv_place),
}


def resume(file: IO[bytes], form: Format) -> tuple[str, int]:
    """The place that the file ends with; a line that was cut off is cut away. A file that is none
    of this format is begun anew.
    """
    size = file.seek(0, os.SEEK_END)
    start = max(0, size - TAIL_BYTES)
    file.seek(start)
    tail = file.read()
    whole = tail[: tail.rfind(b"\n") + 1]
    last = whole.rstrip(b"\n").rpartition(b"\n")[2]
    try:
        place = START if whole in (b"", form.header) else form.place_of(last)
    except (ValueError, msgspec.MsgspecError):
        whole, start, place = b"", 0, START
    file.truncate(start + len(whole))
    file.seek(0, os.SEEK_END)
    if start + len(whole) == 0:
        file.write(form.header)
    return place


def contents(path: Path, form: Format) -> Contents:
    """Read the whole file."""
    digest, size, lines, rest = hashlib.sha256(), 0, 0, b""
    persons: set[str] = set()
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
            size += len(chunk)
            lines += chunk.count(b"\n")
            persons |= persons_in(rest + chunk)
            rest = chunk[-40:]  # an id may lie across two chunks
    events = lines - form.header.count(b"\n")
    return Contents(events, size, digest.hexdigest(), frozenset(persons))


def tells_of(path: Path, person: str) -> bool:
    """Whether the id of a person is anywhere in the file."""
    wanted, rest = person.encode(), b""
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            if wanted in rest + chunk:
                return True
            rest = chunk[-len(wanted) :]
    return False
