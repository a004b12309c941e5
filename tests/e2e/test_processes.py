"""The same shop as one process a service and a router in front: same answers, partial failure."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml

from lonja.demo.client import Client
from lonja.settings import SERVICES
from tests.support.goods import finished, ordered, shown, stocked
from tests.support.postgres import new_folder
from tests.support.streams import Stream, streaming
from tests.support.whole import PASSWORD, STAFF_EMAIL, WholeShop, free_port

pytestmark = pytest.mark.slow
LONJA = str(Path(sys.executable).with_name("lonja"))
ROOT = Path(__file__).parents[2]
START_SECONDS_MAX = 60.0
STOP_SECONDS_MAX = 60.0

PAGE = """query($id: ID!) { order(id: $id) {
  id status total { amount } customer { email }
  lines { quantity variant { sku product { title } availability { available } } }
  paymentStatus amountDue { amount } fulfillmentStatus
  shipments { state } notifications { template state }
} }"""


class Processes:
    """Commands of `lonja` that run for a test."""

    def __init__(self, environment: dict[str, str], folder: Path, ports: dict[str, int]) -> None:
        self.environment, self.folder, self.ports = environment, folder, ports
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, *arguments: str) -> None:
        with open(self.folder / f"{name}.log", "ab") as log:
            self.running[name] = subprocess.Popen(
                [LONJA, *arguments], env=self.environment, stdout=log, stderr=log
            )

    def serve(self, service: str) -> None:
        self.start(service, "serve", service, "--port", str(self.ports[service]))

    def kill(self, name: str) -> None:
        """As `kill -9` does."""
        process = self.running.pop(name)
        process.kill()
        process.wait()

    def said(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()

    async def until_said(self, name: str, text: str) -> None:
        deadline = time.monotonic() + START_SECONDS_MAX
        while text not in self.said(name):
            assert self.running[name].poll() is None, f"{name} ended: {self.said(name)}"
            assert time.monotonic() < deadline, f"{name} did not say {text!r}: {self.said(name)}"
            await asyncio.sleep(0.02)

    def end(self) -> None:
        """Services first: PostgreSQL waits for nobody, but they would log that it went away."""
        names = [name for name in self.running if name != "db"]
        for group in (names, ["db"]):
            for name in group:
                self.running[name].send_signal(signal.SIGTERM)
            for name in group:
                self.running[name].wait(STOP_SECONDS_MAX)


@pytest.fixture
async def processes() -> AsyncIterator[Processes]:
    """PostgreSQL, eight services and a router, each a process, on ports of their own."""
    with ExitStack() as stack:
        folder = new_folder()  # in memory, where there is such: fsync costs nothing there
        stack.callback(shutil.rmtree, folder)
        ports = {service: free_port() for service in SERVICES}
        environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("LONJA_")},
            "LONJA_DATA_DIR": str(folder / "data"),
            "LONJA_INTERNAL_SECRET": secrets.token_hex(32),
            "LONJA_SERVICE_URLS": json.dumps(
                {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
            ),
            "LONJA_USERS__BOOTSTRAP_ADMIN_EMAIL": STAFF_EMAIL,
            "LONJA_USERS__BOOTSTRAP_ADMIN_PASSWORD": PASSWORD,
            "LONJA_USERS__ARGON2_TIME_COST": "1",
            "LONJA_USERS__ARGON2_MEMORY_KIB": "64",
            "LONJA_USERS__ARGON2_PARALLELISM": "1",
        }
        found = Processes(environment, folder, ports)
        stack.callback(found.end)
        found.start("db", "db", "up")
        await found.until_said("db", "PostgreSQL serves")
        for service in SERVICES:
            found.serve(service)
        for service in SERVICES:
            await found.until_said(service, f"{service} answers at")
        _configure(folder, ports)
        yield found


def _configure(folder: Path, ports: dict[str, int]) -> None:
    """The project's own files, at the test's ports."""
    for name in ("supergraph.yaml", "router.yaml"):
        text = (ROOT / name).read_text()
        for number, service in enumerate(SERVICES):
            text = text.replace(f":{8101 + number}/", f":{ports[service]}/")
        yaml.safe_load(text)
        (folder / name).write_text(text)


async def test_killing_a_service_leaves_the_rest_and_restarting_it_goes_on(
    processes: Processes,
) -> None:
    port = free_port()
    folder = processes.folder
    given = ["--config", str(folder / "supergraph.yaml")]
    given += ["--router-config", str(folder / "router.yaml"), "--port", str(port)]
    processes.start("router", "router", *given)
    await processes.until_said("router", "router ready at")
    url = f"http://127.0.0.1:{port}/graphql"
    client = Client(url, connections_max=8)
    shop = WholeShop(url, client)
    try:
        shop.staff = (await shop.sign_in(STAFF_EMAIL)).token
        position = await stocked(shop, {"LAMP": ("30.00", 10)})
        who = await shop.customer("remote")
        first = await ordered(shop, who, position, {"LAMP": 2})
        assert (await finished(shop, first))["status"] == "COMPLETED"
        whole = await shown(
            lambda: shop.ask(PAGE, who.token, id=first),
            lambda page: (
                page is not None
                and page["paymentStatus"] == "PAID"
                and page["shipments"] == [{"state": "SHIPPED"}]
            ),
        )
        assert whole["customer"]["email"] == "remote@lonja.example"
        assert whole["lines"][0]["variant"]["product"]["title"] == "Title of LAMP"
        assert whole["paymentStatus"] == "PAID"
        assert whole["amountDue"]["amount"] == "0.00"

        auditor = await _auditor(shop)
        await _proved(shop, auditor, first)
        assert set((await _problems(shop, auditor)).values()) == {None}

        processes.kill("payments")
        assert {name for name, why in (await _problems(shop, auditor)).items() if why} == {
            "payments"
        }
        answer = await client.answer(PAGE, {"id": first}, token=who.token)
        order = answer.data["order"]
        assert order["lines"] == whole["lines"]
        assert order["shipments"] == whole["shipments"]
        assert {error["extensions"]["service"] for error in answer.errors} == {"payments"}
        waiting = await ordered(shop, who, position, {"LAMP": 1})
        for service in set(SERVICES) - {"payments"}:
            assert processes.running[service].poll() is None, f"{service} stopped as well"
        held = await _until(shop, waiting, lambda order: bool(order["reservation"]))
        assert held == {"status": "PENDING", "reservation": {"state": "HELD"}}

        tail = _streamed(port, TAIL, auditor, where={"type": ["order.confirmed"]})
        async with _streamed(port, UPDATES, who.token, id=waiting) as stream, tail as log:
            processes.serve("payments")
            status = held["status"]
            while status != "COMPLETED":
                _, update = await stream.event()
                status = update["data"]["orderUpdated"]["order"]["status"]
            _, event = await log.event()
            assert event["data"]["eventLog"] == {"streamId": waiting}
    finally:
        await client.close()


UPDATES = "subscription($id: ID!) { orderUpdated(id: $id) { order { status } } }"
TAIL = "subscription($where: EventWhere) { eventLog(where: $where) { streamId } }"


def _streamed(
    port: int, query: str, token: str, **variables: Any
) -> AbstractAsyncContextManager[Stream]:
    """Through the router, which has it of a service by WebSocket."""
    headers = {"authorization": f"Bearer {token}"}
    return streaming(port, query, variables=variables, headers=headers)


STATUS = "query($id: ID!) { order(id: $id) { status reservation { state } } }"
"""Asks nothing of payments."""


async def _until(
    shop: WholeShop, order_id: str, wanted: Callable[[dict[str, Any]], bool]
) -> dict[str, Any]:
    async with asyncio.timeout(START_SECONDS_MAX):
        while True:
            order: dict[str, Any] | None = await shop.ask(STATUS, shop.staff, id=order_id)
            if order is not None and wanted(order):
                return order
            await asyncio.sleep(0.02)


async def _auditor(shop: WholeShop) -> str:
    """The token of an administrator who may audit, too."""
    me = await shop.ask("{ me { id } }", shop.staff)
    grant = """mutation($id: ID!) { grantRole(userId: $id, role: AUDITOR, reason: "yearly audit") {
      userErrors { code } } }"""
    assert (await shop.ask(grant, shop.staff, id=me["id"]))["userErrors"] == []
    return (await shop.sign_in(STAFF_EMAIL)).token


async def _problems(shop: WholeShop, auditor: str) -> dict[str, str | None]:
    """By service, what the journal could not ask of its log."""
    reports = await shop.ask("{ integrity { service problem } }", auditor)
    return {report["service"]: report["problem"] for report in reports}


HISTORY = """query($id: ID!) { node(id: $id) { ... on Order { history(first: 1) {
  edges { node { id hash seal } } } } } }"""
PROOF = "query($id: ID!) { inclusionProof(eventId: $id) { service document } }"
AS_OF = "query($id: ID!) { asOf(streamId: $id, version: 1) { service state } }"


async def _proved(shop: WholeShop, auditor: str, order_id: str) -> None:
    """The owner of the log, another process, gives what the journal tells the auditor."""
    async with asyncio.timeout(START_SECONDS_MAX):
        while True:
            node = await shop.ask(HISTORY, auditor, id=order_id)
            event = node["history"]["edges"][0]["node"]
            if event["seal"] is not None:
                break
            await asyncio.sleep(0.02)
    proof = await shop.ask(PROOF, auditor, id=event["id"])
    assert proof["service"] == "orders"
    record = json.loads(proof["document"])["record"]
    assert (record["stream"], record["type"]) == (order_id, "order.placed")
    then = await shop.ask(AS_OF, auditor, id=order_id)
    assert (then["service"], then["state"]["status"]) == ("orders", "PENDING")
