"""Who may import whom: services meet in the supergraph and through feeds, never in Python."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import subgraphs
from tests.support.services import SERVICES

ROOT = Path(subgraphs.__file__).parent
PURE = ("events", "domain")
IMPURE = ("projections", "psycopg", "starlette", "strawberry", "asyncio", "aiosmtplib", "http")
"""What a decision has no use for: the store, the database, the network, the event loop."""


def modules(service: str) -> Iterator[Path]:
    yield from sorted((ROOT / service).rglob("*.py"))


def imported(file: Path) -> Iterator[str]:
    """The modules that a file imports, those of type checking included."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            yield node.module or ""


def pure_modules(service: str) -> Iterator[Path]:
    """Events and domain: a module of that name, one that ends in it, or a folder of it."""
    for file in modules(service):
        names = (*file.relative_to(ROOT / service).parts[:-1], file.stem)
        if any(name == pure or name.endswith(f"_{pure}") for name in names for pure in PURE):
            yield file


@pytest.mark.parametrize("service", SERVICES)
def test_services_do_not_import_one_another(service: str) -> None:
    allowed = ("subgraphs.shared", f"subgraphs.{service}")
    for file in modules(service):
        for name in imported(file):
            if name.startswith("subgraphs."):
                assert name.startswith(allowed), f"{file.relative_to(ROOT)} imports {name}"
            assert name.split(".")[0] not in ("lonja", "router"), f"{file.name} imports {name}"


@pytest.mark.parametrize("service", [name for name in SERVICES if name != "journal"])
def test_events_and_domain_do_no_io(service: str) -> None:
    found = list(pure_modules(service))
    assert found, f"{service} has neither events nor domain"
    for file in found:
        for name in imported(file):
            where = f"{file.relative_to(ROOT)} imports {name}"
            assert name.split(".")[0] not in IMPURE, where
            if name.split(".")[0] == "eventstore":
                assert name == "eventstore.event", where


def test_what_is_shared_knows_no_service() -> None:
    for file in modules("shared"):
        for name in imported(file):
            if name.startswith("subgraphs."):
                assert name.startswith("subgraphs.shared"), f"{file.name} imports {name}"
