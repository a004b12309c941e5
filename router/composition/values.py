"""Constant GraphQL values as Python values: compared strictly, printed back as GraphQL.

`str`, `int`, `float`, `bool`, `None`, `list` and `dict` stand for themselves; an enum value is an
`EnumLiteral`, since a string is another thing.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from graphql import (
    BooleanValueNode,
    EnumValueNode,
    FloatValueNode,
    IntValueNode,
    ListValueNode,
    NullValueNode,
    ObjectValueNode,
    StringValueNode,
    ValueNode,
    VariableNode,
)


@dataclass(frozen=True, slots=True)
class EnumLiteral:
    """An enum value: a bare name."""

    name: str


@dataclass(frozen=True, slots=True)
class VariableLiteral:
    """A variable. Never allowed in a schema; kept so that a rule can refuse it by name."""

    name: str


Value = (
    None
    | bool
    | int
    | float
    | str
    | EnumLiteral
    | VariableLiteral
    | list["Value"]
    | dict[str, "Value"]
)


class Absent:
    """The type of `ABSENT`: there is no value, which is not the same as null."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT = Absent()


def from_node(node: ValueNode) -> Value:
    """The value that a syntax node spells."""
    match node:
        case StringValueNode(value=text):
            return text
        case IntValueNode(value=text):
            return int(text)
        case FloatValueNode(value=text):
            return float(text)
        case BooleanValueNode(value=flag):
            return flag
        case NullValueNode():
            return None
        case EnumValueNode(value=name):
            return EnumLiteral(name)
        case ListValueNode(values=items):
            return [from_node(item) for item in items]
        case ObjectValueNode(fields=fields):
            return {field.name.value: from_node(field.value) for field in fields}
        case VariableNode(name=variable):
            return VariableLiteral(variable.value)
    raise AssertionError(f"unknown value node {node.kind}")


def equal(left: Value | Absent, right: Value | Absent) -> bool:
    """Equality that keeps 1, 1.0 and true apart; the order of an object's fields is no matter."""
    if type(left) is not type(right):
        return False
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(equal, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(equal(left[key], right[key]) for key in left)
    return left == right


def show(value: Value) -> str:
    """The value as GraphQL source on one line."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case str():
            return json.dumps(value, ensure_ascii=False)
        case EnumLiteral(name=name):
            return name
        case VariableLiteral(name=name):
            return f"${name}"
        case list():
            return "[" + ", ".join(map(show, value)) + "]"
        case dict():
            if not value:
                return "{}"
            return "{" + ", ".join(f"{key}: {show(item)}" for key, item in value.items()) + "}"
