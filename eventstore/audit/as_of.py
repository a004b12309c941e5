"""How things stood: a stream's state at a version or a time, and what differs between two versions.

An event has two times: when it happened, and when the log learned of it. So how things stood at a
time has two answers, by what is known now and by what was known then (`Time`).

States are folded from events by the aggregate that decided them, and compared as plain JSON values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any
from uuid import UUID

import msgspec

from eventstore.event import Folds, Recorded

Plain = Callable[[Any], Any]
"""A state as JSON values; what nobody is to read is left out."""


class Time(Enum):
    """The time of an event that counts."""

    RECORDED = "RECORDED"
    """When the log learned of it: what was known then."""
    OCCURRED = "OCCURRED"
    """When it happened: how it was then, by what is known now."""

    def of(self, recorded: Recorded[Any]) -> datetime:
        """That time of an event."""
        if self is Time.RECORDED:
            return recorded.recorded_at
        return recorded.metadata.occurred_at


def until(
    events: Iterable[Recorded[Any]], at: datetime | None, by: Time = Time.RECORDED
) -> list[Recorded[Any]]:
    """Those of a stream's events that are of a time, or before it, in the order of the stream:
    each was decided by who knew those before it, however late they were told of.
    """
    return [recorded for recorded in events if at is None or by.of(recorded) <= at]


def left_out(seen: Sequence[Recorded[Any]]) -> tuple[int, ...]:
    """The versions, up to that of the last of `seen`, which are not in it: what was recorded before
    it and happened later.
    """
    versions = {recorded.version for recorded in seen}
    return tuple(v for v in range(1, max(versions, default=0)) if v not in versions)


@dataclass(frozen=True, slots=True)
class Change:
    """A value that differs; `path` has dots, values are JSON text and None where there is none.
    `event_id` names the event that set it last.
    """

    path: str
    before: str | None
    after: str | None
    event_id: UUID


def fold(aggregate: type[Folds], stream: str, events: Iterable[Recorded[Any]]) -> Any:
    """The state after `events`, the stream's first ones."""
    state = aggregate.initial(stream)
    for recorded in events:
        state = state.evolve(recorded.event)
    return state


def plain(state: Any) -> Any:
    """A state of dataclasses, structs, mappings, sets and enums as JSON values."""
    return msgspec.to_builtins(state, enc_hook=_as_builtin)


def _as_builtin(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, AbstractSet):
        return sorted(value, key=str)
    return str(value)


def differences(
    aggregate: type[Folds],
    stream: str,
    events: Sequence[Recorded[Any]],
    from_version: int,
    to_version: int,
    *,
    plain: Plain = plain,
) -> list[Change]:
    """What differs between two versions, by path, each with the event after the older version that
    touched it last. Going backwards is allowed; 0 is before the first event.

    `events` are those of the stream, from its first to the newer version at least.
    """
    low, high = sorted((max(0, from_version), max(0, to_version)))
    state = aggregate.initial(stream)
    flat = older = newer = flatten(plain(state))
    touched: dict[str, UUID] = {}
    for recorded in events:
        state = state.evolve(recorded.event)
        following = flatten(plain(state))
        if low < recorded.version <= high:
            for path in following.keys() | flat.keys():
                if following.get(path) != flat.get(path):
                    touched[path] = recorded.id
        flat = following
        if recorded.version <= low:
            older = flat
        if recorded.version <= high:
            newer = flat
    before, after = (older, newer) if from_version <= to_version else (newer, older)
    return [
        Change(path, before.get(path), after.get(path), touched[path])
        for path in sorted(before.keys() | after.keys())
        if before.get(path) != after.get(path)
    ]


def flatten(value: Any, path: str = "") -> dict[str, str]:
    """Leaves by dotted path, as JSON text; an empty list or object is a leaf."""
    if isinstance(value, Mapping) and value:
        items = [(str(key), each) for key, each in value.items()]
    elif isinstance(value, (list, tuple)) and value:
        items = [(str(index), each) for index, each in enumerate(value)]
    else:
        return {path: msgspec.json.encode(value).decode()}
    found: dict[str, str] = {}
    for key, each in items:
        found.update(flatten(each, f"{path}.{key}" if path else key))
    return found


@dataclass(frozen=True, slots=True)
class History:
    """What folds the streams of one kind, and how their states are shown."""

    aggregate: type[Folds]
    plain: Plain = plain

    def state(self, stream: str, events: Iterable[Recorded[Any]]) -> Any:
        """The state after `events` as JSON values."""
        return self.plain(fold(self.aggregate, stream, events))

    def differences(
        self, stream: str, events: Sequence[Recorded[Any]], from_version: int, to_version: int
    ) -> list[Change]:
        """See `differences`."""
        return differences(
            self.aggregate, stream, events, from_version, to_version, plain=self.plain
        )
