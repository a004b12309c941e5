"""Exports in the schema: begun by a mutation, watched by a query, read as a file."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from enum import Enum

import msgspec
import strawberry
from strawberry.scalars import JSON

from eventstore import Recorded
from subgraphs.journal import export as state
from subgraphs.journal.events import ExportStarted
from subgraphs.journal.exporting import MANIFEST
from subgraphs.journal.schema import Actor, Info, actor_named, require_auditor
from subgraphs.journal.where import EventWhere
from subgraphs.shared.commands import Done, attempt
from subgraphs.shared.errors import Refusal
from subgraphs.shared.graphql import Receipt, UserError, field, mutation
from subgraphs.shared.ids import is_id

ExportState = strawberry.enum(state.ExportStatus, name="ExportState")


@strawberry.enum(description="An event a line: as JSON, or flat, for spreadsheets.")
class ExportFormat(Enum):
    JSONL = "JSONL"
    CSV = "CSV"


class ExportsOff(Refusal):
    """There is no folder for the files."""

    code = "EXPORTS_OFF"

    def __init__(self) -> None:
        super().__init__("this journal has no folder for exports: set `exports_dir`")


@strawberry.type(description="Events in a file, in the order of service and position.")
class Export:
    id: strawberry.ID
    state: ExportState  # type: ignore[valid-type]
    format: ExportFormat
    where: JSON
    started_at: datetime
    started_by: Actor
    events: int = strawberry.field(description="How many are in the file by now.")
    total: int | None = strawberry.field(description="How many there will be, once it is known.")
    bytes: str | None
    sha256: str | None
    file: str | None = strawberry.field(description="Where the journal runs.")
    url: str | None = strawberry.field(
        description="GET gives the file, for ten minutes: ask again then. Recorded as a read."
    )
    manifest_url: str | None
    manifest: JSON | None = strawberry.field(
        description="Filter, positions, hashes of the last events: also in a file beside it."
    )
    reason: str | None = strawberry.field(description="Why there is no file, or no more.")


@strawberry.type
class ExportPayload:
    export: Export | None
    receipt: Receipt | None
    user_errors: list[UserError]


@strawberry.type
class ExportQuery:
    """Root fields, for auditors."""

    @field("How far an export has come.")
    async def export(self, info: Info, id: strawberry.ID) -> Export | None:  # noqa: A002
        require_auditor(info)
        return await _export(info, str(id))


@strawberry.type
class ExportMutation:
    """Root fields, for auditors."""

    @mutation(
        "For auditors: have the events that the journal has now, and that match, written to a "
        "file, in the background. It goes on after a restart. Secrets are left out."
    )
    async def export_events(
        self,
        info: Info,
        where: EventWhere,
        format: ExportFormat,  # noqa: A002
        idempotency_key: strawberry.ID,
    ) -> ExportPayload:
        require_auditor(info)
        result = await attempt(_start(info, where, format, str(idempotency_key)))
        if (done := result.value) is None:
            return ExportPayload(export=None, receipt=None, user_errors=result.user_errors)
        return ExportPayload(
            export=await _export(info, done.stream), receipt=done.receipt, user_errors=[]
        )


async def _start(info: Info, where: EventWhere, kind: ExportFormat, key: str) -> Done[state.Export]:
    resources = info.context.resources
    if resources.exports.folder is None:
        raise ExportsOff
    export_id = resources.new_id("exp")
    text = msgspec.json.encode(asdict(where.conditions())).decode()
    started = ExportStarted(export_id, kind.value, text, resources.follower.positions())
    done = await resources.commands.run(
        info.context,
        state.Export,
        export_id,
        lambda export: export.start(started),
        operation="exportEvents",
        idempotency_key=key,
        body=[text, kind.value],
    )
    resources.exports.begin(done.stream)
    return done


async def _export(info: Info, export_id: str) -> Export | None:
    if not is_id(export_id, "exp"):
        return None
    resources = info.context.resources
    events = await resources.store.read_stream(export_id)
    if not events:
        return None
    folded = state.Export.initial(export_id)
    for recorded in events:
        folded = folded.evolve(recorded.event)
    first: Recorded[ExportStarted] = events[0]
    result, progress = folded.result, resources.exports.progress(export_id)
    done = result.events if result is not None else None
    written, total = progress or (done or 0, done)
    reader = info.context.caller.require_user()

    def link(kind: str) -> str | None:
        return resources.downloads.link(export_id, kind, reader) if result else None

    return Export(
        id=strawberry.ID(export_id),
        state=folded.status,
        format=ExportFormat(first.event.format),
        where=JSON(msgspec.json.decode(first.event.where)),
        started_at=first.recorded_at,
        started_by=actor_named(first.metadata.actor),
        events=written,
        total=total,
        bytes=str(result.bytes) if result else None,
        sha256=result.sha256 if result else None,
        file=result.file if result else None,
        url=link(first.event.format.lower()),
        manifest_url=link(MANIFEST),
        manifest=resources.exports.manifest(export_id) if result else None,
        reason=folded.reason,
    )
