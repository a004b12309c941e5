"""Serve an ASGI application until it is told to stop: granian, embedded in this event loop."""

from __future__ import annotations

import asyncio
import errno
import signal
import socket
from collections.abc import Awaitable, Callable
from typing import Any

from granian.constants import Interfaces
from granian.log import LogLevels
from granian.server.embed import Server

from lonja.errors import PortInUse

BACKLOG = 1024
STOP_SECONDS_MAX = 12.0
"""How long requests under way have to end, a little more than the router gives them."""


def claim_port(host: str, port: int) -> None:
    """Raises PortInUse where nobody else could listen on `host`:`port`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
                raise PortInUse(
                    f"cannot listen on {host}:{port} ({error.strerror}): {host} is no address of "
                    "this machine, give another --host"
                ) from None
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise
            raise PortInUse(
                f"cannot listen on {host}:{port} ({error.strerror}): "
                "stop what listens there, or give another --port"
            ) from None


async def serve(
    app: Any,
    *,
    host: str,
    port: int,
    stop: asyncio.Event,
    started: Callable[[], None],
    stopping: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """Answer on `host`:`port` until `stop` is set; `started` is called once connections are taken,
    `stopping` before the server waits for them to end: streams have no end of their own.

    Raises PortInUse.
    """
    claim_port(host, port)
    server = Server(
        app,
        address=host,
        port=port,
        interface=Interfaces.ASGI,
        backlog=BACKLOG,
        websockets=True,
        log_level=LogLevels.error,
    )
    serving = asyncio.create_task(server.serve())
    told = asyncio.create_task(stop.wait())
    try:
        await _accepting(host, port, serving)
        started()
        await asyncio.wait({serving, told}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        told.cancel()
        if stopping is not None:
            await stopping()
        server.stop()  # type: ignore[no-untyped-call]
        await _ended(serving)


async def _ended(serving: asyncio.Task[None]) -> None:
    """Return once the server has ended; one that waits for half a request is cut off."""
    await asyncio.wait({serving}, timeout=STOP_SECONDS_MAX)
    if serving.done():
        serving.result()
        return
    serving.cancel()
    await asyncio.wait({serving})


def stop_on_signals(stop: asyncio.Event) -> None:
    """Ctrl-C and SIGTERM set `stop`; a second one ends the process at once."""
    loop = asyncio.get_running_loop()

    def first() -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, first)


async def _accepting(host: str, port: int, serving: asyncio.Task[None]) -> None:
    """Return once a connection is taken, or the server ended."""
    while not serving.done():
        try:
            _, writer = await asyncio.open_connection(host, port)
        except OSError:
            await asyncio.sleep(0.005)
        else:
            writer.close()
            return
