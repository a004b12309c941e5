"""`lonja up` killed, interrupted, started twice and started on ruins: nothing is lost, nothing
stays behind, and what is wrong is said in one sentence."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from lonja.demo.client import Client, RequestFailed
from router.errors import RouterError
from tests.support.commands import (
    CHEAP_SHOP,
    Command,
    alive,
    environment,
    place,
    run,
    running,
    until,
)
from tests.support.goods import FINAL, PLACE, cart_with, placement, stocked
from tests.support.whole import STAFF_EMAIL, Customer, WholeShop, free_port

pytestmark = pytest.mark.slow
BUYERS = 8
ACKNOWLEDGED_MIN = 12
"""So many orders are answered before the kill."""
UNITS = 10_000
SETTLE_SECONDS_MAX = 60.0
STOP_SECONDS_MAX = 40.0
"""Much less than the replay that is cut short would take."""

ORDERS = """query($after: String) { orders(first: 100, after: $after) {
  edges { node { id status total { amount } notifications { template state }
    payments { state captured { amount } } } }
  pageInfo { hasNextPage endCursor } } }"""
BOOKS = """query { paymentReconciliation { mismatches }
  stockSummary { onHand received sold reserved allocated unbalanced guardMismatches } }"""


def served(folder: Path, port: int) -> tuple[str, ...]:
    return ("up", "--data-dir", str(folder / "data"), "--port", str(port))


def started(command: Command) -> None:
    command.until_said("(Ctrl-C stops)")


@asynccontextmanager
async def customers_of(port: int) -> AsyncIterator[WholeShop]:
    url = f"http://127.0.0.1:{port}/graphql"
    shop = WholeShop(url, Client(url, connections_max=32))
    try:
        shop.staff = (await shop.sign_in(STAFF_EMAIL)).token
        yield shop
    finally:
        await shop.client.close()


@pytest.fixture
def folder() -> Iterator[Path]:
    with place() as folder:
        yield folder


def test_a_killed_shop_keeps_every_order_it_acknowledged(folder: Path) -> None:
    port = free_port()
    given = environment(**CHEAP_SHOP)
    with running(*served(folder, port), folder=folder, given=given) as shop:
        started(shop)
        family = shop.family()
        acknowledged = asyncio.run(_buy_until_killed(shop, port))
        assert shop.ended() == -signal.SIGKILL
        until(lambda: not alive(family))
    assert len(acknowledged) >= ACKNOWLEDGED_MIN
    with running(*served(folder, port), folder=folder, given=given) as shop:
        started(shop)
        asyncio.run(_check_nothing_lost(port, acknowledged))
        shop.send(signal.SIGINT)
        assert shop.ended() == 0, shop.err


async def _buy_until_killed(command: Command, port: int) -> dict[str, str]:
    """Order id to total of every order that was answered; the shop is killed amid them."""
    acknowledged: dict[str, str] = {}
    async with customers_of(port) as shop:
        position = await stocked(shop, {"BREAD": ("2.35", UNITS), "WINE": ("7.10", UNITS)})
        buyers = await asyncio.gather(*(shop.customer(f"buyer-{n}") for n in range(BUYERS)))

        async def buy(who: Customer, number: int) -> None:
            while True:
                lines = {"BREAD": 1 + number % 3, "WINE": 1}
                cart = await cart_with(shop, who, position, lines)
                placed = await shop.ask(PLACE, who.token, input=placement(cart))
                assert not placed["userErrors"], placed
                acknowledged[placed["order"]["id"]] = placed["order"]["total"]["amount"]
                if len(acknowledged) >= ACKNOWLEDGED_MIN and command.process.poll() is None:
                    command.send(signal.SIGKILL)

        ends = await asyncio.gather(
            *(buy(who, number) for number, who in enumerate(buyers)), return_exceptions=True
        )
    for end in ends:
        assert isinstance(end, RouterError | RequestFailed), end
    return acknowledged


async def _check_nothing_lost(port: int, acknowledged: dict[str, str]) -> None:
    async with customers_of(port) as shop:
        orders = await _settled(shop)
        totals = {id_: order["total"]["amount"] for id_, order in orders.items()}
        assert totals.items() >= acknowledged.items(), "an acknowledged order is gone"
        assert {order["status"] for order in orders.values()} == {"COMPLETED"}
        for order in orders.values():
            confirmations = Counter(
                note["state"]
                for note in order["notifications"]
                if note["template"] == "order_confirmation"
            )
            assert confirmations == {"SENT": 1}, order
            captured = [payment["captured"]["amount"] for payment in order["payments"]]
            assert captured == [order["total"]["amount"]]
        books = await _books(shop)
        assert books["paymentReconciliation"]["mismatches"] == 0
        stock = books["stockSummary"]
        assert stock["received"] == 2 * UNITS
        assert stock["received"] - stock["sold"] == stock["onHand"]
        assert stock["sold"] > len(acknowledged)
        kept = ("reserved", "allocated", "unbalanced", "guardMismatches")
        assert {name: stock[name] for name in kept} == dict.fromkeys(kept, 0)


async def _books(shop: WholeShop) -> dict[str, Any]:
    """The books once all that was sold is sent: inventory hears of parcels when orders do."""
    async with asyncio.timeout(SETTLE_SECONDS_MAX):
        while True:
            books = await shop.ask(BOOKS, shop.staff)
            if not books["stockSummary"]["allocated"]:
                return books
            await asyncio.sleep(0.05)


async def _settled(shop: WholeShop) -> dict[str, Any]:
    """All orders by id, once each is final and its customer has been told."""
    async with asyncio.timeout(SETTLE_SECONDS_MAX):
        while True:
            page = await shop.ask(ORDERS, shop.staff)
            orders = {edge["node"]["id"]: edge["node"] for edge in page["edges"]}
            assert not page["pageInfo"]["hasNextPage"]
            if all(
                order["status"] in FINAL
                and any(note["state"] == "SENT" for note in order["notifications"])
                and not any(note["state"] == "QUEUED" for note in order["notifications"])
                for order in orders.values()
            ):
                return orders
            await asyncio.sleep(0.05)


@pytest.mark.demo
def test_a_demo_is_ended_in_the_middle_by_a_service_manager(folder: Path) -> None:
    given = environment(TMPDIR=str(folder))
    with running("demo", "--baskets", "2000", folder=folder, given=given) as demo:
        until(lambda: _serves(demo))
        family = demo.family()
        demo.send(signal.SIGTERM)
        assert demo.ended() == 1
    assert not alive(family)
    assert not list(folder.glob("lonja-*")), "folders were left"
    assert (demo.out, demo.err.strip()) == ("", "Aborted!")


def test_a_start_is_cut_short_when_the_terminal_is_closed(folder: Path) -> None:
    given = environment(TMPDIR=str(folder))
    with running(*served(folder, free_port()), folder=folder, given=given) as shop:
        until(lambda: (folder / "data" / "postgres" / "cluster.new").exists())
        family = shop.family()
        shop.send(signal.SIGHUP)
        assert shop.ended() == 1
    assert not alive(family)
    assert not list(folder.glob("lonja-*")), "folders were left"
    assert (shop.out, shop.err.strip()) == ("", "Aborted!")


@pytest.mark.demo
def test_up_is_stopped_in_the_middle_of_its_replay(folder: Path) -> None:
    port = free_port()
    given = environment(TMPDIR=str(folder))
    arguments = ("up", "--demo", "--baskets", "2000", "--port", str(port))
    with running(*arguments, folder=folder, given=given) as shop:
        until(lambda: _serves(shop))
        family = shop.family()
        shop.send(signal.SIGINT)
        assert shop.ended(STOP_SECONDS_MAX) == 0, shop.err
    assert not alive(family)
    assert not list(folder.glob("lonja-*")), "folders were left"
    assert shop.out == "stopped\n"
    assert all(json.loads(line)["level"] == "warning" for line in shop.err.splitlines())


def _serves(command: Command) -> bool:
    """Whether it listens for HTTP: a replay has begun, or is about to."""
    assert command.process.poll() is None, command.err
    listening = {
        line.split()[9]
        for line in Path(f"/proc/{command.process.pid}/net/tcp").read_text().splitlines()[1:]
        if line.split()[3] == "0A"
    }
    files = list(Path(f"/proc/{command.process.pid}/fd").iterdir())
    return any(f"socket:[{inode}]" == _target(file) for inode in listening for file in files)


def _target(file: Path) -> str:
    try:
        return str(file.readlink())
    except OSError:
        return ""


def test_a_second_shop_is_refused_while_the_first_runs(folder: Path) -> None:
    port = free_port()
    with running(*served(folder, port), folder=folder) as first:
        started(first)
        again = run(*served(folder, free_port()))
        assert again.returncode == 1
        pid = first.process.pid
        assert again.stderr == (
            f"error: data directory {folder / 'data' / 'postgres'} is served by process {pid}: "
            "stop that one first, or give another --data-dir\n"
        )
        elsewhere = run("up", "--data-dir", str(folder / "other"), "--port", str(port))
        assert elsewhere.returncode == 1
        assert elsewhere.stderr == (
            f"error: cannot listen on 127.0.0.1:{port} (Address already in use): "
            "stop what listens there, or give another --port\n"
        )
        assert not (folder / "other").exists(), "something was begun before it was refused"
        assert again.stdout == elsewhere.stdout == ""
        first.send(signal.SIGTERM)
        assert first.ended() == 0, first.err
    assert first.err == ""


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("cluster/PG_VERSION", b"9.6\n", "is of PostgreSQL 9.6"),
        ("cluster/global/pg_control", b"\0" * 8192, "stopped at once. Its log says: "),
        ("cluster/PG_VERSION", None, "holds no PostgreSQL cluster"),
        ("../keys/internal.key", b"not a key", "internal.key"),
        ("../keys/tokens.json", b"{", "tokens.json"),
    ],
)
def test_a_corrupt_data_directory_is_told_in_one_sentence(
    ruins: Path, folder: Path, file: str, content: bytes | None, message: str
) -> None:
    damaged = ruins / "data" / "postgres" / file
    before = damaged.read_bytes()
    owner = damaged.stat()
    try:
        damaged.unlink() if content is None else damaged.write_bytes(content)
        ran = run(*served(ruins, free_port()))
    finally:
        damaged.write_bytes(before)
        os.chown(damaged, owner.st_uid, owner.st_gid)
    assert ran.returncode == 1
    assert ran.stdout == ""
    assert ran.stderr.startswith("error: ")
    assert message in ran.stderr
    assert "Traceback" not in ran.stderr


@pytest.fixture(scope="module")
def ruins() -> Iterator[Path]:
    """A shop's folder, once it was stopped."""
    with place() as folder:
        with running(*served(folder, free_port()), folder=folder) as shop:
            started(shop)
            shop.send(signal.SIGINT)
            assert shop.ended() == 0, shop.err
        yield folder
