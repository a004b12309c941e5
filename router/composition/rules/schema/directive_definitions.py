"""DIRECTIVE_DEFINITION_INVALID: a schema that defines a federation directive must define it right.

Optional arguments may be left out, made required, or narrowed from a federation scalar to a
built-in one; anything else must be as the specification has it.
"""

from __future__ import annotations

from collections.abc import Iterator

from graphql import DirectiveDefinitionNode

from router.composition.build import directive_definition
from router.composition.federation_spec import ALL_FEDERATION_DIRECTIVES, federation_directives
from router.composition.model import BUILT_IN_SCALARS, DirectiveDef, InputDef
from router.composition.problems import CompositionError
from router.composition.rules.report import in_subgraph
from router.composition.subgraph import SubgraphSchema, local_type
from router.composition.types import ListOf, Named, NonNull, TypeRef, nullable
from router.composition.values import equal

LENIENT_IN_FEDERATION_1 = ("key", "requires", "provides")


def check(subgraph: SubgraphSchema) -> Iterator[CompositionError]:
    if subgraph.document is None:
        return
    canonical = {name: key for key, names in subgraph.local.items() for name in names}
    known = ALL_FEDERATION_DIRECTIVES | federation_directives(subgraph.version)
    for node in subgraph.document.definitions:
        if not isinstance(node, DirectiveDefinitionNode) or node.name.value not in canonical:
            continue
        found = directive_definition(node)
        name = canonical[found.name]
        if not subgraph.federation2 and name in LENIENT_IN_FEDERATION_1 and _tolerated(found):
            continue
        for fault in _faults(subgraph, known[name], found):
            yield in_subgraph(
                subgraph,
                "DIRECTIVE_DEFINITION_INVALID",
                f"@{found.name} is not defined as federation has it: {fault}; "
                f"leave the definition out and it will be provided",
                f"@{found.name}",
                found,
            )


def _tolerated(found: DirectiveDef) -> bool:
    """Definitions that Federation 1 let pass: no arguments, or `fields` nullable or misnamed."""
    types = [str(argument.type) for argument in found.args.values()]
    return not types or (
        list(found.args) == ["fields"] and types[0] in ("String", "_FieldSet", "FieldSet")
    )


def _faults(subgraph: SubgraphSchema, wanted: DirectiveDef, found: DirectiveDef) -> Iterator[str]:
    if found.repeatable != wanted.repeatable:
        yield f"it must {'' if wanted.repeatable else 'not '}be repeatable"
    wrong = [one for one in found.locations if one not in wanted.locations]
    if wrong:
        yield f"it cannot stand on {', '.join(wrong)}, only on {', '.join(wanted.locations)}"
    for argument in wanted.args.values():
        own = found.args.get(argument.name)
        if own is None:
            if argument.required:
                yield f"argument `{argument.name}: {argument.type}` is missing"
        else:
            yield from _argument_faults(subgraph, argument, own)
    for name in found.args:
        if name not in wanted.args:
            yield f"there is no argument `{name}`"


def _argument_faults(subgraph: SubgraphSchema, wanted: InputDef, own: InputDef) -> Iterator[str]:
    type_found: TypeRef = own.type
    if isinstance(type_found, NonNull) and not isinstance(wanted.type, NonNull):
        type_found = nullable(type_found)
    if not _acceptable(subgraph, wanted.type, type_found):
        yield f"argument `{wanted.name}` is `{own.type}` instead of `{wanted.type}`"
    elif not isinstance(own.type, NonNull) and not equal(wanted.default, own.default):
        yield f"argument `{wanted.name}` has another default"


def _acceptable(subgraph: SubgraphSchema, wanted: TypeRef, found: TypeRef) -> bool:
    if isinstance(wanted, NonNull):
        return isinstance(found, NonNull) and _acceptable(subgraph, wanted.inner, found.inner)
    if isinstance(wanted, ListOf):
        return isinstance(found, ListOf) and _acceptable(subgraph, wanted.inner, found.inner)
    if not isinstance(found, Named):
        return False
    if found.name in (wanted.name, local_type(subgraph, wanted.name)):
        return True
    return wanted.name not in BUILT_IN_SCALARS and found.name in BUILT_IN_SCALARS
