"""Reading supergraphs: who has what, what clients see, and what is refused."""

from __future__ import annotations

import pytest
from graphql import print_schema

from router.supergraph import Supergraph, SupergraphError
from router.supergraph.errors import (
    BadFieldSet,
    FeatureUnsupported,
    JoinSpecUnsupported,
    NotASupergraph,
    SubgraphNameTwice,
    SupergraphSchemaInvalid,
    SupergraphSyntax,
    UnknownGraph,
)
from router.supergraph.schema import subgraph_sdl
from router.supergraph.views import Kind, Label

HEAD = """
schema
  @link(url: "https://specs.apollo.dev/link/v1.0")
  @link(url: "https://specs.apollo.dev/join/v0.5", for: EXECUTION)
  @link(url: "https://specs.apollo.dev/inaccessible/v0.2", import: [{name: "@inaccessible", as: "@hidden"}])
{ query: Query }
enum join__Graph {
  A @join__graph(name: "a-one", url: "http://a.test/graphql")
  B @join__graph(name: "b", url: "http://b.test/graphql")
}
scalar join__FieldSet
directive @hidden on FIELD_DEFINITION | OBJECT | ENUM_VALUE | ARGUMENT_DEFINITION
directive @join__type(graph: join__Graph!) repeatable on OBJECT
"""  # noqa: E501 - one directive a line

BODY = """
type Query @join__type(graph: A) @join__type(graph: B) {
  thing(secret: Int @hidden, size: Size = BIG): Thing @join__field(graph: A)
  hidden: Gone @join__field(graph: B) @hidden
}
interface Named @join__type(graph: A) @join__type(graph: B, isInterfaceObject: true, key: "id") {
  id: ID!
  name: String @join__field(graph: B)
}
type Thing implements Named
  @join__implements(graph: A, interface: "Named")
  @join__type(graph: A, key: "id") @join__type(graph: A, key: "id narrow", resolvable: false)
  @join__type(graph: B, key: "id", extension: true)
{
  id: ID!
  name: String @join__field
  narrow: ID @join__field(graph: A, type: "ID!") @join__field(graph: B, external: true)
  moved: Int @join__field(graph: A, override: "b") @join__field(graph: B, usedOverridden: true)
  moving: Int
    @join__field(graph: A, override: "b", overrideLabel: "percent(5)")
    @join__field(graph: B, overrideLabel: "percent(5)")
  needs: Int @join__field(graph: B, requires: "narrow")
}
type Gone @join__type(graph: B) @hidden { x: Int }
union Any @join__type(graph: A) @join__unionMember(graph: A, member: "Thing") = Thing
enum Size @join__type(graph: A) { BIG @join__enumValue(graph: A) ODD @hidden @join__enumValue(graph: A) }
"""  # noqa: E501 - one type a line


@pytest.fixture(scope="module")
def supergraph() -> Supergraph:
    return Supergraph.from_sdl(HEAD + BODY)


def test_subgraphs_have_names_and_urls(supergraph: Supergraph) -> None:
    found = [(one.graph, one.name, one.url) for one in supergraph.subgraphs]
    assert found == [
        ("A", "a-one", "http://a.test/graphql"),
        ("B", "b", "http://b.test/graphql"),
    ]


def test_clients_see_neither_machinery_nor_what_is_hidden(supergraph: Supergraph) -> None:
    shown = print_schema(supergraph.api_schema)
    for word in ("join__", "link__", "hidden", "Gone", "secret", "ODD"):
        assert word not in shown
    assert "thing(size: Size = BIG): Thing" in shown
    assert supergraph.inaccessible_enum_values == {"Size": frozenset(("ODD",))}
    assert "Gone" in supergraph.schema.type_map


def test_a_composed_directive_that_clients_may_use_is_theirs() -> None:
    link = '@link(url: "https://rules.test/access/v1.0", import: ["@access", "@owner"])'
    more = "directive @access(scope: Scope) on FIELD directive @owner on FIELD_DEFINITION"
    more += " directive @access__log(level: access__Level) on FIELD enum access__Level { LOW }"
    sdl = HEAD.replace("{ query: Query }", link + " { query: Query }", 1) + more
    schema = Supergraph.from_sdl(
        sdl + " type Query @join__type(graph: A) { a(scope: Scope): Int } enum Scope { ALL }"
    ).api_schema
    assert schema.get_directive("access") is not None
    assert schema.get_directive("owner") is None
    assert schema.get_directive("access__log") is None, "its arguments are of the feature's types"


def test_views_follow_the_join_directives(supergraph: Supergraph) -> None:
    a, b = supergraph.views["A"].types, supergraph.views["B"].types
    assert [(key.fields, key.resolvable) for key in a["Thing"].keys] == [
        ("id", True),
        ("id narrow", False),
    ]
    assert "name" not in a["Thing"].fields
    assert (b["Named"].kind, b["Named"].interface_object) == (Kind.OBJECT, True)
    assert b["Thing"].fields["narrow"].external
    assert b["Thing"].fields["needs"].requires == "narrow"
    assert (a["Thing"].fields["moved"].taken, b["Thing"].fields["moved"].taken) == (False, True)
    assert a["Thing"].fields["moving"].label == Label("percent(5)", active=True)
    assert b["Thing"].fields["moving"].label == Label("percent(5)", active=False)
    assert supergraph.override_labels == {"percent(5)"}
    assert supergraph.views["A"].possible_types("Any") == {"Thing"}
    assert supergraph.possible_types("Named") == {"Thing"}


def test_a_subgraph_schema_is_rebuilt(supergraph: Supergraph) -> None:
    sdl = subgraph_sdl(supergraph.views["A"], supergraph.roots)
    assert "narrow: ID!" in sdl
    assert "union _Entity = Thing" in sdl
    shown = print_schema(supergraph.subgraph_schema("b"))
    assert "type Named" in shown
    assert "_entities(representations: [_Any!]!): [_Entity]!" in shown


@pytest.mark.parametrize(
    ("sdl", "error", "words"),
    [
        ("type Query {\n  a: }", SupergraphSyntax, "at 2:6"),
        ("type Query { a: Int }", NotASupergraph, "lonja compose"),
        (HEAD.replace("join/v0.5", "join/v0.9") + BODY, JoinSpecUnsupported, "join v0.9"),
        (HEAD.replace("enum join__Graph", "enum Other") + BODY, NotASupergraph, "no enum"),
        (HEAD.replace('"a-one"', '"b"') + BODY, SubgraphNameTwice, '"b"'),
        (HEAD + BODY.replace("graph: B, requires", "graph: C, requires"), UnknownGraph, "graph C"),
        (HEAD + BODY.replace("x: Int", "x: Nowhere"), SupergraphSchemaInvalid, "Nowhere"),
        (HEAD + BODY.replace('key: "id"', 'key: "id {"'), BadFieldSet, "Syntax Error"),
        (HEAD + BODY.replace('key: "id"', 'key: "nope"'), BadFieldSet, "no field Thing.nope"),
        (
            HEAD.replace("inaccessible/v0.2", "novelty/v1.0").replace(
                'v1.0", import', 'v1.0", for: SECURITY, import'
            )
            + BODY,
            FeatureUnsupported,
            "novelty",
        ),
    ],
)
def test_refusals(sdl: str, error: type[SupergraphError], words: str) -> None:
    with pytest.raises(error) as caught:
        Supergraph.from_sdl(sdl)
    assert words in str(caught.value)
