"""The streams of an e-mail address: who has it, and who tried to sign in with it."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field

KEY_BYTES_MIN = 32
NAME_DIGITS = 32


@dataclass(frozen=True, slots=True)
class EmailStreams:
    """Names them by a keyed hash, which stays in the log for ever: without the key, which is kept
    apart from the database, nobody can tell an address from it, or try whether it is a certain one.

    The key must stay the same: with another one nobody is found by their address. Raises ValueError
    for one that is too short.
    """

    key: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.key) < KEY_BYTES_MIN:
            raise ValueError(
                f"the key of e-mail addresses has {len(self.key)} bytes, expected {KEY_BYTES_MIN}"
            )

    def reservation(self, email: str) -> str:
        """The stream whose last event decides who has this address; letter case does not matter."""
        digest = hmac.new(self.key, email.lower().encode(), hashlib.sha256).hexdigest()
        return f"email:{digest[:NAME_DIGITS]}"

    def attempts(self, email: str) -> str:
        """The stream in which attempts to sign in with an address are recorded."""
        return f"sign_in:{self.reservation(email)}"
