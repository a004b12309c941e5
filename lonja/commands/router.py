"""`lonja router`: serve a federated graph, ours or anybody's."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING

import click

from lonja.errors import LonjaError

if TYPE_CHECKING:
    from router.composition import CompositionResult
    from router.sources import SubgraphSource


GC_OBJECTS = 50_000
"""New containers between two looks of Python's cycle collector."""


class RouterRefused(LonjaError):
    """The router cannot start; the message says why, the code is that of the cause."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        super().__init__(message)


@click.command()
@click.option("--supergraph", metavar="FILE", help="Composed supergraph SDL.")
@click.option("--config", metavar="FILE", help="rover's supergraph.yaml; composed at the start.")
@click.option(
    "--subgraphs", metavar="FILE", help="JSON list of {name, url, sdl}; composed at the start."
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", default=4000, show_default=True, type=click.IntRange(1, 65535), help="Port."
)
@click.option("--router-config", metavar="FILE", help="Settings of the router, YAML.")
def router(
    supergraph: str | None,
    config: str | None,
    subgraphs: str | None,
    host: str,
    port: int,
    router_config: str | None,
) -> None:
    """Serve a federated graph at /graphql.

    Exactly one of --supergraph, --config and --subgraphs says what to serve. Subgraphs are called
    at the URLs the supergraph names. Needs no database.
    """
    given = [name for name in (supergraph, config, subgraphs) if name is not None]
    if len(given) != 1:
        raise click.UsageError("give exactly one of --supergraph, --config, --subgraphs")
    from router.errors import RouterError

    try:
        asyncio.run(_run(supergraph, config, subgraphs, host, port, router_config))
    except RouterError as error:
        raise RouterRefused(error.code, str(error)) from error


async def _run(
    supergraph: str | None,
    config: str | None,
    subgraphs: str | None,
    host: str,
    port: int,
    router_config: str | None,
) -> None:
    from lonja.serving import claim_port, serve, stop_on_signals
    from router.config import RouterConfig, load_config
    from router.http import create_app
    from router.telemetry import configure_logs

    claim_port(host, port)
    settings = RouterConfig() if router_config is None else load_config(router_config)
    configure_logs(settings.logs)
    app = create_app(await _supergraph_sdl(supergraph, config, subgraphs), config=settings)
    _spare_the_collector()
    stop = asyncio.Event()
    stop_on_signals(stop)
    address = f"http://{_host_in_url(host)}:{port}{settings.path}"
    await serve(
        app,
        host=host,
        port=port,
        stop=stop,
        started=lambda: click.echo(f"router ready at {address}", err=True),
    )
    await app.close()


def _spare_the_collector() -> None:
    """What is there now stays, and answers are trees, freed without the cycle collector's help:
    let it look more seldom, and never at what was made by the start.
    """
    gc.freeze()
    gc.set_threshold(GC_OBJECTS, 20, 50)


async def _supergraph_sdl(supergraph: str | None, config: str | None, subgraphs: str | None) -> str:
    from router.sources import fetch_sdl, read_subgraphs_json, read_supergraph_yaml, read_text

    if supergraph is not None:
        return read_text(supergraph)
    if config is not None:
        return _composed(config, await fetch_sdl(read_supergraph_yaml(config)))
    assert subgraphs is not None
    return _composed(subgraphs, await fetch_sdl(read_subgraphs_json(subgraphs)))


def _composed(source: str, subgraphs: tuple[SubgraphSource, ...]) -> str:
    from router.composition import Subgraph, compose

    result = compose(Subgraph(one.name, one.sdl or "", one.url) for one in subgraphs)
    if result.supergraph_sdl is None:
        raise RouterRefused("COMPOSITION_FAILED", _problems(source, result))
    return result.supergraph_sdl


def _problems(source: str, result: CompositionResult) -> str:
    lines = [f"the subgraphs of {source} do not compose ({len(result.errors)} errors):"]
    lines += [f"  {error.code}: {error.message}" for error in result.errors]
    return "\n".join(lines)


def _host_in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host
