"""Supergraphs of cases that compose, kept as files. `LONJA_GOLDEN=rewrite` writes them anew."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from router.composition import compose
from tests.router.composition.cases import read_case

GOLDEN = Path(__file__).parent / "golden"


def case_files() -> list[Path]:
    return sorted(GOLDEN.glob("*.graphql"))


@pytest.mark.parametrize("path", case_files(), ids=lambda path: path.stem)
def test_supergraph(path: Path) -> None:
    result = compose(read_case(path))
    assert result.errors == ()
    hints = "".join(
        f"# hint {hint.code} {' '.join((*hint.coordinates, *hint.subgraphs))}\n"
        for hint in result.hints
    )
    found = f"{hints}{result.supergraph_sdl}"
    expected = path.parent / "supergraphs" / path.name
    if os.environ.get("LONJA_GOLDEN") == "rewrite":
        expected.parent.mkdir(exist_ok=True)
        expected.write_text(found)
    assert found == expected.read_text()


@pytest.mark.slow
def test_the_order_of_subgraphs_does_not_matter() -> None:
    for path in case_files():
        subgraphs = read_case(path)
        assert compose(subgraphs) == compose(list(reversed(subgraphs)))
