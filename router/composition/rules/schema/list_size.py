"""LIST_SIZE_*: `@listSize` speaks of lists, integer arguments and sizes of nought or more."""

from __future__ import annotations

from collections.abc import Iterator

from router.composition.model import Directive, FieldDef, Schema, applied
from router.composition.names import LIST_SIZE
from router.composition.problems import CompositionError
from router.composition.rules.report import in_subgraph
from router.composition.subgraph import SubgraphSchema
from router.composition.types import Named, base_name, is_list, nullable


def check(subgraph: SubgraphSchema) -> Iterator[CompositionError]:
    for _, field in subgraph.schema.fields():
        for directive in applied(field, LIST_SIZE):
            for code, fault in _faults(subgraph.schema, field, directive):
                message = f"@listSize on {field.coordinate}: {fault}"
                yield in_subgraph(subgraph, code, message, field.coordinate, directive)


def _names(directive: Directive, argument: str) -> list[str]:
    value = directive.args.get(argument)
    items = value if isinstance(value, list) else [value]
    return [item for item in items if isinstance(item, str)]


def _faults(schema: Schema, field: FieldDef, directive: Directive) -> Iterator[tuple[str, str]]:
    sized = _names(directive, "sizedFields")
    if not sized and not is_list(field.type):
        yield "LIST_SIZE_APPLIED_TO_NON_LIST", f"its type `{field.type}` is no list"
    assumed = directive.args.get("assumedSize")
    if isinstance(assumed, int) and assumed < 0:
        yield "LIST_SIZE_INVALID_ASSUMED_SIZE", f"assumedSize is {assumed}, must be 0 or more"
    for name in _names(directive, "slicingArguments"):
        argument = field.args.get(name)
        if argument is None:
            yield "LIST_SIZE_INVALID_SLICING_ARGUMENT", f'there is no argument "{name}"'
        elif nullable(argument.type) != Named("Int"):
            yield (
                "LIST_SIZE_INVALID_SLICING_ARGUMENT",
                f'argument "{name}" is `{argument.type}`, must be `Int` or `Int!`',
            )
    target = schema.types.get(base_name(field.type))
    for name in sized:
        if target is None or not target.composite:
            yield (
                "LIST_SIZE_INVALID_SIZED_FIELD",
                f'sizedFields names "{name}", but `{field.type}` has no fields',
            )
        elif name not in target.fields:
            yield "LIST_SIZE_INVALID_SIZED_FIELD", f'"{target.name}" has no field "{name}"'
        elif not is_list(target.fields[name].type):
            yield (
                "LIST_SIZE_APPLIED_TO_NON_LIST",
                f"sized field {target.name}.{name} is `{target.fields[name].type}`, no list",
            )
