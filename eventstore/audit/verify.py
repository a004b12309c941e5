"""Verify: recompute every hash of the log and name the first position that does not agree.

Found are: changed bytes of any column, events that are missing, inserted or swapped, a log that
ends before a seal says, seals that were rewritten or signed by a key that is not trusted, and, with
checkpoints kept outside the database, a log that was restored to before one or made anew. Whoever
changed an event and its hash, too, is found by the root of a seal, which names the seal's range.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import psycopg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from eventstore.audit.merkle import leaf_hash, root
from eventstore.audit.seal import NO_SEAL, Header, Seal, signed_by, to_seal
from eventstore.layout import Layout, prepare
from eventstore.read import COLUMNS
from eventstore.record import record

PAGE_EVENTS = 5000
PAGE_SEALS = 1000


@dataclass(frozen=True, slots=True)
class Fault:
    """The first thing that is wrong: at which position, what was found, what was expected. With
    `last` it is somewhere from `position` to there.
    """

    position: int
    what: str
    found: str
    expected: str
    last: int | None = None

    def __str__(self) -> str:
        where = f"position {self.position}"
        if self.last is not None:
            where = f"positions {self.position} to {self.last}"
        return f"{where}: {self.what} is {self.found}, expected {self.expected}"


@dataclass(frozen=True, slots=True)
class Report:
    """What was verified. `sealed` is the last position that a seal covers."""

    events: int
    sealed: int
    seals: int
    fault: Fault | None = None

    @property
    def intact(self) -> bool:
        return self.fault is None


class _Broken(Exception):
    def __init__(
        self, position: int, what: str, found: object, expected: object, *, last: int | None = None
    ) -> None:
        self.fault = Fault(position, what, str(found), str(expected), last)
        super().__init__(str(self.fault))


def verify(
    connection: psycopg.Connection[Any],
    layout: Layout,
    keys: Mapping[str, Ed25519PublicKey],
    *,
    checkpoint: Seal | None = None,
    kept: Callable[[int], Seal | None] = lambda number: None,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> Report:
    """Go through the whole log, in one snapshot. `keys` are those trusted, by their ids.

    `checkpoint` is the newest seal kept outside the database, `kept` gives any of them by number:
    the newest alone would not tell when a log went on after it was rewritten. `progress` is called
    with the events done and the number there are.
    """
    prepare(connection)
    walk = _Walk(layout, keys)
    fault = None
    try:
        with connection.transaction():
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            walk.run(connection, checkpoint, kept, progress)
    except _Broken as broken:
        fault = broken.fault
    return Report(walk.events, walk.sealed, walk.seals, fault)


class _Walk:
    def __init__(self, layout: Layout, keys: Mapping[str, Ed25519PublicKey]) -> None:
        self.layout, self.keys = layout, keys
        self.events = self.sealed = self.seals = 0
        self._leaves: list[bytes] = []

    def run(
        self,
        connection: psycopg.Connection[Any],
        checkpoint: Seal | None,
        kept: Callable[[int], Seal | None],
        progress: Callable[[int, int], None],
    ) -> None:
        schema = self.layout.schema
        head, log_id = connection.execute(
            f"SELECT position, id FROM {schema}.log".encode()
        ).fetchall()[0]
        leaves = self._checked_leaves(connection, head, progress)
        previous: Header | None = None
        previous_hash = NO_SEAL
        seen_checkpoint = checkpoint is None
        for seal, columns in self._all_seals(connection):
            header = self._checked_header(seal, log_id, previous, previous_hash)
            outside = kept(header.number)
            if outside is not None and outside.hash != seal.hash:
                raise _Broken(
                    header.first,
                    f"the hash of seal {header.number}",
                    seal.hash.hex(),
                    f"{outside.hash.hex()}, kept outside",
                    last=header.last,
                )
            if columns != (header.number, header.first, header.last, seal.hash):
                raise _Broken(header.first, f"the row of seal {header.number}", columns, header)
            if header.last > head:
                raise _Broken(
                    head + 1, "the end of the log", head, f"{header.last} (seal {header.number})"
                )
            size = header.last - header.first + 1
            found = root([next(leaves) for _ in range(size)]).hex()
            if found != header.root:
                raise _Broken(
                    header.first,
                    f"the root of seal {header.number}",
                    found,
                    header.root,
                    last=header.last,
                )
            if checkpoint is not None and seal.hash == checkpoint.hash:
                seen_checkpoint = True
            previous, previous_hash = header, seal.hash
            self.seals, self.sealed = header.number, header.last
        for _ in leaves:  # what is not sealed yet is checked by itself
            pass
        if checkpoint is not None:
            self._check_checkpoint(checkpoint, seen=seen_checkpoint)

    def _checked_header(
        self, seal: Seal, log_id: object, previous: Header | None, previous_hash: bytes
    ) -> Header:
        at = previous.last + 1 if previous is not None else 1
        number = previous.number + 1 if previous is not None else 1
        try:
            header = seal.read()
        except msgspec.MsgspecError as error:
            raise _Broken(at, f"seal {number}", error, "a header") from error
        if not signed_by(seal, self.keys):
            raise _Broken(
                at, f"the signature of seal {number}", f"by key {seal.key_id}", "by a trusted key"
            )
        expected = (self.layout.name, log_id, number, at, previous_hash.hex())
        found = (header.log, header.log_id, header.number, header.first, header.previous)
        if found != expected:
            raise _Broken(at, f"seal {number}", found, expected)
        return header

    def _check_checkpoint(self, checkpoint: Seal, *, seen: bool) -> None:
        header = checkpoint.read()
        if not signed_by(checkpoint, self.keys):
            raise _Broken(
                header.first,
                "the signature of the checkpoint",
                f"by key {checkpoint.key_id}",
                "by a trusted key",
            )
        if not seen:
            raise _Broken(
                min(header.first, self.sealed + 1),
                "the chain of seals",
                f"one of {self.seals} seals without the checkpoint",
                f"one that holds seal {header.number}, kept outside",
                last=header.last,
            )

    def _all_seals(
        self, connection: psycopg.Connection[Any]
    ) -> Iterator[tuple[Seal, tuple[int, int, int, bytes]]]:
        """Each with the columns by which it is found."""
        sql = (
            "SELECT header::text, key_id, signature, number, first, last, hash "
            f"FROM {self.layout.schema}.seals WHERE number > %s ORDER BY number LIMIT %s"
        ).encode()
        after = -1
        while rows := connection.execute(sql, [after, PAGE_SEALS]).fetchall():
            for header, key, signature, *columns in rows:
                number, first, last, hash_ = columns
                yield to_seal(header, key, signature), (number, first, last, hash_)
            after = rows[-1][3]

    def _checked_leaves(
        self, connection: psycopg.Connection[Any], head: int, progress: Callable[[int, int], None]
    ) -> Iterator[bytes]:
        """The leaf of every event, in order, computed anew from all its columns."""
        sql = (
            f"SELECT {COLUMNS}, leaf FROM {self.layout.schema}.events WHERE position > %s "
            "ORDER BY position LIMIT %s"
        ).encode()
        cursor = connection.cursor(binary=True)
        while rows := cursor.execute(sql, [self.events, PAGE_EVENTS], prepare=True).fetchall():
            for *row, kept in rows:
                position = row[0]
                if position != self.events + 1:
                    raise _Broken(self.events + 1, "the next event", f"at {position}", "there")
                found = leaf_hash(record(*row))
                if found != kept:
                    raise _Broken(position, "the hash of the event", found.hex(), kept.hex())
                self.events = position
                yield found
            progress(self.events, head)
        if self.events != head:
            raise _Broken(self.events + 1, "the end of the log", self.events, head)
