"""The projection of an answer as generated Python: one expression an object, no path kept.

It handles answers without a fault. At the first fault (null where it is forbidden, a value of the
wrong kind, a hidden enum value) it raises `Faulty`, and the answer is completed anew with care by
`null_propagation`. Only constants made by `repr` of strings from the validated operation and schema
enter the generated text.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from types import CodeType
from typing import Any, NoReturn, TypeAlias

from router.executor.leaves import INT_MAX, INT_MIN
from router.executor.paths import KEPT_MAX, JsonObject
from router.executor.shape import (
    CompositeShape,
    FieldShape,
    LeafShape,
    ListShape,
    ObjectShape,
    RawShape,
    ValueShape,
)

Project: TypeAlias = Callable[[JsonObject], JsonObject]


class Faulty(Exception):
    """The answer has a fault somewhere."""


def _fault() -> NoReturn:
    raise Faulty


def compile_projection(shape: ObjectShape) -> Project:
    """A function from the response tree to `data`. It raises Faulty, or TypeError for a fault."""
    return _Source(shape).function()


@lru_cache(KEPT_MAX)
def _code(text: str) -> CodeType:
    """Compiled text, shared by operations that ask for the same fields."""
    return compile(text, "<projection>", "exec")


class _ByType(dict[str, Project]):
    """Projections of an abstract type's objects, compiled when a type first turns up."""

    def __init__(self, shape: CompositeShape) -> None:
        super().__init__()
        self.shape = shape

    def __missing__(self, typename: str) -> Project:
        if typename not in self.shape.possible:
            raise Faulty
        shape = self.shape.of(typename)
        if shape.unknowable:
            raise Faulty
        project = self[typename] = compile_projection(shape)
        return project


class _Source:
    """The text of one object's function, and the names it uses."""

    def __init__(self, shape: ObjectShape) -> None:
        self.shape = shape
        self.names: dict[str, Any] = {"fault": _fault}

    def function(self) -> Project:
        members = ", ".join(f"{field.key!r}: {self._field(field)}" for field in self.shape.fields)
        exec(_code(f"def project(o):\n    g = o.get\n    return {{{members}}}\n"), self.names)
        project: Project = self.names["project"]
        return project

    def _name(self, value: Any) -> str:
        name = f"n{len(self.names)}"
        self.names[name] = value
        return name

    def _field(self, field: FieldShape) -> str:
        if field.typename:
            return repr(self.shape.typename)
        return self._value(field.value, field.required, f"(v := g({field.key!r}))", "v")

    def _value(self, shape: ValueShape, required: bool, first: str, again: str) -> str:
        """An expression for a value; `first` yields it the first time, `again` every other time."""
        if isinstance(shape, RawShape) or (isinstance(shape, LeafShape) and _any(shape)):
            return f"{again} if {first} is not None else fault()" if required else first
        test, result = self._test(shape, first, again)
        otherwise = "fault()" if required else f"None if {again} is None else fault()"
        return f"{result} if {test} else {otherwise}"

    def _test(self, shape: ValueShape, first: str, again: str) -> tuple[str, str]:
        """A test that the value is of the right kind, and the completed value if so."""
        if isinstance(shape, LeafShape):
            return self._leaf(shape, first, again)
        if isinstance(shape, ListShape):
            item = self._value(shape.item, shape.required, "x", "x")
            if item == "x":
                return f"type({first}) is list", again
            return f"type({first}) is list", f"[{item} for x in {again}]"
        assert isinstance(shape, CompositeShape)
        if shape.abstract:
            by_type = self._name(_ByType(shape))
            return (
                f"type({first}) is dict",
                f"{by_type}[{again}.get('__typename', {shape.name!r})]({again})",
            )
        project = self._name(compile_projection(shape.of(shape.name)))
        return f"type({first}) is dict", f"{project}({again})"

    def _leaf(self, shape: LeafShape, first: str, again: str) -> tuple[str, str]:
        if shape.values is not None:
            return f"{first} in {self._name(shape.values)}", again
        match shape.name:
            case "Int":
                return f"type({first}) is int and {INT_MIN} <= {again} <= {INT_MAX}", again
            case "Float":
                return f"type({first}) in {self._name((float, int))}", again
            case "Boolean":
                return f"type({first}) is bool", again
            case "ID":
                return (
                    f"type({first}) is str or type({again}) is int",
                    f"({again} if type({again}) is str else str({again}))",
                )
            case _:
                return f"type({first}) is str", again


def _any(shape: LeafShape) -> bool:
    """Custom scalars take whatever comes."""
    return shape.values is None and shape.name not in {"String", "ID", "Int", "Float", "Boolean"}
