"""A GraphQL client over HTTP, as any customer of the shop has one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from lonja.errors import LonjaError
from router.config import SubgraphSettings
from router.planner.plan import OperationKind
from router.transport import HttpSubgraph, SubgraphOperation, SubgraphRequest, SubgraphResponse

ANSWER_SECONDS_MAX = 60.0


class RequestFailed(LonjaError):
    """The shop answered with errors (not with a refusal, which is part of the data)."""

    code = "REQUEST_FAILED"


class Client:
    """Sends operations to `url` over kept connections; counts them and their time."""

    def __init__(self, url: str, *, connections_max: int) -> None:
        settings = SubgraphSettings(connections_max=connections_max)
        self._http = HttpSubgraph("the shop", url, settings)
        self._operations: dict[str, SubgraphOperation] = {}
        self.seconds: list[float] = []
        """How long each request took."""

    async def ask(
        self,
        document: str,
        variables: Mapping[str, Any] | None = None,
        *,
        token: str | None = None,
        read_position: str | None = None,
    ) -> dict[str, Any]:
        """The answer's data. Raises RequestFailed, or SubgraphError where no answer came."""
        answer = await self.answer(document, variables, token=token, read_position=read_position)
        if answer.errors or answer.data is None:
            first = document.strip().splitlines()[0]
            raise RequestFailed(f"`{first}` was answered with errors: {answer.errors[:3]}")
        return answer.data

    async def answer(
        self,
        document: str,
        variables: Mapping[str, Any] | None = None,
        *,
        token: str | None = None,
        read_position: str | None = None,
    ) -> SubgraphResponse:
        """The whole answer, errors and all. Raises SubgraphError where none came."""
        operation = self._operations.get(document)
        if operation is None:
            # Sent as a mutation so that the transport never sends it twice by itself.
            operation = SubgraphOperation(document, None, OperationKind.MUTATION)
            self._operations[document] = operation
        headers = {}
        if token is not None:
            headers["authorization"] = f"Bearer {token}"
        if read_position is not None:
            headers["x-read-position"] = read_position
        deadline = asyncio.get_running_loop().time() + ANSWER_SECONDS_MAX
        started = time.perf_counter()
        answer = await self._http(
            SubgraphRequest(operation, dict(variables or {}), headers, deadline)
        )
        self.seconds.append(time.perf_counter() - started)
        return answer

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()
