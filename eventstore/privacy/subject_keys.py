"""The keys of persons, in the table `subject_keys`: made when first needed, destroyed for ever.

A row stays after its key is destroyed, so that none is made for that person again. Who reads asks
the table each time, and caches only the unwrapping of what it says: a destroyed key is gone at once
in every process.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from threading import Lock
from typing import Any

import psycopg
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from eventstore.append import Effect
from eventstore.errors import (
    EventStoreError,
    SubjectKeyCorrupt,
    SubjectKeyLost,
    WrongMasterKey,
)
from eventstore.layout import Layout
from eventstore.privacy.keyring import KEY_BYTES, Keyring
from eventstore.snapshots import drop_all

KEYS_CACHED_MAX = 10_000
REWRAP_KEYS = 1_000

Keys = Mapping[str, AESGCM | None]
"""Ciphers by subject; None for one who was erased."""

Connection = psycopg.Connection[Any] | psycopg.Cursor[Any]
_Row = tuple[str, bytes | None, str | None]


class SubjectKeys:
    """The keys of one store. `make` and `find` do their work over the caller's connection."""

    def __init__(self, layout: Layout, keyring: Keyring) -> None:
        self._store, self._keyring = layout.name, keyring
        self._table = f"{layout.schema}.subject_keys"
        self._unwrapped = lru_cache(KEYS_CACHED_MAX)(self._unwrap)
        self._known: dict[str, AESGCM] = {}
        self._knowing = Lock()

    def check(self, connection: psycopg.Connection[Any]) -> None:
        """Raises WrongMasterKey if keys of the table are wrapped by one that is not at hand."""
        sql = f"SELECT min(master_id), max(master_id) FROM {self._table}"
        row = connection.execute(sql.encode()).fetchone()
        for master_id in row or ():
            if master_id is not None:
                self._keyring.check(self._store, master_id)

    def forget(self) -> None:
        """Drop what is cached: somebody was erased."""
        with self._knowing:
            self._known.clear()
        self._unwrapped.cache_clear()

    # For appending: what is cached may be of somebody just erased, which the commit finds out.

    def cached(self, subjects: Collection[str]) -> Keys | None:
        """The keys of all subjects, if all are known here."""
        known = self._known
        found = {subject: key for subject in subjects if (key := known.get(subject)) is not None}
        return found if len(found) == len(subjects) else None

    def make(self, connection: psycopg.Connection[Any], subjects: Collection[str]) -> Keys:
        """The keys of all subjects, new ones for those never seen: committed when this returns.

        Raises WrongMasterKey, SubjectKeyCorrupt.
        """
        rows = self._rows(connection, subjects)
        if missing := sorted(set(subjects) - {subject for subject, _, _ in rows}):
            made = [(s, *self._keyring.wrap(s, os.urandom(KEY_BYTES))) for s in missing]
            connection.execute(
                f"INSERT INTO {self._table} (subject, master_id, wrapped) "
                "SELECT * FROM unnest(%s::text[], %s::text[], %s::bytea[]) ON CONFLICT DO NOTHING",
                [list(column) for column in zip(*made, strict=True)],
            )
            rows = self._rows(connection, subjects)
        keys = {subject: self._key(row) for row in rows if (subject := row[0])}
        with self._knowing:
            for subject, key in keys.items():
                if key is not None:
                    self._known[subject] = key
            while len(self._known) > KEYS_CACHED_MAX:
                del self._known[next(iter(self._known))]
        return keys

    # For reading

    def find(
        self, connection: Connection, subjects: Collection[str]
    ) -> dict[str, AESGCM | EventStoreError | None]:
        """What there is for each subject: a key, None if it was destroyed, or what is wrong."""
        found: dict[str, AESGCM | EventStoreError | None] = {}
        for row in self._rows(connection, subjects):
            try:
                found[row[0]] = self._key(row)
            except (WrongMasterKey, SubjectKeyCorrupt) as error:
                found[row[0]] = error
            if found[row[0]] is None:
                with self._knowing:
                    self._known.pop(row[0], None)
        for subject in subjects:
            if subject not in found:
                found[subject] = SubjectKeyLost(self._store, subject)
        return found

    def broken(self, connection: psycopg.Connection[Any], most: int) -> list[EventStoreError]:
        """What is wrong with the keys that do not unwrap, of `most` keys that are looked at."""
        rows: list[_Row] = connection.execute(
            f"SELECT subject, wrapped, master_id FROM {self._table} WHERE wrapped IS NOT NULL "
            "LIMIT %s".encode(),
            [most],
            binary=True,
        ).fetchall()
        wrong: list[EventStoreError] = []
        for row in rows:
            try:
                self._key(row)
            except (WrongMasterKey, SubjectKeyCorrupt) as error:
                wrong.append(error)
        return wrong

    # Rotating the master key

    def rewrap(self, connection: psycopg.Connection[Any]) -> int:
        """Wrap some keys, REWRAP_KEYS at most, by the current master key: how many that were.

        Raises WrongMasterKey, SubjectKeyCorrupt.
        """
        current = self._keyring.current.id
        with connection.transaction():
            rows: Sequence[_Row] = connection.execute(
                f"SELECT subject, wrapped, master_id FROM {self._table} "
                "WHERE (master_id < %(id)s OR master_id > %(id)s) AND wrapped IS NOT NULL "
                f"LIMIT {REWRAP_KEYS} FOR UPDATE",
                {"id": current},
                binary=True,
            ).fetchall()
            fresh = [
                (subject, *self._keyring.wrap(subject, self._secret(subject, wrapped, master_id)))
                for subject, wrapped, master_id in rows
                if wrapped is not None and master_id is not None
            ]
            if fresh:
                connection.execute(
                    f"UPDATE {self._table} k SET master_id = n.m, wrapped = n.w "
                    "FROM unnest(%s::text[], %s::text[], %s::bytea[]) AS n (s, m, w) "
                    "WHERE k.subject = n.s",
                    [list(column) for column in zip(*fresh, strict=True)],
                )
        return len(fresh)

    def _rows(self, connection: Connection, subjects: Collection[str]) -> list[_Row]:
        sql = f"SELECT subject, wrapped, master_id FROM {self._table} WHERE subject = ANY(%s)"
        owner = connection if isinstance(connection, psycopg.Connection) else connection.connection
        with psycopg.Cursor(owner) as cursor:
            return cursor.execute(
                sql.encode(), [list(subjects)], binary=True, prepare=True
            ).fetchall()

    def _key(self, row: _Row) -> AESGCM | None:
        subject, wrapped, master_id = row
        if wrapped is None or master_id is None:
            return None
        return self._unwrapped(subject, wrapped, master_id)

    def _unwrap(self, subject: str, wrapped: bytes, master_id: str) -> AESGCM:
        return AESGCM(self._secret(subject, wrapped, master_id))

    def _secret(self, subject: str, wrapped: bytes, master_id: str) -> bytes:
        return self._keyring.unwrap(self._store, subject, master_id, bytes(wrapped))


def destruction(layout: Layout, subject: str) -> tuple[Effect, ...]:
    """What destroys a key, in the transaction that records it, deletes the states that were folded
    before, and makes every process notice.
    """
    return (
        Effect(
            f"INSERT INTO {layout.schema}.subject_keys (subject, erased_at) VALUES (%s, now()) "
            "ON CONFLICT (subject) DO UPDATE SET wrapped = NULL, master_id = NULL, "
            "erased_at = now()",
            (subject,),
        ),
        Effect(f"UPDATE {layout.schema}.log SET erasures = erasures + 1"),
        *drop_all(layout),
        Effect("SELECT pg_notify(%s, %s)", (layout.channel, layout.erasure_notice.decode())),
    )
