"""Printed schemas read back as they were."""

from __future__ import annotations

from pathlib import Path

import pytest
from graphql import parse

from router.composition.build import build_schema
from router.composition.printing import print_schema

GOLDEN = sorted((Path(__file__).parent / "golden" / "supergraphs").glob("*.graphql"))

ODD = '''schema
  @link(url: "https://specs.apollo.dev/link/v1.0", import: [{name: "@a", as: "@b"}])
{
  query: Query
}

"""
Two lines
  "and" a triple \\""" quote
"""
directive @odd(
  """An argument"""
  a: [Float!]! = [1.5, -2.0]
  b: Odd = {x: null, y: [A, B], z: "a\\"b\\\\c\\n"}
) repeatable on FIELD_DEFINITION

type Query {
  """"""
  a(x: Int = 0): Int @odd(a: [1])
}
'''


def without_hints(text: str) -> str:
    return "\n".join(line for line in text.split("\n") if not line.startswith("# hint"))


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_a_supergraph_prints_as_it_was(path: Path) -> None:
    text = without_hints(path.read_text())
    assert print_schema(build_schema(parse(text))) == text


def test_what_is_rare_prints_as_it_was() -> None:
    assert print_schema(build_schema(parse(ODD))) == ODD
