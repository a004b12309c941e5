"""INVALID_GRAPHQL: the arguments given to directives are of the types they are defined with.

graphql-core looks at their names only. Custom scalars take anything. Source: GraphQL § 5.6.1.
"""

from __future__ import annotations

from collections.abc import Iterator

from router.composition.federation_spec import ALL_FEDERATION_DIRECTIVES
from router.composition.model import FEDERATED, DirectiveDef, Schema
from router.composition.names import plain
from router.composition.problems import CompositionError
from router.composition.rules.report import in_subgraph
from router.composition.subgraph import SubgraphSchema, all_applied
from router.composition.types import ListOf, Named, NonNull, TypeRef
from router.composition.values import EnumLiteral, Value, VariableLiteral, show

INT_MAX = 2**31 - 1
INT_MIN = -(2**31)


def check(subgraph: SubgraphSchema) -> Iterator[CompositionError]:
    for one in all_applied(subgraph.schema):
        definition = _definition(subgraph, one.name)
        if definition is None:
            continue
        for name, value in one.args.items():
            argument = definition.args.get(name)
            if argument is not None and not fits(subgraph.schema, argument.type, value):
                shown = plain(one.name)
                yield in_subgraph(
                    subgraph,
                    "INVALID_GRAPHQL",
                    f"@{shown}({name}: {show(value)}): the argument is `{argument.type}`",
                    f"@{shown}({name}:)",
                    one,
                )


def _definition(subgraph: SubgraphSchema, name: str) -> DirectiveDef | None:
    if name.startswith(FEDERATED):
        return ALL_FEDERATION_DIRECTIVES.get(plain(name))
    return subgraph.schema.directives.get(name)


def fits(schema: Schema, ref: TypeRef, value: Value) -> bool:
    """Whether a constant can be given for a type. A single value stands for a list of one."""
    if isinstance(ref, NonNull):
        return value is not None and fits(schema, ref.inner, value)
    if value is None:
        return True
    if isinstance(value, VariableLiteral):
        return False
    if isinstance(ref, ListOf):
        items = value if isinstance(value, list) else [value]
        return all(fits(schema, ref.inner, item) for item in items)
    return _fits_named(schema, ref, value)


def _fits_named(schema: Schema, ref: Named, value: Value) -> bool:
    match ref.name:
        case "String":
            return isinstance(value, str)
        case "ID":
            return isinstance(value, str) or (isinstance(value, int) and value is not True)
        case "Boolean":
            return isinstance(value, bool)
        case "Int":
            return type(value) is int and INT_MIN <= value <= INT_MAX
        case "Float":
            return type(value) in (int, float)
    definition = schema.types.get(ref.name)
    if definition is None or definition.kind == "scalar":
        return True
    if definition.kind == "enum":
        return isinstance(value, EnumLiteral) and value.name in definition.values
    if not isinstance(value, dict):
        return False
    if any(name not in definition.input_fields for name in value):
        return False
    return all(
        fits(schema, item.type, value[item.name]) if item.name in value else not item.required
        for item in definition.input_fields.values()
    )
