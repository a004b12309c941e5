"""The test cases that `eventsourcing` ships, importable without its `crypto` extra.

They import the library's AES over PyCryptodome; here they get the same class over `cryptography`,
which the library has as well, so that no package is installed for tests of ciphers alone.
"""

from __future__ import annotations

import sys

import eventsourcing.cryptography

sys.modules.setdefault("eventsourcing.cipher", eventsourcing.cryptography)

from eventsourcing.tests import application, persistence, projection  # noqa: E402

__all__ = ["application", "persistence", "projection"]
