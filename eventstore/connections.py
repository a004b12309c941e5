"""Connections for reading: lent one at a time, kept for the next reader, made anew when lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

import psycopg

from eventstore.errors import StoreUnavailable
from eventstore.layout import Layout, connect

T = TypeVar("T")


class Connections:
    """At most `connections_max` connections, in autocommit, any thread may borrow one.

    Reading is repeated on a new connection when the old one turns out to be lost, for
    `unavailable_seconds` at most: reading twice does no harm.
    """

    def __init__(
        self,
        conninfo: str,
        layout: Layout,
        *,
        connections_max: int,
        unavailable_seconds: float,
        retry_seconds: float,
    ) -> None:
        self._conninfo, self._layout = conninfo, layout
        self._unavailable_seconds, self._retry_seconds = unavailable_seconds, retry_seconds
        self._turns = threading.BoundedSemaphore(connections_max)
        self._idle: list[psycopg.Connection[Any]] = []
        self._closing = threading.Lock()
        self._closed = False

    def read(self, function: Callable[[psycopg.Connection[Any]], T]) -> T:
        """Call `function` with a connection. Raises StoreUnavailable."""
        since = time.monotonic()
        if not self._turns.acquire(timeout=self._unavailable_seconds):
            raise StoreUnavailable(self._layout.name, "all its reading connections are busy")
        try:
            while True:
                connection = None
                try:
                    connection = self._take()
                    result = function(connection)
                except psycopg.OperationalError as error:
                    if connection is not None and not connection.closed:
                        self._give_back(connection)
                        raise
                    if self._closed or time.monotonic() - since > self._unavailable_seconds:
                        raise StoreUnavailable(self._layout.name, str(error).strip()) from error
                    self._drop_idle()
                    time.sleep(self._retry_seconds)
                except BaseException:
                    if connection is not None:
                        connection.close()
                    raise
                else:
                    self._give_back(connection)
                    return result
        finally:
            self._turns.release()

    def close(self) -> None:
        """Close all connections: those in use, when they are given back."""
        with self._closing:
            self._closed = True
        self._drop_idle()

    def _give_back(self, connection: psycopg.Connection[Any]) -> None:
        with self._closing:
            if not self._closed:
                self._idle.append(connection)
                return
        connection.close()

    def _take(self) -> psycopg.Connection[Any]:
        if self._closed:
            raise StoreUnavailable(self._layout.name, "it is closed")
        try:
            return self._idle.pop()
        except IndexError:
            return connect(self._conninfo, self._layout.application("read"))

    def _drop_idle(self) -> None:
        while self._idle:
            self._idle.pop().close()
