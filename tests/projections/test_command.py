"""`lonja projections` against the running shop: each read model of each service rebuilt."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner, Result

from lonja.cli import main
from lonja.settings import Settings
from tests.support.services import built
from tests.support.whole import shop_settings, whole_shop


def environment(settings: Settings) -> dict[str, str]:
    return {
        "LONJA_DATA_DIR": str(settings.data_dir),
        "LONJA_DATABASE_URLS": json.dumps(settings.database_urls),
    }


def invoke(settings: Settings, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["projections", *arguments], env=environment(settings))


async def command(settings: Settings, *arguments: str) -> Any:
    """What a command prints as JSON: its last document."""
    result = await asyncio.to_thread(invoke, settings, *arguments, "--json")
    assert result.exit_code == 0, (arguments, result.output, result.exception)
    return json.loads(result.stdout.splitlines()[-1])


def reactor_of_orders() -> str:
    """The name of one, with its service."""
    return f"orders/{built()['orders'].reactors[0].name}"


@pytest.fixture(autouse=True)
def _same_priority(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command steps back behind others; here it runs in the process of the tests."""
    monkeypatch.setattr("os.nice", lambda _: 0)


@pytest.mark.slow
async def test_every_read_model_is_rebuilt_equal_switched_and_rolled_back(
    tmp_path: Path, new_database: Callable[[], str]
) -> None:
    settings = shop_settings(tmp_path, new_database)
    async with whole_shop(settings) as shop:
        for name in ("ada", "bo"):
            await shop.customer(name)
        builds = await command(settings, "list")
        assert {build["service"] for build in builds} >= {"users", "orders", "products"}
        assert {build["state"] for build in builds} == {"live"}
        assert all(build["missing"] == build["parked"] == 0 for build in builds)
        for build in builds:
            name = f"{build['service']}/{build['projection']}"
            await command(settings, "rebuild", name, "--reason", "a test")
            assert (await command(settings, "verify", name))["equal"], name
            done = await command(settings, "switch", name, "--reason", "a test")
            assert done["live"]["number"] == 2
            back = await command(settings, "rollback", name, "--reason", "a test")
            assert back["live"]["number"] == 1
        assert await command(settings, "parked") == []
        assert await command(settings, "redrive") == {"asked": 0}
        trial = await command(settings, "rebuild", "users/users", "--dry-run")
        assert trial["schema"] == ""


@pytest.mark.slow
async def test_the_list_is_shown_again_until_ctrl_c(
    tmp_path: Path, new_database: Callable[[], str]
) -> None:
    settings = shop_settings(tmp_path, new_database)
    await command(settings, "rebuild", "users/users")
    watching = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", "from lonja.cli import main; main()"),
        *("projections", "list", "--watch", "--json"),
        env=os.environ | environment(settings),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert watching.stdout is not None
    seen = [json.loads(await watching.stdout.readline()) for _ in range(3)]
    watching.send_signal(signal.SIGINT)
    _, errors = await watching.communicate()
    assert (watching.returncode, errors) == (0, b"")
    assert [{row["rate"] for row in rows} for rows in seen] == [{None}, {0}, {0}]
    states = {(row["projection"], row["build"]): row["state"] for row in seen[-1]}
    assert (states["users", 1], states["users", 2]) == ("live", "ready")


@pytest.mark.slow
async def test_what_a_reactor_could_not_do_is_listed_redriven_and_skipped(
    tmp_path: Path, new_database: Callable[[], str]
) -> None:
    settings = shop_settings(tmp_path, new_database)
    reactor, service = reactor_of_orders(), settings.database_urls["orders"]
    plain = reactor.removeprefix("orders/")
    assert await command(settings, "parked") == []
    for statement in (
        "INSERT INTO projections.parked_streams (reactor, source, stream, error, traceback)"
        " VALUES (%(reactor)s, 'users', 'usr_1', 'ValueError: no', 'Traceback: no')",
        "INSERT INTO projections.parked_messages (reactor, source, stream, position, message)"
        " VALUES (%(reactor)s, 'users', 'usr_1', 7, '{}')",
    ):
        with psycopg.connect(service, autocommit=True) as connection:
            connection.execute(statement.encode(), {"reactor": plain})
    (row,) = await command(settings, "parked")
    assert (row["service"], row["name"], row["key"]) == ("orders", plain, "usr_1")
    assert (row["events"], row["first_position"], row["error"]) == (1, 7, "ValueError: no")
    shown = await asyncio.to_thread(invoke, settings, "parked", "--traceback")
    assert "Traceback: no" in shown.output
    assert await command(settings, "redrive", reactor, "--reason", "a look") == {"asked": 1}
    assert await command(settings, "redrive", reactor, "--key", "usr_2") == {"asked": 0}
    skipped = await command(settings, "skip", reactor, "usr_1", "--reason", "no use")
    assert skipped == {"skipped": 7}
    with psycopg.connect(service) as connection:
        told = connection.execute(
            "SELECT type, metadata ->> 'reason' FROM eventstore.events ORDER BY position"
        ).fetchall()
    assert told == [("reactor.redriven", "a look"), ("reactor.message_skipped", "no use")]


@pytest.mark.slow
def test_what_is_not_there_is_refused_with_a_sentence(
    tmp_path: Path, new_database: Callable[[], str]
) -> None:
    settings = shop_settings(tmp_path, new_database)
    for arguments, sentence in [
        (["rebuild", "nothing"], "there is no projection 'nothing'"),
        (["verify", "users/users"], "no other build to switch to"),
        (["switch", "users/users", "--force"], "needs a reason"),
        (["rollback", "users/users"], "nothing follows any more"),
        (["rebuild", reactor_of_orders()], "is a reactor"),
        (["rebuild", reactor_of_orders(), "--dry-run"], "is a reactor"),
        (["skip", "users/users", "usr_1", "--reason", " "], "needs a reason"),
    ]:
        result = invoke(settings, *arguments)
        assert result.exit_code == 1, result.output
        assert sentence in result.stderr
    for wrong in (
        ["rebuild", "users/users", "--rate-max", "0"],
        ["rebuild", "users/users", "--dry-run", "--stream", "usr_1"],
        ["switch", "users/users", "--grace-hours", "-1"],
        ["skip", "users/users", "usr_1"],
    ):
        assert invoke(settings, *wrong).exit_code == 2, wrong
    assert invoke(settings, "rebuild").exit_code == 2
