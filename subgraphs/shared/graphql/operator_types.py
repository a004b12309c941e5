"""The operator's types, declared alike by every subgraph, made from what `projections` knows."""

from __future__ import annotations

from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING

import strawberry

from projections.catalogue import Build, State
from projections.inbox import ParkedStream
from projections.operations import Overview
from projections.parked import ParkedKey
from projections.verify import Verification
from subgraphs.shared.graphql.types import DecimalString, PageInfo, Receipt, UserError
from subgraphs.shared.paging import Keyset

if TYPE_CHECKING:
    from subgraphs.shared.operations import Operator

INT_MAX = 2**31 - 1
OLDEST = Keyset("parked_at", "id", cast="timestamptz")


@strawberry.enum(description="Replaying; ready to be switched to; seen; seen before.")
class ProjectionBuildState(Enum):
    BUILDING = "building"
    READY = "ready"
    LIVE = "live"
    FOLLOWING = "following"


@strawberry.federation.type(
    shareable=True, description="One set of tables of a projection. Positions are SERVICE:NUMBER."
)
class ProjectionBuild:
    number: int
    version: int
    state: ProjectionBuildState
    position: str
    head: str = strawberry.field(description="Where the service's log ends.")
    lag: int = strawberry.field(description="Positions from here to the head.")
    rate: int | None = strawberry.field(
        description="Positions a second, while it is being built. Null until that is known."
    )
    eta_seconds: int | None = strawberry.field(description="Until it is at the head.")
    parked_keys: int = strawberry.field(description="Keys whose events wait behind one that failed")
    bytes: DecimalString = strawberry.field(description="Tables and indexes on disk.")


@strawberry.federation.type(shareable=True, description="How far the rebuild of a projection is.")
class ProjectionRebuild:
    build: int
    running: bool = strawberry.field(
        description="False once it is ready, or was stopped: ask for the rebuild again to go on."
    )
    percent: int
    rate: int | None
    eta_seconds: int | None
    owner: str = strawberry.field(description="Host and process that began it.")
    error: str | None = strawberry.field(description="Why it ended, if this service ran it.")


@strawberry.federation.type(shareable=True, description="A read model, with all that is built.")
class ProjectionState:
    name: str
    builds: list[ProjectionBuild]
    rebuild: ProjectionRebuild | None = strawberry.field(
        description="The rebuild that is under way, or waits to be switched to."
    )


@strawberry.federation.type(
    shareable=True, description="A key whose events wait behind the one that failed."
)
class ParkedEvent:
    projection: str
    build: int
    key: str
    position: str = strawberry.field(description="Of the event that failed.")
    events: int = strawberry.field(description="How many wait, that one included.")
    error: str
    traceback: str
    attempts: int
    parked_at: datetime
    redriving: bool


@strawberry.federation.type(shareable=True)
class ParkedEventEdge:
    cursor: str
    node: ParkedEvent


@strawberry.federation.type(shareable=True)
class ParkedEventConnection:
    edges: list[ParkedEventEdge]
    page_info: PageInfo


@strawberry.federation.type(
    shareable=True, description="A stream whose messages to a reactor wait behind one that failed."
)
class ParkedMessage:
    reactor: str
    stream: str
    position: str = strawberry.field(description="Of the message that failed, in its log.")
    messages: int = strawberry.field(description="How many wait, that one included.")
    error: str
    traceback: str
    attempts: int
    parked_at: datetime
    redriving: bool


@strawberry.federation.type(shareable=True)
class ParkedMessageEdge:
    cursor: str
    node: ParkedMessage


@strawberry.federation.type(shareable=True)
class ParkedMessageConnection:
    edges: list[ParkedMessageEdge]
    page_info: PageInfo


@strawberry.federation.type(shareable=True)
class ReactorPayload:
    receipt: Receipt | None
    user_errors: list[UserError]


@strawberry.federation.type(shareable=True)
class ProjectionTableComparison:
    table: str
    live_rows: int
    other_rows: int
    differences: int


@strawberry.federation.type(shareable=True, description="Two builds compared at one position.")
class ProjectionVerification:
    live_build: int
    other_build: int
    position: str
    equal: bool
    differences: int
    examples: list[str] = strawberry.field(description="Some of what differs: table and key.")
    tables: list[ProjectionTableComparison]


@strawberry.federation.type(shareable=True)
class ProjectionPayload:
    projection: ProjectionState | None
    receipt: Receipt | None
    user_errors: list[UserError]


@strawberry.federation.type(shareable=True)
class ProjectionVerificationPayload:
    verification: ProjectionVerification | None
    user_errors: list[UserError]


def state_of(operator: Operator, overview: Overview, name: str) -> ProjectionState:
    """One projection, with all that is built of it."""
    builds = [build for build in overview.builds if build.name == name]
    shown = [_build(operator, overview, build) for build in builds]
    rebuilt = [
        _rebuild(operator, overview, build, seen)
        for build, seen in zip(builds, shown, strict=True)
        if build.state in (State.BUILDING, State.READY)
    ]
    return ProjectionState(name=name, builds=shown, rebuild=rebuilt[-1] if rebuilt else None)


def _build(operator: Operator, overview: Overview, build: Build) -> ProjectionBuild:
    lag = max(0, overview.head - build.position)
    rate = operator.rate(build) if build.state is State.BUILDING else None
    return ProjectionBuild(
        number=build.number,
        version=build.version,
        state=ProjectionBuildState(build.state.value),
        position=f"{operator.name}:{build.position}",
        head=f"{operator.name}:{overview.head}",
        lag=_int(lag),
        rate=rate,
        eta_seconds=_int(lag / rate) if rate else None,
        parked_keys=_int(build.parked_keys),
        bytes=DecimalString(str(overview.sizes.get(build.id, 0))),
    )


def _rebuild(
    operator: Operator, overview: Overview, build: Build, seen: ProjectionBuild
) -> ProjectionRebuild:
    own = operator.running(build.name)
    running = build.state is State.BUILDING and build.id in overview.written
    rate, eta = seen.rate, seen.eta_seconds
    if running and own is not None and not own.task.done() and own.progress is not None:
        rate = _int(own.progress.rate)
        eta = None if own.progress.eta_seconds is None else _int(own.progress.eta_seconds)
    return ProjectionRebuild(
        build=build.number,
        running=running,
        percent=100 * build.position // overview.head if overview.head else 100,
        rate=rate,
        eta_seconds=eta,
        owner=build.owner,
        error=None if own is None or running else own.error,
    )


def edge_of(operator: Operator, row: ParkedKey) -> ParkedEventEdge:
    """A parked key in its list."""
    node = ParkedEvent(
        projection=row.projection,
        build=row.build_number,
        key=row.key,
        position=f"{operator.name}:{row.first_position}",
        events=_int(row.events),
        error=row.error,
        traceback=row.traceback,
        attempts=row.attempts,
        parked_at=row.parked_at,
        redriving=row.redrive,
    )
    cursor = OLDEST.cursor({"parked_at": row.parked_at, "id": row.id})
    return ParkedEventEdge(cursor=cursor, node=node)


def message_edge_of(row: ParkedStream) -> ParkedMessageEdge:
    """A parked stream of a reactor in its list."""
    node = ParkedMessage(
        reactor=row.reactor,
        stream=row.stream,
        position=f"{row.source}:{row.first_position}",
        messages=_int(row.messages),
        error=row.error,
        traceback=row.traceback,
        attempts=row.attempts,
        parked_at=row.parked_at,
        redriving=row.redrive,
    )
    cursor = OLDEST.cursor({"parked_at": row.parked_at, "id": row.id})
    return ParkedMessageEdge(cursor=cursor, node=node)


def verification_of(operator: Operator, found: Verification) -> ProjectionVerification:
    """What a comparison found."""
    return ProjectionVerification(
        live_build=found.live.number,
        other_build=found.other.number,
        position=f"{operator.name}:{found.position}",
        equal=found.equal,
        differences=_int(found.differences),
        examples=found.examples,
        tables=[
            ProjectionTableComparison(
                table=each.table,
                live_rows=_int(each.live_rows),
                other_rows=_int(each.other_rows),
                differences=_int(each.differences),
            )
            for each in found.tables
        ],
    )


def _int(value: float) -> int:
    """As GraphQL's Int holds it: the largest, where it is larger."""
    return min(round(value), INT_MAX)
