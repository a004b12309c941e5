"""One event as the log keeps it, and what the hash of it is over.

The record is a JSON object whose members are id, metadata, payload, position, recorded_at, stream,
tags, type, type_version, version, in this order and without spaces: the canonical JSON (RFC 8785)
of the event, payload and metadata being canonical already. It is also the line an export writes.
The leaf is SHA-256 over a zero byte and the record, as RFC 6962 § 2.1 hashes the leaves of trees:
the database computes it (sql/layout_5.sql), who foresees all of the record, and who verifies.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Protocol

import msgspec

from eventstore.canonical import string

_canonical = msgspec.json.Encoder(order="sorted").encode
_json_check = msgspec.json.Decoder(msgspec.Raw).decode


class Id(Protocol):
    """A UUID, of the standard library or of uuid_utils."""

    @property
    def bytes(self) -> bytes: ...


class Row(msgspec.Struct, frozen=True, gc=False):
    """An event ready to be stored, all but its position, version and time being known.

    `middle` are the bytes of its record between the time and the version.
    """

    stream: bytes
    id: Id
    type: bytes
    type_version: int
    tags: bytes
    metadata: bytes
    payload: bytes
    middle: bytes
    tagged: frozenset[str] = frozenset()


def make_row(
    stream: str,
    id_: Id,
    type_: str,
    type_version: int,
    tags: Sequence[str],
    metadata: bytes,
    payload: bytes,
) -> Row:
    """The row of an event. `metadata` and `payload` are JSON texts, kept as they are."""
    return Row(
        stream.encode(),
        id_,
        type_.encode(),
        type_version,
        _array_literal(tags),
        metadata,
        payload,
        _middle(stream, tags, type_, type_version),
        frozenset(tags),
    )


def record(
    position: int,
    stream: str,
    version: int,
    id_: Id,
    type_: str,
    type_version: int,
    payload: bytes,
    metadata: bytes,
    recorded_at: datetime,
    tags: Sequence[str],
) -> bytes:
    """The record of an event, from its columns in the order of eventstore.read.COLUMNS."""
    middle = _middle(stream, tags, type_, type_version)
    return _record(id_, metadata, payload, position, timestamp(recorded_at), middle, version)


def foreseen_leaf(row: Row, position: int, version: int, recorded_at: bytes) -> bytes:
    """The leaf of an event that is not stored yet. `recorded_at` as `timestamp` gives it."""
    line = _record(row.id, row.metadata, row.payload, position, recorded_at, row.middle, version)
    return sha256(b"\x00" + line).digest()


def _record(
    id_: Id,
    metadata: bytes,
    payload: bytes,
    position: int,
    recorded_at: bytes,
    middle: bytes,
    version: int,
) -> bytes:
    return b'{"id":"%b","metadata":%b,"payload":%b,"position":%d,"recorded_at":"%b%b%d}' % (
        str(id_).encode(),
        metadata,
        payload,
        position,
        recorded_at,
        middle,
        version,
    )


def _middle(stream: str, tags: Sequence[str], type_: str, type_version: int) -> bytes:
    return b'","stream":%b,"tags":%b,"type":%b,"type_version":%d,"version":' % (
        string(stream),
        _canonical(tags) if tags else b"[]",
        string(type_),
        type_version,
    )


def timestamp(time: datetime) -> bytes:
    """RFC 3339, UTC, always six digits of a second: 2026-11-24T04:20:00.000000Z."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ").encode()


def _array_literal(tags: Sequence[str]) -> bytes:
    if not tags:
        return b"{}"
    quoted = (tag.replace("\\", "\\\\").replace('"', '\\"') for tag in tags)
    return ("{" + ",".join(f'"{tag}"' for tag in quoted) + "}").encode()


def from_state(state: bytes) -> bytes:
    """The JSON text that keeps the bytes of an application with an encoding of its own: as they are
    when they are a JSON object, else as a JSON string of base64.
    """
    if state.startswith(b"{") and state.endswith(b"}"):
        try:
            _json_check(state)
            state.decode()
        except (msgspec.DecodeError, UnicodeDecodeError):
            pass
        else:
            return state
    return b'"%b"' % base64.b64encode(state)


def to_state(payload: bytes) -> bytes:
    """The bytes that `from_state` was given."""
    if payload.startswith(b'"'):
        return base64.b64decode(payload[1:-1])
    return payload
