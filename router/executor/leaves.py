"""Result coercion of leaves (GraphQL § 3.5): what a subgraph sent, as the type allows it."""

from __future__ import annotations

import math
from typing import Any, Final

INT_MAX: Final = 2**31 - 1
INT_MIN: Final = -(2**31)


class WrongLeaf(Exception):
    """The value is none of the type's; `reason` does not repeat it, as it may be hidden."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


def complete_leaf(typename: str, values: frozenset[str] | None, value: Any) -> Any:
    """Coerce a value that is not null. Custom scalars take any value. Raises WrongLeaf."""
    if values is not None:
        if isinstance(value, str) and value in values:
            return value
        raise WrongLeaf(f"is no value of enum `{typename}`")
    match typename:
        case "String":
            return _string(value)
        case "ID":
            return _id(value)
        case "Int":
            return _int(value)
        case "Float":
            return _float(value)
        case "Boolean":
            return _boolean(value)
        case _:
            return value


def _string(value: Any) -> str:
    if isinstance(value, str):  # services in this process may have strings of their own kind
        return value
    raise WrongLeaf("is no String")


def _id(value: Any) -> str:
    if isinstance(value, str):
        return value
    if type(value) is int:
        return str(value)
    raise WrongLeaf("is no ID")


def _int(value: Any) -> int:
    if type(value) is float and math.isfinite(value) and value == int(value):
        value = int(value)
    if isinstance(value, int) and type(value) is not bool and INT_MIN <= value <= INT_MAX:
        return int(value)
    raise WrongLeaf("is no 32-bit Int")


def _float(value: Any) -> float:
    if type(value) in (float, int):
        return value  # type: ignore[no-any-return]
    raise WrongLeaf("is no Float")


def _boolean(value: Any) -> bool:
    if type(value) is bool:
        return value
    raise WrongLeaf("is no Boolean")
