"""Seals of the services' logs: who signs, and where checkpoints are kept outside the database."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from pathlib import Path

import msgspec
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from eventstore import EventStore, StoreUnavailable
from eventstore.audit import Seal, Sealer, Signer, key_id, last_seal
from lonja.errors import LonjaError
from lonja.keys import seal_key
from lonja.settings import Settings

log = structlog.get_logger(__name__)


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
    """A folder of seals, by service: what the logs are held against. Files are never rewritten, and
    none is written that does not go on from those before.
    """

    def __init__(self, settings: Settings) -> None:
        self.folder = settings.audit.checkpoints_dir or settings.data_dir / "checkpoints"

    def write(self, seal: Seal) -> Path:
        """Keep a seal; gives its file. Raises OSError, and BadCheckpoint if another one is kept
        under its number.
        """
        header = seal.read()
        path = self._path(header.log, header.number)
        if path.exists():
            if read_checkpoint(path, header.log).hash != seal.hash:
                raise BadCheckpoint(
                    f"{path} is another seal {header.number} of {header.log!r} than the log has: "
                    "the log was restored or rewritten since. `lonja log verify` says from where "
                    "on; if that was meant, move the folder away (and keep it)"
                )
            return path
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(f".{os.getpid()}.new")
        with open(draft, "wb") as file:
            file.write(msgspec.json.encode(seal))
            file.flush()
            os.fsync(file.fileno())
        draft.rename(path)
        return path

    def of(self, service: str, number: int) -> Seal | None:
        """The checkpoint with a seal's number, if there is one. Raises BadCheckpoint."""
        path = self._path(service, number)
        return read_checkpoint(path, service) if path.exists() else None

    def _path(self, service: str, number: int) -> Path:
        return self.folder / service / f"{number:012d}.json"

    def latest(self, service: str) -> Seal | None:
        """The newest checkpoint of a log; None if none was written. Raises BadCheckpoint."""
        paths = sorted((self.folder / service).glob("*.json"))
        return read_checkpoint(paths[-1], service) if paths else None


def read_checkpoint(path: Path, service: str) -> Seal:
    """The seal of a service's log from its file. Raises BadCheckpoint."""
    try:
        seal = msgspec.json.decode(path.read_bytes(), type=Seal)
        header = seal.read()
    except OSError as error:
        raise BadCheckpoint(f"checkpoint {path} cannot be read: {error.strerror}") from None
    except msgspec.MsgspecError as error:
        raise BadCheckpoint(f"{path} is no checkpoint: {error}") from None
    if header.log != service:
        raise BadCheckpoint(f"{path} is a checkpoint of the log {header.log!r}, not of {service!r}")
    return seal


class LogTrust:
    """Whose seals of a service's log are believed, and the checkpoints of it."""

    def __init__(self, settings: Settings, service: str) -> None:
        self._settings, self._service = settings, service
        self._checkpoints = Checkpoints(settings)

    def keys(self) -> dict[str, Ed25519PublicKey]:
        return trusted_keys(self._settings)

    def checkpoint(self, number: int | None = None) -> Seal | None:
        kept, service = self._checkpoints, self._service
        try:
            return kept.latest(service) if number is None else kept.of(service, number)
        except BadCheckpoint as error:
            raise ValueError(str(error)) from error


class LogSealer:
    """Seals a service's log while the service runs, and keeps its newest seal outside the database:
    the first one at once, then whenever `checkpoint_seconds` have passed and there is a newer one.
    """

    def __init__(self, settings: Settings, store: EventStore) -> None:
        self._checkpoints, self._store = Checkpoints(settings), store
        self._every_seconds = settings.audit.checkpoint_seconds
        self._newest: Seal | None = None
        self._ripe, self._writing = asyncio.Event(), asyncio.Lock()
        self._sealer = Sealer(store, Signer(seal_key(settings)), sealed=self._sealed)

    async def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        with suppress(StoreUnavailable):
            # It may not have been kept when the service ended the last time.
            self._newest = await self._store.reading(lambda c: last_seal(c, self._store.layout))
        if self._newest is not None:
            self._ripe.set()
        self._sealer.start()
        self._keeping = asyncio.create_task(self._keep())

    async def stop(self) -> None:
        """Seal what there is, and keep the last seal as a checkpoint."""
        await asyncio.to_thread(self._sealer.stop)
        async with self._writing:
            self._keeping.cancel()
            await asyncio.wait([self._keeping])
        await self._write()

    def _sealed(self, seal: Seal) -> None:
        self._newest = seal
        self._loop.call_soon_threadsafe(self._ripe.set)

    async def _keep(self) -> None:
        while True:
            await self._ripe.wait()
            self._ripe.clear()
            async with self._writing:
                await self._write()
            await asyncio.sleep(self._every_seconds)

    async def _write(self) -> None:
        """Keep the newest seal, unless it is kept. What fails is tried again the next time."""
        seal = self._newest
        if seal is None:
            return
        try:
            await asyncio.to_thread(self._checkpoints.write, seal)
        except (OSError, BadCheckpoint):
            log.exception("checkpoint not kept", log=self._store.name, seal=seal.read().number)
            self._ripe.set()
        else:
            if self._newest is seal:
                self._newest = None
