"""Refusals of the planner."""

from __future__ import annotations

from typing import ClassVar

from router.errors import RouterError


class PlanningError(RouterError):
    """The operation has no plan."""

    code: ClassVar[str] = "QUERY_PLANNING_FAILED"


class UnknownOperation(PlanningError):
    """The document has no operation of that name, or several and no name was given."""

    code: ClassVar[str] = "UNKNOWN_OPERATION"

    def __init__(self, name: str | None, known: tuple[str, ...]) -> None:
        wanted = f'"{name}"' if name else "without a name, which needs exactly one"
        super().__init__(f"no operation {wanted}; the document has: {', '.join(known) or 'none'}")
        self.name, self.known = name, known


class Unreachable(PlanningError):
    """No subgraph can be asked for a field from where the operation asks for it."""

    def __init__(self, type_name: str, field: str, path: str) -> None:
        super().__init__(
            f"no subgraph can be asked for {type_name}.{field} at {path or 'the root'}:"
            " the supergraph is not satisfiable there, compose it again"
        )
        self.type_name, self.field, self.path = type_name, field, path


class OperationTooLarge(PlanningError):
    """The operation has more selections, fragments expanded, than the limit."""

    code: ClassVar[str] = "OPERATION_TOO_LARGE"

    def __init__(self, limit: int) -> None:
        super().__init__(f"the operation selects more than {limit} fields: ask for less at once")
        self.limit = limit


class PlanTooLarge(PlanningError):
    """The plan would take more fetches than the limit."""

    code: ClassVar[str] = "PLAN_TOO_LARGE"

    def __init__(self, limit: int) -> None:
        super().__init__(f"the operation needs more than {limit} fetches: ask for less at once")
        self.limit = limit
