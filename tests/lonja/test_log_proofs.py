"""`lonja log`: search, export, checkpoint, verify, prove, check-proof, as an auditor uses them."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from eventstore import Actor, Append, Event, EventStore, EventTypes, Metadata, event_type
from lonja.settings import SERVICES
from tests.support.log_command import log_command as lonja

pytestmark = pytest.mark.slow
EVENTS = 25


@event_type("order.noted")
class OrderNoted(Event, frozen=True):
    """A stand-in of the test's own: proofs do not look at what an event means."""

    text: str


@pytest.fixture
def databases(
    new_database: Callable[[], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, str]:
    """A database for each service; orders has EVENTS events."""
    found = {service: new_database() for service in SERVICES}
    monkeypatch.setenv("LONJA_DATABASE_URLS", json.dumps(found))
    monkeypatch.setenv("LONJA_DATA_DIR", str(tmp_path / "data"))
    asyncio.run(_write(found["orders"]))
    return found


async def _write(conninfo: str) -> None:
    async with EventStore(conninfo, EventTypes([OrderNoted]), name="orders") as store:
        for number in range(EVENTS):
            await store.append(
                Append(f"ord_{number % 3}", [OrderNoted(f"seda, {number}\nñ")]),
                metadata=Metadata(
                    actor=Actor("user", "usr_1"),
                    command_id=f"cmd_{number}",
                    correlation_id=f"cor_{number % 5}",
                    occurred_at=datetime.now(UTC),
                    reason="two\nlines",
                ),
            )


def change(conninfo: str, sql: str) -> None:
    """Alter the log as only a superuser can who lifts its guards first."""
    with psycopg.connect(conninfo) as connection:
        connection.execute("SET session_replication_role = replica")
        for table in ("events", "seals"):
            connection.execute(f"ALTER TABLE eventstore.{table} DISABLE TRIGGER ALL".encode())
        connection.execute(sql.encode())


def test_a_checkpoint_then_a_change_is_found_by_position(databases: dict[str, str]) -> None:
    made = lonja("checkpoint", "--json")
    assert made.exit_code == 0, made.output
    (orders,) = [row for row in json.loads(made.stdout) if row["service"] == "orders"]
    assert (orders["events"], Path(orders["file"]).exists()) == (EVENTS, True)

    intact = lonja("verify", "--json")
    assert intact.exit_code == 0, intact.output
    assert {row["state"] for row in json.loads(intact.stdout)} == {"intact"}

    change(
        databases["orders"],
        'UPDATE eventstore.events SET payload = \'{"text":"lana"}\' WHERE position = 7',
    )
    broken = lonja("verify", "--json")
    assert broken.exit_code == 1
    (found,) = [row for row in json.loads(broken.stdout) if row["state"] == "broken"]
    assert found["service"] == "orders"
    assert found["fault"].startswith("position 7:")


def test_a_log_restored_to_before_its_checkpoint_is_found_out(databases: dict[str, str]) -> None:
    assert lonja("checkpoint").exit_code == 0
    change(
        databases["orders"],
        "DELETE FROM eventstore.events; DELETE FROM eventstore.seals;"
        " UPDATE eventstore.log SET position = 0",
    )
    report = lonja("verify", "--service", "orders", "--json")
    assert report.exit_code == 1
    assert "checkpoint" in json.loads(report.stdout)[0]["fault"]


def test_a_proof_is_checked_without_a_database(
    databases: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    event = json.loads(exported(tmp_path, "orders", "jsonl")[3])
    early = lonja("prove", event["id"])
    assert early.exit_code == 1
    assert "not sealed yet" in early.output
    lonja("checkpoint")
    file = tmp_path / "proof.json"
    assert lonja("prove", event["id"], "-o", str(file)).exit_code == 0

    monkeypatch.setenv("LONJA_DATABASE_URLS", "{}")
    proved = lonja("check-proof", str(file), "--json")
    assert proved.exit_code == 0, proved.output
    assert json.loads(proved.stdout)["record"] == event

    file.write_bytes(file.read_bytes().replace(b"seda", b"lana"))
    refused = lonja("check-proof", str(file))
    assert refused.exit_code == 1
    assert "not in seal" in refused.output
    foreign = lonja("check-proof", str(file), "--key", "00" * 31 + "01")
    assert foreign.exit_code == 1


def exported(folder: Path, service: str, kind: str) -> list[bytes]:
    done = lonja("export", "--service", service, "--format", kind, "-o", str(folder / "out"))
    assert done.exit_code == 0, done.output
    return (folder / "out" / f"{service}.{kind}").read_bytes().splitlines()


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_an_export_that_was_cut_off_goes_on(
    databases: dict[str, str], tmp_path: Path, kind: str
) -> None:
    whole = exported(tmp_path, "orders", kind)
    file = tmp_path / "out" / f"orders.{kind}"
    kept = file.read_bytes()
    file.write_bytes(kept[: len(kept) * 2 // 3])
    assert exported(tmp_path, "orders", kind) == whole
    assert file.read_bytes() == kept
    manifest = json.loads((tmp_path / "out" / f"orders.{kind}.manifest.json").read_text())
    assert (manifest["first"], manifest["last"]) == (1, EVENTS)
    assert manifest["sha256"] == hashlib.sha256(kept).hexdigest()
    assert (manifest["events"], manifest["filter"]) == (EVENTS, None)
    assert manifest["last_event"]["position"] == EVENTS
    change(databases["orders"], "UPDATE eventstore.log SET position = position - 1")
    assert "with position 25, but the log of orders at 24" in refused_export(tmp_path, kind)
    change(databases["orders"], "UPDATE eventstore.log SET position = position + 1, id = id")
    assert "whose filter is null, not {" in refused_export(tmp_path, kind, "--tag", "x")
    change(databases["orders"], "UPDATE eventstore.log SET id = gen_random_uuid()")
    assert "whose log_id is " in refused_export(tmp_path, kind)
    manifest_file = tmp_path / "out" / f"orders.{kind}.manifest.json"
    manifest_file.write_bytes(manifest_file.read_bytes()[:-5])
    assert "is no manifest" in refused_export(tmp_path, kind)
    manifest_file.unlink()
    file.write_bytes(b"something else\n")
    assert "does not end with an exported event" in refused_export(tmp_path, kind)


def refused_export(folder: Path, kind: str, *more: str) -> str:
    """What is said."""
    arguments = ("--service", "orders", "--format", kind, "-o", str(folder / "out"), *more)
    refused = lonja("export", *arguments)
    assert refused.exit_code == 1, refused.output
    return refused.output


def test_an_export_of_what_matches(databases: dict[str, str], tmp_path: Path) -> None:
    """Goes on after more was appended, too; its last event is named with its hash."""
    wanted = ("--correlation", "cor_3", "--since", "2026-01-01", "--type", "order.noted")
    whole = [json.loads(line) for line in exported(tmp_path, "orders", "jsonl")]
    expected = [event for event in whole if event["metadata"]["correlation_id"] == "cor_3"]
    for turn in (1, 2):
        output = tmp_path / "some"
        done = lonja("export", "--service", "orders", "-o", str(output), "--json", *wanted)
        assert done.exit_code == 0, done.output
        (manifest,) = json.loads(done.stdout)
        lines = (output / "orders.jsonl").read_bytes().splitlines()
        assert [json.loads(line) for line in lines[: len(expected)]] == expected
        assert len(lines) == manifest["events"] == turn * len(expected)
        assert (manifest["first"], manifest["last"]) == (1, turn * EVENTS)
        assert manifest["filter"]["correlation_id"] == "cor_3"
        assert manifest["filter"]["since"] == "2026-01-01T00:00:00+00:00"
        leaf = hashlib.sha256(b"\0" + lines[-1]).hexdigest()
        assert (manifest["last_event"]["hash"], manifest["last_event"]["id"]) == (
            leaf,
            json.loads(lines[-1])["id"],
        )
        asyncio.run(_write(databases["orders"]))


def test_corrupt_checkpoints_and_keys_are_named(
    databases: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "checkpoint.json"
    file.write_text("{}")
    refused = lonja("verify", "--service", "orders", "--checkpoint", str(file))
    assert refused.exit_code == 1
    assert f"{file} is no checkpoint" in refused.output
    assert lonja("verify", "--checkpoint", str(file)).exit_code == 2
    monkeypatch.setenv("LONJA_AUDIT__TRUSTED_KEYS", '["not a key"]')
    assert "'not a key' is no Ed25519 public key" in lonja("verify").output
