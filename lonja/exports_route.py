"""Files of exports beside the router, where router and journal are one process."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

PATH = "/exports/"


class ExportFiles:
    """The application, but what is below `/exports/` is the journal's."""

    def __init__(self, app: ASGIApp, journal: ASGIApp) -> None:
        self._app, self._journal = app, journal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        below = scope["type"] == "http" and scope["path"].startswith(PATH)
        await (self._journal if below else self._app)(scope, receive, send)
