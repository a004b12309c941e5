"""The oracle finds what is wrong with a plan: each test spoils a good one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from graphql import parse

from router.composition import compose
from router.planner import Planner
from router.planner.check import PlanWrong, check_plan
from router.planner.display import display
from router.planner.plan import (
    Condition,
    Fetch,
    Flatten,
    Parallel,
    PlanNode,
    QueryPlan,
    RequiredField,
    Sequence,
)
from router.supergraph import Supergraph
from tests.support.golden_plans import graph_named
from tests.support.random_graph import LINK


def changed(node: PlanNode | None, change: Callable[[Fetch], Fetch]) -> PlanNode | None:
    """The tree with every fetch changed."""
    match node:
        case Fetch():
            return change(node)
        case Flatten():
            return replace(node, node=change(node.node))
        case Sequence() | Parallel():
            return replace(node, nodes=tuple(changed(one, change) for one in node.nodes))
        case Condition():
            return replace(
                node,
                if_clause=changed(node.if_clause, change),
                else_clause=changed(node.else_clause, change),
            )
        case _:
            return node


def problems(
    operation: str, spoil: Callable[[PlanNode], PlanNode | None], graph: str = "shop"
) -> str:
    """What the oracle says of the operation's plan once it is spoilt."""
    supergraph = graph_named(graph)
    document = parse(operation)
    plan = Planner(supergraph).plan(document)
    check_plan(supergraph, document, plan)
    assert plan.node is not None
    with pytest.raises(PlanWrong) as caught:
        check_plan(supergraph, document, QueryPlan(spoil(plan.node)))
    return "\n".join(caught.value.problems)


def rewording(old: str, new: str) -> Callable[[PlanNode], PlanNode | None]:
    """Spoil by replacing text in the operations sent."""
    return lambda node: changed(
        node, lambda fetch: replace(fetch, operation=fetch.operation.replace(old, new))
    )


def test_a_field_nobody_fetches() -> None:
    assert "articles.title: Article.title is not fetched" in problems(
        "{ articles { title price } }", rewording("title ", "")
    )


def test_other_arguments_than_asked() -> None:
    assert "not article(sku: " in problems(
        '{ article(sku: "1") { title } }', rewording('sku: "1"', 'sku: "2"')
    )


def test_a_field_of_another_subgraph() -> None:
    found = problems("{ viewer { name reviews { id } } }", rewording("reviews {", "name reviews {"))
    assert "Cannot query field 'name' on type 'Person'" in found


def test_an_external_field() -> None:
    found = problems(
        "{ articles { title available } }", rewording("{ available }", "{ available grams }")
    )
    assert "Article.grams is external there and not provided" in found


def test_a_requirement_not_sent() -> None:
    def without_grams(fetch: Fetch) -> Fetch:
        calls = tuple(
            replace(
                call,
                requires=tuple(
                    replace(
                        one,
                        selections=tuple(
                            field
                            for field in one.selections
                            if not isinstance(field, RequiredField) or field.name != "grams"
                        ),
                    )
                    for one in call.requires
                ),
            )
            for call in fetch.entities
        )
        return replace(fetch, entities=calls)

    found = problems("{ articles { postage } }", lambda node: changed(node, without_grams))
    assert "Article.postage requires" in found


def test_a_representation_before_its_key() -> None:
    def hasty(node: PlanNode) -> PlanNode:
        assert isinstance(node, Sequence)
        return Parallel(node.nodes)

    found = problems("{ articles { title available } }", hasty)
    assert "sku (from sku) is not there yet" in found or "available is not fetched" in found


def test_a_representation_without_a_key() -> None:
    found = problems("{ articles { title available } }", rewording("title sku", "title"))
    assert "sku (from sku) is not there yet" in found


def test_a_fetch_left_out_under_a_condition() -> None:
    def never(node: PlanNode) -> PlanNode:
        assert isinstance(node, Sequence)
        condition = node.nodes[1]
        assert isinstance(condition, Condition)
        return Sequence((node.nodes[0], replace(condition, if_clause=None)))

    found = problems(
        "query ($x: Boolean!) { articles { title available @include(if: $x) } }", never
    )
    assert "articles.available: Article.available is not fetched" in found


def test_mutations_out_of_order() -> None:
    def backwards(node: PlanNode) -> PlanNode:
        assert isinstance(node, Sequence)
        return Sequence(tuple(reversed(node.nodes)))

    found = problems(
        'mutation { addArticle(title: "x") { sku } receive(sku: "1", count: 1) { sku } }', backwards
    )
    assert "mutations run as" in found


def test_the_type_behind_an_interface_object() -> None:
    def first_only(node: PlanNode) -> PlanNode:
        assert isinstance(node, Sequence)
        return node.nodes[0]

    found = problems("{ seen { __typename } }", first_only, graph="fleet")
    assert "the type of a Vehicle is not found out" in found


def test_a_type_that_is_not_found_out_in_time() -> None:
    def at_once(node: PlanNode) -> PlanNode:
        assert isinstance(node, Sequence)
        return Sequence((node.nodes[0], Parallel(node.nodes[1:])))

    found = problems("{ seen { ... on Car { service } } }", at_once, graph="fleet")
    assert "seen.service: Car.service is not fetched" in found


def test_mutations_of_one_request_out_of_order() -> None:
    found = problems(
        'mutation { a: addArticle(title: "x") { sku } b: addArticle(title: "y") { sku } }',
        rewording(
            'a: addArticle(title: "x") { sku } b: addArticle(title: "y") { sku }',
            'b: addArticle(title: "y") { sku } a: addArticle(title: "x") { sku }',
        ),
    )
    assert "mutations run as" in found


def test_an_overridden_field() -> None:
    supergraph = graph_named("moves")
    document = parse("{ users { phone } }")
    plan = Planner(supergraph).plan(document)
    check_plan(supergraph, document, plan)
    with pytest.raises(PlanWrong, match=r"User\.phone is overridden"):
        check_plan(supergraph, document, plan, override_labels=frozenset(("phones",)))


def test_an_alias_left_in_place() -> None:
    result = compose(
        [
            ("a", LINK + "type Query { users: [User!]! } type User { id: ID @shareable }"),
            (
                "b",
                LINK + "type Query { accounts: [Account!]! } union Account = User | Admin"
                ' type User @key(fields: "id") { id: ID! name: String }'
                " type Admin { id: ID name: String }",
            ),
        ]
    )
    assert result.supergraph_sdl is not None, result.errors
    supergraph = Supergraph.from_sdl(result.supergraph_sdl)
    document = parse("{ accounts { ... on User { id } ... on Admin { id } } }")
    plan = Planner(supergraph).plan(document)
    check_plan(supergraph, document, plan)
    assert "_lonja1_id: id" in display(plan)
    spoilt = changed(plan.node, lambda fetch: replace(fetch, output_rewrites=()))
    with pytest.raises(PlanWrong, match="is not fetched"):
        check_plan(supergraph, document, QueryPlan(spoilt))
