"""Contracts: what clients see of a supergraph by tag."""

from __future__ import annotations

from router.composition import CompositionResult, Contract, compose
from router.supergraph import Supergraph
from tests.router.composition.cases import parse_case

SHOP = """
### a
# link 2.9
type Query { product: Product @tag(name: "public") audit: Audit stock(at: At): Int }
type Product @key(fields: "id") @tag(name: "public") {
  id: ID!
  cost: Int @tag(name: "internal")
}
type Audit @tag(name: "internal") { by: String }
enum At { NOW THEN @tag(name: "internal") }
### b
# link 2.9
type Product @key(fields: "id") { id: ID! price: Int @tag(name: "public") kind: Kind }
enum Kind { A }
"""


def contract(include: str = "", exclude: str = "", *, hide: bool = True) -> CompositionResult:
    wanted = Contract(frozenset(include.split()), frozenset(exclude.split()), hide)
    return compose(parse_case(SHOP), contract=wanted)


def visible(result: CompositionResult) -> set[str]:
    """Types and fields of the API schema, introspection and built-in types apart."""
    assert result.supergraph_sdl is not None, result.errors
    answer: set[str] = set()
    for name, item in Supergraph.from_sdl(result.supergraph_sdl).api_schema.type_map.items():
        if not name.startswith("__") and name not in ("Int", "String", "Boolean", "ID", "Float"):
            answer |= {name, *(f"{name}.{field}" for field in getattr(item, "fields", ()))}
            answer |= {f"{name}.{value}" for value in getattr(item, "values", ())}
    return answer


def test_an_excluded_tag_is_hidden_where_it_stands() -> None:
    result = contract(exclude="internal")
    assert {error.code for error in result.errors} == {"REFERENCED_INACCESSIBLE"}
    shown = compose(
        parse_case(SHOP.replace("audit: Audit", 'audit: Audit @tag(name: "internal")')),
        contract=Contract(exclude=frozenset({"internal"})),
    )
    assert visible(shown) == {
        *("Query", "Query.product", "Query.stock"),
        *("Product", "Product.id", "Product.price", "Product.kind"),
        *("At", "At.NOW", "Kind", "Kind.A"),
    }


def test_only_included_tags_are_shown() -> None:
    shown = visible(contract(include="public", exclude="internal"))
    assert shown == {
        *("Query", "Query.product"),
        *("Product", "Product.id", "Product.price", "Product.kind", "Kind", "Kind.A"),
    }


def test_unreachable_types_may_stay() -> None:
    shown = visible(contract(include="public", exclude="internal", hide=False))
    assert "At" in shown
    assert "Audit" not in shown


def test_a_contract_that_shows_nothing_is_refused() -> None:
    result = contract(include="unknown")
    assert {error.code for error in result.errors} == {"ONLY_INACCESSIBLE_CHILDREN"}


def test_hidden_keys_still_join_the_subgraphs() -> None:
    subgraphs = parse_case(SHOP.replace("id: ID!", 'id: ID! @tag(name: "internal")'))
    result = compose(subgraphs, contract=Contract(frozenset({"public"}), frozenset({"internal"})))
    assert result.errors == ()
    assert "Product.price" in visible(result)
    assert "Product.id" not in visible(result)
