"""Relay connections: `Connection[Order]` is `OrderConnection`, with `OrderEdge`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar

import strawberry

from subgraphs.shared.graphql.types import PageInfo
from subgraphs.shared.paging import Keyset, Page

T = TypeVar("T")
Row = Mapping[str, Any]


@strawberry.type
class Edge(Generic[T]):
    cursor: str
    node: T


@strawberry.type
class Connection(Generic[T]):
    edges: list[Edge[T]]
    page_info: PageInfo

    @classmethod
    def of(
        cls, rows: Sequence[Row], page: Page, keyset: Keyset, make_node: Callable[[Row], T]
    ) -> Connection[T]:
        """A page from the rows of a query with `limit page.limit`, one more than asked for."""
        edges, info = _page(rows, page, keyset, make_node)
        return cls(edges=edges, page_info=info)

    @classmethod
    def empty(cls) -> Connection[T]:
        """No rows: also what somebody gets who may not see any."""
        return cls(edges=[], page_info=_info([], has_next=False, has_previous=False))


@strawberry.type(name="Connection")
class CountedConnection(Generic[T]):
    edges: list[Edge[T]]
    page_info: PageInfo
    total_count: int | None = strawberry.field(
        default=None, description="Null where counting would cost more than the page."
    )

    @classmethod
    def of(
        cls,
        rows: Sequence[Row],
        page: Page,
        keyset: Keyset,
        make_node: Callable[[Row], T],
        total_count: int | None = None,
    ) -> CountedConnection[T]:
        """As `Connection.of`."""
        edges, info = _page(rows, page, keyset, make_node)
        return cls(edges=edges, page_info=info, total_count=total_count)


def _page(
    rows: Sequence[Row], page: Page, keyset: Keyset, make_node: Callable[[Row], T]
) -> tuple[list[Edge[T]], PageInfo]:
    shown = rows[: page.first]
    edges = [Edge(cursor=keyset.cursor(row), node=make_node(row)) for row in shown]
    return edges, _info(edges, has_next=len(rows) > page.first, has_previous=page.after is not None)


def _info(edges: Sequence[Edge[Any]], *, has_next: bool, has_previous: bool) -> PageInfo:
    return PageInfo(
        has_next_page=has_next,
        has_previous_page=has_previous,
        start_cursor=edges[0].cursor if edges else None,
        end_cursor=edges[-1].cursor if edges else None,
    )
