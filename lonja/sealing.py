"""Seals of the services' logs: who signs, and where checkpoints are kept outside the database."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from eventstore import EventStore
from eventstore.audit import Seal, Sealer, Signer, key_id
from lonja.errors import LonjaError
from lonja.keys import seal_key
from lonja.settings import Settings


class BadCheckpoint(LonjaError):
    """A checkpoint file that is none."""

    code = "BAD_CHECKPOINT"


class BadTrustedKey(LonjaError):
    """A public key in the settings that is none."""

    code = "BAD_TRUSTED_KEY"


def trusted_keys(settings: Settings) -> dict[str, Ed25519PublicKey]:
    """The public keys whose seals are believed, by their ids. Raises BadTrustedKey."""
    own = seal_key(settings).public_key()
    found = {key_id(own): own}
    for text in settings.audit.trusted_keys:
        key = public_key(text)
        found[key_id(key)] = key
    return found


def public_key(text: str) -> Ed25519PublicKey:
    """A public key from 64 hexadecimal digits. Raises BadTrustedKey."""
    try:
        return Ed25519PublicKey.from_public_bytes(bytes.fromhex(text.strip()))
    except ValueError:
        raise BadTrustedKey(
            f"{text[:80]!r} is no Ed25519 public key: expected 64 hexadecimal digits"
        ) from None


class Checkpoints:
    """A folder of seals, by service: what the logs are held against. Files are never rewritten."""

    def __init__(self, settings: Settings) -> None:
        self.folder = settings.audit.checkpoints_dir or settings.data_dir / "checkpoints"

    def write(self, seal: Seal) -> Path:
        """Keep a seal; gives its file."""
        header = seal.read()
        folder = self.folder / header.log
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{header.number:012d}.json"
        draft = path.with_suffix(".new")
        with open(draft, "wb") as file:
            file.write(msgspec.json.encode(seal))
            file.flush()
            os.fsync(file.fileno())
        draft.rename(path)
        return path

    def latest(self, service: str) -> Seal | None:
        """The newest checkpoint of a log; None if none was written. Raises BadCheckpoint."""
        paths = sorted((self.folder / service).glob("*.json"))
        return read_checkpoint(paths[-1]) if paths else None


def read_checkpoint(path: Path) -> Seal:
    """A seal from its file. Raises BadCheckpoint."""
    try:
        seal = msgspec.json.decode(path.read_bytes(), type=Seal)
        seal.read()
    except OSError as error:
        raise BadCheckpoint(f"checkpoint {path} cannot be read: {error.strerror}") from None
    except msgspec.MsgspecError as error:
        raise BadCheckpoint(f"{path} is no checkpoint: {error}") from None
    return seal


class LogTrust:
    """Whose seals of a service's log are believed, and the newest checkpoint of it."""

    def __init__(self, settings: Settings, service: str) -> None:
        self._settings, self._service = settings, service

    def keys(self) -> dict[str, Ed25519PublicKey]:
        return trusted_keys(self._settings)

    def checkpoint(self) -> Seal | None:
        try:
            return Checkpoints(self._settings).latest(self._service)
        except BadCheckpoint as error:
            raise ValueError(str(error)) from error


class LogSealer:
    """Seals a service's log while the service runs, and writes a checkpoint now and then."""

    def __init__(self, settings: Settings, store: EventStore) -> None:
        self._checkpoints = Checkpoints(settings)
        self._every_seconds = settings.audit.checkpoint_seconds
        self._written_at = float("-inf")
        self._newest: Seal | None = None
        self._sealer = Sealer(store, Signer(seal_key(settings)), sealed=self._sealed)

    async def start(self) -> None:
        self._sealer.start()

    async def stop(self) -> None:
        """Seal what there is, and keep the last seal as a checkpoint."""
        await asyncio.to_thread(self._sealer.stop)
        if self._newest is not None:
            await asyncio.to_thread(self._checkpoints.write, self._newest)

    def _sealed(self, seal: Seal) -> None:
        self._newest = seal
        if time.monotonic() - self._written_at >= self._every_seconds:
            self._checkpoints.write(seal)
            self._written_at, self._newest = time.monotonic(), None
