"""`lonja plan` from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from lonja.commands.plan import PlanRefused, plan
from router.composition import compose
from tests.support.golden_plans import FOLDER


@pytest.fixture
def supergraph(tmp_path: Path) -> Path:
    """A supergraph file."""
    files = sorted((FOLDER / "graphs" / "moves").glob("*.graphql"))
    result = compose([(file.stem, file.read_text(encoding="utf-8")) for file in files])
    assert result.supergraph_sdl is not None
    path = tmp_path / "supergraph.graphql"
    path.write_text(result.supergraph_sdl, encoding="utf-8")
    return path


def test_text_and_json(supergraph: Path) -> None:
    runner = CliRunner()
    text = runner.invoke(plan, ["--supergraph", str(supergraph), "{ users { phone } }"])
    assert text.exit_code == 0
    assert text.output.startswith("QueryPlan {\n")
    shown = runner.invoke(
        plan,
        ["--supergraph", str(supergraph), "--json", "--override-label", "phones", "-"],
        input="{ users { phone } }",
    )
    assert json.loads(shown.output)["node"]["kind"] == "Sequence"


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("{ users {", "GRAPHQL_PARSE_FAILED"),
        ("{ nobody }", "GRAPHQL_VALIDATION_FAILED"),
        ("query A { users { id } } query B { users { id } }", "UNKNOWN_OPERATION"),
    ],
)
def test_refusals(supergraph: Path, query: str, code: str) -> None:
    result = CliRunner().invoke(plan, ["--supergraph", str(supergraph), query])
    assert isinstance(result.exception, PlanRefused)
    assert result.exception.code == code


def test_a_file_that_is_no_supergraph(tmp_path: Path) -> None:
    path = tmp_path / "schema.graphql"
    path.write_text("type Query { a: Int }", encoding="utf-8")
    result = CliRunner().invoke(plan, ["--supergraph", str(path), "{ a }"])
    assert isinstance(result.exception, PlanRefused)
    assert result.exception.code == "INVALID_SUPERGRAPH"
