"""Where a supergraph comes from: a file, rover's `supergraph.yaml`, or a JSON list of subgraphs.

`supergraph.yaml` names, for each subgraph, `routing_url` (where the router calls it) and `schema`
with one of `file` (SDL, relative to the YAML file), `subgraph_url` (asked for `_service { sdl }`)
or `sdl` (the text itself). The JSON list has objects with `name`, `url` and `sdl`.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

import yaml

from router.config import SubgraphSettings
from router.errors import RouterError
from router.planner.plan import OperationKind
from router.transport import HttpSubgraph, SubgraphError, SubgraphOperation, SubgraphRequest
from router.yaml_text import load_yaml

FETCH_SECONDS: Final = 10.0
SERVICE_SDL: Final = SubgraphOperation("query SdlOf{_service{sdl}}", "SdlOf", OperationKind.QUERY)


class SourceError(RouterError):
    """A file that does not say what to compose or serve."""

    code: ClassVar[str] = "INVALID_SOURCE"

    def __init__(self, source: str, reason: str) -> None:
        self.source, self.reason = source, reason
        super().__init__(f"{source}: {reason}")


@dataclass(frozen=True, slots=True)
class SubgraphSource:
    """A subgraph to compose: where the router calls it, and its SDL or where to ask for it."""

    name: str
    url: str
    sdl: str | None = None
    sdl_url: str | None = None


def read_text(path: str | Path) -> str:
    """A whole text file. Raises SourceError."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise SourceError(str(path), f"it cannot be read: {reason}") from error


def read_supergraph_yaml(path: str | Path) -> tuple[SubgraphSource, ...]:
    """The subgraphs of rover's `supergraph.yaml`. Raises SourceError."""
    where = str(path)
    try:
        value = load_yaml(read_text(path))
    except yaml.YAMLError as error:
        raise SourceError(where, f"it is not YAML: {error}") from error
    subgraphs = value.get("subgraphs") if isinstance(value, dict) else None
    if not isinstance(subgraphs, dict) or not subgraphs:
        raise SourceError(where, "expected `subgraphs`, a mapping of names, each with `schema`")
    return tuple(
        _from_yaml(where, Path(path).parent, str(name), entry) for name, entry in subgraphs.items()
    )


def _from_yaml(where: str, folder: Path, name: str, entry: Any) -> SubgraphSource:
    schema = entry.get("schema") if isinstance(entry, dict) else None
    if not isinstance(schema, dict):
        raise SourceError(
            where, f'subgraph "{name}" needs `schema` with `file`, `subgraph_url` or `sdl`'
        )
    url = entry.get("routing_url")
    if url is not None and not isinstance(url, str):
        raise SourceError(where, f'`routing_url` of subgraph "{name}" is no text')
    match schema:
        case {"file": str(file)}:
            return SubgraphSource(name, url or "", sdl=read_text(folder / file))
        case {"subgraph_url": str(asked)}:
            return SubgraphSource(name, url or asked, sdl_url=asked)
        case {"sdl": str(sdl)}:
            return SubgraphSource(name, url or "", sdl=sdl)
        case _:
            raise SourceError(
                where,
                f'`schema` of subgraph "{name}" has {", ".join(sorted(map(str, schema)))}; '
                "expected one of `file`, `subgraph_url`, `sdl`",
            )


def read_subgraphs_json(path: str | Path) -> tuple[SubgraphSource, ...]:
    """The subgraphs of a JSON list of `{name, url, sdl}`. Raises SourceError."""
    where = str(path)
    try:
        value = json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise SourceError(where, f"it is not JSON: {error}") from error
    if not isinstance(value, list) or not value:
        raise SourceError(where, "expected a JSON list of {name, url, sdl}")
    sources = []
    for number, entry in enumerate(value):
        match entry:
            case {"name": str(name), "sdl": str(sdl)}:
                url = entry.get("url")
                sources.append(SubgraphSource(name, url if isinstance(url, str) else "", sdl=sdl))
            case _:
                raise SourceError(where, f"element {number} needs the texts `name` and `sdl`")
    return tuple(sources)


async def fetch_sdl(sources: tuple[SubgraphSource, ...]) -> tuple[SubgraphSource, ...]:
    """The same sources, each with its SDL; asked for side by side where it is missing.

    Raises SourceError naming the subgraph that did not tell it.
    """
    return tuple(await asyncio.gather(*[_with_sdl(source) for source in sources]))


async def _with_sdl(source: SubgraphSource) -> SubgraphSource:
    if source.sdl is not None or source.sdl_url is None:
        return source
    subgraph = HttpSubgraph(source.name, source.sdl_url, SubgraphSettings())
    deadline = asyncio.get_running_loop().time() + FETCH_SECONDS
    try:
        response = await subgraph(SubgraphRequest(SERVICE_SDL, None, {}, deadline))
    except SubgraphError as error:
        raise SourceError(source.sdl_url, f"no SDL from there: {error}") from error
    finally:
        await subgraph.close()
    match response.data:
        case {"_service": {"sdl": str(sdl)}}:
            return SubgraphSource(source.name, source.url, sdl=sdl)
        case _:
            raise SourceError(
                source.sdl_url, f'subgraph "{source.name}" does not answer `_service {{ sdl }}`'
            )
