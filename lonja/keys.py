"""Secrets of one installation, made at the first start and kept beside its data."""

from __future__ import annotations

import os
import secrets
import tempfile
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

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
