"""What waits for news ends when the process does, and does not hold it up."""

from __future__ import annotations

import asyncio

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

WAITING_PATHS = ("/feed", "/feed/full")
CLOSE_STOPPING = 1001
STATUS_STOPPING = 503
"""Whoever reads a feed asks again after a while, whatever server error it was given."""


class LongPolls:
    """A service's application; readers of its feeds who wait when `stop` is set are sent away, and
    so are subscribers.

    A server ends when its last answer has been sent: without this, services that stop at one time
    would wait for each other's readers until those have waited their time.
    """

    def __init__(self, app: ASGIApp, stop: asyncio.Event) -> None:
        self._app, self._stop = app, stop

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket" and scope.get("path") not in WAITING_PATHS:
            await self._app(scope, receive, send)
            return
        answering = asyncio.ensure_future(self._app(scope, receive, send))
        stopping = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait({answering, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not answering.done():
                answering.cancel()
                await asyncio.wait({answering})
            if not answering.cancelled():
                answering.result()
            elif scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": CLOSE_STOPPING})
            else:
                gone = {"code": "STOPPING", "message": "the service is stopping: ask again"}
                await JSONResponse(gone, STATUS_STOPPING)(scope, receive, send)
        finally:
            stopping.cancel()
            answering.cancel()
