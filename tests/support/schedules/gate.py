"""A gate between one writer and PostgreSQL: nothing passes unless the schedule lets it.

Speaks enough of PostgreSQL's protocol (version 3.0, "Message Formats") to know where what a client
sends at once ends, and which prepared statements it runs. All of it happens on the thread of the
schedule; the writer's own thread waits at its socket meanwhile, so the order of things is known.
"""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict, make_conninfo

STUCK_SECONDS = 20.0
"""Nothing takes that long: whoever waits longer waits for ever."""
PAUSE_SECONDS = 0.0005
SYNC, FLUSH, QUERY, TERMINATE = b"S", b"H", b"Q", b"X"
BIND, PARSE, READY = b"B", b"P", b"Z"


class Stuck(AssertionError):
    """Somebody waits for what will not come."""


class Messages:
    """Bytes of one direction, cut into messages."""

    def __init__(self, *, startup: bool) -> None:
        self._rest = b""
        self._startup = startup

    def add(self, data: bytes) -> list[bytes]:
        """The messages that are complete now."""
        self._rest += data
        found: list[bytes] = []
        while True:
            start = 0 if self._startup else 1
            if len(self._rest) < start + 4:
                return found
            end = start + int.from_bytes(self._rest[start : start + 4])
            if len(self._rest) < end:
                return found
            found.append(self._rest[:end])
            self._rest = self._rest[end:]
            self._startup = False


def statement(message: bytes) -> str:
    """The prepared statement that a Bind message names."""
    return message[5:].split(b"\0", 2)[1].decode()


class Gate:
    """`settle` until the writer has sent something or is done; then `forward` it and `answer`, or
    `cut` the connection at any point. Connecting and preparing pass by themselves. What a writer
    sends before it is answered is held until it is its turn.
    """

    def __init__(self, conninfo: str, folder: Path) -> None:
        parts = conninfo_to_dict(conninfo)
        self._server_path = f"{parts['host']}/.s.PGSQL.{parts['port']}"
        folder.mkdir()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(folder / ".s.PGSQL.5432"))
        self._listener.listen()
        parts |= {"host": str(folder), "port": "5432"}
        self.conninfo = make_conninfo("", **parts)
        self._held: list[bytes] = []
        """What the writer has sent and the server has not got."""
        self._client: socket.socket | None = None
        self._server: socket.socket | None = None
        self._sent, self._said = Messages(startup=True), Messages(startup=False)
        self._prepared = False
        self._answer: list[bytes] = []
        self._ending: list[socket.socket] = []
        self.in_transaction = False
        """What the server said last."""

    @property
    def burst(self) -> list[bytes]:
        """The first of what is held that ends with a Sync; empty if it has not ended yet."""
        for number, message in enumerate(self._held, 1):
            if message[:1] in (SYNC, QUERY):
                return self._held[:number]
        return []

    @property
    def statements(self) -> list[str]:
        """The prepared statements that the held burst runs."""
        return [statement(m) for m in self.burst if m[:1] == BIND]

    def settle(self, idle: Callable[[], bool]) -> bool:
        """Wait until a burst is held (true), or the writer has nothing to do (false)."""
        until = time.monotonic() + STUCK_SECONDS
        while True:
            if self._whole_burst():
                return True
            quiet = idle()  # asked before looking, so that what it sent before is seen
            if not self._look() and quiet:
                return False
            if time.monotonic() > until:
                raise Stuck("the writer neither sends nor ends")

    def forward(self, messages: int | None = None) -> None:
        """Give the server the held burst, or only so many messages of it."""
        assert self._server is not None
        part = self.burst if messages is None else self.burst[:messages]
        self._server.sendall(b"".join(part))
        if messages is None:
            del self._held[: len(part)]

    def answered(self, *, wait: bool) -> bool:
        """Whether the server has said all that it has to say to a burst; it is held then."""
        assert self._server is not None
        until = time.monotonic() + STUCK_SECONDS
        while not any(message[:1] == READY for message in self._answer):
            readable, _, _ = select.select([self._server], [], [], STUCK_SECONDS if wait else 0)
            if not readable:
                if wait and time.monotonic() > until:
                    raise Stuck("the server does not answer")
                return False
            data = self._server.recv(65536)
            if not data:
                raise Stuck("the server went away")
            self._answer += self._said.add(data)
        self.in_transaction = self._answer[-1][5:] != b"I"
        return True

    def deliver(self) -> None:
        """Give the writer the answer that is held."""
        assert self._client is not None
        answer, self._answer = self._answer, []
        with suppress(OSError):
            self._client.sendall(b"".join(answer))

    def cut(self) -> None:
        """End the connection on both sides. What is held is lost; the server sees all that it was
        given, and then the end.
        """
        if self._client is not None:
            self._client.close()
        if self._server is not None:
            self._server.shutdown(socket.SHUT_WR)
            self._ending.append(self._server)
        self._client = self._server = None
        self._held, self._answer, self.in_transaction = [], [], False

    def close(self) -> None:
        self.cut()
        self._listener.close()
        for connection in self._ending:
            connection.close()

    def _whole_burst(self) -> bool:
        if not self.burst:
            return False
        if self._prepared:
            return True
        prepares = any(m[:1] == PARSE and m[5:6] != b"\0" for m in self.burst)
        self.forward()
        self.answered(wait=True)
        self.deliver()
        self._prepared = prepares
        return False

    def _look(self) -> bool:
        """Take in what the writer does: connect, send, leave. Whether it did anything."""
        sources: Sequence[socket.socket] = [
            self._listener,
            *([self._client] if self._client else []),
        ]
        readable, _, _ = select.select(sources, [], [], PAUSE_SECONDS)
        for source in readable:
            if source is self._listener:
                self._connect()
            elif source is self._client:
                self._receive(source)
        return bool(readable)

    def _connect(self) -> None:
        self.cut()
        self._client, _ = self._listener.accept()
        self._server = socket.socket(socket.AF_UNIX)
        self._server.connect(self._server_path)
        self._sent, self._said = Messages(startup=True), Messages(startup=False)
        self._prepared = False
        start: list[bytes] = []
        while not start:
            start = self._sent.add(self._client.recv(65536))
        self._server.sendall(start[0])
        self.answered(wait=True)
        self.deliver()

    def _receive(self, client: socket.socket) -> None:
        try:
            data = client.recv(65536)
        except ConnectionError:
            data = b""
        messages = self._sent.add(data)
        self._held += (m for m in messages if m[:1] != FLUSH)  # a Sync flushes
        if not data or any(message[:1] == TERMINATE for message in messages):
            self.cut()
