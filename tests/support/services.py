"""All services, built but not started: for what can be checked without a database."""

from __future__ import annotations

import importlib
from datetime import UTC, datetime
from functools import cache
from typing import Any

from subgraphs.shared.service import Service, ServiceContext
from tests.support.keys import KEYRING

SERVICES = (
    "users",
    "products",
    "inventory",
    "orders",
    "payments",
    "shipping",
    "notifications",
    "journal",
)


@cache
def built() -> dict[str, Service[Any]]:
    """Every service by name."""
    return {name: _build(name) for name in SERVICES}


def _build(name: str) -> Service[Any]:
    context = ServiceContext(
        name=name,
        conninfo="",
        feeds={},
        internal_secret=b"the internal secret of the tests",
        keyring=KEYRING,
        clock=lambda: datetime.now(UTC),
    )
    service: Service[Any] = importlib.import_module(f"subgraphs.{name}.app").build(context)
    return service
