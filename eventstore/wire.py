"""Prepared statements sent many at a time, straight over libpq: a round trip for all of them.

psycopg's own pipelines cost tens of µs a statement in Python, these a few. Parameters and results
are in PostgreSQL's binary formats, made and read by eventstore/arrays.py and the callers.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import psycopg
from psycopg.errors import error_from_result
from psycopg.pq import ConnStatus, ExecStatus, Format
from psycopg.pq.abc import PGresult

Call = tuple[bytes, Sequence[bytes | None]]
"""A prepared statement's name, and its parameters in binary."""

_FAILED = (ExecStatus.FATAL_ERROR, ExecStatus.BAD_RESPONSE, ExecStatus.PIPELINE_ABORTED)
_BINARY = [Format.BINARY] * 32


class Wire:
    """A connection with its statements prepared. One thread uses it at a time."""

    def __init__(
        self, connection: psycopg.Connection[Any], statements: Mapping[bytes, str]
    ) -> None:
        """Raises psycopg.Error."""
        self.connection = connection
        self.unanswered = 0
        """How often `send` was called without `receive` yet: nothing else is run meanwhile."""
        self._wire = connection.pgconn
        self._readable, self._writable = select.poll(), select.poll()
        self._readable.register(self._wire.socket, select.POLLIN)
        self._writable.register(self._wire.socket, select.POLLIN | select.POLLOUT)
        prepare = self._wire.send_prepare
        self._send([partial(prepare, name, sql.encode()) for name, sql in statements.items()])
        self.receive()

    def run(self, calls: Sequence[Call]) -> list[PGresult]:
        """`send` and `receive`."""
        self.send(calls)
        return self.receive()

    def send(self, calls: Sequence[Call]) -> None:
        """Send all calls, which are one transaction if they do not say otherwise.

        A lost connection raises psycopg.OperationalError, and `connection.closed` is true then.
        """
        send = self._wire.send_query_prepared
        self._send(
            [
                partial(send, name, params, _BINARY[: len(params)], Format.BINARY)
                for name, params in calls
            ]
        )

    def receive(self) -> list[PGresult]:
        """Wait for the answer to what was sent first: one result for each call.

        Raises psycopg.Error of the first call that failed; the later ones were not run. A lost
        connection raises psycopg.OperationalError, and `connection.closed` is true then.
        """
        wire = self._wire
        results: list[PGresult] = []
        try:
            while (result := self._result()) is None or result.status != ExecStatus.PIPELINE_SYNC:
                if result is not None:
                    results.append(result)
                elif wire.status != ConnStatus.OK:
                    raise psycopg.OperationalError(wire.get_error_message())
            self.unanswered -= 1
            if not self.unanswered:
                wire.exit_pipeline_mode()
        except psycopg.OperationalError:
            self.connection.close()
            raise
        for result in results:
            self._check(result)
        return results

    def wait(self, other: socket.socket) -> bool:
        """Wait until `receive` would not (true), or something came from `other`, which is taken."""
        wire, poll = self._wire, select.poll()
        poll.register(wire.socket, select.POLLIN)
        poll.register(other, select.POLLIN)
        while wire.is_busy():
            ready = [descriptor for descriptor, _ in poll.poll()]
            if wire.socket in ready:
                try:
                    wire.consume_input()
                except psycopg.OperationalError:
                    self.connection.close()
                    return True
            if other.fileno() in ready:
                other.recv(64)
                return False
        return True

    def _send(self, sends: Sequence[Callable[[], None]]) -> None:
        wire = self._wire
        try:
            if not self.unanswered:
                wire.enter_pipeline_mode()
            self.unanswered += 1
            for send in sends:
                send()
            wire.pipeline_sync()
            self._flush()
        except psycopg.OperationalError:
            self.connection.close()
            raise

    def _flush(self) -> None:
        wire = self._wire
        while wire.flush():
            self._writable.poll()
            wire.consume_input()

    def _result(self) -> PGresult | None:
        """The next result, None between those of two statements. Waits without holding the GIL,
        which `get_result` by itself would not let go.
        """
        wire = self._wire
        while wire.is_busy():
            self._readable.poll()
            wire.consume_input()
        return wire.get_result()

    def simple(self, sql: bytes) -> None:
        """Run SQL that gives nothing back. Raises psycopg.Error."""
        self._check(self._wire.exec_(sql))

    def _check(self, result: PGresult) -> None:
        if result.status in _FAILED:
            if self._wire.status != ConnStatus.OK:
                self.connection.close()
                raise psycopg.OperationalError(result.get_error_message())
            raise error_from_result(result)


def column(result: PGresult, number: int) -> list[bytes]:
    """All values of a column. There are no nulls."""
    get = result.get_value
    return [get(row, number) or b"" for row in range(result.ntuples)]


def integer(value: bytes | None) -> int:
    """A bigint or integer."""
    return int.from_bytes(value or b"", "big", signed=True)
