"""One schedule: writers append over gates, and a seed decides what happens next.

Each writer is a group committer of its own, as in a process of its own. What a writer sends is held
at its gate; then it reaches the server or is lost, whole or in part, and so is the answer. Callers
submit and give up meanwhile. `run_schedule` raises `Violation` with all steps when what the callers
were told and what the log holds do not agree.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import psycopg
from uuid_utils import uuid7

from eventstore.append import Append, Appended, Effect, Idempotency
from eventstore.committer import Committer, Ticket
from eventstore.errors import StoreOverloaded
from eventstore.expected_version import ANY, NO_STREAM, STREAM_EXISTS, ExpectedVersion
from eventstore.layout import Layout
from eventstore.privacy.privacy import Sealing
from eventstore.recent import Recent
from eventstore.request import make_request
from eventstore.watch import Head
from tests.support.schedules.gate import Gate, Stuck
from tests.support.schedules.told import Caller, disagreements
from tests.support.shelf import BoxMoved, metadata, shelf_types

STEPS = 120
REQUESTS_MAX = 32
PARTITION_EVENTS = 15
"""So few that partitions are made in the middle of a schedule."""
SUBMITS, GIVES_UP = 0.15, 0.02
CUTS, CUTS_AT_COMMIT = 0.05, 0.35
"""How often a step is that. Connections are cut most often while they commit."""
SUBMITS_ASSUMABLE, CUTS_ASSUMED = 0.4, 0.1
"""The same where batches are sent on an assumption, two of them at once if enough wait."""
PLAIN = Sealing(shelf_types(), {})


class Violation(AssertionError):
    """What callers were told and what the log holds do not agree."""


@dataclass(eq=False)
class Writer:
    """A committer behind its gate. `at` is where it is: idle, sent (a burst is held), waiting (for
    the lock, in the server), answered (the answer is held).
    """

    name: str
    gate: Gate
    committer: Committer
    recent: Recent
    callers: list[Caller] = field(default_factory=list)
    at: str = "idle"
    statements: list[str] = field(default_factory=list)

    @property
    def needs_lock(self) -> bool:
        """Whether what it sends takes the lock of the log's row: first of all, or in one call."""
        return "lock" in self.statements or self.statements == ["store"]

    @property
    def cuts(self) -> float:
        """How often it is cut off."""
        if self.statements == ["store"]:
            return CUTS_ASSUMED
        return CUTS_AT_COMMIT if "store" in self.statements else CUTS

    @property
    def locks(self) -> bool:
        """Whether it holds the lock of the log's row."""
        return self.gate.in_transaction

    def settle(self) -> None:
        committer = self.committer
        sent = self.gate.settle(lambda: committer._idle and not committer._queue)
        self.at = "sent" if sent else "idle"
        self.statements = self.gate.statements if sent else []


class Schedule:
    """What a seed decides, and what came of it."""

    def __init__(self, seed: int, conninfo: str, folder: Path) -> None:
        self.seed, self.random = seed, Random(seed)
        self.layout = Layout("schedule", f"schedule_{seed}", PARTITION_EVENTS)
        self.conninfo = conninfo
        self.steps: list[str] = []
        self.callers: list[Caller] = []
        self.patient = self.random.random() < 0.5
        """Whether writers try again after a lost connection, or tell their callers at once."""
        self.assumable = self.random.random() < 0.5
        """Whether callers mostly have streams of their own, and bring no effects."""
        writers = self.random.choice((1, 1, 2) if self.assumable else (1, 2, 2, 3))
        self.writers = [self._writer(folder, n) for n in range(writers)]

    def _writer(self, folder: Path, number: int) -> Writer:
        gate, recent = Gate(self.conninfo, folder / f"w{number}"), Recent()
        committer = Committer(
            gate.conninfo,
            self.layout,
            Head(),
            recent,
            lambda: None,
            unavailable_seconds=60.0 if self.patient else 0.0,
            retry_seconds=0.001,
            ahead_appends_min=self.random.choice((1, 2, 16)),
        )
        return Writer(f"w{number}", gate, committer, recent)

    def run(self) -> None:
        for writer in self.writers:
            writer.committer.start()
        for _ in range(STEPS):
            self._step()
        while busy := [writer for writer in self.writers if writer.at != "idle"]:
            self._go_on(self.random.choice(busy))
        for writer in self.writers:
            writer.committer.stop()

    def end(self) -> None:
        """Leave nobody waiting, whatever happened."""
        for writer in self.writers:
            writer.gate.close()
        for writer in self.writers:
            writer.committer.stop()

    def _step(self) -> None:
        writer, chance = self.random.choice(self.writers), self.random.random()
        waiting = [caller for caller in writer.callers if not caller.future.done()]
        submits = SUBMITS_ASSUMABLE if self.assumable else SUBMITS
        if len(self.callers) < REQUESTS_MAX and (writer.at == "idle" or chance < submits):
            for _ in range(self.random.choice((1, 2, 4)) if self.assumable else 1):
                self._submit(writer)
        elif waiting and chance > 1 - GIVES_UP:
            caller = self.random.choice(waiting)
            self._note(writer, f"caller {caller.number} gives up")
            caller.future.cancel()
        elif writer.at != "idle":
            if self.random.random() < writer.cuts:
                self._cut(writer)
            else:
                self._go_on(writer)

    def _note(self, writer: Writer, what: str) -> None:
        self.steps.append(f"{writer.name} {writer.at:8} {what}")

    # What may happen

    def _go_on(self, writer: Writer) -> None:
        """Let a writer's burst, or the answer to it, pass."""
        if writer.at == "sent":
            others = [other for other in self.writers if other is not writer]
            if writer.needs_lock and any(other.at == "waiting" for other in others):
                return self._go_on(next(other for other in others if other.at == "waiting"))
            self._note(writer, f"sends {' '.join(writer.statements) or 'SQL'}")
            writer.gate.forward()
            writer.at = "waiting"
            if not self._locked_out(writer):
                self._await_answer(writer)
        elif writer.at == "waiting":
            holder = next((other for other in self.writers if other.locks), None)
            if holder is not None:
                return self._go_on(holder)
            self._await_answer(writer)
        else:
            self._note(writer, "gets its answer")
            writer.gate.deliver()
            writer.settle()
        return None

    def _locked_out(self, writer: Writer) -> bool:
        return writer.needs_lock and any(
            other.locks for other in self.writers if other is not writer
        )

    def _await_answer(self, writer: Writer) -> None:
        writer.gate.answered(wait=True)
        writer.at = "answered"

    def _cut(self, writer: Writer) -> None:
        """Lose the connection: with a burst or a part of it, or with the answer to it."""
        if writer.at == "sent":
            count = len(writer.gate.burst)
            passed = self.random.choice((0, self.random.randint(0, count), count - 1, count))
            self._note(
                writer, f"is cut off after {passed} of {count} messages: {writer.statements}"
            )
            writer.gate.forward(passed)
        else:
            self._note(writer, "is cut off from its answer")
        writer.gate.cut()
        writer.settle()

    def _submit(self, writer: Writer) -> None:
        caller = self._caller()
        self._note(writer, f"is given {caller}")
        writer.callers.append(caller)
        self.callers.append(caller)
        caller.after = {c.number for c in self.callers if c.acknowledged}
        with suppress(StoreOverloaded):
            writer.committer.submit(Ticket(caller.request, caller.future, None))
        if writer.at == "idle":
            writer.settle()

    def _caller(self) -> Caller:
        random, number = self.random, len(self.callers)
        appends = []
        for _ in range(random.choice((1, 1, 1, 2))):
            places = [f"{number}.{len(appends)}.{n}" for n in range(random.choice((1, 1, 2, 3)))]
            stream = random.choice(("a", "b", "c"))
            seen = max((caller.version_of(stream) for caller in self.callers), default=0)
            expected: ExpectedVersion = random.choice(
                (ANY, ANY, NO_STREAM, STREAM_EXISTS, seen, seen, seen, random.randint(0, 6))
            )
            if self.assumable and random.random() < 0.98:
                stream, expected = f"own_{number}", NO_STREAM
            appends.append(Append(stream, [BoxMoved(place) for place in places], expected))
        key = None
        if random.random() < 0.3:
            key = Idempotency(random.choice("kl"), random.choice((b"1", b"1", b"2")))
        effect = None
        if not self.assumable and random.random() < 0.3:
            effect = random.choice((number, number, random.randint(0, REQUESTS_MAX)))
        effects = ()
        if effect is not None:
            sql = f"INSERT INTO {self.layout.schema}.effects VALUES (%s, %s)"
            effects = (Effect(sql, (effect, number)),)
        request = make_request(
            PLAIN,
            appends,
            metadata(f"cmd_{number}"),
            idempotency=key,
            outcome=str(number).encode(),
            effects=effects,
            new_id=uuid7,
        )
        future: Future[Appended] = Future()
        return Caller(number, appends, key, effect, request, future)


def run_schedule(seed: int, conninfo: str) -> Counter[str]:
    """Run the schedule of a seed and compare; how often callers were told what, and how often a
    connection was cut. Raises Violation.
    """
    with tempfile.TemporaryDirectory(prefix="lonja-test-") as folder, _tables(seed, conninfo):
        schedule = Schedule(seed, conninfo, Path(folder))
        try:
            schedule.run()
            with psycopg.connect(conninfo) as connection:
                recents = [writer.recent for writer in schedule.writers]
                wrong = disagreements(connection, schedule.layout.schema, schedule.callers, recents)
        except Stuck as error:
            wrong = [str(error)]
        finally:
            schedule.end()
        if wrong:
            steps = "\n  ".join(schedule.steps)
            raise Violation(f"seed {seed}: {'; '.join(wrong)}\n  {steps}")
        told = Counter(caller.told for caller in schedule.callers)
        told["cuts"] = sum("is cut off" in step for step in schedule.steps)
        return told


@contextmanager
def _tables(seed: int, conninfo: str) -> Iterator[None]:
    layout = Layout("schedule", f"schedule_{seed}", PARTITION_EVENTS)
    with psycopg.connect(conninfo, autocommit=True) as connection:
        layout.migrate(connection)
        connection.execute(
            f"CREATE TABLE {layout.schema}.effects (n int PRIMARY KEY, caller int)".encode()
        )
        yield
        connection.execute(f"DROP SCHEMA {layout.schema} CASCADE".encode())
