"""Federation 1 schemas: what the upgrade makes of each thing that Federation 1 allowed."""

from __future__ import annotations

from graphql import parse

from router.composition import compose
from router.composition.build import build_schema
from router.composition.model import FieldDef, Schema
from router.composition.printing import print_applied
from tests.router.composition.cases import parse_case


def supergraph(text: str) -> Schema:
    result = compose(parse_case(text))
    assert result.errors == ()
    assert result.supergraph_sdl is not None
    return build_schema(parse(result.supergraph_sdl, no_location=True))


def joins(field: FieldDef) -> list[str]:
    return [print_applied(one)[len("@join__field") :] for one in field.directives]


OTHER = """
### other
type Query { t: T }
type T @key(fields: "id") { id: ID! x: Int z: Int }
"""


def test_fields_of_a_key_may_be_a_list_or_a_name() -> None:
    schema = supergraph(
        OTHER + '### a\nextend type T @key(fields: ["id"]) { id: ID! @external y: Int }\n'
        "### b\nextend type T @key(fields: id) { id: ID! @external w: Int }\n"
    )
    keys = [print_applied(one) for one in schema.types["T"].directives]
    assert keys == [
        '@join__type(graph: A, key: "id")',
        '@join__type(graph: B, key: "id")',
        '@join__type(graph: OTHER, key: "id")',
    ]
    assert joins(schema.types["T"].fields["id"]) == []


def test_unused_externals_vanish() -> None:
    schema = supergraph(
        OTHER + '### a\nextend type T @key(fields: "id") { id: ID! @external x: Int @external }\n'
    )
    assert joins(schema.types["T"].fields["x"]) == ["(graph: OTHER)"]


def test_useless_provides_and_requires_vanish() -> None:
    schema = supergraph(
        OTHER
        + '### a\nextend type Query { u: T @provides(fields: "id x") }\n'
        + 'extend type T @key(fields: "id") { id: ID! @external x: Int @external '
        + 'y: Int @requires(fields: "id") }\n'
    )
    assert joins(schema.types["Query"].fields["u"]) == ['(graph: A, provides: "x")']
    assert joins(schema.types["T"].fields["y"]) == ["(graph: A)"]


def test_value_types_and_keys_are_shared() -> None:
    schema = supergraph(
        "### a\ntype Query { v: V }\ntype V { x: Int }\n### b\ntype V { x: Int }\n"
        'type W @key(fields: "id") { id: ID! v: V }\n'
    )
    assert joins(schema.types["V"].fields["x"]) == []


def test_tags_on_externals_count_where_they_are_resolved() -> None:
    schema = supergraph(
        OTHER.replace("x: Int", 'x: Int @tag(name: "t")')
        + '### a\nextend type T @key(fields: "id") { id: ID! @external '
        + 'x: Int @external @tag(name: "t") y: Int @requires(fields: "x") }\n'
    )
    assert [one.name for one in schema.types["T"].fields["x"].directives].count("tag") == 1


def test_keys_of_interfaces_do_not_count() -> None:
    schema = supergraph(
        "### a\ntype Query { n: N }\n"
        'interface N @key(fields: "id") { id: ID! }\n'
        'type T implements N @key(fields: "id") { id: ID! }\n'
    )
    assert [print_applied(one) for one in schema.types["N"].directives] == ["@join__type(graph: A)"]


def test_extensions_are_told_by_what_was_written_not_by_what_is_upgraded() -> None:
    text = """
### a
extend type T @key(fields: "id") { id: ID! @external x: Int }
### b
type Query { t: T }
type T @key(fields: "id") @extends { id: ID! @external y: Int }
"""
    errors = compose(parse_case(text)).errors
    assert [(one.code, one.subgraphs) for one in errors] == [("EXTENSION_WITH_NO_BASE", ("b",))]
