"""Reads that wait, bounded, until the copy of the logs shows what the client knows of."""

from __future__ import annotations

from subgraphs.journal.schema import Info

WAIT_SECONDS_MAX = 2.0


async def own_log_copied(info: Info) -> None:
    """Wait, bounded, until the copy has what this service recorded before: the last reads."""
    resources = info.context.resources
    head = await resources.store.head()
    await resources.follower.wait_for(resources.store.name, head, WAIT_SECONDS_MAX)


async def caught_up(info: Info) -> None:
    """Wait, bounded, until the positions that the client names have been copied; say if not."""
    follower = info.context.resources.follower
    for service, position in info.context.read_positions.items():
        if not follower.follows(service):
            continue
        if not await follower.wait_for(service, position, WAIT_SECONDS_MAX):
            info.context.stale = {
                "service": "journal",
                "position": f"{service}:{position}",
                "waitedSeconds": WAIT_SECONDS_MAX,
            }
            return
