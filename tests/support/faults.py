"""Things that go wrong on purpose: a proxy that cuts connections, an auditor that counts."""

from __future__ import annotations

import asyncio
import re
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

SYNC = (b"S\x00\x00\x00\x04", b"S\x00\x00\x00\x04H\x00\x00\x00\x04")
"""The message that ends what a client sends at once, with or without a Flush behind it."""


APPENDING = re.compile(rb"application_name\x00eventstore \w+ append\x00")


class CuttingProxy:
    """Stands between stores and PostgreSQL. `cut_after(n)` arms it: the nth time from now that the
    server has answered a Sync of an appending connection, the answer is thrown away and the
    connection cut. `refuse` closes new connections at once. `syncs` counts what such connections
    sent to be answered.
    """

    def __init__(self, conninfo: str) -> None:
        parts = conninfo_to_dict(conninfo)
        self._server = f"{parts['host']}/.s.PGSQL.{parts['port']}"
        self._folder = tempfile.TemporaryDirectory(prefix="lonja-test-")
        parts["host"] = self._folder.name
        self.conninfo = make_conninfo("", **parts)
        self.cuts = self.syncs = 0
        self.refuse = False
        self.refused = 0
        self._left: int | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._appending: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Self:
        path = Path(self._folder.name, ".s.PGSQL.5432")
        self._listener = await asyncio.start_unix_server(self._serve, path)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._listener.close()
        for writer in self._open:
            writer.close()
        self._folder.cleanup()

    def cut_after(self, syncs: int) -> None:
        self._left = syncs

    def cut(self) -> None:
        """Cut off who appends, at once. The server may be at work for them, and goes on."""
        for writer in self._appending:
            writer.close()

    async def _serve(self, client: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        if self.refuse:
            self.refused += 1
            back.close()
            return
        server, forth = await asyncio.open_unix_connection(self._server)
        self._open |= {back, forth}
        cutting = asyncio.Event()
        start = await client.read(65536)
        forth.write(start)
        if appends := APPENDING.search(start) is not None:
            self._appending.add(back)

        async def to_server() -> None:
            while data := await client.read(65536):
                ends = appends and data.endswith(SYNC)
                self.syncs += ends
                if ends and self._left is not None:
                    self._left -= 1
                    if self._left == 0:
                        self._left = None
                        cutting.set()
                forth.write(data)
                await forth.drain()
            forth.close()

        async def to_client() -> None:
            while data := await server.read(65536):
                if cutting.is_set():
                    self.cuts += 1
                    break
                back.write(data)
                await back.drain()
            back.close()
            forth.close()

        try:
            await asyncio.gather(to_server(), to_client())
        except (OSError, asyncio.CancelledError):
            back.close()
            forth.close()
        finally:
            self._open -= {back, forth}
            self._appending.discard(back)


@contextmanager
def counting(conninfo: str, events: str = "eventstore.events") -> Iterator[list[tuple[int, int]]]:
    """Count the log all the while, by plain SQL and nothing of the store. Every snapshot must hold
    as many events as its last position says; gives those that did not.
    """
    wrong: list[tuple[int, int]] = []
    stop = threading.Event()
    sql = f"SELECT count(*), coalesce(max(position), 0) FROM {events}".encode()

    def count() -> None:
        with psycopg.connect(conninfo, autocommit=True) as connection:
            while not stop.is_set():
                row = connection.execute(sql).fetchone()
                assert row is not None
                if row[0] != row[1]:
                    wrong.append(row)

    thread = threading.Thread(target=count)
    thread.start()
    try:
        yield wrong
    finally:
        stop.set()
        thread.join()
