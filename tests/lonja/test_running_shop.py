"""Commands that look at a shop that runs: databases, logs, the causes of an order, health."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urljoin
from urllib.request import Request, urlopen

import pytest
from click.testing import CliRunner, Result

from lonja.cli import main
from lonja.demo.client import Client
from lonja.settings import SERVICES
from tests.support.commands import CHEAP_SHOP, LONJA, environment, place, run, running, until
from tests.support.goods import finished, ordered, stocked
from tests.support.whole import STAFF_EMAIL, WholeShop, free_port

pytestmark = pytest.mark.slow
ESCAPE = "\x1b"


@dataclass(frozen=True)
class Running:
    """A shop in a process of its own, with one order that was completed."""

    data_dir: Path
    order_id: str
    port: int

    def lonja(self, *arguments: str, exit_code: int = 0) -> Result:
        """A command against its data directory."""
        clean = {"LONJA_DATABASE_URL": None, "LONJA_CONFIG": None, **CHEAP_SHOP}
        given = [*arguments, "--data-dir", str(self.data_dir)]
        result = CliRunner().invoke(main, given, env=clean)
        assert result.exit_code == exit_code, result.output
        assert ESCAPE not in result.output, "colours where there is no terminal"
        return result

    def json(self, *arguments: str) -> Any:
        """The one document that it prints with --json."""
        result = self.lonja(*arguments, "--json")
        assert result.stderr == ""
        return json.loads(result.stdout)


@pytest.fixture(scope="module")
def shop() -> Iterator[Running]:
    with place() as folder:
        port, data_dir = free_port(), folder / "data"
        arguments = ("up", "--data-dir", str(data_dir), "--port", str(port))
        given = environment(**CHEAP_SHOP)
        with running(*arguments, folder=folder, given=given) as command:
            command.until_said("(Ctrl-C stops)")
            yield Running(data_dir, asyncio.run(_one_order(port)), port)
            command.send(signal.SIGINT)
            assert command.ended() == 0, command.err


async def _one_order(port: int) -> str:
    url = f"http://127.0.0.1:{port}/graphql"
    shop = WholeShop(url, Client(url, connections_max=4))
    try:
        shop.staff = (await shop.sign_in(STAFF_EMAIL)).token
        position = await stocked(shop, {"INK": ("4.20", 3)})
        order_id = await ordered(shop, await shop.customer("reader"), position, {"INK": 2})
        assert (await finished(shop, order_id))["status"] == "COMPLETED"
    finally:
        await shop.client.close()
    return order_id


EXPORT = """mutation {
  exportEvents(where: {service: ["orders"]}, format: JSONL, idempotencyKey: "e") {
    export { id } } }"""
LINK = "query($id: ID!) { export(id: $id) { state events url } }"


async def _exported(port: int) -> dict[str, Any]:
    url = f"http://127.0.0.1:{port}/graphql"
    shop = WholeShop(url, Client(url, connections_max=2))
    try:
        staff = await shop.sign_in(STAFF_EMAIL)
        grant = """mutation($id: ID!) { grantRole(userId: $id, role: AUDITOR, reason: "audit") {
          userErrors { message } } }"""
        await shop.ask(grant, staff.token, id=staff.user_id)
        auditor = (await shop.sign_in(STAFF_EMAIL)).token
        begun = await shop.ask(EXPORT, auditor)
        while True:
            found = await shop.ask(LINK, auditor, id=begun["export"]["id"])
            if found["state"] != "RUNNING":
                return dict(found)
    finally:
        await shop.client.close()


def test_an_export_is_fetched_where_graphql_is_asked(shop: Running) -> None:
    found = asyncio.run(_exported(shop.port))
    assert found["state"] == "COMPLETED"
    address = urljoin(f"http://127.0.0.1:{shop.port}/graphql", found["url"])
    with urlopen(address, timeout=10) as reply:
        lines = [json.loads(line) for line in reply]
    assert len(lines) == found["events"]
    assert {line["service"] for line in lines} == {"orders"}
    with urlopen(Request(address, headers={"range": "bytes=1-9"}), timeout=10) as part:
        assert (part.status, part.read()) == (206, b'"service"')
    with pytest.raises(HTTPError, match="403"):
        urlopen(address + "x", timeout=10)


def test_db_status_has_every_service(shop: Running) -> None:
    rows = shop.json("db", "status")
    assert [row["service"] for row in rows] == list(SERVICES)
    assert {(row["state"], row["guarded"]) for row in rows} == {("ready", True)}
    events = {row["service"]: row["events"] for row in rows}
    assert all(events[name] for name in SERVICES if name != "journal"), events
    shown = shop.lonja("db", "status").stdout.splitlines()
    assert shown[0].split() == ["service", "database", "events", "megabytes", "guarded", "state"]
    assert [line.split()[0] for line in shown[1:]] == list(SERVICES)


def test_db_migrate_may_be_repeated_while_the_shop_runs(shop: Running) -> None:
    before = shop.json("db", "status")
    after = shop.json("db", "migrate")
    assert [row["database"] for row in after] == [row["database"] for row in before]
    assert {row["state"] for row in after} == {"ready"}


def test_log_tail_gives_json_lines_oldest_first(shop: Running) -> None:
    lines = shop.lonja("log", "tail", "--last", "7", "--json").stdout.splitlines()
    events = [json.loads(line) for line in lines]
    assert len(events) == 7
    times = [event["recorded_at"] for event in events]
    assert times == sorted(times)
    only = shop.lonja("log", "tail", "--service", "payments", "--json").stdout.splitlines()
    assert {json.loads(line)["service"] for line in only} == {"payments"}
    assert "payment.captured" in shop.lonja("log", "tail", "--service", "payments").stdout


def test_log_tail_follows_until_ctrl_c(shop: Running, tmp_path: Path) -> None:
    arguments = ("log", "tail", "--follow", "--last", "1", "--data-dir", str(shop.data_dir))
    with running(*arguments, folder=tmp_path) as command:
        until(lambda: command.out)
        command.send(signal.SIGINT)
        assert command.ended() == 0
        assert "Traceback" not in command.err
    reads = shop.lonja("log", "reads", "--service", "journal", "--json").stdout.splitlines()
    *_, begun, ended = (json.loads(line)["asked"][0] for line in reads)
    assert '"follow":true' in begun["arguments"]
    assert '"after"' in ended["arguments"], "what came meanwhile is recorded at the end"


def test_log_show_has_a_streams_events_with_their_payloads(shop: Running) -> None:
    events = shop.json("log", "show", shop.order_id)
    assert [event["version"] for event in events] == list(range(1, len(events) + 1))
    assert events[0]["type"] == "order.placed"
    assert events[0]["data"]["lines"][0]["sku"] == "INK"
    assert events[-1]["type"] == "order.completed"
    assert '"sku": "INK"' in shop.lonja("log", "show", shop.order_id).stdout


def test_what_opens_something_is_shown_to_nobody(shop: Running) -> None:
    """Neither as an event, nor in a state, nor in a difference: as the journal shows it."""
    (placed, *_) = shop.json("log", "show", shop.order_id)
    assert placed["data"]["payment_method_token"] is None
    lines = shop.lonja("log", "search", "--type", "payment.requested", "--json").stdout.splitlines()
    (payment,) = map(json.loads, lines)
    assert payment["data"]["payment_method_token"] is None
    process = "plc_" + shop.order_id.partition("_")[2]
    for stream in (shop.order_id, process, payment["stream"]):
        for how in (("--at", "1"), ("--diff", "0", "1")):
            said = shop.lonja("log", "show", stream, *how, "--json").stdout
            assert "tok_" not in said, (stream, how)


def test_log_trace_leads_from_the_placement_through_all_services(shop: Running) -> None:
    correlation = shop.json("log", "show", shop.order_id)[0]["correlation_id"]
    root = shop.json("log", "trace", correlation)
    assert root["type"] == "order.placed"
    services, waiting = set(), [root]
    while waiting:
        step = waiting.pop()
        services.add(step["service"])
        waiting += step["led_to"]
    assert services == {"orders", "inventory", "payments", "shipping", "notifications"}
    shown = shop.lonja("log", "trace", correlation).stdout
    assert "payment.captured" in shown
    assert all(line.count("  ") >= 2 for line in shown.splitlines())


@pytest.mark.parametrize("what", ["show", "trace"])
def test_what_is_not_there_is_said(shop: Running, what: str) -> None:
    result = shop.lonja("log", what, "nothing-like-that", exit_code=1)
    assert result.stdout == ""
    assert result.stderr.startswith("error: no service has ")
    assert "'nothing-like-that'" in result.stderr
    assert result.stderr.count("\n") == 1


def test_doctor_sees_the_server_that_runs(shop: Running) -> None:
    rows = {row["what"]: row for row in shop.json("doctor")}
    assert rows["PostgreSQL"]["state"] == "good"
    assert " at /" in rows["PostgreSQL"]["found"]
    assert {row["state"] for row in rows.values()} <= {"good", "absent"}
    assert "PostgreSQL" in shop.lonja("doctor").stdout


def test_projections_are_listed_and_compared(shop: Running) -> None:
    rows = shop.json("projections", "list")
    names = {(row["service"], row["projection"]) for row in rows}
    assert ("orders", "order_summaries") in names
    assert {row["lag"] for row in rows} == {0}
    result = shop.lonja("projections", "verify", "no_such_projection", exit_code=1)
    assert "there is no projection 'no_such_projection'" in result.stderr
    assert "orders/order_summaries" in result.stderr


def test_plain_output_and_no_traceback_from_a_shell(shop: Running) -> None:
    """Through pipes, as scripts read it; a reader that goes away is no fault."""
    ran = run("db", "status", "--data-dir", str(shop.data_dir))
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ESCAPE not in ran.stdout
    script = f"{LONJA} log tail --last 1000 --data-dir {shop.data_dir} | head -n 1"
    ran = run("-c", script, program="sh")
    assert ran.stdout.count("\n") == 1
    assert "Traceback" not in ran.stderr
