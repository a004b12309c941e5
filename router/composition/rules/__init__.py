"""The rules of composition, each in a module of its own, in the order they are asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from router.composition.merge.records import Merge
from router.composition.problems import CompositionError
from router.composition.rules import subgraph_names
from router.composition.rules.hints import (
    argument_presence,
    compatible_types,
    composed_directives,
    default_presence,
    descriptions,
    directive_arguments,
    entity,
    enum_values,
    executable_directives,
    implied_version,
    input_field,
    overrides,
    union_member,
    unused_enum,
    value_type_field,
)
from router.composition.rules.hints import contextual_argument as contextual_hint
from router.composition.rules.merging import (
    argument_type,
    compose_directive,
    contextual_argument,
    default_values,
    empty_enum,
    empty_input,
    enum_value,
    extension_base,
    external_arguments,
    external_base,
    external_directives,
    external_type,
    field_sharing,
    field_type,
    import_names,
    interface_key_implementations,
    override_chain,
    override_collision,
    override_interface,
    override_label,
    override_self,
    queries,
    required_argument,
    required_input_field,
    type_kind,
)
from router.composition.rules.merging import interface_object as interface_object_merged
from router.composition.rules.schema import (
    auth_on_interface,
    context_key,
    context_name,
    context_named,
    context_selection,
    context_set,
    cost,
    directive_definitions,
    directive_values,
    external_on_interface,
    external_unused,
    field_set_arguments,
    field_set_directives,
    field_set_external,
    field_set_is_string,
    field_set_is_valid,
    field_set_on_interface,
    interface_key,
    interface_object,
    invalid_graphql,
    key_type,
    link_version,
    list_size,
    provides_and_external,
    provides_on_object,
    shareable,
    type_definitions,
    unknown_import,
)
from router.composition.rules.supergraph import (
    implementations,
    inaccessible_children,
    inaccessible_default,
    inaccessible_disallowed,
    inaccessible_implements,
    inaccessible_query,
    inaccessible_referenced,
    inaccessible_required,
    requires_arguments,
    transitive_auth,
    valid_schema,
)
from router.composition.subgraph import Subgraph, SubgraphSchema

SubgraphRule = Callable[[SubgraphSchema], Iterator[CompositionError]]
MergeRule = Callable[[Merge], Iterator[CompositionError]]

DOCUMENT_RULES: tuple[SubgraphRule, ...] = (
    link_version.check,
    unknown_import.check,
    directive_definitions.check,
    type_definitions.check,
    invalid_graphql.check,
    directive_values.check,
)
"""Asked of a schema as it was written; one fault ends them, since the next would follow from it."""

SUBGRAPH_RULES: tuple[SubgraphRule, ...] = (
    field_set_is_string.check,
    field_set_is_valid.check,
    field_set_directives.check,
    field_set_arguments.check,
    field_set_on_interface.check,
    field_set_external.check,
    key_type.check,
    provides_on_object.check,
    provides_and_external.check,
    context_name.check,
    context_set.check,
    context_named.check,
    context_selection.check,
    context_key.check,
    external_on_interface.check,
    external_unused.check,
    interface_key.check,
    interface_object.check,
    shareable.check,
    cost.check,
    list_size.check,
    auth_on_interface.check,
)
"""Asked of every schema once Federation 1 ones are upgraded."""

MERGE_RULES: tuple[MergeRule, ...] = (
    import_names.check,
    compose_directive.check,
    type_kind.check,
    interface_object_merged.check,
    interface_key_implementations.check,
    extension_base.check,
    override_interface.check,
    override_collision.check,
    override_self.check,
    override_chain.check,
    override_label.check,
    external_base.check,
    external_type.check,
    external_arguments.check,
    external_directives.check,
    field_type.check,
    field_sharing.check,
    argument_type.check,
    default_values.check,
    required_argument.check,
    contextual_argument.check,
    required_input_field.check,
    empty_input.check,
    enum_value.check,
    empty_enum.check,
    queries.check,
)

HINT_RULES: tuple[MergeRule, ...] = (
    implied_version.check,
    composed_directives.check,
    compatible_types.check,
    default_presence.check,
    argument_presence.check,
    entity.check,
    value_type_field.check,
    input_field.check,
    union_member.check,
    enum_values.check,
    unused_enum.check,
    executable_directives.check,
    overrides.check,
    directive_arguments.check,
    contextual_hint.check,
    descriptions.check,
)

SUPERGRAPH_RULES: tuple[MergeRule, ...] = (
    implementations.check,
    requires_arguments.check,
    transitive_auth.check,
    inaccessible_query.check,
    inaccessible_referenced.check,
    inaccessible_default.check,
    inaccessible_required.check,
    inaccessible_disallowed.check,
    inaccessible_implements.check,
    inaccessible_children.check,
    valid_schema.check,
)
"""Asked of the merged schema when merging found no error."""


def check_set(subgraphs: list[Subgraph]) -> Iterator[CompositionError]:
    """Faults of the subgraphs as a set."""
    yield from subgraph_names.check(subgraphs)


def check_document(subgraph: SubgraphSchema) -> Iterator[CompositionError]:
    """Faults of one schema as it was written: those of the first rule that finds any."""
    for rule in DOCUMENT_RULES:
        found = list(rule(subgraph))
        if found:
            yield from found
            return


def check_subgraph(subgraph: SubgraphSchema) -> Iterator[CompositionError]:
    """Faults of one schema, upgraded if need be."""
    for rule in SUBGRAPH_RULES:
        yield from rule(subgraph)


def check_merge(merge: Merge) -> Iterator[CompositionError]:
    """Faults of the merge, then hints."""
    for rule in (*MERGE_RULES, *HINT_RULES):
        yield from rule(merge)


def check_supergraph(merge: Merge) -> Iterator[CompositionError]:
    """Faults of the merged schema, before its machinery is added."""
    for rule in SUPERGRAPH_RULES:
        yield from rule(merge)
