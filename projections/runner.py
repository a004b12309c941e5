"""The runner of a service: follows the log with all its projections, on lanes.

It makes the first build of a projection that has none, builds a new version beside the live one
and switches when it has caught up, follows what is live, ready or in its grace period, retires
what is past it, and lets callers wait until a position is visible.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import psycopg
import structlog

from eventstore.store import EventStore
from projections import catalogue
from projections.catalogue import Build, State
from projections.lane import COOL_DOWN_SECONDS, Lane
from projections.log import Connection, Log
from projections.member import Member
from projections.projection import Projection
from projections.store_log import StoreLog
from projections.supervision import Declared, prepare, tidy

SUPERVISE_SECONDS = 1.0
FAR_BEHIND_EVENTS = 2_000
"""A build further behind than this catches up on a lane of its own."""
FOREIGN_POLL_SECONDS = 0.02
"""How often a position is asked for that another process writes."""
RETRY_SECONDS_MAX = 5.0
STOP_SECONDS, STOP_SECONDS_MAX = 2.0, 10.0
"""How long lanes may finish what they are at, and how long undoing it may take."""

log = structlog.get_logger(__name__)


class ProjectionRunner:
    """Start it once the store is open; any number of processes may run the same projections, and
    each build is written by one of them.

    Two versions of a projection may be given: the lower one is then followed beside the higher.
    """

    def __init__(
        self,
        store: EventStore,
        projections: Sequence[Projection],
        *,
        conninfo: str | None = None,
        source: Log | None = None,
    ) -> None:
        self.log: Log = StoreLog(store) if source is None else source
        self.conninfo = store.conninfo if conninfo is None else conninfo
        self.declared = Declared(projections)
        self.head = 0
        self.known: list[Build] = []
        """The builds as the catalogue last had them; the head is from then, too."""
        self._lanes_lock = threading.Lock()
        self._lanes: set[Lane] = set()
        self._shared: Lane | None = None
        self._members: dict[int, tuple[Member, Lane]] = {}
        self._live: dict[str, int] = {}
        self._positions: dict[int, int] = {}
        self._waiters: dict[asyncio.Future[None], tuple[int, tuple[str, ...]]] = {}
        self._supervisor: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = False
        self._stopped = asyncio.Event()
        # A thread of its own: waiting there would use up the loop's few, service by service.
        self._watcher: ThreadPoolExecutor | None = None

    async def start(self) -> None:
        """Create what is missing, then follow the log.

        Raises InvalidProjection, VersionBehind, TablesChanged or TableTaken before anything runs.
        """
        self._loop = asyncio.get_running_loop()
        self._stopping, self._stopped = False, asyncio.Event()
        await asyncio.to_thread(self._prepare)
        self._watcher = ThreadPoolExecutor(1, thread_name_prefix="projections-watch")
        supervising = self._supervise(self._watcher)
        self._supervisor = asyncio.create_task(supervising, name="projections-supervise")

    async def stop(self) -> None:
        """Finish the batches at hand and end all threads."""
        self._stopping = True
        self._stopped.set()
        supervisor, self._supervisor = self._supervisor, None
        if supervisor is not None:
            await asyncio.to_thread(self._end_watch)
            await supervisor
        if self._watcher is not None:
            self._watcher.shutdown(wait=False)
            self._watcher = None
        with self._lanes_lock:
            lanes, self._lanes, self._shared = self._lanes, set(), None
            self._members.clear()
        for lane in lanes:
            lane.stop()
        await asyncio.to_thread(_join, lanes)

    async def __aenter__(self) -> ProjectionRunner:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def wait_for(
        self, position: int, timeout_seconds: float, names: Iterable[str] | None = None
    ) -> bool:
        """Return True once the live builds (of `names`, or all) show what happened up to
        `position`; False when the time is over. Raises UnknownProjection.
        """
        wanted = tuple(self.declared.names if names is None else names)
        for name in wanted:
            self.declared.newest(name)
        deadline = time.monotonic() + timeout_seconds
        while not self._visible(position, wanted):
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters[future] = (position, wanted)
            self._hurry(wanted)
            try:
                if self._visible(position, wanted):
                    return True
                foreign = not all(self._owned(self._live.get(name, 0)) for name in wanted)
                with suppress(TimeoutError):
                    pause = min(left, FOREIGN_POLL_SECONDS) if foreign else left
                    await asyncio.wait_for(asyncio.shield(future), pause)
                if foreign:
                    await asyncio.to_thread(self._read_positions)
            finally:
                del self._waiters[future]
        return True

    def position(self, name: str) -> int:
        """How far the live build of a projection is, as far as this process knows."""
        self.declared.newest(name)
        return self._positions.get(self._live.get(name, 0), 0)

    def position_of(self, build_id: int) -> int:
        """How far a build is, as far as this process knows."""
        return self._positions.get(build_id, 0)

    def positions(self) -> dict[str, int]:
        """How far the live build of each projection is, as far as this process knows."""
        return {name: self.position(name) for name in self.declared.names}

    async def builds(self, name: str | None = None) -> list[Build]:
        """The builds in the database, retired ones aside, with their positions."""
        if name is not None:
            self.declared.newest(name)
        return await asyncio.to_thread(self._read_builds, name)

    def errors(self) -> dict[str, str]:
        """What went wrong last with each build that is not well, by the build's name."""
        with self._lanes_lock:
            members = [member for member, _ in self._members.values()]
        return {str(member): member.error for member in members if member.error}

    # -- called from lane threads

    def moved(self, members: list[Member]) -> None:
        for member in members:
            self._positions[member.build.id] = member.position
        if self._waiters and self._loop is not None:
            with suppress(RuntimeError):  # the loop has ended: nobody waits any more
                self._loop.call_soon_threadsafe(self._wake_waiters)

    def awaited(self) -> bool:
        return bool(self._waiters)

    def isolate(self, member: Member) -> None:
        with self._lanes_lock:
            if member.build.id in self._members:  # it may have been given up meanwhile
                self._place(member, alone_seconds=COOL_DOWN_SECONDS)

    def settle(self, member: Member, lane: Lane) -> None:
        with self._lanes_lock:
            self._lanes.discard(lane)
            if member.build.id in self._members and not self._stopping:
                self._share(member)
                self._start_shared()

    # -- placing builds on lanes; the lock of the lanes is held

    def _place(self, member: Member, *, alone_seconds: float) -> None:
        """Give the member a lane of its own."""
        if self._stopping:
            return
        name = f"{member.build.name} {member.build.number}"
        lane = Lane(self, name, conninfo=self.conninfo, shared=False)
        lane.give(member, alone_seconds=alone_seconds)
        self._members[member.build.id] = (member, lane)
        self._lanes.add(lane)
        lane.start()

    def _share(self, member: Member) -> None:
        if self._shared is None:
            self._shared = Lane(self, "shared", conninfo=self.conninfo, shared=True)
            self._lanes.add(self._shared)
        self._shared.give(member)
        self._members[member.build.id] = (member, self._shared)

    def _start_shared(self) -> None:
        if self._shared is not None and self._shared.ident is None:
            self._shared.start()

    def _assign(self, builds: Sequence[Build]) -> None:
        """Start writing what is new among the builds, stop writing what is gone."""
        followed = {build.id: build for build in builds if self.declared.follows(build)}
        with self._lanes_lock:
            if self._stopping:
                return
            for build_id in [gone for gone in self._members if gone not in followed]:
                _, lane = self._members.pop(build_id)
                lane.take_back(build_id)
                if lane is not self._shared:
                    lane.stop()
                    self._lanes.discard(lane)
            for build_id, build in followed.items():
                if build_id in self._members:
                    continue
                projection = self.declared.of(build)
                assert projection is not None
                member = Member(build, projection, position=build.position)
                if self.head - build.position > FAR_BEHIND_EVENTS:
                    self._place(member, alone_seconds=0.0)
                else:
                    self._share(member)
            self._start_shared()

    # -- tasks and their blocking parts

    def _prepare(self) -> None:
        with catalogue.connect(self.conninfo, f"{self.log.name} prepare") as connection:
            catalogue.install(connection)
            prepare(connection, self.declared)
            found = self._read(connection)
            self._learn(found)
            self._assign(found)

    async def _supervise(self, watcher: ThreadPoolExecutor) -> None:
        failures = 0
        while not self._stopping:
            try:
                await asyncio.get_running_loop().run_in_executor(watcher, self._watch)
                failures = 0
            except Exception as error:
                failures += 1
                log.warning("projections.unsupervised", log=self.log.name, error=str(error))
                with suppress(TimeoutError):
                    pause = min(RETRY_SECONDS_MAX, 0.05 * 2**failures)
                    await asyncio.wait_for(self._stopped.wait(), pause)

    def _watch(self) -> None:
        """Follow the catalogue: whenever it says that it changed, and every second."""
        with catalogue.connect(self.conninfo, f"{self.log.name} supervise") as connection:
            connection.execute(f"LISTEN {catalogue.CHANNEL}")
            while not self._stopping:
                found = self._read(connection)
                self._learn(found)
                self._assign(found)
                if tidy(connection, self.declared, found, self.head):
                    continue
                for _ in connection.notifies(timeout=SUPERVISE_SECONDS, stop_after=1):
                    with self._lanes_lock:
                        for lane in self._lanes:
                            lane.look_around()

    def _end_watch(self) -> None:
        """Let `_watch` look up at once instead of within a second."""
        with (
            suppress(psycopg.Error),
            catalogue.connect(self.conninfo, f"{self.log.name} stop") as connection,
        ):
            connection.execute(f"NOTIFY {catalogue.CHANNEL}")

    def _learn(self, found: Sequence[Build]) -> None:
        self.known = list(found)
        self._live = {build.name: build.id for build in found if build.state is State.LIVE}
        for build in found:
            if not self._owned(build.id):
                ahead = build.position > self.head
                self._positions[build.id] = 0 if ahead else build.position
        if self._waiters and self._loop is not None:
            self._loop.call_soon_threadsafe(self._wake_waiters)

    def _read_builds(self, name: str | None = None) -> list[Build]:
        with catalogue.connect(self.conninfo, f"{self.log.name} list") as connection:
            return catalogue.builds(connection, name)

    def _read_positions(self) -> None:
        with catalogue.connect(self.conninfo, f"{self.log.name} wait") as connection:
            self._learn(self._read(connection))

    def _read(self, connection: Connection) -> list[Build]:
        """The builds, and then the head, which none of them can be beyond."""
        found = catalogue.builds(connection)
        self.head = self.log.head(connection)
        return found

    def _owned(self, build_id: int) -> bool:
        """Whether this process writes the build, and so knows its position."""
        entry = self._members.get(build_id)
        return entry is not None and entry[0].owned

    def _visible(self, position: int, names: Sequence[str]) -> bool:
        live, positions = self._live, self._positions
        return all(positions.get(live.get(name, 0), -1) >= position for name in names)

    def _hurry(self, names: Sequence[str]) -> None:
        """Let the lanes of live builds that somebody waits for not wait for more events."""
        for name in names:
            entry = self._members.get(self._live.get(name, 0))
            if entry is not None:
                entry[1].hurry()

    def _wake_waiters(self) -> None:
        for future, (position, names) in list(self._waiters.items()):
            if not future.done() and self._visible(position, names):
                future.set_result(None)


def _join(lanes: Iterable[Lane]) -> None:
    deadline = time.monotonic() + STOP_SECONDS
    for lane in lanes:
        lane.join(max(0.0, deadline - time.monotonic()))
        if lane.is_alive():
            lane.interrupt()
    deadline = time.monotonic() + STOP_SECONDS_MAX
    for lane in lanes:
        lane.join(max(0.0, deadline - time.monotonic()))
        if lane.is_alive():
            log.error("projections.lane_hangs", lane=lane.name)
