"""One negative case for each of the 91 codes of Apollo's composition, named after the code."""

from __future__ import annotations

from pathlib import Path

import pytest

from router.composition import compose
from tests.router.composition.cases import parse_case, read_case

CASES = Path(__file__).parent / "errors"

CODES = frozenset(Path(__file__).with_name("error_codes.txt").read_text().split())

NOT_RAISED = {
    "DOWNSTREAM_SERVICE_ERROR": "said of a failed fetch by a gateway, never by composition",
    "INVALID_FEDERATION_SUPERGRAPH": "said when a supergraph is read, never when one is composed",
    "UNSUPPORTED_LINKED_FEATURE": "said when a supergraph is read, never when one is composed",
    "UNSUPPORTED_FEATURE": "reserved: no rule of composition, ours or another, says it",
}
"""Codes of the list that composition does not raise, and why."""


def case_files() -> list[Path]:
    return sorted(CASES.glob("*.graphql"))


@pytest.mark.parametrize("path", case_files(), ids=lambda path: path.stem)
def test_case_is_refused_with_its_code(path: Path) -> None:
    first = path.read_text().split("\n", 1)[0]
    others = first.removeprefix("# with: ").split() if first.startswith("# with: ") else []
    result = compose(read_case(path))
    assert {error.code for error in result.errors} == {path.stem, *others}
    assert result.supergraph_sdl is None
    for error in result.errors:
        assert error.message
        assert error.subgraphs


def test_too_many_ways_are_refused() -> None:
    subgraphs = parse_case(
        "### a\n# link 2.9\ntype Query { t: T u: T }\ntype T { x: U }\ntype U { y: Int }"
    )
    result = compose(subgraphs, validation_paths_max=1)
    assert {error.code for error in result.errors} == {"MAX_VALIDATION_SUBGRAPH_PATHS_EXCEEDED"}


def test_every_code_is_raised_or_has_a_reason() -> None:
    assert len(CODES) == 91
    raised = {path.stem for path in case_files()} | {"MAX_VALIDATION_SUBGRAPH_PATHS_EXCEEDED"}
    assert raised <= CODES
    assert CODES - raised == set(NOT_RAISED)
