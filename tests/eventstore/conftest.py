"""A store on a database of the test's own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from eventstore import EventStore
from tests.support.shelf import open_shelf


@pytest.fixture
async def store(database: str) -> AsyncIterator[EventStore]:
    async with open_shelf(database) as opened:
        yield opened
