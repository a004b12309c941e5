"""States kept in memory, so that loading a stream again reads only what was appended since.

A kept state is never trusted to be the newest: what follows it is always asked for. It is right
for ever, because events are never changed and states are values (ADR 2); but when a person is
erased, states folded before may tell of them, and all are dropped.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from eventstore.event import Folds, Recorded

S = TypeVar("S", bound=Folds)


@dataclass(frozen=True, slots=True)
class Loaded(Generic[S]):
    """State folded from a stream, its version (0: no such stream) and its last event's position."""

    state: S
    version: int
    position: int


def fold(loaded: Loaded[S], events: Sequence[Recorded[Any]]) -> Loaded[S]:
    """The state after some more events of its stream."""
    if not events:
        return loaded
    state = loaded.state
    for recorded in events:
        state = state.evolve(recorded.event)
    return Loaded(state, events[-1].version, events[-1].position)


class StateCache:
    """The states of the `streams_max` streams used last, by class and stream."""

    def __init__(self, streams_max: int) -> None:
        self._streams_max = streams_max
        self._kept: OrderedDict[tuple[type[Any], str], Loaded[Any]] = OrderedDict()
        self._erasures = 0

    def __len__(self) -> int:
        return len(self._kept)

    def start(self, folded: type[S], stream: str) -> Loaded[S]:
        """Where folding goes on from: the state that is kept, or the initial one."""
        key = (folded, stream)
        kept: Loaded[S] | None = self._kept.get(key)
        if kept is None:
            return Loaded(folded.initial(stream), 0, 0)
        self._kept.move_to_end(key)
        return kept

    def renew(self, erasures: int) -> None:
        """Drop all states that were folded when the log had forgotten fewer persons."""
        if erasures != self._erasures:
            self._erasures = erasures
            self._kept.clear()

    def keep(self, stream: str, loaded: Loaded[Any], erasures: int) -> None:
        """Keep a state, folded when the log had forgotten so many persons."""
        if not self._streams_max or not loaded.version or erasures != self._erasures:
            return
        key = (type(loaded.state), stream)
        self._kept[key] = loaded
        self._kept.move_to_end(key)
        if len(self._kept) > self._streams_max:
            self._kept.popitem(last=False)

    def drop(self, folded: type[Any], stream: str) -> None:
        self._kept.pop((folded, stream), None)
