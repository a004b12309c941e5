"""Writes exports in the background, and goes on after a restart with those that were cut off."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import IO, Any
from uuid import UUID

import msgspec
import psycopg
import structlog

from eventstore import (
    ANY,
    Actor,
    Append,
    Event,
    EventStore,
    EventStoreError,
    Metadata,
    Recorded,
    Streams,
    WrongExpectedVersion,
)
from subgraphs.journal.events import ExportCompleted, ExportFailed, ExportStarted
from subgraphs.journal.export import Export, ExportStatus
from subgraphs.journal.export_file import FORMATS, Contents, contents, resume, tells_of
from subgraphs.journal.reads import JournalReads, Where
from subgraphs.shared.ids import new_id
from subgraphs.shared.log_audit import LogAudit, LogUnreachable
from subgraphs.shared.reading import Reading, reads_stream

log = structlog.get_logger("subgraphs.journal")

PAGE_EVENTS = 1000
SCAN_EVENTS = 1000
RETRY_SECONDS = 1.0
AT_ONCE_MAX = 2
MANIFEST = "manifest.json"
WITHDRAWN = "it told of somebody who was erased: export anew"


class Exports:
    """The exports of the journal. `folder` is where their files go; None: there are none.

    A file is named `<id>.part` until it is whole. Of several processes on one folder, one writes.
    """

    def __init__(
        self,
        store: EventStore,
        reads: JournalReads,
        audits: Mapping[str, LogAudit],
        folder: Path | None,
        clock: Callable[[], datetime],
    ) -> None:
        self._store, self._streams, self._reads = store, Streams(store), reads
        self._audits, self.folder, self._clock = audits, folder, clock
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._written: dict[str, tuple[int, int]] = {}
        self._turns = asyncio.Semaphore(AT_ONCE_MAX)

    def begin(self, export_id: str) -> None:
        """Write the file, unless that is under way."""
        task = self._tasks.get(export_id)
        if task is None or task.done():
            work = self._until_done(export_id)
            task = asyncio.create_task(work, name=f"export.{export_id}")
            self._tasks[export_id] = task
            task.add_done_callback(lambda _: self._written.pop(export_id, None))

    def progress(self, export_id: str) -> tuple[int, int] | None:
        """How many events are written, of how many, where this process writes them."""
        return self._written.get(export_id)

    def manifest(self, export_id: str) -> Any:
        """What the manifest says, if the file is here."""
        path = self._manifest(export_id)
        return msgspec.json.decode(path.read_bytes()) if path.exists() else None

    async def start(self) -> None:
        """Go on with what was cut off."""
        if self.folder is None:
            return
        begun: set[str] = set()
        after = 0
        kinds = [ExportStarted.TYPE, ExportCompleted.TYPE, ExportFailed.TYPE]
        while page := await self._store.read(after, limit=SCAN_EVENTS, types=kinds):
            for recorded in page:
                if recorded.type == ExportStarted.TYPE:
                    begun.add(recorded.stream)
                else:
                    begun.discard(recorded.stream)
                after = recorded.position
        for export_id in begun:
            self.begin(export_id)

    async def stop(self) -> None:
        """Cut off what is under way: the next start goes on with it."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        self._tasks = {}

    async def forget(self, person: str) -> None:
        """Remove every file that tells of the person. What is under way is held up meanwhile, so
        that no page that was read before is written after, and begun anew if it told of them.
        """
        if self.folder is None or not self.folder.exists():
            return
        under_way = [export_id for export_id, task in self._tasks.items() if not task.done()]
        await self.stop()
        for path in sorted(self.folder.iterdir()):
            export_id, _, kind = path.name.partition(".")
            if kind != MANIFEST and await asyncio.to_thread(tells_of, path, person):
                path.unlink()
                self._manifest(export_id).unlink(missing_ok=True)
                withdraw = partial(Export.withdraw, reason=WITHDRAWN)
                await self._end(export_id, withdraw, Actor("service", self._store.name))
        for export_id in under_way:
            self.begin(export_id)

    async def _end(
        self, export_id: str, decide: Callable[[Export], Sequence[Event]], actor: Actor
    ) -> None:
        metadata = self._metadata(actor, None)
        await self._streams.execute(Export, export_id, decide, metadata=metadata)

    async def _until_done(self, export_id: str) -> None:
        while True:
            first, *_ = await self._store.read_stream(export_id, limit=1)
            try:
                async with self._turns:
                    export, _ = await self._streams.load(Export, export_id)
                    if export.status is ExportStatus.RUNNING:
                        await self._write(first)
                    return
            except OSError as error:
                log.warning("export failed", export=export_id, reason=str(error))
                reason = f"its file cannot be written: {error.strerror}"
                actor = first.metadata.actor
                await self._end(export_id, partial(Export.fail, reason=reason), actor)
                return
            except (EventStoreError, psycopg.OperationalError) as error:
                log.warning("export waits", export=export_id, reason=str(error))
            await asyncio.sleep(RETRY_SECONDS)

    async def _write(self, first: Recorded[ExportStarted]) -> None:
        """The whole file, from wherever it ends now. Raises OSError and what reading raises."""
        assert self.folder is not None
        started, form = first.event, FORMATS[first.event.format]
        where = msgspec.json.decode(started.where, type=Where)
        total = await self._reads.count(where, started.up_to)
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        part = self.folder / f"{started.export_id}.part"
        with _appended(part) as file:
            if file is None:
                return  # another process writes it
            after = await asyncio.to_thread(resume, file, form)
            file.flush()
            written = (await asyncio.to_thread(contents, part, form)).events
            self._written[started.export_id] = (written, total)
            while rows := await self._reads.exported(where, started.up_to, after, PAGE_EVENTS):
                text = b"".join(map(form.line, rows))
                await asyncio.to_thread(file.write, text)
                after = (rows[-1]["service"], rows[-1]["position"])
                written += len(rows)
                self._written[started.export_id] = (written, total)
            file.flush()
            await asyncio.to_thread(os.fsync, file.fileno())
            found = await asyncio.to_thread(contents, part, form)
            path = part.rename(part.with_suffix(f".{started.format.lower()}"))
            await self._complete(first, path, found)

    async def _complete(self, first: Recorded[ExportStarted], path: Path, found: Contents) -> None:
        """Manifest and events: that it is whole, and whom it tells of. Who reads it finds both."""
        started = first.event
        manifest = {
            "export_id": started.export_id,
            "format": started.format,
            "filter": msgspec.json.decode(started.where),
            "order": ["service", "position"],
            "up_to": started.up_to,
            "heads": await self._heads(started.up_to),
            "file": path.name,
            "events": found.events,
            "bytes": found.bytes,
            "sha256": found.sha256,
        }
        text = msgspec.json.format(msgspec.json.encode(manifest), indent=2)
        self._manifest(started.export_id).write_bytes(text)
        reading = Reading(events=found.events, persons=set(found.persons))
        reading.ask("exportEvents", msgspec.json.decode(started.where), of=started.export_id)
        result = ExportCompleted(
            started.export_id, str(path), found.events, found.bytes, found.sha256
        )
        appends = [
            Append(started.export_id, [result], first.version),
            Append(reads_stream(first.metadata.actor.id), [reading.event()], ANY),
        ]
        try:
            await self._store.append(appends, metadata=self._metadata(first.metadata.actor, first))
        except WrongExpectedVersion:
            log.info("export was ended by another process", export=started.export_id)

    async def _heads(self, up_to: Mapping[str, int]) -> dict[str, dict[str, str | None]]:
        """By service, the last event that the export could hold, and its hash in the log."""
        ids = await self._reads.ids_at(up_to)
        heads: dict[str, dict[str, str | None]] = {}
        for service, id_ in ids.items():
            try:
                (found,) = await self._audits[service].hashes([UUID(id_)])
            except (KeyError, ValueError, LogUnreachable):
                heads[service] = {"event": id_, "hash": None}
            else:
                heads[service] = {"event": id_, "hash": found.hash}
        return heads

    def _manifest(self, export_id: str) -> Path:
        assert self.folder is not None
        return self.folder / f"{export_id}.{MANIFEST}"

    def _metadata(self, actor: Actor, cause: Recorded[Any] | None) -> Metadata:
        command = new_id("cmd")
        return Metadata(
            actor=actor,
            command_id=command,
            correlation_id=cause.metadata.correlation_id if cause is not None else command,
            causation_id=str(cause.id) if cause is not None else None,
            occurred_at=self._clock(),
        )


@contextmanager
def _appended(path: Path) -> Iterator[IO[bytes] | None]:
    """The file, for this process alone; None if another one has it."""
    with open(path, "a+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
        else:
            yield file
