"""`lonja log types`: the registry, without a database."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from lonja.cli import main
from lonja.settings import SERVICES


@pytest.fixture(autouse=True)
def _nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LONJA_DATA_DIR", str(tmp_path / "nothing"))


def types(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["log", "types", *arguments])


def test_every_type_is_listed_with_service_and_versions(tmp_path: Path) -> None:
    shown = types()
    assert shown.exit_code == 0, shown.output
    rows = {row["type"]: row for row in json.loads(types("--json").stdout)}
    assert set(rows) == {line.split()[0] for line in shown.stdout.splitlines()[1:]}
    assert rows["order.placed"]["services"] == ["orders"]
    assert rows["order.placed"]["versions"] == [1]
    assert (rows["order.placed"]["public"], rows["cart.created"]["public"]) == (True, False)
    assert rows["projection.redriven"]["services"] == list(SERVICES)
    assert "every service" in shown.stdout
    assert not (tmp_path / "nothing").exists(), "asking made a folder"


def test_one_type_has_its_fields_and_its_schema() -> None:
    shown = types("order.placed").stdout
    assert "list of PlacedLine" in shown
    by_version = json.loads(types("order.placed", "--schema").stdout)
    schema = json.loads(types("order.placed", "--schema", "--version", "1").stdout)
    assert by_version == {"1": {"schema": schema}}
    assert "total_minor" in schema["$defs"]["OrderPlaced"]["required"]
    (row,) = json.loads(types("order.placed", "--json").stdout)
    assert (row["schema"], row["by_version"]) == (schema, by_version)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("order.place",), 1, "no service has an event type 'order.place'"),
        (("order.placed", "--service", "users"), 1, "no service has an event type"),
        (("--schema",), 2, "takes the NAME of a type"),
        (("order.placed", "--version", "1"), 2, "and --schema"),
        (("order.placed", "--schema", "--version", "9"), 1, "expected one of 1"),
    ],
    ids=str,
)
def test_what_cannot_be_shown_is_said(arguments: tuple[str, ...], code: int, said: str) -> None:
    result = types(*arguments)
    assert (result.exit_code, result.stdout) == (code, "")
    assert said in result.stderr
