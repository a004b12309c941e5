"""How personal data is written into a stored event, and read from it.

A payload with personal members is stored as `{"$personal":{"of":SUBJECT,"sealed":TEXT},...}` with
the other members after it. TEXT is base64 of a nonce and the AES-256-GCM ciphertext of the
canonical JSON object of the personal members, bound to subject, type and stream so that it cannot
be moved. The hash of the event is of this form, so forgetting a person leaves every proof valid.
"""

from __future__ import annotations

import os
import re
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from eventstore.canonical import string
from eventstore.privacy.keyring import NONCE_BYTES
from eventstore.privacy.shape import MEMBER

PREFIX = b'{"%b":' % MEMBER.encode()
"""What a payload with sealed members starts with, and no other canonical one of a personal type."""

_STORED = re.compile(
    rb'\{"\$personal":\{"of":("(?:[^"\\]|\\.)+"),"sealed":"([A-Za-z0-9+/=]+)"\}([,}])'
)
_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_text = msgspec.json.Decoder(str).decode


class Tampered(ValueError):
    """Sealed text that its key does not open: changed, cut off, or of another place."""


class Parts(NamedTuple):
    """A stored payload taken apart: whose data, sealed, and what follows in the payload."""

    subject: str
    sealed: bytes
    rest: bytes


def seal(cipher: AESGCM, data: bytes, context: str) -> bytes:
    """Base64 of nonce and ciphertext, which only `open_sealed` with the same context opens."""
    nonce = os.urandom(NONCE_BYTES)
    return b64encode(nonce + cipher.encrypt(nonce, data, context.encode()))


def open_sealed(cipher: AESGCM, sealed: bytes | str, context: str) -> bytes:
    """The data. Raises Tampered."""
    try:
        raw = b64decode(sealed, validate=True)
        return cipher.decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], context.encode())
    except (InvalidTag, ValueError):
        raise Tampered from None


def place(subject: str, type_: str, stream: str) -> str:
    """The context of an event's personal members; none of the three has a NUL character."""
    return f"{subject}\0{type_}\0{stream}"


def split(payload: bytes, personal: Iterable[str]) -> tuple[bytes, bytes]:
    """The members of a canonical payload as two objects: the personal ones, and the others."""
    members = _members(payload)
    taken = {name: members.pop(name) for name in sorted(personal) if name in members}
    return _object(taken), _object(members)


def _object(members: Mapping[str, msgspec.Raw]) -> bytes:
    return b"{%b}" % b",".join(b"%b:%b" % (string(n), bytes(raw)) for n, raw in members.items())


def stored(subject: str, sealed: bytes, rest: bytes) -> bytes:
    """The payload as it is kept; `rest` is the object of the other members."""
    head = b'%b{"of":%b,"sealed":"%b"}' % (PREFIX, string(subject), sealed)
    return head + b"}" if rest == b"{}" else b"%b,%b" % (head, rest[1:])


def parts(payload: bytes) -> Parts:
    """Takes apart what `stored` made. Raises Tampered."""
    if (found := _STORED.match(payload)) is None:
        raise Tampered
    subject, sealed, last = found.groups()
    return Parts(_text(subject), sealed, payload[found.end() :] if last == b"," else b"")


def merged(personal: bytes, rest: bytes) -> bytes:
    """The plain payload of opened members and the `rest` of `parts`, in whatever order."""
    if not rest:
        return personal
    if personal == b"{}":
        return b"{" + rest
    return b"%b,%b" % (personal[:-1], rest)
