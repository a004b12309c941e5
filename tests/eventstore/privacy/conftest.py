"""A house with guests on a database of the test's own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from eventstore import EventStore
from tests.support.guests import open_house


@pytest.fixture
async def house(database: str) -> AsyncIterator[EventStore]:
    async with open_house(database) as opened:
        yield opened
