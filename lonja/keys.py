"""Secrets of one installation, made at the first start and kept beside its data."""

from __future__ import annotations

import os
import secrets
import tempfile
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from eventstore import Keyring, MasterKey
from lonja.errors import LonjaError
from lonja.settings import Settings

SECRET_BYTES = 32


class BadSecret(LonjaError):
    """A secret that is too short to be one."""

    code = "BAD_SECRET"


def keys_dir(settings: Settings) -> Path:
    """The folder of the installation's keys, closed to other users."""
    folder = settings.data_dir / "keys"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def internal_secret(settings: Settings) -> bytes:
    """What router and services prove to each other that they belong together.

    The setting, or else a file of the data directory. Raises BadSecret.
    """
    configured = settings.internal_secret.get_secret_value()
    if configured:
        secret = configured.encode()
        if len(secret) < SECRET_BYTES:
            raise BadSecret(
                f"LONJA_INTERNAL_SECRET has {len(secret)} bytes, expected {SECRET_BYTES} at least: "
                "`openssl rand -hex 32` makes one"
            )
        return secret
    path = keys_dir(settings) / "internal.key"
    kept = _kept(path, secrets.token_hex(SECRET_BYTES)).encode()
    if len(kept) < SECRET_BYTES:
        raise BadSecret(
            f"{path} has {len(kept)} bytes, expected {SECRET_BYTES} at least: remove it, and the "
            "next start makes a new one (all processes of this shop must take the same one)"
        )
    return kept


def address_key(settings: Settings) -> bytes:
    """What the streams of e-mail addresses are named with: without it nobody signs in.

    Raises BadSecret.
    """
    path = keys_dir(settings) / "addresses.key"
    try:
        key = bytes.fromhex(_kept(path, secrets.token_hex(SECRET_BYTES)))
    except ValueError:
        key = b""
    if len(key) != SECRET_BYTES:
        raise BadSecret(
            f"{path} is no key of e-mail addresses: expected {2 * SECRET_BYTES} hexadecimal "
            "digits. Restore it from a backup: with another one nobody is found by their address"
        )
    return key


def seal_key(settings: Settings) -> Ed25519PrivateKey:
    """What the logs' seals are signed with, of this installation. Raises BadSecret."""
    path = keys_dir(settings) / "seal.key"
    try:
        text = _kept(path, secrets.token_hex(SECRET_BYTES))
        return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(text))
    except ValueError:
        raise BadSecret(
            f"{path} is no Ed25519 key: expected 64 hexadecimal digits. "
            "Restore it from a backup: without it new seals are not trusted"
        ) from None


def master_keyring(settings: Settings) -> Keyring:
    """What wraps the keys of the persons in the logs: without it their data is lost.

    The setting, or else a file of the data directory, which is looked at again whenever a key is
    made, so that a rotation reaches running services. Raises BadSecret.
    """
    return Keyring(lambda: master_keys(settings))


def master_keys(settings: Settings) -> list[MasterKey]:
    """The master keys that are accepted, the one that wraps what is new first. Raises BadSecret."""
    configured = settings.master_key.get_secret_value()
    previous = settings.master_key_previous.get_secret_value()
    if configured:
        keys = [master_key("LONJA_MASTER_KEY", configured)]
    else:
        path = master_key_path(settings)
        keys = [master_key(str(path), _kept(path, secrets.token_hex(SECRET_BYTES)))]
    if previous:
        keys.append(master_key("LONJA_MASTER_KEY_PREVIOUS", previous))
    path = previous_master_key_path(settings)
    if path.exists():
        keys.append(master_key(str(path), path.read_text()))
    return keys


def master_key_path(settings: Settings) -> Path:
    """The file of the master key, where no setting gives it."""
    return keys_dir(settings) / "master.key"


def previous_master_key_path(settings: Settings) -> Path:
    """The master key before the last rotation, until nobody needs it."""
    return keys_dir(settings) / "master.previous.key"


def master_key(where: str, text: str) -> MasterKey:
    """A master key from 64 hexadecimal digits. Raises BadSecret, which says where they were."""
    try:
        return MasterKey.of_hex(text)
    except ValueError:
        raise BadSecret(
            f"{where} is no master key: expected 64 hexadecimal digits, found {len(text.strip())} "
            "characters. Restore it from its backup: without it nobody's data is read any more"
        ) from None


def _kept(path: Path, fresh: str) -> str:
    """The text of `path`, which becomes `fresh` if it is not there; two writers agree on one."""
    if not path.exists():
        descriptor, draft = tempfile.mkstemp(dir=path.parent)
        with os.fdopen(descriptor, "w") as file:
            file.write(fresh)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            os.unlink(draft)
    return path.read_text().strip()
