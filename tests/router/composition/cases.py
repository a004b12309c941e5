"""Composition cases as files: several subgraphs in one, told apart by `### name`.

A line `# link 2.9` stands for the link to that federation version with everything imported; a
subgraph without one is Federation 1 unless it links by itself.
"""

from __future__ import annotations

from pathlib import Path

from router.composition import Subgraph
from router.composition.federation_spec import Version, federation_directives


def link(version: str) -> str:
    """The whole link to a federation version."""
    major, minor = map(int, version.split("."))
    number: Version = (major, minor)
    names = ", ".join(f'"@{name}"' for name in federation_directives(number))
    url = f"https://specs.apollo.dev/federation/v{version}"
    return f'extend schema @link(url: "{url}", import: [{names}])'


def read_case(path: Path) -> list[Subgraph]:
    return parse_case(path.read_text())


def parse_case(text: str) -> list[Subgraph]:
    """The subgraphs of a case, in order; what comes before the first is comment."""
    subgraphs: list[Subgraph] = []
    name, lines = "", list[str]()
    for line in [*text.splitlines(), "### "]:
        if line.startswith("### "):
            if name:
                subgraphs.append(Subgraph(name, "\n".join(lines), f"http://{name}.test/graphql"))
            name, lines = line[4:].strip(), []
        elif line.startswith("# link "):
            lines.append(link(line[7:].strip()))
        else:
            lines.append(line)
    return subgraphs
