"""A subscription to a service, past the router."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from subgraphs.shared.service import Service

WAIT_SECONDS_MAX = 10.0


@dataclass
class Following:
    """A subscription; each answer has WAIT_SECONDS_MAX to come."""

    service: Service[Any]
    answers: AsyncGenerator[dict[str, Any], None]
    _first: asyncio.Task[dict[str, Any]] | None = None

    async def begun(self) -> Following:
        """Return once changes of the service are told to it: it waits for its first."""
        subscribers = self.service.changes.subscribers
        self._first = asyncio.create_task(anext(self.answers))
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            while True:
                if self.service.changes.subscribers > subscribers:
                    return self
                await asyncio.sleep(0)  # between two looks at a condition

    @property
    def waits(self) -> bool:
        """Whether nothing has come since it began."""
        return self._first is not None and not self._first.done()

    async def answer(self) -> dict[str, Any]:
        """The next answer, errors and all. Raises StopAsyncIteration."""
        first, self._first = self._first, None
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            return await (anext(self.answers) if first is None else first)

    async def next(self) -> Any:
        """The root field of the next answer, which must have no errors."""
        answer = await self.answer()
        assert "errors" not in answer, answer["errors"]
        (value,) = answer["data"].values()
        return value

    async def code(self) -> str:
        """The code of the one error of the last answer: nothing may come after it."""
        answer = await self.answer()
        (error,) = answer["errors"]
        assert "data" not in answer
        assert await anext(self.answers, None) is None
        return str(error["extensions"]["code"])


@asynccontextmanager
async def following(
    service: Service[Any],
    query: str,
    variables: Mapping[str, Any] | None,
    headers: Mapping[str, str],
) -> AsyncIterator[Following]:
    """Subscribe; ended at the end."""
    found = Following(service, service.subscribe(query, variables, None, headers))
    try:
        yield found
    finally:
        if found._first is not None:
            found._first.cancel()
            await asyncio.gather(found._first, return_exceptions=True)
        await found.answers.aclose()
