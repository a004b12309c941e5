"""The fingerprint of a request, by which a repeat is told from another use of its key."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec


def request_hash(secret: bytes, operation: str, body: Any) -> bytes:
    """The keyed hash of an operation and its arguments; equal arguments give equal hashes.

    Keyed, because arguments may hold what must not be guessed from the hash: a password, say.
    `body` is made of dataclasses (strawberry inputs are), lists, mappings and plain values.
    """
    canonical = msgspec.json.encode([operation, body], order="sorted")
    return hashlib.blake2b(canonical, key=secret[:64], digest_size=32).digest()
