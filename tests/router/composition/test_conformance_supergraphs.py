"""Our supergraphs against the reference ones of the federation conformance cases."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from router.composition import Subgraph, compose
from tests.router.composition.supergraph_shape import differences, shape

CASES = Path(__file__).parents[4] / "shared" / "federation-conformance" / "cases"


def case_files() -> list[Path]:
    return sorted(CASES.glob("*.json"))


@pytest.mark.skipif(not case_files(), reason="the conformance cases are not beside the repository")
@pytest.mark.parametrize("path", case_files(), ids=lambda path: path.stem)
def test_supergraph_means_the_same_as_the_reference(path: Path) -> None:
    case: dict[str, Any] = json.loads(path.read_text())
    result = compose(
        Subgraph(one["name"], one["sdl"], f"{{base}}/{case['case']}/{one['name']}")
        for one in case["subgraphs"]
    )
    assert result.errors == ()
    assert result.supergraph_sdl is not None
    ours, reference = shape(result.supergraph_sdl), shape(case["supergraph"])
    assert differences(ours, reference) == []
