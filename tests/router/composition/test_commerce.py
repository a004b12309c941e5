"""The eight services of the shop, as strawberry prints them: they must compose without errors."""

from __future__ import annotations

from pathlib import Path

from router.composition import compose
from router.supergraph import Supergraph
from tests.router.composition.cases import read_case

COMMERCE = Path(__file__).with_name("commerce.graphql")


def test_the_shop_composes() -> None:
    subgraphs = read_case(COMMERCE)
    result = compose(subgraphs)
    assert len(subgraphs) == 8
    assert result.errors == ()
    assert result.supergraph_sdl is not None
    supergraph = Supergraph.from_sdl(result.supergraph_sdl)
    assert {one.name for one in supergraph.subgraphs} == {one.name for one in subgraphs}
    order = supergraph.api_schema.type_map["Order"]
    assert {"payments", "shipments", "reservation", "notifications", "history"} <= {
        *getattr(order, "fields", {})
    }
