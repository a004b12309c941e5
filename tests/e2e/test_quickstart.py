"""The README's quick start, taken from the README and run as it is written there."""

from __future__ import annotations

import json
import re
import shutil
import signal
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import ROOT, alive, environment, place, run, running
from tests.support.whole import free_port

pytestmark = [pytest.mark.slow, pytest.mark.demo]
README = (ROOT / "README.md").read_text()
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


def block(language: str) -> str:
    """The first block of the README in that language."""
    found = re.search(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    assert found is not None, f"the README has no block in {language}"
    return found[1]


def targets() -> list[str]:
    """What the quick start says to make."""
    return re.findall(r"^make (\w+)", block("sh"), re.MULTILINE)


def without_uv(home: Path) -> dict[str, str]:
    """A machine that has `make`, a shell and Python, another home, and no uv."""
    tools = home / "bin"
    tools.mkdir(parents=True)
    for name in ("make", "sh", "grep", "sed", "touch", "python3"):
        found = shutil.which(name)
        assert found is not None, f"this machine has no {name}"
        (tools / name).symlink_to(found)
    kept = {key: value for key, value in environment().items() if key == "LANG"}
    return kept | {"PATH": str(tools), "HOME": str(home)}


def test_the_quick_start_has_two_commands_that_exist() -> None:
    assert targets() == ["demo", "test"]
    help_text = run("help", program="make").stdout
    for target in [*targets(), "up"]:
        assert re.search(rf"^{target}\t", help_text, re.MULTILINE), f"no target {target}"


def test_make_demo_reconciles_without_uv_and_in_another_home(tmp_path: Path) -> None:
    (command,) = [line for line in block("sh").splitlines() if line.startswith("make demo")]
    words = command.partition("#")[0].split()
    with place() as folder:
        given = without_uv(tmp_path) | {"TMPDIR": str(folder)}
        ran = run(*words[1:], "DEMO_ARGS=--baskets 20", given=given, program=words[0])
        assert not list(folder.glob("lonja-*")), "folders were left"
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "The account reconciles." in ran.stdout
    assert "DIFFERS" not in ran.stdout
    for line in (
        "baskets = confirmed + rejected",
        "captured = totals of what was shipped, cents",
        "orders in a state that is not final",
        "confirmed orders with one confirmation",
        "rows that differ when rebuilt from the logs",
    ):
        assert re.search(rf"^{re.escape(line)}.*agrees\s*$", ran.stdout, re.MULTILINE), line
    for service in ("orders", "inventory", "payments", "shipping", "notifications"):
        assert re.search(rf" ms  {service}  ", ran.stdout), f"the trace has nothing of {service}"
    assert "orders/s" in ran.stdout
    assert "\x1b" not in ran.stdout + ran.stderr, "colours where there is no terminal"
    assert not list(tmp_path.glob(".*")), "something was left in the home"


def test_up_answers_the_readmes_query_and_stops_on_ctrl_c() -> None:
    with place() as folder:
        port = str(free_port())
        given = environment(TMPDIR=str(folder))
        arguments = ("up", "--demo", "--baskets", "5", "--port", port)
        with running(*arguments, folder=folder, given=given) as shop:
            said = shop.until_said("(Ctrl-C stops)")
            assert "The account reconciles." in said
            address = re.search(r"endpoint: (http://\S+)", said)
            assert address is not None
            assert re.search(r"Sign in as \S+@\S+ with the password \S{20,}", said)
            _check_answer(_asked(address[1], block("graphql")))
            _check_explorer(address[1])
            family = shop.family()
            assert len(family) > 5, "PostgreSQL and its processes belong to it"
            assert list(folder.glob("lonja-demo-*")), "the data live in a temporary folder"
            shop.send(signal.SIGINT)
            assert shop.ended() == 0, shop.err
        assert not alive(family)
        assert not list(folder.glob("lonja-*")), "folders were left"
        assert shop.out.endswith("stopped\n")
        assert shop.err == ""


def _asked(url: str, query: str) -> Any:
    request = urllib.request.Request(
        url,
        json.dumps({"query": query}).encode(),
        {"content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.load(answer)


def _check_answer(answer: Any) -> None:
    assert list(answer) == ["data"], answer
    products = [edge["node"] for edge in answer["data"]["products"]["edges"]]
    assert len(products) == 3
    titles = [product["title"] for product in products]
    assert titles == sorted(titles, key=str.lower)
    for product in products:
        assert product["title"]
        for variant in product["variants"]:
            assert variant["sku"].startswith("CJ-")
            assert re.fullmatch(r"\d+\.\d\d", variant["price"]["amount"])
            assert variant["price"]["currency"] == "USD"
            assert variant["availability"]["state"] in {"IN_STOCK", "LOW", "OUT_OF_STOCK"}
            assert variant["availability"]["available"] >= 0


def _check_explorer(url: str) -> None:
    request = urllib.request.Request(url, headers={"accept": BROWSER})
    with urllib.request.urlopen(request, timeout=20) as answer:
        assert answer.headers.get_content_type() == "text/html"
        page = answer.read().decode()
    assert "<title>" in page
    assert "http://" not in page.replace("http://www.w3.org/", ""), "loads from elsewhere"
