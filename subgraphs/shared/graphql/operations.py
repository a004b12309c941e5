"""The operator's part of a subgraph's schema: the same for every service, named after it.

    Query.ordersProjections, Query.ordersParkedEvents, Mutation.rebuildOrdersProjection, …

Types are shared by all services; the role OPERATOR is asked for by `Operator`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import strawberry
from strawberry.tools import create_type

from projections import ProjectionError
from subgraphs.shared.errors import Refusal
from subgraphs.shared.graphql.context import RequestContext
from subgraphs.shared.graphql.operator_types import (
    OLDEST,
    ParkedEventConnection,
    ParkedMessageConnection,
    ProjectionPayload,
    ProjectionState,
    ProjectionVerificationPayload,
    ReactorPayload,
    edge_of,
    message_edge_of,
    state_of,
    verification_of,
)
from subgraphs.shared.graphql.types import InvalidInput, PageInfo, Receipt, UserError, refused
from subgraphs.shared.paging import read_page

PATHS = {
    "UNKNOWN_PROJECTION": ["name"],
    "UNKNOWN_REACTOR": ["name"],
    "NOT_A_PROJECTION": ["name"],
    "REASON_NEEDED": ["reason"],
}

Info = strawberry.Info[RequestContext[Any], None]


def operator_queries(service: str) -> type:
    """The root queries of a service's operator."""

    async def projections(info: Info) -> list[ProjectionState] | None:
        return await _states(info)

    async def parked_events(
        info: Info, first: int, after: str | None = None
    ) -> ParkedEventConnection | None:
        page = read_page(first, after, OLDEST)
        beyond = None if after is None else OLDEST.read(after)
        operator = info.context.operations
        rows = await operator.parked(info.context, page.limit, beyond)
        edges = [edge_of(operator, row) for row in rows[:first]]
        cursors = [edge.cursor for edge in edges]
        return ParkedEventConnection(edges=edges, page_info=_page_info(cursors, rows, after))

    async def parked_messages(
        info: Info, first: int, after: str | None = None
    ) -> ParkedMessageConnection | None:
        page = read_page(first, after, OLDEST)
        beyond = None if after is None else OLDEST.read(after)
        rows = await info.context.operations.parked_messages(info.context, page.limit, beyond)
        edges = [message_edge_of(row) for row in rows[:first]]
        cursors = [edge.cursor for edge in edges]
        return ParkedMessageConnection(edges=edges, page_info=_page_info(cursors, rows, after))

    return create_type(
        f"{service.title()}OperatorQueries",
        [
            _field(
                projections,
                f"{service}_projections",
                "The service's read models, for operators: builds, lag, the progress of a rebuild.",
            ),
            _field(
                parked_events,
                f"{service}_parked_events",
                "Keys that wait because an event failed, for operators; longest first.",
            ),
            _field(
                parked_messages,
                f"{service}_parked_messages",
                "Streams that wait because the service could not react to one of their messages, "
                "for operators; longest first.",
            ),
        ],
    )


def operator_mutations(service: str) -> type:
    """The mutations of a service's operator."""

    async def rebuild(
        info: Info,
        name: str,
        reason: str,
        idempotency_key: strawberry.ID,
        restart: bool = False,
    ) -> ProjectionPayload:
        operator, key = info.context.operations, str(idempotency_key)
        work = operator.rebuild(info.context, name, reason, key, restart=restart)
        return await _payload(info, name, work)

    async def switch(
        info: Info,
        name: str,
        reason: str,
        idempotency_key: strawberry.ID,
        force: bool = False,
    ) -> ProjectionPayload:
        operator, key = info.context.operations, str(idempotency_key)
        work = operator.switch(info.context, name, reason, key, force=force)
        return await _payload(info, name, work)

    async def roll_back(
        info: Info, name: str, reason: str, idempotency_key: strawberry.ID
    ) -> ProjectionPayload:
        operator, key = info.context.operations, str(idempotency_key)
        return await _payload(info, name, operator.roll_back(info.context, name, reason, key))

    async def redrive(
        info: Info,
        name: str,
        reason: str,
        idempotency_key: strawberry.ID,
        key: str | None = None,
    ) -> ProjectionPayload:
        operator, once = info.context.operations, str(idempotency_key)
        work = operator.redrive(info.context, name, key, reason, once)
        return await _payload(info, name, work)

    async def skip(
        info: Info, name: str, key: str, reason: str, idempotency_key: strawberry.ID
    ) -> ProjectionPayload:
        operator, once = info.context.operations, str(idempotency_key)
        return await _payload(info, name, operator.skip(info.context, name, key, reason, once))

    async def redrive_reactor(
        info: Info,
        name: str,
        reason: str,
        idempotency_key: strawberry.ID,
        stream: str | None = None,
    ) -> ReactorPayload:
        operator, once = info.context.operations, str(idempotency_key)
        return await _receipt(operator.redrive_reactor(info.context, name, stream, reason, once))

    async def skip_message(
        info: Info, name: str, stream: str, reason: str, idempotency_key: strawberry.ID
    ) -> ReactorPayload:
        operator, once = info.context.operations, str(idempotency_key)
        return await _receipt(operator.skip_message(info.context, name, stream, reason, once))

    async def verify(info: Info, name: str) -> ProjectionVerificationPayload:
        try:
            found = await info.context.operations.verify(info.context, name)
        except (Refusal, ProjectionError) as error:
            return ProjectionVerificationPayload(verification=None, user_errors=[_refused(error)])
        return ProjectionVerificationPayload(
            verification=verification_of(info.context.operations, found), user_errors=[]
        )

    given: list[tuple[Callable[..., Any], str, str]] = [
        (
            rebuild,
            f"rebuild_{service}_projection",
            "For operators: build the tables anew beside the live ones, in the background. One "
            "that was stopped goes on; `restart` gives up what it had done.",
        ),
        (
            switch,
            f"switch_{service}_projection",
            "For operators: compare, then let readers see the rebuilt tables, in one transaction. "
            "`force` does without comparing.",
        ),
        (
            roll_back,
            f"roll_back_{service}_projection",
            "For operators: let readers see again what they saw before the last switch.",
        ),
        (
            verify,
            f"verify_{service}_projection",
            "For operators: compare the live tables with the rebuilt ones, key by key.",
        ),
        (
            redrive,
            f"redrive_{service}_projection",
            "For operators: apply parked events again, in order; those of one key, or all.",
        ),
        (
            skip,
            f"skip_{service}_event",
            "For operators: give up the event that a key waits behind; the rest is redriven.",
        ),
        (
            redrive_reactor,
            f"redrive_{service}_reactor",
            "For operators: react to parked messages again, in order; those of one stream, or all.",
        ),
        (
            skip_message,
            f"skip_{service}_message",
            "For operators: give up the message that a stream waits behind; the rest is redriven.",
        ),
    ]
    return create_type(
        f"{service.title()}OperatorMutations", [_field(*each, mutation=True) for each in given]
    )


def _field(
    resolver: Callable[..., Any], name: str, description: str, *, mutation: bool = False
) -> Any:
    resolver.__name__ = name  # GraphQL's name comes from it
    make = strawberry.mutation if mutation else strawberry.field
    return make(resolver, description=description)


async def _states(info: Info) -> list[ProjectionState]:
    operator = info.context.operations
    overview = await operator.overview(info.context)
    operator.forget(overview)
    return [state_of(operator, overview, name) for name in operator.names]


async def _payload(info: Info, name: str, work: Awaitable[Receipt]) -> ProjectionPayload:
    try:
        receipt = await work
    except (Refusal, ProjectionError) as error:
        return ProjectionPayload(projection=None, receipt=None, user_errors=[_refused(error)])
    operator = info.context.operations
    overview = await operator.overview(info.context)
    return ProjectionPayload(
        projection=state_of(operator, overview, name), receipt=receipt, user_errors=[]
    )


async def _receipt(work: Awaitable[Receipt]) -> ReactorPayload:
    try:
        return ReactorPayload(receipt=await work, user_errors=[])
    except (Refusal, ProjectionError) as error:
        return ReactorPayload(receipt=None, user_errors=[_refused(error)])


def _page_info(cursors: Sequence[str], rows: Sequence[object], after: str | None) -> PageInfo:
    """Of a page that was asked for with one row more."""
    return PageInfo(
        has_next_page=len(rows) > len(cursors),
        has_previous_page=after is not None,
        start_cursor=cursors[0] if cursors else None,
        end_cursor=cursors[-1] if cursors else None,
    )


def _refused(error: Refusal | ProjectionError) -> UserError:
    if isinstance(error, Refusal):
        return refused(error)
    return InvalidInput(message=str(error), code=error.code, path=PATHS.get(error.code))
