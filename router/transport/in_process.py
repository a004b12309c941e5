"""A subgraph in this process: called directly, without HTTP and without encoding."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import Any

import structlog

from router.transport.errors import (
    SubgraphCallFailed,
    SubgraphError,
    SubgraphTimeout,
    SubscriptionRefused,
    SubscriptionsNotOffered,
)
from router.transport.response import response_from_value
from router.transport.subgraph import SubgraphRequest, SubgraphResponse

InProcessCall = Callable[
    [str, dict[str, Any], str | None, Mapping[str, str]], Awaitable[dict[str, Any]]
]
"""`(query, variables, operation name, headers)` to a GraphQL answer with `data` and `errors`."""
InProcessSubscribe = Callable[
    [str, dict[str, Any], str | None, Mapping[str, str]], AsyncGenerator[dict[str, Any], None]
]
"""The same parameters, to an answer for each event; one without `data` is a refusal, and the last.
"""

log = structlog.get_logger("router.transport")


class InProcessSubgraph:
    """Calls `call`, which may change its variables: it gets a copy (servers do pop `__typename`).

    The answer's `data` is merged into, so it must not be kept by the callee. `call` may be
    cancelled at the deadline.
    """

    def __init__(
        self, name: str, call: InProcessCall, subscribe: InProcessSubscribe | None = None
    ) -> None:
        self.name = name
        self._call = call
        self._subscribe = subscribe

    async def __call__(self, request: SubgraphRequest) -> SubgraphResponse:
        """Raises SubgraphTimeout, SubgraphCallFailed, SubgraphMalformedResponse."""
        operation = request.operation
        started = asyncio.get_running_loop().time()
        deadline = asyncio.timeout_at(request.deadline)
        try:
            variables = copy_json(request.variables) if request.variables else {}
            async with deadline:
                value = await self._call(
                    operation.query, variables, operation.name, request.headers
                )
        except TimeoutError as error:
            if deadline.expired():
                raise SubgraphTimeout(self.name, request.deadline - started) from None
            raise self._failed(request, error) from error
        except Exception as error:
            raise self._failed(request, error) from error
        return response_from_value(self.name, value)

    async def subscribe(self, request: SubgraphRequest) -> AsyncGenerator[SubgraphResponse, None]:
        """Raises SubscriptionRefused, SubscriptionsNotOffered, SubgraphCallFailed,
        SubgraphMalformedResponse.

        Nothing tells when a stream is open, so there is no deadline: its first event may be far.
        """
        if self._subscribe is None:
            raise SubscriptionsNotOffered(self.name)
        operation = request.operation
        variables = copy_json(request.variables) if request.variables else {}
        try:
            stream = self._subscribe(operation.query, variables, operation.name, request.headers)
            async with aclosing(stream):
                async for value in stream:
                    response = response_from_value(self.name, value)
                    if "data" not in value:
                        raise SubscriptionRefused(self.name, response.errors)
                    yield response
        except SubgraphError:
            raise
        except Exception as error:
            raise self._failed(request, error) from error

    def _failed(self, request: SubgraphRequest, error: Exception) -> SubgraphCallFailed:
        log.error(
            "subgraph call failed",
            service=self.name,
            request_id=request.headers.get("x-request-id"),
            exc_info=error,
        )
        return SubgraphCallFailed(self.name)

    async def close(self) -> None:
        """Nothing to give back."""


def copy_json(value: Any) -> Any:
    """A deep copy of the containers of a JSON value; scalars are shared."""
    if type(value) is dict:
        return {
            key: copy_json(item) if type(item) in _CONTAINERS else item
            for key, item in value.items()
        }
    if type(value) is list:
        return [copy_json(item) if type(item) in _CONTAINERS else item for item in value]
    return value


_CONTAINERS = frozenset({dict, list})
