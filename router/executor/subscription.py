"""Subscriptions: one execution of the plan's rest for each event of the primary fetch's stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from typing import Any, ClassVar

from router.errors import RouterError
from router.executor.fetch import RootAnswer, check_not_empty, given_variables
from router.executor.state import ExecutionState, SubgraphSubscriber
from router.planner.plan import Subscription
from router.transport.errors import SubgraphError
from router.transport.subgraph import SubgraphOperation


class StreamFailed(RouterError):
    """There are no more events, for the reasons that `errors` tell, as an answer has them."""

    code: ClassVar[str] = "SUBSCRIPTION_FAILED"

    def __init__(self, errors: list[dict[str, Any]]) -> None:
        self.errors = errors
        super().__init__("; ".join(str(error.get("message")) for error in errors))


class EventSource:
    """The stream of a subscription's primary fetch, as states that hold one event's data each."""

    def __init__(self, plan: Subscription, interfaces: frozenset[str]) -> None:
        fetch = plan.primary
        self.service = fetch.subgraph
        self._operation = SubgraphOperation(fetch.operation, fetch.operation_name, fetch.kind)
        self._usages = fetch.variable_usages
        self._root = RootAnswer(fetch, interfaces)

    async def states(
        self,
        new_state: Callable[[Mapping[str, str], float], ExecutionState],
        *,
        subscribe: SubgraphSubscriber,
        headers: Callable[[], Mapping[str, str]],
        deadline_seconds: float,
    ) -> AsyncGenerator[ExecutionState, None]:
        """One state an event, in order. `headers` are asked for at each: those that say who asks
        do not hold for long. `deadline_seconds` is what opening takes at most, and each event.

        Raises StreamFailed when the stream ends other than by its subgraph's will.
        """
        now = asyncio.get_running_loop().time
        opening = new_state(headers(), now() + deadline_seconds)
        try:
            stream = subscribe(
                self.service,
                self._operation,
                given_variables(opening, self._usages),
                opening.headers,
                opening.deadline,
            )
            async with aclosing(stream):
                async for response in stream:
                    state = new_state(headers(), now() + deadline_seconds)
                    try:
                        check_not_empty(self.service, response)
                    except SubgraphError as failure:
                        self._root.failed(state, failure)
                    else:
                        self._root.take(state, response)
                    yield state
        except SubgraphError as failure:
            self._root.failed(opening, failure)
            raise StreamFailed(opening.errors.finished()) from failure
