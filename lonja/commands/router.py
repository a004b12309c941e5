"""`lonja router`: serve a federated graph, ours or anybody's."""

from __future__ import annotations

import asyncio
import gc

import click

from lonja.composing import compose_files, errors_counted, print_problems
from lonja.errors import LonjaError

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
    from lonja.serving import claim_port
    from router.errors import RouterError
    from router.supergraph import SupergraphError

    claim_port(host, port)
    try:
        sdl = _supergraph_sdl(supergraph, config, subgraphs)
        asyncio.run(_run(sdl, host, port, router_config))
    except SupergraphError as error:
        raise RouterRefused(error.code, f"{supergraph or config or subgraphs}: {error}") from error
    except RouterError as error:
        raise RouterRefused(error.code, str(error)) from error


async def _run(sdl: str, host: str, port: int, router_config: str | None) -> None:
    from lonja.serving import serve, stop_on_signals
    from router.config import RouterConfig, load_config
    from router.http import create_app
    from router.telemetry import configure_logs

    settings = RouterConfig() if router_config is None else load_config(router_config)
    configure_logs(settings.logs)
    app = create_app(sdl, config=settings)
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
        stopping=app.stop,
    )
    await app.close()


def _spare_the_collector() -> None:
    """What is there now stays, and answers are trees, freed without the cycle collector's help:
    let it look more seldom, and never at what was made by the start.
    """
    gc.freeze()
    gc.set_threshold(GC_OBJECTS, 20, 50)


def _supergraph_sdl(supergraph: str | None, config: str | None, subgraphs: str | None) -> str:
    """The SDL to serve, composed if need be; what composition has to say goes to standard error."""
    if supergraph is not None:
        from router.sources import read_text

        return read_text(supergraph)
    result, files = compose_files(config, subgraphs)
    print_problems(result, files)
    if result.supergraph_sdl is None:
        raise RouterRefused(
            "COMPOSITION_FAILED",
            f"the subgraphs of {config or subgraphs} do not compose: {errors_counted(result)}",
        )
    return result.supergraph_sdl


def _host_in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host
