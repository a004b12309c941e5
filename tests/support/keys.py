"""Master keys of the tests."""

from __future__ import annotations

from eventstore import Keyring, MasterKey

MASTER = MasterKey(b"m" * 32)
OTHER_MASTER = MasterKey(b"o" * 32)
KEYRING = Keyring.of(MASTER)
