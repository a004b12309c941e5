"""Plans kept by what was asked, in normal form."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable

from router.planner.plan import QueryPlan
from router.planner.selection import Selection
from router.planner.text import Header


class PlanCache:
    """The plans used last, `size_max` of them.

    Operations that differ in name, in fragments or in spelling alone share a plan: the key is the
    normalised selection, the variables' definitions and the active override labels. Literals are
    part of it; clients that want to share plans put values in variables.
    """

    def __init__(self, size_max: int) -> None:
        self.size_max = size_max
        self.hits = self.misses = 0
        self._plans: OrderedDict[Hashable, QueryPlan] = OrderedDict()

    @staticmethod
    def key(selection: Selection, header: Header, labels: frozenset[str]) -> Hashable:
        """Equal for operations that have the same plan."""
        variables = tuple(sorted(header.variables.values()))
        return header.kind, labels, variables, fingerprint(selection)

    def get(self, key: Hashable) -> QueryPlan | None:
        """The plan, now the one used last."""
        plan = self._plans.get(key)
        if plan is None:
            self.misses += 1
            return None
        self.hits += 1
        self._plans.move_to_end(key)
        return plan

    def put(self, key: Hashable, plan: QueryPlan) -> None:
        """Keep a plan; the one unused longest goes where there are too many."""
        self._plans[key] = plan
        while len(self._plans) > self.size_max:
            self._plans.popitem(last=False)

    def __len__(self) -> int:
        return len(self._plans)


def fingerprint(selection: Selection) -> str:
    """The selection as text, complete and without ambiguity."""
    parts: list[str] = []
    _write(selection, parts)
    return "".join(parts)


def _write(selection: Selection, parts: list[str]) -> None:
    parts.append("{")
    for field in selection.fields.values():
        parts.append(f"{field.key}:{field.name}{field.args}{field.directives} ")
        for variable, wanted in field.conditions:
            parts.append(f"@{'' if wanted else '!'}{variable} ")
        if field.sub is not None:
            _write(field.sub, parts)
    for name, cast in selection.casts.items():
        parts.append(f"...{name} ")
        _write(cast, parts)
    parts.append("}")
