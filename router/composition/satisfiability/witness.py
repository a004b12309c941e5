"""The query that shows what cannot be answered."""

from __future__ import annotations

from router.composition.model import FieldDef, RootKind, Schema, TypeDef
from router.composition.types import ListOf, Named, NonNull, TypeRef, base_name
from router.composition.values import EnumLiteral, Value, show

Path = tuple["Path", FieldDef | str] | None
"""A way through the supergraph, last step first: a field, or the name of a type condition."""

SAMPLE_VALUES: dict[str, Value] = {
    "Int": 1,
    "Float": 1.5,
    "Boolean": True,
    "String": "text",
    "ID": "id",
}
SAMPLE_DEPTH_MAX = 8
"""Nested input objects in a sample argument."""


def witness(schema: Schema, kind: RootKind, path: Path) -> str:
    """The operation along a path, `...` standing for whatever may be selected at its end."""
    steps: list[FieldDef | str] = []
    while path is not None:
        path, step = path
        steps.append(step)
    steps.reverse()
    lines = ["{" if kind == "query" else f"{kind} {{"]
    for depth, step in enumerate(steps, 1):
        head = f"... on {step}" if isinstance(step, str) else _field(schema, step)
        opens = depth < len(steps) or _has_fields(schema, step)
        lines.append("  " * depth + head + (" {" if opens else ""))
    open_blocks = len(steps) if _has_fields(schema, steps[-1]) else len(steps) - 1
    if open_blocks == len(steps):
        lines.append("  " * (len(steps) + 1) + "...")
    lines += ["  " * depth + "}" for depth in range(open_blocks, -1, -1)]
    return "\n".join(lines)


def _has_fields(schema: Schema, step: FieldDef | str) -> bool:
    if isinstance(step, str):
        return True
    found = schema.types.get(base_name(step.type))
    return found is not None and found.composite


def _field(schema: Schema, field: FieldDef) -> str:
    given = [
        f"{argument.name}: {show(_sample(schema, argument.type, 0))}"
        for argument in field.args.values()
        if argument.required
    ]
    return f"{field.name}({', '.join(given)})" if given else field.name


def _sample(schema: Schema, ref: TypeRef, depth: int) -> Value:
    if isinstance(ref, NonNull):
        return _sample(schema, ref.inner, depth)
    if isinstance(ref, ListOf):
        return []
    assert isinstance(ref, Named)
    found: TypeDef | None = schema.types.get(ref.name)
    if found is not None and found.kind == "enum":
        return EnumLiteral(next(iter(found.values), "VALUE"))
    if found is not None and found.kind == "input" and depth < SAMPLE_DEPTH_MAX:
        return {
            item.name: _sample(schema, item.type, depth + 1)
            for item in found.input_fields.values()
            if item.required
        }
    return SAMPLE_VALUES.get(ref.name, "value")
