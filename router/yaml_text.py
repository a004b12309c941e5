"""YAML as people write it by hand: a name given twice is a mistake, not the last one's choice."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import yaml


class _Loader(yaml.SafeLoader):
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for name, _ in node.value:
            if isinstance(name, yaml.ScalarNode) and name.tag != "tag:yaml.org,2002:merge":
                if name.value in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f'"{name.value}" is there twice', name.start_mark
                    )
                seen.add(name.value)
        return super().construct_mapping(node, deep)


def load_yaml(text: str) -> Any:
    """The value of one document. Raises yaml.YAMLError with line and column."""
    return yaml.load(text, _Loader)
