"""Rotating the master key: a new one, and the keys of all persons wrapped by it.

The files are changed before the keys are: whoever finds a key wrapped by the new one, or makes a
key, looks at the files again, so running services follow. The key before stays in a file of its
own until the rotation is finished by hand, since a service may wrap a last key by it meanwhile.
"""

from __future__ import annotations

import os
import secrets
import tempfile
from dataclasses import dataclass
from pathlib import Path

import psycopg

from eventstore import Keyring
from eventstore.privacy.subject_keys import SubjectKeys
from lonja.databases import running_server
from lonja.errors import LonjaError
from lonja.keys import (
    SECRET_BYTES,
    master_key,
    master_key_path,
    master_keyring,
    master_keys,
    previous_master_key_path,
)
from lonja.settings import SERVICES, Settings
from lonja.wiring import build_service


class NothingToRotate(LonjaError):
    """There is no key to rotate to, or none to forget."""

    code = "NOTHING_TO_ROTATE"


@dataclass(frozen=True, slots=True)
class Rotated:
    """`keys` were wrapped anew, by service. `current` and `previous` are ids of master keys."""

    keys: dict[str, int]
    current: str
    previous: str | None


def rotate(settings: Settings) -> Rotated:
    """Make a new master key, unless a rotation is under way or settings give the keys, and wrap
    everything by the first of those that are accepted.

    Raises NothingToRotate, NoDatabase, BadSecret, WrongMasterKey, SubjectKeyCorrupt.
    """
    running_server(settings, SERVICES)  # before any file is touched
    configured = settings.master_key.get_secret_value()
    if configured and len(master_keys(settings)) == 1:
        raise NothingToRotate(
            "LONJA_MASTER_KEY gives the master key: put the new one there and the old one in "
            "LONJA_MASTER_KEY_PREVIOUS, start the services anew, then run this again"
        )
    if not configured and not _under_way(settings):
        _renew(settings)
    return _rewrapped(settings)


def finish_rotation(settings: Settings) -> Rotated:
    """Wrap what was left over, and forget the key before. Raises as `rotate`."""
    path = previous_master_key_path(settings)
    if not path.exists():
        raise NothingToRotate(
            f"there is no {path}: no rotation is under way (a key in LONJA_MASTER_KEY_PREVIOUS is "
            "yours to remove)"
        )
    rotated = _rewrapped(settings)
    path.unlink()
    return rotated


def _under_way(settings: Settings) -> bool:
    """Whether a rotation was begun and not finished: there is a key before, and it is another."""
    return len({key.id for key in master_keys(settings)}) > 1


def _renew(settings: Settings) -> None:
    """The key at hand becomes the one before, and a new one takes its place, each at once."""
    current = master_keys(settings)[0]
    _write(previous_master_key_path(settings), current.secret.hex())
    _write(master_key_path(settings), secrets.token_hex(SECRET_BYTES))


def _write(path: Path, text: str) -> None:
    master_key(str(path), text)
    descriptor, draft = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _rewrapped(settings: Settings) -> Rotated:
    keyring = master_keyring(settings)
    keys = {name: _rewrap(settings, name, keyring) for name in SERVICES}
    accepted = keyring.ids
    return Rotated(keys, accepted[0], accepted[1] if len(accepted) > 1 else None)


def _rewrap(settings: Settings, service: str, keyring: Keyring) -> int:
    conninfo = running_server(settings, [service])[service]
    layout = build_service(service, settings, conninfo, {}).store.layout
    with psycopg.connect(conninfo, autocommit=True) as connection:
        layout.migrate(connection)
        keys, done = SubjectKeys(layout, keyring), 0
        while wrapped := keys.rewrap(connection):
            done += wrapped
    return done
