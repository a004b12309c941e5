"""The planner as a whole: cache, labels, limits, order, and what has no plan."""

from __future__ import annotations

from itertools import count

import pytest
from graphql import parse, validate

from router.composition import compose
from router.planner import Planner, PlannerConfig
from router.planner.check import check_plan
from router.planner.errors import (
    OperationTooLarge,
    PlanTooLarge,
    UnknownOperation,
    Unreachable,
)
from router.planner.plan import Fetch, Parallel, PlanNode, QueryPlan, Sequence, Subscription
from router.supergraph import Supergraph
from tests.support.golden_plans import graph_named
from tests.support.random_graph import LINK


def composed(**subgraphs: str) -> Supergraph:
    """A supergraph of subgraphs given as SDL without the link."""
    result = compose([(name, LINK + sdl) for name, sdl in subgraphs.items()])
    assert result.supergraph_sdl is not None, [error.message for error in result.errors]
    return Supergraph.from_sdl(result.supergraph_sdl)


def planned(
    supergraph: Supergraph, operation: str, config: PlannerConfig | None = None
) -> QueryPlan:
    """The plan of an operation, checked."""
    document = parse(operation)
    assert validate(supergraph.api_schema, document) == []
    plan = Planner(supergraph, config).plan(document)
    check_plan(supergraph, document, plan)
    return plan


def depth(node: PlanNode | None) -> int:
    """How many requests come one after another."""
    match node:
        case None:
            return 0
        case Sequence():
            return sum(map(depth, node.nodes))
        case Parallel():
            return max(map(depth, node.nodes))
        case _:
            return 1


def test_operations_of_one_normal_form_share_a_plan() -> None:
    planner = Planner(graph_named("shop"))
    first = planner.plan(
        parse("query One { articles { sku ... { title } ...F } } fragment F on Article { price }")
    )
    again = planner.plan(
        parse("query Two { articles { sku title ...G } } fragment G on Article { price title }")
    )
    assert again is first
    assert planner.plan(parse("{ articles { sku title price } viewer { id } }")) is not first
    assert (planner.cache.hits, planner.cache.misses) == (1, 2)


def test_variables_and_labels_are_part_of_the_cache_key() -> None:
    planner = Planner(graph_named("moves"))
    document = parse("{ users { phone } }")
    plain = planner.plan(document)
    labelled = planner.plan(document, override_labels=frozenset(("phones",)))
    assert [fetch.subgraph for fetch in plain.fetches()] == ["old"]
    assert [fetch.subgraph for fetch in labelled.fetches()] == ["old", "new"]
    assert planner.plan(document, override_labels=frozenset(("unknown",))) is plain
    shop = Planner(graph_named("shop"))
    assert shop.plan(parse("query ($n: Int = 1) { articles(first: $n) { sku } }")) is not shop.plan(
        parse("query ($n: Int = 2) { articles(first: $n) { sku } }")
    )


def test_the_cache_is_bounded() -> None:
    planner = Planner(graph_named("shop"), PlannerConfig(cached_plans_max=3))
    for number in range(10):
        planner.plan(parse(f'{{ article(sku: "{number}") {{ title }} }}'))
    assert len(planner.cache) == 3


def test_an_operation_is_picked_by_name() -> None:
    planner = Planner(graph_named("shop"))
    document = parse("query A { viewer { id } } query B { articles { sku } }")
    assert planner.plan(document, "B").fetches()[0].subgraph == "catalogue"
    with pytest.raises(UnknownOperation, match="without a name"):
        planner.plan(document)
    with pytest.raises(UnknownOperation, match='"C"; the document has: A, B'):
        planner.plan(document, "C")


def test_nothing_to_fetch() -> None:
    planner = Planner(graph_named("shop"))
    assert planner.plan(parse("{ __typename __schema { description } }")).node is None
    assert planner.plan(parse("{ articles @skip(if: true) { sku } }")).node is None


def test_an_operation_too_large_is_refused() -> None:
    bomb = " ".join(f"fragment F{n} on Article {{ ...F{n + 1} ...F{n + 1} }}" for n in range(30))
    document = parse(f"{{ articles {{ ...F0 }} }} {bomb} fragment F30 on Article {{ sku }}")
    with pytest.raises(OperationTooLarge):
        Planner(graph_named("shop")).plan(document)


def test_a_plan_too_large_is_refused() -> None:
    config = PlannerConfig(fetches_max=2)
    with pytest.raises(PlanTooLarge):
        planned(graph_named("shop"), "{ viewer { reviews { article { postage } } } }", config)


def test_what_no_subgraph_can_be_asked_for() -> None:
    subgraphs = {
        "a": 'type Query { t: T } type T @key(fields: "id") { id: ID! }',
        "b": 'type T @key(fields: "code") { code: ID! name: String }',
    }
    result = compose([(name, LINK + sdl) for name, sdl in subgraphs.items()], satisfiability=False)
    assert result.supergraph_sdl is not None
    planner = Planner(Supergraph.from_sdl(result.supergraph_sdl))
    with pytest.raises(Unreachable, match=r"T\.name at t") as caught:
        planner.plan(parse("{ t { id name } }"))
    assert (caught.value.code, caught.value.field) == ("QUERY_PLANNING_FAILED", "name")


def test_a_shared_mutation_runs_in_one_subgraph() -> None:
    shared = "type Mutation { touch: Int @shareable } type Query { q%d: Int }"
    plan = planned(composed(a=shared % 1, b=shared % 2), "mutation { touch more: touch }")
    assert len(plan.fetches()) == 1


def test_mutations_of_one_subgraph_keep_apart_what_lies_between() -> None:
    plan = planned(
        graph_named("shop"),
        'mutation { addArticle(title: "a") { available } receive(sku: "1", count: 1) { title }'
        ' b: addArticle(title: "b") { available } }',
    )
    assert [fetch.kind.value for fetch in plan.fetches()] == [
        "mutation",
        "query",
        "mutation",
        "query",
        "mutation",
        "query",
    ]
    assert depth(plan.node) == 6


def test_a_subscription_has_a_primary_fetch() -> None:
    plan = planned(graph_named("shop"), "subscription { restocked { sku } }")
    assert isinstance(plan.node, Subscription)
    assert plan.node.rest is None


def test_representations_of_different_keys_are_not_mixed() -> None:
    """Reference resolvers are called with one key."""
    supergraph = composed(
        a='type Query { t: T } type T @key(fields: "id") @key(fields: "code")'
        " { id: ID! code: ID! x: Int }",
        b='type T @key(fields: "id") @key(fields: "code") { id: ID! code: ID!'
        ' x: Int @external y: Int z: Int @requires(fields: "x") }',
    )
    (_, fetch) = planned(supergraph, "{ t { y z } }").fetches()
    (call,) = fetch.entities
    (fragment,) = call.requires
    names = [getattr(one, "name", "") for one in fragment.selections]
    assert names == ["__typename", "id", "x"]


def _near_identical(count_: int, missing: int) -> Supergraph:
    """Subgraphs that share all types; of the fields each lacks some."""
    sdl: dict[str, str] = {}
    for index in range(count_):
        blocks = ["type Query { root: T0 @shareable }"]
        for type_ in range(5):
            fields = " ".join(
                f"f{field}: Int @shareable"
                for field in range(8)
                if (field + index + type_) % count_ >= missing
            )
            blocks.append(
                f'type T{type_} @key(fields: "id") {{ id: ID! {fields}'
                f" next: [T{(type_ + 1) % 5}] @shareable }}"
            )
        sdl[f"s{index}"] = " ".join(blocks)
    return composed(**sdl)


@pytest.mark.slow
@pytest.mark.parametrize("missing", [0, 1, 3, 5])
def test_seven_near_identical_subgraphs(missing: int) -> None:
    fields = " ".join(f"f{number}" for number in range(8))
    operation = f"{{ id {fields} }}"
    for _ in range(6):
        operation = f"{{ id {fields} next {operation} }}"
    plan = planned(_near_identical(7, missing), f"{{ root {operation} }}")
    assert len(plan.fetches()) <= 20


def test_the_search_for_a_better_plan_ends_with_its_time() -> None:
    """A clock that jumps past the limit leaves the first draft: more requests, still right."""
    supergraph = composed(
        a="type Query { root: T @shareable } type T { x: Int @shareable }",
        b="type Query { root: T @shareable } type T { y: Int @shareable }",
        c="type Query { root: T @shareable } type T { x: Int @shareable y: Int @shareable }",
    )
    document = parse("{ root { x y } }")
    seconds = count()
    hasty = Planner(supergraph, clock=lambda: next(seconds) * 60.0).plan(document)
    patient = Planner(supergraph, clock=lambda: 0.0).plan(document)
    check_plan(supergraph, document, hasty)
    check_plan(supergraph, document, patient)
    assert (len(hasty.fetches()), len(patient.fetches())) == (2, 1)


@pytest.mark.slow
def test_seventy_implementations() -> None:
    names = [f"I{number}" for number in range(70)]
    supergraph = composed(
        a="type Query { items: [Item] } interface Item { id: ID! title: String } "
        + " ".join(
            f'type {name} implements Item @key(fields: "id") {{ id: ID! title: String }}'
            for name in names
        ),
        b='type Maker @key(fields: "id") { id: ID! } '
        + " ".join(f'type {name} @key(fields: "id") {{ id: ID! maker: Maker }}' for name in names),
        c='type Maker @key(fields: "id") { id: ID! name: String }',
    )
    members = " ".join(f"... on {name} {{ maker {{ name }} }}" for name in names)
    plan = planned(supergraph, f"{{ items {{ title {members} }} }}")
    assert [len(fetch.entities) for fetch in plan.fetches()] == [0, 1, 1]


def test_independent_parts_do_not_wait_for_each_other() -> None:
    plan = planned(graph_named("shop"), "{ viewer { reviews { id } } articles { available } }")
    assert isinstance(plan.node, Parallel)
    assert all(isinstance(part, Sequence) for part in plan.node.nodes)


def test_fetches_are_numbered_once() -> None:
    plan = planned(
        graph_named("shop"),
        "query ($x: Boolean!, $y: Boolean!) { articles { available @include(if: $x)"
        " postage @skip(if: $y) } }",
    )
    numbers = [fetch.id for fetch in plan.fetches()]
    assert numbers == sorted(set(numbers))
    assert all(isinstance(fetch, Fetch) for fetch in plan.fetches())


def test_a_conditional_subscription_still_opens_its_stream() -> None:
    plan = planned(
        graph_named("shop"),
        "subscription ($x: Boolean!) { restocked { sku title @include(if: $x) } }",
    )
    assert isinstance(plan.node, Subscription)
    assert plan.node.primary.subgraph == "stock"


def test_executable_directives_reach_the_subgraphs() -> None:
    directive = "directive @fast(level: Int = 1) on FIELD"
    supergraph = composed(
        a=f'{directive} type Query {{ t: T }} type T @key(fields: "id") {{ id: ID! x: Int }}',
        b=f'{directive} type T @key(fields: "id") {{ id: ID! y: Int }}',
    )
    plan = planned(
        supergraph,
        "query ($n: Int, $z: Boolean!) { t { x @fast y @fast(level: $n) @skip(if: $z) } }",
    )
    first, second = plan.fetches()
    assert "x @fast(level: 1) " in first.operation, "a subgraph may have another default, or none"
    assert "y @skip(if: $z) @fast(level: $n)" in second.operation
    assert second.variable_usages == ("n", "z")


def test_an_interface_object_does_not_hide_a_type_that_is_known() -> None:
    """Its `__typename` would overwrite the one the next representation needs."""
    supergraph = composed(
        registry='type Query { vehicles: [Vehicle!]! } interface Vehicle @key(fields: "plate")'
        ' { plate: ID! } type Car implements Vehicle @key(fields: "plate") { plate: ID! }'
        ' type Bike implements Vehicle @key(fields: "plate") { plate: ID! }',
        tracking='type Vehicle @key(fields: "plate") @interfaceObject'
        " { plate: ID! code: ID! @shareable }",
        garage='type Car @key(fields: "code") { code: ID! @shareable service: String }',
    )
    plan = planned(supergraph, "{ vehicles { ... on Car { service } } }")
    assert [fetch.subgraph for fetch in plan.fetches()] == ["registry", "tracking", "garage"]
    assert "__typename" not in plan.fetches()[1].operation


def test_a_type_is_asked_for_where_only_the_graph_has_a_choice_of_them() -> None:
    supergraph = composed(
        a="type Query { pet: Cat @shareable } type Cat { name: String @shareable tail: Int }",
        b="type Query { pet: Pet @shareable } union Pet = Cat | Dog"
        " type Cat { name: String @shareable } type Dog { name: String }",
    )
    plan = planned(supergraph, "{ pet { kind: __typename ... on Cat { tail } } }")
    assert [fetch.operation for fetch in plan.fetches()] == [
        "{ pet { __typename tail kind: __typename } }"
    ]


def test_a_shared_mutation_runs_where_it_needs_fewest_requests() -> None:
    supergraph = composed(
        a='type Mutation { add: T @shareable } type Query { a: Int } type T @key(fields: "id")'
        " { id: ID! }",
        b="type Mutation { add: T @shareable } type Query { b: Int }"
        ' type T @key(fields: "id") { id: ID! name: String }',
    )
    plan = planned(supergraph, "mutation { add { id name } }")
    assert [fetch.subgraph for fetch in plan.fetches()] == ["b"]
