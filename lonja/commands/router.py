"""`lonja router`: serve a federated graph, ours or anybody's."""

from __future__ import annotations

import asyncio
import gc
import signal
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lonja.composing import compose_files, errors_counted, print_problems
from lonja.errors import LonjaError

if TYPE_CHECKING:
    from router.http import RouterApp

WATCH_SECONDS = 1.0
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
@click.option(
    "--hot-reload",
    is_flag=True,
    help="Look every second whether the file that says what to serve has changed.",
)
def router(
    supergraph: str | None,
    config: str | None,
    subgraphs: str | None,
    host: str,
    port: int,
    router_config: str | None,
    hot_reload: bool,
) -> None:
    """Serve a federated graph at /graphql.

    Exactly one of --supergraph, --config and --subgraphs says what to serve. Subgraphs are called
    at the URLs the supergraph names. Needs no database.

    SIGHUP reads the graph anew; one that is faulty is reported, and the old one goes on. Requests
    under way are not disturbed, subscriptions are ended with SUBSCRIPTION_SCHEMA_RELOAD.
    """
    given = [name for name in (supergraph, config, subgraphs) if name is not None]
    if len(given) != 1:
        raise click.UsageError("give exactly one of --supergraph, --config, --subgraphs")
    from lonja.serving import claim_port
    from router.errors import RouterError
    from router.supergraph import SupergraphError

    claim_port(host, port)
    try:
        source = partial(_supergraph_sdl, supergraph, config, subgraphs)
        watched = Path(given[0]) if hot_reload else None
        asyncio.run(_run(source, host, port, router_config, watched))
    except SupergraphError as error:
        raise RouterRefused(error.code, f"{supergraph or config or subgraphs}: {error}") from error
    except RouterError as error:
        raise RouterRefused(error.code, str(error)) from error


async def _run(
    source: Callable[[], str],
    host: str,
    port: int,
    router_config: str | None,
    watched: Path | None,
) -> None:
    from lonja.serving import serve, stop_on_signals
    from router.config import RouterConfig, load_config
    from router.http import create_app
    from router.telemetry import configure_logs

    settings = RouterConfig() if router_config is None else load_config(router_config)
    configure_logs(settings.logs)
    app = create_app(await asyncio.to_thread(source), config=settings)
    _spare_the_collector()
    stop = asyncio.Event()
    stop_on_signals(stop)
    reload = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reload.set)
    reloading = asyncio.create_task(_reload_when_told(app, source, reload, watched))
    address = f"http://{_host_in_url(host)}:{port}{settings.path}"
    await serve(
        app,
        host=host,
        port=port,
        stop=stop,
        started=lambda: click.echo(f"router ready at {address}", err=True),
        stopping=app.end_streams,
    )
    reloading.cancel()
    await app.close()


async def _reload_when_told(
    app: RouterApp, source: Callable[[], str], reload: asyncio.Event, watched: Path | None
) -> None:
    """Serve what `source` says now whenever `reload` is set or the watched file is another one."""
    from router.errors import RouterError

    seen = _state_of(watched)
    while True:
        with suppress(TimeoutError):
            await asyncio.wait_for(reload.wait(), WATCH_SECONDS if watched is not None else None)
        now = _state_of(watched)
        if not reload.is_set() and now == seen:
            continue
        reload.clear()
        seen = now
        try:
            await app.reload(await asyncio.to_thread(source))
        except Exception as error:  # a file amid being written may be wrong in any way
            known = isinstance(error, RouterError | RouterRefused)
            why = error if known else f"{type(error).__name__}: {error}"
            click.echo(f"the graph was not replaced: {why}", err=True)
        else:
            click.echo("the graph was replaced", err=True)


def _state_of(path: Path | None) -> tuple[int, int, int] | None:
    """What changes when a file is written or another takes its place."""
    try:
        found = path.stat() if path is not None else None
    except OSError:
        return None
    return (found.st_ino, found.st_mtime_ns, found.st_size) if found is not None else None


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
