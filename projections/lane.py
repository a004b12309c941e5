"""A lane: one thread and one connection that write any number of builds, in order of the log.

Builds that go well and are near the head share a lane: one read, one decoding, one transaction for
all of them. A build that fails, is slow or far behind gets a lane to itself, so that it holds up
nobody, and returns to the shared one when it has caught up.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from datetime import datetime
from typing import Protocol

import psycopg
import structlog

from projections import catalogue, parked
from projections.batch import (
    HELD,
    MOVED,
    Connection,
    TooSlow,
    described,
    is_out_of_resources,
    is_transient,
    sqlstate,
    write,
    write_carefully,
)
from projections.batch_size import BatchSize
from projections.errors import CheckpointAhead
from projections.faults import fault_point
from projections.log import Log
from projections.member import Member, Share, share_of

IDLE_SECONDS, IDLE_SECONDS_MAX = 0.05, 1.0
"""How soon an idle lane does what it is asked, and how often it looks into the log unasked."""
LOOK_AROUND_SECONDS = 1.0
"""How often it looks for redrives that were asked for."""
HELD_SECONDS = 0.01
LINGER_SECONDS = 0.1
"""After a small batch, more events are waited for this long, unless somebody waits for a position:
a batch costs the same, whatever the number of its events.
"""
SHARED_STATEMENT_MS, OWN_STATEMENT_MS = 250, 60_000
OWN_EVENTS_FIRST = 64
"""What a build that has trouble takes at first; the batch grows if that goes quickly."""
SHARED_TARGET_SECONDS, OWN_TARGET_SECONDS = 0.05, 0.5
SHARED_BUDGET_SECONDS = 0.25
"""How long one build may hold up the others of the shared lane, once."""
COOL_DOWN_SECONDS = 5.0
"""How long a build that failed or was slow stays alone at least."""
RETRY_SECONDS_MAX = 5.0
TRANSIENT_ATTEMPTS_MAX = 8
"""After so many deadlocks or time-outs in a row, a batch is searched for the event to park."""

log = structlog.get_logger(__name__)


class Host(Protocol):
    """What lanes need of the runner; called from lane threads."""

    log: Log

    def moved(self, members: list[Member]) -> None:
        """These members have committed up to their positions."""
        ...

    def awaited(self) -> bool:
        """Whether somebody waits for a position to become visible."""
        ...

    def isolate(self, member: Member) -> None:
        """The shared lane let go of this one: give it a lane to itself."""
        ...

    def settle(self, member: Member, lane: Lane) -> None:
        """This one does well again: its own lane let go of it and ends."""
        ...


class Lane(threading.Thread):
    """Runs until `stop`, or, not being `shared`, until its one member can join the others."""

    def __init__(self, host: Host, name: str, *, conninfo: str, shared: bool) -> None:
        super().__init__(name=f"projections-{name}", daemon=True)
        self.host, self.conninfo, self.shared = host, conninfo, shared
        self._lock = threading.Lock()
        self._given: list[Member] = []
        self._asked_back: set[int] = set()
        self._stopping = threading.Event()
        self._mine: list[Member] = []
        self._size = (
            BatchSize(SHARED_TARGET_SECONDS)
            if shared
            else BatchSize(OWN_TARGET_SECONDS, events=OWN_EVENTS_FIRST)
        )
        self._connection: Connection | None = None
        self._refused = 0
        self._one_by_one = False
        self._attempts = 0
        self._alone_until = 0.0 if shared else time.monotonic()
        self._look_around_at = 0.0
        self._hurry = threading.Event()

    def give(self, member: Member, *, alone_seconds: float = 0.0) -> None:
        """Let this lane write the member, as soon as no other connection may."""
        with self._lock:
            self._given.append(member)
            self._alone_until = time.monotonic() + alone_seconds

    def take_back(self, build_id: int) -> None:
        """Let this lane stop writing the build."""
        with self._lock:
            self._asked_back.add(build_id)

    def look_around(self) -> None:
        """Look for redrives that were asked for soon, instead of within a second."""
        self._look_around_at = 0.0

    def hurry(self) -> None:
        """Somebody waits for a position: do not linger."""
        self._hurry.set()

    def stop(self) -> None:
        """Finish the batch at hand, give up all builds, end."""
        self._stopping.set()
        self._hurry.set()

    def interrupt(self) -> None:
        """Undo the batch at hand, for it takes too long to wait for."""
        connection = self._connection
        if connection is not None and not connection.closed:
            with suppress(psycopg.Error):
                connection.cancel_safe(timeout=1.0)

    def run(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            try:
                role = f"{self.host.log.name} {self.name}"
                timeout_ms = SHARED_STATEMENT_MS if self.shared else OWN_STATEMENT_MS
                with catalogue.connect(self.conninfo, role, timeout_ms=timeout_ms) as connection:
                    failures, self._connection = 0, connection
                    if self._serve(connection):
                        return
            except Exception as error:
                if self._stopping.is_set():
                    return
                if not is_transient(error):
                    log.exception("projections.lane_failed", lane=self.name)
                failures += 1
                self._disowned(error)
                self._stopping.wait(min(RETRY_SECONDS_MAX, 0.05 * 2**failures))

    def _disowned(self, error: Exception) -> None:
        """With the connection went the right to write: start over with all members."""
        with self._lock:
            ours = [member for member in self._mine if member not in self._given]
            self._given, self._mine = ours + self._given, []
            for member in self._given:
                member.owned = False
                member.error = described(error)[0]

    def _serve(self, connection: Connection) -> bool:
        """Work until told to stop; True when the lane has nobody left to serve."""
        while not self._stopping.is_set():
            self._change_members(connection)
            if time.monotonic() >= self._look_around_at:
                self._look_around_at = time.monotonic() + LOOK_AROUND_SECONDS
                parked.redrive_asked(connection, self._mine, self.host.log)
            if self._step(connection):
                continue
            if not self.shared and self._leave(connection):
                return True
            if any(member.hold_at is not None for member in self._mine):
                self._reload(connection)
                self._stopping.wait(HELD_SECONDS)
                continue
            self._idle()
        self._let_go(connection, self._mine)
        return True

    def _idle(self) -> None:
        """Wait until the log goes on, or something is asked of this lane, or a second is over."""
        position = min((member.position for member in self._mine), default=None)
        until = time.monotonic() + IDLE_SECONDS_MAX
        while time.monotonic() < until and not self._stopping.is_set():
            if position is None:
                self._stopping.wait(IDLE_SECONDS)
            elif self.host.log.wait_sync(position, IDLE_SECONDS) > position:
                return
            if self._asked_back or self._look_around_at == 0.0:
                return
            if self._given and len(self._given) != self._refused:
                return

    def _change_members(self, connection: Connection) -> None:
        with self._lock:
            asked_back, self._asked_back = self._asked_back, set()
            self._given = [m for m in self._given if m.build.id not in asked_back]
            given = list(self._given)
        if asked_back:
            going = [member for member in self._mine if member.build.id in asked_back]
            self._let_go(connection, going)
        self._refused = 0
        for member in given:  # stays given until it is ours, should the connection be lost
            if self._adopt(connection, member):
                with self._lock:
                    self._given.remove(member)
            else:
                self._refused += 1

    def _adopt(self, connection: Connection, member: Member) -> bool:
        if not catalogue.own(connection, member.build.id):
            return False
        fault_point("projections.adopting")
        member.load(connection)
        head = self.host.log.head(connection)
        if member.position > head:
            catalogue.disown(connection, [member.build.id])
            ahead = CheckpointAhead(str(member), member.position, head)
            if member.error != str(ahead):
                log.error("projections.checkpoint_ahead", build=str(member), error=str(ahead))
            member.error = str(ahead)
            return False
        self._mine.append(member)
        member.owned, member.error = True, ""
        self.host.moved([member])
        return True

    def _let_go(self, connection: Connection, going: list[Member]) -> None:
        self._mine = [member for member in self._mine if member not in going]
        for member in going:
            member.owned = False
        try:
            fault_point("projections.releasing")
            catalogue.disown(connection, [member.build.id for member in going])
        except psycopg.Error:
            connection.close()  # what is closed owns nothing; the lane connects anew

    def _leave(self, connection: Connection) -> bool:
        """A lane of one build ends at the head, when the build had no trouble for a while."""
        if not self._mine:
            with self._lock:
                return not self._given
        (member,) = self._mine
        if self._attempts or time.monotonic() < self._alone_until or member.held:
            return False
        self._let_go(connection, [member])
        self.host.settle(member, self)
        return True

    def _reload(self, connection: Connection) -> None:
        for member in self._mine:
            member.load(connection)

    def _step(self, connection: Connection) -> bool:
        """Write one batch; False if there was none to write."""
        free = [member for member in self._mine if not member.held]
        if not free:
            return False
        after = min(member.position for member in free)
        types = frozenset().union(*(member.projection.types for member in free))
        page = self.host.log.read_page(connection, after, limit=self._size.events, types=types)
        shares = [share for member in free if (share := share_of(page, after, member))]
        if not shares:
            return False
        if self._one_by_one:
            self._one_by_one = False
            for share in shares:
                self._alone(connection, share, page.recorded_at)
            return True
        started = time.perf_counter()
        try:
            budget = SHARED_BUDGET_SECONDS if self.shared and len(self._mine) > 1 else None
            write(connection, shares, page.recorded_at, budget_seconds=budget)
        except Exception as error:
            if connection.broken or connection.closed:
                raise
            self._size.failed()
            self._recover(connection, shares, page.recorded_at, error)
            return True
        self._attempts = 0
        full = page.seen >= self._size.events
        self._done(shares)
        took = time.perf_counter() - started
        self._size.took(took, page.seen)
        self._one_by_one = budget is not None and took > budget
        if not full:
            self._linger()
        return True

    def _linger(self) -> None:
        self._hurry.clear()
        if not (self._stopping.is_set() or self.host.awaited()):
            self._hurry.wait(LINGER_SECONDS)

    def _done(self, shares: list[Share]) -> None:
        for share in shares:
            share.member.position, share.member.error = share.end, ""
        self.host.moved([share.member for share in shares])

    def _recover(
        self,
        connection: Connection,
        shares: list[Share],
        recorded_at: datetime | None,
        error: Exception,
    ) -> None:
        """After a failed batch: find who failed, let the others go on."""
        if sqlstate(error) in (HELD, MOVED):
            self._reload(connection)
        elif not self.shared:
            self._retry(connection, shares[0], recorded_at, error)
        elif isinstance(error, TooSlow):
            self._isolate(connection, error.member, error)
        else:
            for share in shares:
                self._alone(connection, share, recorded_at)

    def _alone(self, connection: Connection, share: Share, recorded_at: datetime | None) -> None:
        """One member's part of a batch of the shared lane that failed or was slow."""
        started = time.perf_counter()
        try:
            write(connection, [share], recorded_at, budget_seconds=SHARED_BUDGET_SECONDS)
        except Exception as error:
            if connection.broken or connection.closed:
                raise
            if sqlstate(error) in (HELD, MOVED):
                self._reload(connection)
            else:
                self._isolate(connection, share.member, error)
        else:
            self._done([share])
            if time.perf_counter() - started > SHARED_BUDGET_SECONDS:
                self._isolate(connection, share.member, TooSlow(share.member))

    def _isolate(self, connection: Connection, member: Member, error: Exception) -> None:
        member.error = described(error)[0]
        log.warning("projections.isolated", build=str(member), error=member.error)
        self._let_go(connection, [member])
        self.host.isolate(member)

    def _retry(
        self, connection: Connection, share: Share, recorded_at: datetime | None, error: Exception
    ) -> None:
        """The next try of a build that has the lane to itself: again, or event by event."""
        member = share.member
        member.error = described(error)[0]
        self._attempts += 1
        self._alone_until = time.monotonic() + COOL_DOWN_SECONDS
        enough = self._attempts > TRANSIENT_ATTEMPTS_MAX
        if is_transient(error) and (is_out_of_resources(error) or not enough):
            log.warning("projections.retried", build=str(member), error=member.error)
            self._stopping.wait(min(RETRY_SECONDS_MAX, 0.02 * 2**self._attempts))
            return
        try:
            keys = write_carefully(connection, share, recorded_at, forgive=enough)
        except Exception as again:
            if connection.broken or connection.closed:
                raise
            member.error = described(again)[0]
            self._stopping.wait(min(RETRY_SECONDS_MAX, 0.02 * 2**self._attempts))
            return
        self._attempts = 0
        member.parked.update(keys)
        self._done([share])
        for key in keys:
            log.error("projections.parked", build=str(member), key=key, error=described(error)[0])
