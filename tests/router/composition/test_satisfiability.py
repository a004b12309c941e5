"""What composition says when a query could not be answered: the query, why, and a way out."""

from __future__ import annotations

from router.composition import CompositionError, compose
from tests.router.composition.cases import parse_case


def errors(text: str) -> list[CompositionError]:
    found = list(compose(parse_case(text)).errors)
    assert {error.code for error in found} <= {"SATISFIABILITY_ERROR"}
    return found


def test_names_the_query_the_reasons_and_a_fix() -> None:
    (error,) = errors(
        """
### catalogue
# link 2.9
type Query { product(id: ID!, at: At!): [Product!] }
input At { day: Int! note: String }
type Product @key(fields: "id") { id: ID! }
### stock
# link 2.9
type Product @key(fields: "sku") { sku: ID! available(where: String!): Level }
type Level { amount: Int }
"""
    )[1:]
    assert error.coordinates == ("Product.available",)
    assert error.subgraphs == ("catalogue",)
    assert error.message == (
        "This query cannot be answered (Product.available):\n"
        "{\n"
        '  product(id: "id", at: {day: 1}) {\n'
        '    available(where: "text") {\n'
        "      ...\n"
        "    }\n"
        "  }\n"
        "}\n"
        "because\n"
        '- coming from "catalogue":\n'
        "  - there is no field Product.available\n"
        '  - no way to "stock" by @key(fields: "sku") of Product: "sku" cannot be had\n'
        'To fix it, give Product in "stock" a resolvable @key of fields that "catalogue" can give '
        '(other keys: "id" and "sku"), or define Product.available in "catalogue" too and mark it '
        "@shareable in all."
    )


def test_a_field_that_requires_what_cannot_be_had() -> None:
    found = errors(
        """
### a
# link 2.9
type Query { t: T }
type T @key(fields: "id") { id: ID! x: Int @external y: Int @requires(fields: "x") }
### b
# link 2.9
type T @key(fields: "sku") { sku: ID! x: Int }
"""
    )
    message = next(one.message for one in found if one.coordinates == ("T.y",))
    assert '  - what T.y requires ("x") cannot be had' in message
    assert 'make what T.y requires in "a" reachable' in message


def test_every_unanswerable_field_is_reported_once() -> None:
    found = errors(
        """
### a
# link 2.9
type Query { t: T u: T }
type T { x: Int @shareable }
### b
# link 2.9
type T { x: Int @shareable y: Int z: Int }
"""
    )
    assert [one.coordinates for one in found] == [("T.y",), ("T.z",)]


def test_keys_may_be_gathered_from_third_subgraphs() -> None:
    assert not errors(
        """
### a
# link 2.9
type Query { t: T }
type T @key(fields: "id") { id: ID! }
### b
# link 2.9
type T @key(fields: "id") { id: ID! sku: ID! @shareable }
### c
# link 2.9
type T @key(fields: "id") { id: ID! shop: Shop @shareable }
type Shop @key(fields: "name") { name: ID! }
### d
# link 2.9
type T @key(fields: "sku shop { name }") { sku: ID! shop: Shop price: Int }
type Shop @key(fields: "name") { name: ID! }
"""
    )


def test_keys_that_need_each_other_lead_nowhere() -> None:
    found = errors(
        """
### a
# link 2.9
type Query { t: T }
type T @key(fields: "id") { id: ID! }
### b
# link 2.9
type T @key(fields: "x") { x: ID! @shareable y: ID! @shareable }
### c
# link 2.9
type T @key(fields: "y") { x: ID! @shareable y: ID! @shareable z: Int }
"""
    )
    assert {one.coordinates for one in found} == {("T.x",), ("T.y",), ("T.z",)}


def test_a_shared_mutation_runs_in_one_subgraph() -> None:
    text = """
### a
# link 2.9
type Query { q: Int }
type Mutation { m: T @shareable }
type T { x: Int }
### b
# link 2.9
type Mutation { m: T @shareable }
type T { y: Int }
"""
    (error,) = errors(text)
    assert error.coordinates == ("Mutation.m",)
    assert error.message.count('- run in "') == 2
    queries = text.replace("type Mutation", "type Query").replace("type Query { q: Int }\n", "")
    assert not errors(queries)


def test_labels_of_progressive_overrides_are_tried_both_ways() -> None:
    text = """
### a
# link 2.9
type Query { t: T }
type T @key(fields: "id") { id: ID! u: U @override(from: "b", label: "new") }
type U { x: Int @shareable }
### b
# link 2.9
type T @key(fields: "id") { id: ID! u: U }
type U { x: Int @shareable y: Int }
"""
    (error,) = errors(text)
    assert error.coordinates == ("U.y",)


def test_a_context_must_be_set_on_the_way() -> None:
    text = """
### a
# link 2.9
type Query { t: T }
type T @key(fields: "id") @context(name: "c") { id: ID! n: String u: U! }
type U @key(fields: "id") { id: ID! x(a: String @fromContext(field: "$c { n }")): Int }
"""
    assert not errors(text)
    (error,) = errors(text.replace("t: T }", "t: T u: U }"))
    assert error.coordinates == ("U.x",)
    assert "a context that U.x takes is not set on this way" in error.message


def test_fields_that_require_each_other_cannot_be_had() -> None:
    found = errors(
        """
### a
# link 2.9
type Query { t: T }
type T @key(fields: "id") { id: ID! y: Int @external x: Int @requires(fields: "y") }
### b
# link 2.9
type T @key(fields: "id") { id: ID! x: Int @external y: Int @requires(fields: "x") z: Int }
"""
    )
    assert {one.coordinates for one in found} == {("T.x",), ("T.y",)}


def test_long_chains_of_requirements_are_followed_or_refused() -> None:
    fields = " ".join(f'f{i}: Int @requires(fields: "g{i}")' for i in range(1, 60))
    outside = " ".join(f"g{i}: Int @external" for i in range(1, 60))
    back = " ".join(f'g{i}: Int @requires(fields: "f{i - 1}")' for i in range(1, 60))
    inside = " ".join(f"f{i}: Int @external" for i in range(1, 59))
    text = f"""
### a
# link 2.9
type Query {{ t: T }}
type T @key(fields: "id") {{ id: ID! f0: Int {fields} {outside} }}
### b
# link 2.9
type T @key(fields: "id") {{ id: ID! f0: Int @external {inside} {back} }}
"""
    assert not errors(text)
