"""One case of the differential test: the whole, its parts, its data, and an operation.

A case is text and JSON only, so that a failing one can be cut down and kept as a folder:
`whole.graphql`, `subgraphs/*.graphql`, `data.json`, `operation.graphql`, `request.json`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent.parent.parent / "golden" / "differential"


@dataclass(frozen=True)
class Graph:
    """A schema, its split over subgraphs, and the data behind both.

    `data` maps an id to its object: `__typename` and the value of each field. A value is JSON, or
    one of `{"@": id}` (a reference), `{"!": message}` (an error), `{"~": text}` (changes with every
    mutation), `{"#": JSON}` (a custom scalar's value). The roots have the ids `Query`, `Mutation`.
    """

    whole: str
    subgraphs: dict[str, str]
    data: dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Operation:
    """An operation on a graph. `labels` are the active labels of progressive overrides."""

    text: str
    variables: dict[str, Any] = field(default_factory=dict)
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Case:
    """A graph and one operation on it."""

    graph: Graph
    operation: Operation


def write_case(case: Case, name: str, note: str = "") -> Path:
    """Keep a case as a golden one; the note says what was wrong."""
    folder = FOLDER / name
    (folder / "subgraphs").mkdir(parents=True, exist_ok=True)
    (folder / "whole.graphql").write_text(case.graph.whole + "\n", encoding="utf-8")
    for subgraph, text in case.graph.subgraphs.items():
        path = folder / "subgraphs" / f"{subgraph}.graphql"
        path.write_text(text + "\n", encoding="utf-8")
    _write_json(folder / "data.json", case.graph.data)
    head = f"# {note}\n" if note else ""
    (folder / "operation.graphql").write_text(head + case.operation.text + "\n", encoding="utf-8")
    more = {"variables": case.operation.variables, "labels": list(case.operation.labels)}
    _write_json(folder / "request.json", more)
    return folder


def read_case(folder: Path) -> Case:
    """A kept case."""
    graph = Graph(
        (folder / "whole.graphql").read_text(encoding="utf-8"),
        {
            path.stem: path.read_text(encoding="utf-8")
            for path in sorted((folder / "subgraphs").glob("*.graphql"))
        },
        json.loads((folder / "data.json").read_text(encoding="utf-8")),
    )
    more = json.loads((folder / "request.json").read_text(encoding="utf-8"))
    text = (folder / "operation.graphql").read_text(encoding="utf-8")
    return Case(graph, Operation(text, more["variables"], tuple(more["labels"])))


def golden_cases() -> list[Path]:
    """The folders of all kept cases."""
    return sorted(path.parent for path in FOLDER.glob("*/request.json"))


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1, sort_keys=True) + "\n", encoding="utf-8")
