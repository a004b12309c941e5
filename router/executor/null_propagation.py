"""Completing an answer with care: every fault found, placed, and propagated (GraphQL § 6.4.4).

The compiled projection (`projection.py`) does the same for answers without a fault and hands those
with one to this module, which is the reference for both.
"""

from __future__ import annotations

from typing import Any, Final

from router.executor.errors import ErrorSink, Explanations
from router.executor.leaves import WrongLeaf, complete_leaf
from router.executor.paths import JsonObject, ResponsePath
from router.executor.shape import (
    CompositeShape,
    FieldShape,
    LeafShape,
    ListShape,
    ObjectShape,
    ValueShape,
)

NULL_CODE: Final = "UNEXPECTED_NULL"
VALUE_CODE: Final = "UNEXPECTED_VALUE"


class _Nulled(Exception):
    """A required value is missing: the nearest nullable value above becomes null."""


def complete(shape: ObjectShape, tree: JsonObject, errors: ErrorSink) -> JsonObject | None:
    """The answer's `data`. A new error is added only where none explains the missing value."""
    completion = _Completion(errors)
    try:
        return completion.object(shape, tree, ())
    except _Nulled:
        return None


class _Completion:
    def __init__(self, errors: ErrorSink) -> None:
        self.errors = errors
        self.explanations: Explanations = errors.explanations()

    def object(self, shape: ObjectShape, value: JsonObject, path: ResponsePath) -> JsonObject:
        return {
            field.key: self.field(shape, field, value, (*path, field.key)) for field in shape.fields
        }

    def field(
        self, shape: ObjectShape, field: FieldShape, owner: JsonObject, path: ResponsePath
    ) -> Any:
        where = f"{field.parent}.{field.name}"
        if field.typename:
            return shape.typename
        return self.value(field.value, field.required, owner.get(field.key), path, where)

    def value(
        self, shape: ValueShape, required: bool, value: Any, path: ResponsePath, where: str
    ) -> Any:
        """Complete one value; a fault below becomes null here unless null is forbidden here."""
        if value is None:
            if not required:
                return None
            self._fault(path, NULL_CODE, f"`{where}` may not be null, but no value came for it")
            raise _Nulled
        try:
            return self._present(shape, value, path, where)
        except WrongLeaf as wrong:
            self._fault(path, VALUE_CODE, f"the value that came for `{where}` {wrong.reason}")
        except _Nulled:
            pass
        if required:
            raise _Nulled
        return None

    def _present(self, shape: ValueShape, value: Any, path: ResponsePath, where: str) -> Any:
        if isinstance(shape, LeafShape):
            return complete_leaf(shape.name, shape.values, value)
        if isinstance(shape, ListShape):
            if type(value) is not list:
                raise WrongLeaf("is no list")
            return [
                self.value(shape.item, shape.required, item, (*path, index), where)
                for index, item in enumerate(value)
            ]
        if isinstance(shape, CompositeShape):
            return self.object(self._of(shape, value), value, path)
        return value

    def _of(self, shape: CompositeShape, value: Any) -> ObjectShape:
        if type(value) is not dict:
            raise WrongLeaf("is no object")
        if not shape.abstract:
            return shape.of(shape.name)
        typename = value.get("__typename", shape.name)
        if type(typename) is not str or typename not in shape.possible:
            raise WrongLeaf(f"is of no type that `{shape.name}` may be")
        found = shape.of(typename)
        if found.unknowable:
            raise WrongLeaf(f"is some `{typename}`, its own type is not known")
        return found

    def _fault(self, path: ResponsePath, code: str, message: str) -> None:
        if self.explanations.explain(path):
            return
        self.errors.add({"message": message, "path": list(path), "extensions": {"code": code}})
        self.explanations.add(path)
