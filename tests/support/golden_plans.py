"""Golden plans: a folder a case, with the operation and the plan it had when last looked at.

The operation's first lines say which graph of `graphs/` it is on, and which labels are active.
`GOLDEN=rewrite pytest tests/router/planner` writes the plans anew; review reads the difference.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from router.composition import compose
from router.supergraph import Supergraph

FOLDER = Path(__file__).parent.parent / "golden" / "plans"


@dataclass(frozen=True)
class GoldenPlan:
    """One case."""

    name: str
    graph: str
    labels: frozenset[str]
    operation: str

    @property
    def supergraph(self) -> Supergraph:
        """The case's graph, composed once."""
        return graph_named(self.graph)

    def matches(self, text: str) -> None:
        """Compare with the plan on file, or write it where that is asked for."""
        path = FOLDER / self.name / "plan.txt"
        if os.environ.get("GOLDEN") == "rewrite":
            path.write_text(text + "\n", encoding="utf-8")
        assert path.read_text(encoding="utf-8") == text + "\n"


def golden_plans() -> list[GoldenPlan]:
    """All cases by name."""
    return [_read(path.parent) for path in sorted(FOLDER.glob("*/operation.graphql"))]


def _read(folder: Path) -> GoldenPlan:
    text = (folder / "operation.graphql").read_text(encoding="utf-8")
    settings = dict(line[2:].split(": ", 1) for line in text.splitlines() if line.startswith("# "))
    labels = frozenset(settings.get("labels", "").split())
    return GoldenPlan(folder.name, settings["graph"], labels, text)


@cache
def graph_named(name: str) -> Supergraph:
    """A graph of `graphs/`, composed."""
    subgraphs = [
        (path.stem, path.read_text(encoding="utf-8"))
        for path in sorted((FOLDER / "graphs" / name).glob("*.graphql"))
    ]
    result = compose(subgraphs)
    assert result.supergraph_sdl is not None, [error.message for error in result.errors]
    return Supergraph.from_sdl(result.supergraph_sdl)
