"""Master keys: they wrap the keys of persons, and are kept apart from the database.

    keyring = Keyring(lambda: [MasterKey.of_hex(text)])

A key is 32 random bytes and known by a fingerprint of them, so that a wrong one can be named.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from eventstore.errors import SubjectKeyCorrupt, WrongMasterKey

KEY_BYTES = 32
NONCE_BYTES = 12
"""AES-GCM takes 96 bits, chosen at random: safe for 2^32 texts a key (NIST SP 800-38D § 8.3)."""


@dataclass(frozen=True, slots=True)
class MasterKey:
    """What wraps. `id` is safe to show. Raises ValueError unless it has KEY_BYTES bytes."""

    secret: bytes = field(repr=False)
    id: str = field(init=False)

    def __post_init__(self) -> None:
        if len(self.secret) != KEY_BYTES:
            raise ValueError(f"a master key has {len(self.secret)} bytes, expected {KEY_BYTES}")
        fingerprint = sha256(b"master key\0" + self.secret).hexdigest()[:16]
        object.__setattr__(self, "id", fingerprint)

    @classmethod
    def of_hex(cls, text: str) -> MasterKey:
        """From 64 hexadecimal digits. Raises ValueError."""
        return cls(bytes.fromhex(text.strip()))


class Keyring:
    """The master keys that are accepted; the first one wraps what is new.

    `load` is asked again when a key is made and when an id is not known, so that running processes
    take up a key that was rotated meanwhile. It gives one key at least.
    """

    def __init__(self, load: Callable[[], Sequence[MasterKey]]) -> None:
        self._load = load
        self._known: Sequence[MasterKey] = load()

    @classmethod
    def of(cls, current: MasterKey, *accepted: MasterKey) -> Keyring:
        """A keyring that never changes."""
        return cls(lambda: [current, *accepted])

    @property
    def current(self) -> MasterKey:
        """What wraps from now on."""
        self._known = self._load()
        return self._known[0]

    @property
    def ids(self) -> list[str]:
        """The ids of the keys that are accepted."""
        return [key.id for key in self._known]

    def wrap(self, subject: str, secret: bytes) -> tuple[str, bytes]:
        """A subject's key as it is kept, after the id of the master key. Bound to the subject."""
        key, nonce = self.current, os.urandom(NONCE_BYTES)
        return key.id, nonce + AESGCM(key.secret).encrypt(nonce, secret, subject.encode())

    def unwrap(self, store: str, subject: str, master_id: str, wrapped: bytes) -> bytes:
        """A subject's key. Raises WrongMasterKey, SubjectKeyCorrupt; `store` is named in them."""
        key = self._by_id(store, master_id)
        nonce, sealed = wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:]
        try:
            return AESGCM(key.secret).decrypt(nonce, sealed, subject.encode())
        except (InvalidTag, ValueError):
            raise SubjectKeyCorrupt(store, subject) from None

    def check(self, store: str, master_id: str) -> None:
        """Raises WrongMasterKey unless the key of that id is accepted."""
        self._by_id(store, master_id)

    def _by_id(self, store: str, master_id: str) -> MasterKey:
        for known in (self._known, self._load()):
            for key in known:
                if key.id == master_id:
                    self._known = known
                    return key
        raise WrongMasterKey(store, master_id, [key.id for key in self._known])
