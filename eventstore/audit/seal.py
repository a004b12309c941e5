"""Seals: signed statements that the log was so up to here, each holding the one before it.

A seal covers the events from one position to another by the root of their Merkle tree. Its header
is canonical JSON (RFC 8785); its SHA-256 is in the next header, and it is signed with Ed25519.
Whoever keeps the last seal outside the database can find any later change.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

import msgspec
import psycopg
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from eventstore.audit.merkle import root
from eventstore.layout import Layout

SEAL_EVENTS_MAX = 8192
"""Events of one seal: a proof of inclusion has at most 13 hashes."""
NO_SEAL = bytes(32)

_encode = msgspec.json.Encoder(order="sorted").encode


class Header(msgspec.Struct, frozen=True):
    """What is signed. Hashes are in hexadecimal; `previous` is all zeros in the first seal."""

    log: str
    log_id: UUID
    number: int
    first: int
    last: int
    root: str
    previous: str
    sealed_at: datetime


class Seal(msgspec.Struct, frozen=True):
    """A header as it was signed, byte for byte, and the signature. Files of it are checkpoints."""

    header: msgspec.Raw
    key_id: str
    signature: str

    def read(self) -> Header:
        """Raises msgspec.MsgspecError."""
        return msgspec.json.decode(self.header, type=Header)

    @property
    def hash(self) -> bytes:
        return sha256(bytes(self.header)).digest()


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs headers. `key_id` says by which key."""

    key: Ed25519PrivateKey

    @property
    def key_id(self) -> str:
        return key_id(self.key.public_key())

    def sign(self, header: Header) -> Seal:
        text = _encode(header)
        signature = base64.b64encode(self.key.sign(text)).decode()
        return Seal(msgspec.Raw(text), self.key_id, signature)


def key_id(key: Ed25519PublicKey) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of the raw public key."""
    return sha256(key.public_bytes_raw()).hexdigest()[:16]


def signed_by(seal: Seal, keys: Mapping[str, Ed25519PublicKey]) -> bool:
    """Whether a key that is trusted signed the seal."""
    key = keys.get(seal.key_id)
    if key is None:
        return False
    try:
        key.verify(base64.b64decode(seal.signature), bytes(seal.header))
    except (InvalidSignature, ValueError):
        return False
    return True


def last_seal(connection: psycopg.Connection[Any], layout: Layout) -> Seal | None:
    row = connection.execute(
        f"SELECT header::text, key_id, signature FROM {layout.schema}.seals "
        "ORDER BY number DESC LIMIT 1".encode()
    ).fetchone()
    return to_seal(*row) if row is not None else None


def to_seal(header: str, by: str, signature: bytes) -> Seal:
    return Seal(msgspec.Raw(header.encode()), by, base64.b64encode(signature).decode())


def seal_next(
    connection: psycopg.Connection[Any], layout: Layout, signer: Signer, now: datetime
) -> Seal | None:
    """Seal what follows the last seal, SEAL_EVENTS_MAX events at most; None if nothing does.

    Sealers of several processes take turns.
    """
    schema = layout.schema
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [f"{schema}.seals"])
        before = last_seal(connection, layout)
        header = before.read() if before is not None else None
        after = header.last if header is not None else 0
        rows = connection.execute(
            f"SELECT position, leaf FROM {schema}.events WHERE position > %s "
            "ORDER BY position LIMIT %s".encode(),
            [after, SEAL_EVENTS_MAX],
            binary=True,
        ).fetchall()
        if not rows:
            return None
        log = connection.execute(f"SELECT id FROM {schema}.log".encode()).fetchone()
        assert log is not None
        seal = signer.sign(
            Header(
                log=layout.name,
                log_id=log[0],
                number=header.number + 1 if header is not None else 1,
                first=after + 1,
                last=rows[-1][0],
                root=root([leaf for _, leaf in rows]).hex(),
                previous=(before.hash if before is not None else NO_SEAL).hex(),
                sealed_at=now,
            )
        )
        sealed = seal.read()
        connection.execute(
            f"INSERT INTO {schema}.seals VALUES (%s, %s, %s, %s, %s, %s, %s)".encode(),
            [
                sealed.number,
                sealed.first,
                sealed.last,
                bytes(seal.header).decode(),
                seal.hash,
                seal.key_id,
                base64.b64decode(seal.signature),
            ],
        )
        return seal
