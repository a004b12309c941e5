"""Fixtures of all tests."""

from __future__ import annotations

import pytest

pytest_plugins = ["tests.support.postgres"]


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Async tests run on asyncio: that is what the services run on."""
    return "asyncio"
