"""Proof of one event, in a file that can be checked without the database."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import msgspec
import psycopg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from eventstore.audit.merkle import leaf_hash, path, root_of_path
from eventstore.audit.seal import Seal, signed_by, to_seal
from eventstore.errors import EventStoreError
from eventstore.layout import Layout, prepare
from eventstore.read import COLUMNS
from eventstore.record import record


class NotProvable(EventStoreError):
    """There is no proof of the event, or the file is none."""

    code = "NOT_PROVABLE"


class Proof(msgspec.Struct, frozen=True):
    """The record of the event, the way from it to the root of a seal, and the seal. `path` is
    hexadecimal, nearest first.
    """

    record: msgspec.Raw
    path: list[str]
    seal: Seal


class _Position(msgspec.Struct, frozen=True):
    position: int


def prove(connection: psycopg.Connection[Any], layout: Layout, event_id: UUID) -> Proof:
    """Raises NotProvable for an event that does not exist or is not sealed yet."""
    prepare(connection)
    schema = layout.schema
    row = connection.execute(
        f"SELECT {COLUMNS} FROM {schema}.events WHERE id = %s".encode(), [event_id], binary=True
    ).fetchone()
    if row is None:
        raise NotProvable(f"there is no event {event_id} in the log {layout.name!r}")
    position = row[0]
    found = connection.execute(
        f"SELECT header::text, key_id, signature, first, last FROM {schema}.seals "
        "WHERE last >= %s ORDER BY last LIMIT 1".encode(),
        [position],
    ).fetchone()
    if found is None:
        raise NotProvable(f"the event at {position} is not sealed yet: try again in a moment")
    header, key, signature, first, last = found
    leaves = connection.execute(
        f"SELECT leaf FROM {schema}.events WHERE position BETWEEN %s AND %s "
        "ORDER BY position".encode(),
        [first, last],
        binary=True,
    ).fetchall()
    nodes = path(position - first, [leaf for (leaf,) in leaves])
    return Proof(
        msgspec.Raw(record(*row)), [node.hex() for node in nodes], to_seal(header, key, signature)
    )


def check(proof: bytes, keys: Mapping[str, Ed25519PublicKey]) -> dict[str, Any]:
    """The record that a proof file proves. Raises NotProvable, saying why, if it proves nothing."""
    try:
        read = msgspec.json.decode(proof, type=Proof)
        header, place = read.seal.read(), msgspec.json.decode(read.record, type=_Position)
        nodes = [bytes.fromhex(node) for node in read.path]
    except (msgspec.MsgspecError, ValueError) as error:
        raise NotProvable(f"the file is no proof: {error}") from error
    if not signed_by(read.seal, keys):
        raise NotProvable(f"the seal is not signed by a trusted key, but by {read.seal.key_id}")
    size, index = header.last - header.first + 1, place.position - header.first
    found = root_of_path(leaf_hash(bytes(read.record)), index, size, nodes)
    if found is None or found.hex() != header.root:
        raise NotProvable(f"the record is not in seal {header.number} of the log {header.log!r}")
    proved: dict[str, Any] = msgspec.json.decode(read.record)
    return proved
