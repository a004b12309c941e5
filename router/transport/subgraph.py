"""The one way the executor calls a subgraph, whatever is behind it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, runtime_checkable

import orjson

from router.planner.plan import OperationKind

VARIABLES: Final = b',"variables":'


@dataclass(frozen=True, slots=True)
class SubgraphOperation:
    """One operation text for one subgraph, as fixed by a plan.

    `body` is the request body but for the variables, which follow it and are followed by `}`.
    """

    query: str
    name: str | None
    kind: OperationKind
    body: bytes = field(init=False, repr=False)

    def __post_init__(self) -> None:
        members: dict[str, Any] = {"query": self.query}
        if self.name is not None:
            members["operationName"] = self.name
        # Concatenation also trims: what orjson returns may hold on to more than its length.
        object.__setattr__(self, "body", orjson.dumps(members)[:-1] + VARIABLES)

    def encode(self, variables: Mapping[str, Any] | None) -> bytes:
        """The whole JSON body."""
        if not variables:
            return self.body[: -len(VARIABLES)] + b"}"
        return self.body + orjson.dumps(variables) + b"}"


class SubgraphRequest:
    """One request: operation, variables, headers, and the loop time it must be answered by.

    `variables` belong to the caller: a transport that hands them on copies what may be changed.
    """

    __slots__ = ("_body", "deadline", "headers", "operation", "variables")

    def __init__(
        self,
        operation: SubgraphOperation,
        variables: dict[str, Any] | None,
        headers: Mapping[str, str],
        deadline: float,
    ) -> None:
        self.operation = operation
        self.variables = variables
        self.headers = headers
        self.deadline = deadline
        self._body: bytes | None = None

    def body(self) -> bytes:
        """The JSON body, encoded once."""
        if self._body is None:
            self._body = self.operation.encode(self.variables)
        return self._body


class SubgraphResponse:
    """A well-formed GraphQL answer: `data` is an object or null, `errors` a list of objects.

    `data` belongs to the receiver, who merges into it. `headers` are pairs, names in lower case.
    """

    __slots__ = ("data", "errors", "extensions", "headers", "status")

    def __init__(
        self,
        data: dict[str, Any] | None,
        errors: list[dict[str, Any]],
        extensions: dict[str, Any] | None = None,
        headers: tuple[tuple[str, str], ...] = (),
        status: int = 200,
    ) -> None:
        self.data = data
        self.errors = errors
        self.extensions = extensions
        self.headers = headers
        self.status = status


@runtime_checkable
class Subgraph(Protocol):
    """Something that answers GraphQL requests. Raises SubgraphError when no usable answer came."""

    async def __call__(self, request: SubgraphRequest) -> SubgraphResponse:
        """Answer before `request.deadline` (loop time), or raise SubgraphTimeout."""
        ...

    def subscribe(self, request: SubgraphRequest) -> AsyncGenerator[SubgraphResponse, None]:
        """One answer for each event, in order, until the subgraph ends the stream.

        `request.deadline` is for opening it. Closing the generator, or cancelling who waits for it,
        ends the stream at the subgraph. Raises SubscriptionRefused where the subgraph does not
        begin, or gives up with errors of its own, else SubgraphError.
        """
        ...

    async def close(self) -> None:
        """Give back connections; calling it twice does no harm."""
        ...
