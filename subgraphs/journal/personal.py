"""What tells of persons in copied events: sealed with the journal's own keys, opened at reading.

A row shows "erased" in place of every personal value; beside it are the values, sealed for whom
they tell of. Once the journal's log has forgotten a person, the row is all there is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from eventstore import EventStore, Note, Unreadable
from eventstore.event import ERASED, UNREADABLE, Metadata
from eventstore.types import with_text

Row = Mapping[str, Any]

_members = msgspec.json.Decoder(dict[str, Any]).decode
_encode = msgspec.json.encode


class Personal(msgspec.Struct, frozen=True):
    """What is kept sealed of one event: members of its data, and where its command came from."""

    subject: str | None = None
    data: bytes | None = None
    client_of: str | None = None
    client: bytes | None = None


def split(data: bytes, members: Sequence[str]) -> tuple[bytes, bytes]:
    """The data with "erased" for each of `members`, and what they were."""
    values = _members(data)
    taken = {name: values[name] for name in members if name in values}
    return _encode({**values, **{name: erased(value) for name, value in taken.items()}}), _encode(
        taken
    )


def erased(value: Any) -> Any:
    """What stands in for a value: text is "erased", a list has one such, the rest is null."""
    match value:
        case str():
            return ERASED
        case list():
            return [erased(value[0])] if value else []
        case dict():
            return {name: erased(each) for name, each in value.items()}
        case _:
            return None


def client_of(metadata: Metadata) -> tuple[str, bytes] | tuple[None, None]:
    """Whose address a command came from, and the address as text; neither where none is known."""
    client = metadata.client
    if client is None or client.ip is None or client.ip == ERASED:
        return None, None
    return client.of or metadata.actor.id, client.ip.encode()


async def sealed(
    store: EventStore, copies: Sequence[tuple[str, int, Personal]]
) -> list[dict[str, str | None]]:
    """The columns of `Personal` for rows of service and position; null for who was erased."""
    notes = [
        Note(subject, _context(service, position, what), text)
        for service, position, personal in copies
        for what, subject, text in _parts(personal)
    ]
    texts = iter(await store.persons.seal_notes(notes) if notes else [])
    columns: list[dict[str, str | None]] = []
    for _, _, personal in copies:
        row: dict[str, str | None] = {
            "subject": personal.subject,
            "sealed": None,
            "client_of": personal.client_of,
            "client": None,
        }
        for what, _, _ in _parts(personal):
            row[what] = next(texts)
        columns.append(row)
    return columns


async def opened(store: EventStore, rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Rows with their values in `data`, and `ip`: the address that their command came from,
    "erased" if the person was. What does not open reads "unreadable", and `unreadable` says why.
    """
    notes = [
        Note(row[of], _context(row["service"], row["position"], what), row[what].encode())
        for row in rows
        for what, of in (("sealed", "subject"), ("client", "client_of"))
        if row[what] is not None
    ]
    texts = iter(await store.persons.open_notes(notes) if notes else [])
    return [_opened(row, texts) for row in rows]


def _opened(row: Row, texts: Iterable[bytes | Unreadable | None]) -> dict[str, Any]:
    found, take = dict(row), iter(texts)
    found["ip"] = None if row["client_of"] is None else ERASED
    if row["sealed"] is not None:
        match next(take):
            case bytes(data):
                found["data"] = {**row["data"], **_members(data)}
            case Unreadable() as fault:
                found["data"] = with_text(row["data"], UNREADABLE)
                found["unreadable"] = str(fault)
    if row["client"] is not None:
        match next(take):
            case bytes(client):
                found["ip"] = client.decode()
            case Unreadable() as fault:
                found["ip"], found["unreadable"] = UNREADABLE, str(fault)
    return found


def _parts(personal: Personal) -> list[tuple[str, str, bytes]]:
    """Column, whose it is, and the text of what there is to be sealed."""
    parts = (
        ("sealed", personal.subject, personal.data),
        ("client", personal.client_of, personal.client),
    )
    return [(what, of, text) for what, of, text in parts if of is not None and text is not None]


def _context(service: str, position: int, what: str) -> str:
    return f"{what} of {service}:{position}"
