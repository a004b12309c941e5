"""The journal's queries that the owners of the logs answer: integrity, proofs, states, hashes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
import strawberry
from strawberry.scalars import JSON

from eventstore.audit.as_of import Time
from subgraphs.journal.events import LogVerified
from subgraphs.journal.reads import Row
from subgraphs.journal.redaction import SECRET_FIELDS, redact
from subgraphs.journal.schema import Actor, Info, actor_of, load_event, require_auditor
from subgraphs.journal.waiting import caught_up, own_log_copied
from subgraphs.shared.auth import Role
from subgraphs.shared.errors import InvalidValue, NotFound
from subgraphs.shared.graphql import field
from subgraphs.shared.log_audit import LogAudit, LogUnreachable, StateThen


@strawberry.type(description="What a verification of a whole log found.")
class Verification:
    at: datetime
    by: Actor
    events: int
    sealed_up_to: str
    seals: int
    checkpoint: int | None = strawberry.field(
        description="The seal, kept outside the database, that the log was held against."
    )
    intact: bool
    broken_position: str | None = strawberry.field(description="The first that is not as it was.")
    fault: str | None

    @classmethod
    def of(cls, row: Row) -> Verification:
        """From the copied event."""
        found = msgspec.convert(row["data"], LogVerified)
        broken = found.position
        return cls(
            at=row["recorded_at"],
            by=actor_of(row),
            events=found.events,
            sealed_up_to=f"{found.service}:{found.sealed}",
            seals=found.seals,
            checkpoint=found.checkpoint,
            intact=found.fault is None,
            broken_position=None if broken is None else f"{found.service}:{broken}",
            fault=found.fault,
        )


@strawberry.type(description="How a service's log stands: sealed, kept outside, verified, copied.")
class IntegrityReport:
    service: str
    events: int | None
    sealed_up_to: str | None
    sealed_at: datetime | None
    seals: int | None
    key_id: str | None = strawberry.field(description="Of the key that signed the last seal.")
    checkpoint_up_to: str | None = strawberry.field(
        description="Up to where a seal is kept outside the database."
    )
    copied_up_to: str = strawberry.field(description="Up to where the journal has its events.")
    verifying: bool
    last_verified: Verification | None
    problem: str | None = strawberry.field(
        description="Why the service could not be asked, or verified, the last time."
    )


@strawberry.type(description="Proof that an event is in a sealed log, to be checked without it.")
class InclusionProof:
    service: str
    event_id: strawberry.ID
    seal: int
    document: str = strawberry.field(
        description="The file that `lonja log check-proof` takes: the event as it is stored."
    )


@strawberry.type(description="A stream as it stood: a plain value, not today's thing.")
class StreamState:
    service: str
    stream_id: strawberry.ID
    version: int = strawberry.field(description="The events up to this one are in it.")
    at: datetime
    state: JSON
    redacted_fields: list[str]
    folded: bool = strawberry.field(
        description="False where nothing folds such streams: each field as an event last had it."
    )
    without_versions: list[int] = strawberry.field(
        description="Of those up to `version`: recorded before its event, but happened later."
    )


@strawberry.federation.type(shareable=True)
class FieldChange:
    path: str
    before: str | None
    after: str | None
    event_id: strawberry.ID


@strawberry.type
class AuditQuery:
    """Root fields, for auditors."""

    @field("How the services' logs stand; of all services unless some are named.")
    async def integrity(
        self, info: Info, service: list[str] | None = None
    ) -> list[IntegrityReport]:
        info.context.caller.require_role("see how logs stand", Role.AUDITOR)
        names = list(dict.fromkeys(service)) if service is not None else sorted(_audits(info))
        for name in names:
            check_service(info, name)
        await own_log_copied(info)
        rows = await info.context.resources.reads.last_verified()
        return list(await asyncio.gather(*(report(info, name, rows.get(name)) for name in names)))

    @field("Null for an unknown event; NOT_PROVABLE until it is sealed, a second or so.")
    async def inclusion_proof(self, info: Info, event_id: strawberry.ID) -> InclusionProof | None:
        require_auditor(info)
        await caught_up(info)
        event = await load_event(info, str(event_id))
        if event is None:
            return None
        document = await _audits(info)[event.service].prove(UUID(event.id))
        return InclusionProof(
            service=event.service,
            event_id=event.id,
            seal=msgspec.json.decode(document)["seal"]["header"]["number"],
            document=document.decode(),
        )

    @field(
        "Any stream as it stood at a version, or at a time: as far as it was recorded by then, "
        "or `by: OCCURRED` by what is known now, with what was recorded late."
    )
    async def as_of(
        self,
        info: Info,
        stream_id: strawberry.ID,
        version: int | None = None,
        at: datetime | None = None,
        by: Time = Time.RECORDED,
    ) -> StreamState | None:
        require_auditor(info)
        await caught_up(info)
        moment = at.replace(tzinfo=UTC) if at is not None and at.tzinfo is None else at
        for service in await info.context.resources.reads.services_of(str(stream_id)):
            found = await _audits(info)[service].as_of(str(stream_id), version, moment, by)
            if found is None:
                continue
            text = bytes(found.state)
            if not found.folded:
                merged = await _merged(info, service, str(stream_id), found)
                text = msgspec.json.encode(merged)
            info.context.reading.saw(text, events=found.version - len(found.without))
            state, redacted = redact(text)
            return StreamState(
                service=service,
                stream_id=stream_id,
                version=found.version,
                at=found.at,
                state=msgspec.json.decode(state),
                redacted_fields=redacted,
                folded=found.folded,
                without_versions=list(found.without),
            )
        return None

    @field("What differs between two versions of a stream, and the events that made it so.")
    async def diff(
        self, info: Info, stream_id: strawberry.ID, from_version: int, to_version: int
    ) -> list[FieldChange]:
        require_auditor(info)
        await caught_up(info)
        stream = str(stream_id)
        low, high = max(0, from_version), max(0, to_version)
        for service in await info.context.resources.reads.services_of(stream):
            changes = await _audits(info)[service].diff(stream, low, high)
            if changes is None:
                raise InvalidValue(
                    f"stream {stream} has events only, nothing folds them to states that could "
                    "differ: read its events",
                    path=["streamId"],
                )
            shown = [c for c in changes if SECRET_FIELDS.isdisjoint(c.path.split("."))]
            info.context.reading.saw(
                msgspec.json.encode([(change.before, change.after) for change in shown]),
                events=len({change.event_id for change in shown}),
            )
            return [
                FieldChange(
                    path=change.path,
                    before=change.before,
                    after=change.after,
                    event_id=strawberry.ID(str(change.event_id)),
                )
                for change in shown
            ]
        return []


async def report(info: Info, service: str, verified: Row | None) -> IntegrityReport:
    """How a service's log stands now; what its owner does not say is null."""
    resources = info.context.resources
    state, problem = None, resources.verifications.problem(service)
    try:
        state = await resources.audits[service].state()
    except LogUnreachable as error:
        problem = str(error)
    log, kept = (state.status, state.checkpoint) if state is not None else (None, None)
    return IntegrityReport(
        service=service,
        events=None if log is None else log.events,
        sealed_up_to=None if log is None else f"{service}:{log.sealed}",
        sealed_at=None if log is None else log.sealed_at,
        seals=None if log is None else log.seals,
        key_id=None if log is None else log.key_id,
        checkpoint_up_to=None if kept is None else f"{service}:{kept}",
        copied_up_to=f"{service}:{resources.follower.positions().get(service, 0)}",
        verifying=resources.verifications.under_way(service),
        last_verified=None if verified is None else Verification.of(verified),
        problem=problem,
    )


def check_service(info: Info, name: str) -> None:
    """Raises NotFound for a name that is none of a service."""
    if name not in _audits(info):
        raise NotFound("service", name, path=["service"])


async def _merged(info: Info, service: str, stream: str, then: StateThen) -> dict[str, Any]:
    """Each field as an event that counts last had it."""
    state: dict[str, Any] = {}
    payloads = await info.context.resources.reads.payloads(service, stream, then.version)
    for version, data in payloads.items():
        if version not in then.without:
            state.update(data)
    return state


def _audits(info: Info) -> Mapping[str, LogAudit]:
    return info.context.resources.audits
