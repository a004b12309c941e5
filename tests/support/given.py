"""Given events, when a command is decided, then events or a refusal.

given(Cart, "crt_1", CREATED).when(lambda cart: cart.set_line(...)).then(LineSet(...))
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import pytest

from eventstore.event import Event, Folds

S = TypeVar("S", bound=Folds)


class Given(Generic[S]):
    """State folded from events, waiting for a decision."""

    def __init__(self, state: S) -> None:
        self.state = state
        self._decide: Callable[[S], Sequence[Event]] = lambda _: []

    def when(self, decide: Callable[[S], Sequence[Event]]) -> Given[S]:
        """Name the command."""
        self._decide = decide
        return self

    def then(self, *events: Event) -> S:
        """The events are these, and fold; gives the state after them."""
        decided = list(self._decide(self.state))
        assert decided == list(events)
        state = self.state
        for event in decided:
            state = state.evolve(event)
        return state

    def then_nothing(self) -> None:
        """There is nothing to do."""
        assert list(self._decide(self.state)) == []

    def then_raises(self, refusal: type[Exception], match: str | None = None) -> Any:
        """The command is refused, with these words; gives the refusal."""
        with pytest.raises(refusal, match=match) as caught:
            self._decide(self.state)
        return caught.value


def given(aggregate: type[S], stream: str, *events: Event) -> Given[S]:
    """The state after these events."""
    state = aggregate.initial(stream)
    for event in events:
        state = state.evolve(event)
    return Given(state)
