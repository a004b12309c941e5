"""Every way of altering a log is found, at its position; proofs hold without the database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import msgspec
import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from eventstore import Append, EventStore
from eventstore.audit import (
    NotProvable,
    Report,
    Seal,
    Signer,
    check,
    last_seal,
    prove,
    seal_next,
    verify,
)
from eventstore.audit.merkle import leaf_hash
from eventstore.audit.seal import to_seal
from eventstore.layout import connect
from eventstore.record import record
from tests.support.shelf import BoxPlaced, metadata, open_shelf

SIGNER = Signer(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
OTHER = Signer(Ed25519PrivateKey.from_private_bytes(bytes(32)))
KEYS = {SIGNER.key_id: SIGNER.key.public_key()}
NOW = datetime(2026, 11, 24, tzinfo=UTC)

OPEN = """ALTER TABLE eventstore.events DISABLE TRIGGER USER;
          ALTER TABLE eventstore.seals DISABLE TRIGGER USER;"""


@pytest.fixture
async def store(database: str) -> AsyncIterator[EventStore]:
    """Two seals over events 1 to 5 and 6 to 9, and one event behind them."""
    async with open_shelf(database) as opened:
        for count in (5, 4, 1):
            events = [BoxPlaced(str(n)) for n in range(count)]
            await opened.append(Append(f"box_{count}", events), metadata=metadata(reason="x"))
            if count > 1:
                seal(opened)
        yield opened


def seal(store: EventStore, signer: Signer = SIGNER) -> Seal | None:
    with connect(store.conninfo, "test") as connection:
        return seal_next(connection, store.layout, signer, NOW)


def verified(store: EventStore, checkpoint: Seal | None = None) -> Report:
    with connect(store.conninfo, "test") as connection:
        return verify(connection, store.layout, KEYS, checkpoint=checkpoint)


def checkpoint_of(store: EventStore) -> Seal:
    with connect(store.conninfo, "test") as connection:
        found = last_seal(connection, store.layout)
    assert found is not None
    return msgspec.json.decode(msgspec.json.encode(found), type=Seal)  # as kept in a file


def alter(store: EventStore, *statements: str) -> None:
    """As somebody who may do anything in the database."""
    with psycopg.connect(store.conninfo) as connection:
        for statement in (OPEN, *statements):
            connection.execute(statement.encode())


async def test_an_unaltered_log_is_intact(store: EventStore) -> None:
    assert verified(store) == Report(events=10, sealed=9, seals=2)
    assert verified(store, checkpoint_of(store)).intact


REWRITE = "UPDATE eventstore.events SET "
EVENTS = "eventstore.events"


@pytest.mark.parametrize(
    ("statement", "position", "what"),
    [
        (REWRITE + 'payload = \'{"grams":0,"label":"9"}\' WHERE position = 3', 3, "hash"),
        (REWRITE + "metadata = replace(metadata::text, 'usr_1', 'usr_2')::json", 1, "hash"),
        (REWRITE + "stream = 'box_9' WHERE position = 7", 7, "hash"),
        (REWRITE + "type = 'box.moved' WHERE position = 7", 7, "hash"),
        (REWRITE + "recorded_at = recorded_at + interval '1 us' WHERE position = 7", 7, "hash"),
        (REWRITE + "tags = '{x}' WHERE position = 10", 10, "hash"),
        (REWRITE + "id = gen_random_uuid() WHERE position = 10", 10, "hash"),
        (REWRITE + "leaf = sha256('x') WHERE position = 2", 2, "hash"),
        (f"DELETE FROM {EVENTS} WHERE position = 4", 4, "next event"),
        (f"DELETE FROM {EVENTS} WHERE position = 10", 10, "end of the log"),
        (
            f"DELETE FROM {EVENTS} WHERE position > 8; UPDATE eventstore.log SET position = 8",
            9,
            "end of the log",
        ),
        (
            f"""INSERT INTO {EVENTS} SELECT 11, 2, recorded_at, type_version, id, stream, type,
                leaf, tags, metadata, payload FROM {EVENTS} WHERE position = 10""",
            11,
            "hash",
        ),
        (
            f"ALTER TABLE {EVENTS} DROP CONSTRAINT events_pkey CASCADE;"
            + REWRITE
            + "position = 5 - position WHERE position IN (2, 3)",
            2,
            "hash",
        ),
        ("DELETE FROM eventstore.seals WHERE number = 1", 1, "seal 1"),
        ("UPDATE eventstore.seals SET header = '{}' WHERE number = 2", 6, "seal 2"),
        ("UPDATE eventstore.seals SET last = 8 WHERE number = 2", 6, "row of seal 2"),
        ("UPDATE eventstore.seals SET hash = '' WHERE number = 1", 1, "row of seal 1"),
        ("UPDATE eventstore.seals SET signature = 'x' WHERE number = 2", 6, "signature of seal 2"),
        (
            "UPDATE eventstore.seals SET header = "
            "replace(header::text, '\"last\":9', '\"last\":8')::json",
            6,
            "signature of seal 2",
        ),
    ],
)
async def test_alterations_are_found(
    store: EventStore, statement: str, position: int, what: str
) -> None:
    alter(store, statement)
    fault = verified(store).fault
    assert fault is not None
    assert (fault.position, what in fault.what) == (position, True), str(fault)


def rehash(store: EventStore) -> None:
    """Make the leaves of a changed log agree again, as somebody who knows how could."""
    with connect(store.conninfo, "test") as connection:
        rows = connection.execute(
            "SELECT position, stream, version, id, type, type_version, payload, metadata, "
            "recorded_at, tags FROM eventstore.events",
            binary=True,
        ).fetchall()
        for row in rows:
            connection.execute(
                "UPDATE eventstore.events SET leaf = %s WHERE position = %s",
                [leaf_hash(record(*row)), row[0]],
            )


CHANGE = REWRITE + 'payload = \'{"grams":0,"label":"9"}\' WHERE position = 3'


async def test_a_log_rewritten_with_its_hashes_does_not_fit_its_seals(store: EventStore) -> None:
    alter(store, CHANGE)
    rehash(store)
    fault = verified(store).fault
    assert fault is not None
    assert (fault.position, fault.what) == (1, "the root of seal 1")
    assert str(fault).startswith("positions 1 to 5: the root of seal 1 is ")


async def test_seals_made_anew_by_another_key_are_not_trusted(store: EventStore) -> None:
    alter(store, CHANGE, "DELETE FROM eventstore.seals")
    rehash(store)
    assert seal(store, OTHER) is not None
    fault = verified(store).fault
    assert fault is not None
    assert (fault.position, fault.what) == (1, "the signature of seal 1")


async def test_seals_made_anew_by_the_same_key_do_not_fit_a_checkpoint(store: EventStore) -> None:
    outside = checkpoint_of(store)
    alter(store, CHANGE, "DELETE FROM eventstore.seals")
    rehash(store)
    assert seal(store) is not None
    assert verified(store).intact  # nothing inside the database tells
    fault = verified(store, outside).fault
    assert fault is not None
    assert fault.what == "the chain of seals"


async def test_a_log_that_went_on_after_it_was_rewritten(store: EventStore) -> None:
    """Its newest seals are kept outside, too: those of before tell, and from where on."""
    with connect(store.conninfo, "test") as connection:
        old = {seal.read().number: seal for seal in seals(connection)}
    alter(store, CHANGE, "DELETE FROM eventstore.seals")
    rehash(store)
    for count in (1, 2, 3):
        await store.append(Append(f"more_{count}", [BoxPlaced("x")]), metadata=metadata())
        seal(store)
    newest = checkpoint_of(store)
    assert verified(store, newest).intact
    with connect(store.conninfo, "test") as connection:
        report = verify(connection, store.layout, KEYS, checkpoint=newest, kept=old.get)
    fault = report.fault
    assert fault is not None
    assert (fault.position, fault.last, fault.what) == (1, 11, "the hash of seal 1")


def seals(connection: psycopg.Connection[Any]) -> list[Seal]:
    rows = connection.execute("SELECT header::text, key_id, signature FROM eventstore.seals")
    return [to_seal(*row) for row in rows]


@pytest.mark.parametrize("pages", [1, 2, 1000])
async def test_seals_are_read_in_pages(
    store: EventStore, monkeypatch: pytest.MonkeyPatch, pages: int
) -> None:
    monkeypatch.setitem(verify.__globals__, "PAGE_SEALS", pages)
    assert verified(store) == Report(events=10, sealed=9, seals=2)


async def test_a_log_restored_to_before_a_checkpoint(store: EventStore) -> None:
    outside = checkpoint_of(store)
    alter(
        store,
        "DELETE FROM eventstore.seals WHERE number = 2",
        "DELETE FROM eventstore.events WHERE position > 5",
        "UPDATE eventstore.log SET position = 5",
    )
    assert verified(store).intact
    fault = verified(store, outside).fault
    assert fault is not None
    assert (fault.position, fault.what) == (6, "the chain of seals")


async def test_a_checkpoint_by_a_foreign_key(store: EventStore) -> None:
    foreign = OTHER.sign(checkpoint_of(store).read())
    fault = verified(store, foreign).fault
    assert fault is not None
    assert fault.what == "the signature of the checkpoint"


async def test_a_proof_holds_without_the_database(store: EventStore) -> None:
    event = (await store.read(6, limit=1))[0]
    with connect(store.conninfo, "test") as connection:
        proof = msgspec.json.encode(prove(connection, store.layout, event.id))
    proved = check(proof, KEYS)
    assert (proved["position"], proved["payload"]["label"]) == (7, "1")
    forgeries = [
        proof.replace(b'"label":"1"', b'"label":"2"'),
        proof.replace(b'"position":7', b'"position":8'),
        proof.replace(b'"position":7', b'"position":99'),
        proof.replace(b'"last":9', b'"last":8'),
        proof.replace(SIGNER.key_id.encode(), OTHER.key_id.encode()),
        proof[:-5],
        b"{}",
        b"",
    ]
    for forged in forgeries:
        assert forged != proof
        with pytest.raises(NotProvable):
            check(forged, KEYS)
    with pytest.raises(NotProvable, match="not signed by a trusted key"):
        check(proof, {})


async def test_what_is_not_sealed_or_not_there_has_no_proof(store: EventStore) -> None:
    event = (await store.read(9, limit=1))[0]
    with connect(store.conninfo, "test") as connection:
        with pytest.raises(NotProvable, match="not sealed yet"):
            prove(connection, store.layout, event.id)
        with pytest.raises(NotProvable, match="there is no event"):
            prove(connection, store.layout, uuid4())


async def test_seals_cannot_be_changed(store: EventStore) -> None:
    with psycopg.connect(store.conninfo, autocommit=True) as connection:
        for statement in (
            b"DELETE FROM eventstore.seals",
            b"UPDATE eventstore.seals SET number = 5",
            b"TRUNCATE eventstore.seals",
        ):
            with pytest.raises(psycopg.IntegrityError):
                connection.execute(statement)


async def test_two_sealers_take_turns(store: EventStore) -> None:
    await asyncio.gather(*(asyncio.to_thread(seal, store) for _ in range(4)))
    assert verified(store) == Report(events=10, sealed=10, seals=3)
