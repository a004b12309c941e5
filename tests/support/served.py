"""An ASGI application on a socket, in the test's own loop."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn


class Server(uvicorn.Server):
    """A server in this loop, on a port that the system chooses (0) or a given one."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    @property
    def port(self) -> int:
        port: int = self.servers[0].sockets[0].getsockname()[1]
        return port


@asynccontextmanager
async def served(app: Any, port: int = 0) -> AsyncIterator[int]:
    """Serve it on 127.0.0.1; gives the port."""
    server = Server(
        uvicorn.Config(app, port=port, log_level="error", lifespan="off", ws="websockets-sansio")
    )
    task = asyncio.create_task(server.serve())
    await server.listening.wait()
    try:
        yield server.port
    finally:
        server.should_exit = True
        await task
