"""What one execution carries along, and what it is given."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
from typing import Any, Protocol, TypeAlias

from router.executor.errors import ErrorSink
from router.executor.paths import JsonObject
from router.transport.subgraph import SubgraphOperation, SubgraphResponse


class SubgraphCaller(Protocol):
    """Sends one operation to one subgraph. Raises SubgraphError."""

    async def __call__(
        self,
        service: str,
        operation: SubgraphOperation,
        variables: dict[str, Any] | None,
        headers: Mapping[str, str],
        deadline: float,
    ) -> SubgraphResponse: ...


class SubgraphSubscriber(Protocol):
    """Opens one stream at one subgraph, before `deadline`. Raises SubgraphError."""

    def __call__(
        self,
        service: str,
        operation: SubgraphOperation,
        variables: dict[str, Any] | None,
        headers: Mapping[str, str],
        deadline: float,
    ) -> AsyncGenerator[SubgraphResponse, None]: ...


class ExecutionState:
    """One execution on one response tree. A subscription has one for each event.

    `variables` are those the request gave, as it gave them; `conditions` the Boolean variables that
    @skip and @include use, defaults applied.
    """

    __slots__ = (
        "call",
        "conditions",
        "deadline",
        "errors",
        "headers",
        "response_headers",
        "tree",
        "variables",
    )

    def __init__(
        self,
        *,
        call: SubgraphCaller,
        variables: Mapping[str, Any],
        conditions: Mapping[str, bool],
        headers: Mapping[str, str],
        deadline: float,
        errors: ErrorSink,
    ) -> None:
        self.tree: JsonObject = {}
        self.call = call
        self.variables = variables
        self.conditions = conditions
        self.headers = headers
        self.deadline = deadline
        self.errors = errors
        self.response_headers: list[tuple[str, str]] = []


Run: TypeAlias = Callable[[ExecutionState], Coroutine[Any, Any, None]]
"""A compiled plan node. It records failures in the state and never raises them."""
