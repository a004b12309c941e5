"""A store in a process that has thousands of sockets open, as one with many subscribers."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator

import pytest

from eventstore import ANY, Append
from tests.support.shelf import BoxPlaced, metadata, open_shelf

SELECT_MAX = 1024
"""`select` takes no descriptor from here on."""
WAIT_SECONDS = 10.0


@pytest.fixture
def many_open() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * SELECT_MAX
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    opened = [os.open(os.devnull, os.O_RDONLY)]
    while opened[-1] < SELECT_MAX:
        opened.append(os.dup(opened[0]))
    yield
    for descriptor in opened:
        os.close(descriptor)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("many_open")
async def test_a_store_hears_of_others_whatever_the_number_of_its_sockets(database: str) -> None:
    async with open_shelf(database) as here, open_shelf(database) as there:
        before = here.watch.position
        await there.append(Append("box-1", [BoxPlaced("a")], ANY), metadata=metadata())
        assert await here.watch.wait(before, WAIT_SECONDS) > before
