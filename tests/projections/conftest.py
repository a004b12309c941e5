"""What the engine's tests share: an open store, and points disarmed after each test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from eventstore.store import EventStore
from projections.faults import disarm
from tests.projections.ledger import new_store


@pytest.fixture
async def store(database: str) -> AsyncIterator[EventStore]:
    """The log of a bank, open and empty."""
    async with new_store(database) as opened:
        yield opened


@pytest.fixture(autouse=True)
def _disarmed() -> Iterator[None]:
    yield
    disarm()
