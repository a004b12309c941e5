"""A real PostgreSQL for tests: one server a run, one database a test.

The pytest process that is not an xdist worker owns the server. It listens on a socket whose path
the workers inherit by environment; the first test that asks for a database makes it start the
server, so a run without such tests starts none. The server dies with its owner, however that ends.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from multiprocessing.connection import Client, Listener
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from lonja.postgres_host import (
    account_to_run_as,
    binaries_for,
    clean_environment,
    die_with_parent,
    find_binaries,
    popen_options,
)

BROKER = "LONJA_TEST_POSTGRES_BROKER"
START_SECONDS_MAX = 30
SETTINGS = {
    "listen_addresses": "",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "io_method": "sync",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "full_page_writes": "off",
    "timezone": "UTC",
}


class TestServer:
    """A PostgreSQL server on a unix socket in `folder`. `durable` turns fsync on.

    Start, stop, crash and start again as a test needs: data and address stay until `remove`.
    """

    __test__ = False

    def __init__(self, folder: Path, *, durable: bool = False) -> None:
        self.folder, self.data = folder, folder / "data"
        self.durable = durable
        self._account = account_to_run_as()
        self.process: subprocess.Popen[bytes] | None = None

    def conninfo(self, database: str) -> str:
        return f"host={self.folder} port=5432 user=postgres dbname={database}"

    def start(self) -> str:
        """Start the server, with a new data folder where there is none; wait until it answers."""
        self.folder.mkdir(exist_ok=True)
        if self._account is not None:
            os.chown(self.folder, self._account.pw_uid, self._account.pw_gid)
        binaries = binaries_for(self._account, find_binaries(), self.folder)
        if not self.data.exists():
            command: list[str | Path] = [binaries / "initdb", f"--pgdata={self.data}"]
            command += ["--username=postgres", "--auth=trust", "--no-sync"]
            command += ["--encoding=UTF8", "--locale-provider=builtin", "--locale=C.UTF-8"]
            self._run(command)
        settings = SETTINGS | {"unix_socket_directories": str(self.folder)}
        settings |= {"fsync": "on" if self.durable else "off"}
        command = [binaries / "postgres", "-D", self.data]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                command,
                cwd=self.folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env=clean_environment(),
                preexec_fn=die_with_parent(os.getpid()),
                **popen_options(self._account),
            )
        self._wait_until_it_answers()
        return self.conninfo("postgres")

    def stop(self) -> None:
        """End all connections, write everything down, stop."""
        self._signal(signal.SIGINT)

    def crash(self) -> None:
        """Stop at once, as if the power went: nothing more is written."""
        self._signal(signal.SIGQUIT)

    def kill(self) -> None:
        """Kill -9 the first of the server's processes; return when the others have noticed."""
        assert self.process is not None
        first = self.process.pid
        others = Path(f"/proc/{first}/task/{first}/children").read_text().split()
        self._signal(signal.SIGKILL)
        deadline = time.monotonic() + START_SECONDS_MAX
        while any(map(_runs, others)):
            if time.monotonic() > deadline:
                raise RuntimeError(f"processes of a killed server go on: {others}")
            time.sleep(0.01)

    def kill_session(self, conninfo: str, application: str) -> None:
        """Kill -9 the process behind a connection: the server ends all others and recovers. One
        that recovers from the last time is waited for.
        """
        deadline = time.monotonic() + START_SECONDS_MAX
        while not (sessions := self._sessions(conninfo, application)):
            if time.monotonic() > deadline:
                raise RuntimeError(f"no session of {application}")
            time.sleep(0.01)
        for pid in sessions:
            os.kill(pid, signal.SIGKILL)

    def _sessions(self, conninfo: str, application: str) -> list[int]:
        """Processes behind a connection; none while the server recovers."""
        try:
            with psycopg.connect(conninfo, autocommit=True) as connection:
                rows = connection.execute(
                    "SELECT pid FROM pg_stat_activity WHERE application_name = %s", [application]
                ).fetchall()
        except psycopg.OperationalError:
            return []
        return [pid for (pid,) in rows]

    def remove(self) -> None:
        self.crash()
        shutil.rmtree(self.folder, ignore_errors=True)

    def create_database(self, name: str) -> str:
        """An empty database: a copy of template0 by files, 8 ms against 30 ms through the WAL."""
        with psycopg.connect(self.conninfo("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE template0 STRATEGY file_copy")
        return self.conninfo(name)

    def _signal(self, number: int) -> None:
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(timeout=START_SECONDS_MAX)
            self.process = None

    def _run(self, command: list[str | Path]) -> None:
        subprocess.run(
            command,
            check=True,
            cwd="/",
            stdout=subprocess.DEVNULL,
            env=clean_environment(),
            **popen_options(self._account),
        )

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + START_SECONDS_MAX
        while True:
            assert self.process is not None
            if self.process.poll() is not None:
                raise RuntimeError(f"PostgreSQL ended: {(self.folder / 'log').read_text()}")
            try:
                psycopg.connect(self.conninfo("postgres"), connect_timeout=5).close()
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
            else:
                return


def _runs(pid: str) -> bool:
    """Whether a process is there and does not only wait to be noticed."""
    try:
        stat = Path("/proc", pid, "stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def new_folder(*, on_disk: bool = False) -> Path:
    """A temporary folder that the server's user can reach, in memory where the system has such."""
    memory = Path("/dev/shm")
    in_memory = not on_disk and memory.is_dir() and os.access(memory, os.W_OK)
    folder = Path(tempfile.mkdtemp(prefix="lonja-test-", dir=memory if in_memory else None))
    folder.chmod(0o755)
    return folder


class _Broker:
    """Starts the run's server when first asked and tells every asker where it is."""

    def __init__(self) -> None:
        self.folder = new_folder()
        self.server = TestServer(self.folder / "pg")
        self.listener = Listener(str(self.folder / "broker"), "AF_UNIX")
        self.thread = threading.Thread(target=self._serve, name="test-postgres", daemon=True)
        self.thread.start()

    def _serve(self) -> None:
        while True:
            with self.listener.accept() as asker:
                if asker.recv() == "end":
                    return
                if self.server.process is None:
                    self.server.start()
                asker.send(str(self.server.folder))

    def end(self) -> None:
        with Client(str(self.folder / "broker"), "AF_UNIX") as connection:
            connection.send("end")
        self.thread.join(timeout=START_SECONDS_MAX)
        self.listener.close()
        self.server.remove()
        shutil.rmtree(self.folder, ignore_errors=True)


_broker: _Broker | None = None


def pytest_configure(config: pytest.Config) -> None:
    global _broker
    if not hasattr(config, "workerinput") and BROKER not in os.environ:
        _broker = _Broker()
        os.environ[BROKER] = str(_broker.folder / "broker")


def pytest_unconfigure(config: pytest.Config) -> None:
    global _broker
    if _broker is not None:
        os.environ.pop(BROKER, None)
        _broker.end()
        _broker = None


@pytest.fixture(scope="session")
def postgres_server() -> TestServer:
    """The run's server, shared with other workers: make databases on it, never stop it."""
    with Client(os.environ[BROKER], "AF_UNIX") as connection:
        connection.send("server")
        return TestServer(Path(connection.recv()))


@pytest.fixture
def new_database(postgres_server: TestServer) -> Iterator[Callable[[], str]]:
    """Makes empty databases: each call returns the conninfo of one. They go when the test ends."""
    names: list[str] = []

    def make() -> str:
        names.append(f"t_{uuid4().hex}")
        return postgres_server.create_database(names[-1])

    yield make
    with psycopg.connect(postgres_server.conninfo("postgres"), autocommit=True) as connection:
        for name in names:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def database(new_database: Callable[[], str]) -> str:
    """Conninfo of a fresh empty database, the test's own."""
    return new_database()


@pytest.fixture
def own_server(request: pytest.FixtureRequest) -> Iterator[TestServer]:
    """A started server of the test's own, to stop, crash and start again. Mark such tests slow."""
    durable: bool = getattr(request, "param", False)
    folder = new_folder(on_disk=durable)
    server = TestServer(folder / "pg", durable=durable)
    try:
        server.start()
        yield server
    finally:
        server.remove()
        with suppress(OSError):
            shutil.rmtree(folder)
