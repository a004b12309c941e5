"""A cache of bounded count and weight: what was used longest ago goes first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class BoundedCache(Generic[Key, Value]):
    """At most `entries_max` entries that weigh at most `weight_max` together."""

    def __init__(self, entries_max: int, weight_max: float = float("inf")) -> None:
        self.entries_max = entries_max
        self.weight_max = weight_max
        self.weight = 0
        self._entries: OrderedDict[Key, tuple[Value, int]] = OrderedDict()

    def get(self, key: Key) -> Value | None:
        """The value, now the most recently used; None where there is none."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        self._entries.move_to_end(key)
        return entry[0]

    def put(self, key: Key, value: Value, weight: int = 1) -> None:
        """Keep a value, unless it alone is too heavy."""
        self.discard(key)
        if weight > self.weight_max or self.entries_max < 1:
            return
        self._entries[key] = (value, weight)
        self.weight += weight
        while len(self._entries) > self.entries_max or self.weight > self.weight_max:
            _, (_, gone) = self._entries.popitem(last=False)
            self.weight -= gone

    def discard(self, key: Key) -> None:
        """Forget a value, if it is there."""
        entry = self._entries.pop(key, None)
        if entry is not None:
            self.weight -= entry[1]

    def __len__(self) -> int:
        return len(self._entries)
