"""The embedded server: it starts, it ends with its owner, and its errors say the way on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from lonja.errors import DataDirectoryInUse, DataDirectoryUnusable, PostgresFailed
from lonja.postgres import EmbeddedPostgres, running_conninfo

pytestmark = pytest.mark.slow
WAIT_SECONDS_MAX = 20.0


@pytest.fixture
def data_dir() -> Iterator[Path]:
    # Not pytest's tmp_path: that one is closed to the account the server runs as.
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name) / "postgres"


def test_data_outlives_the_server(data_dir: Path) -> None:
    with EmbeddedPostgres(data_dir, durable=False) as server:
        conninfo = server.create_database("shop", owner="keeper")
        with psycopg.connect(conninfo) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 'ñ' AS letter")
    with (
        EmbeddedPostgres(data_dir, durable=False) as server,
        psycopg.connect(server.conninfo("shop", "keeper")) as connection,
    ):
        assert connection.execute("SELECT letter FROM kept").fetchone() == ("ñ",)


def test_a_database_is_closed_to_other_services(data_dir: Path) -> None:
    with EmbeddedPostgres(data_dir, durable=False) as server:
        server.create_database("orders", owner="orders")
        server.create_database("users", owner="users")
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            psycopg.connect(server.conninfo("orders", "users"))


def test_a_second_owner_is_refused_by_name(data_dir: Path) -> None:
    with EmbeddedPostgres(data_dir, durable=False):
        assert running_conninfo(data_dir) is not None
        with pytest.raises(DataDirectoryInUse, match=f"process {os.getpid()}"):
            EmbeddedPostgres(data_dir).start()
    assert running_conninfo(data_dir) is None


def test_the_server_ends_when_its_owner_is_killed(data_dir: Path) -> None:
    owner = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, pathlib, signal\n"
            "from lonja.postgres import EmbeddedPostgres\n"
            "EmbeddedPostgres(pathlib.Path(sys.argv[1]), durable=False).start()\n"
            "print('started', flush=True)\n"
            "signal.pause()\n",
            str(data_dir),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert owner.stdout is not None
    assert owner.stdout.readline() == "started\n"
    server = int((data_dir / "cluster" / "postmaster.pid").read_text().split()[0])
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    owner.stdout.close()
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    while _alive(server):
        assert time.monotonic() < deadline, "the server outlived its owner"
        time.sleep(0.02)
    left = running_socket_dir(data_dir)
    assert left.is_dir()
    with EmbeddedPostgres(data_dir, durable=False) as again:
        assert again.running()
        assert not left.exists(), "the killed owner's folder is still there"


def test_a_foreign_directory_is_left_alone(data_dir: Path) -> None:
    (data_dir / "cluster").mkdir(parents=True)
    (data_dir / "cluster" / "letters.txt").write_text("mine")
    with pytest.raises(DataDirectoryUnusable, match="holds no PostgreSQL cluster"):
        EmbeddedPostgres(data_dir).start()
    assert (data_dir / "cluster" / "letters.txt").read_text() == "mine"


def test_a_corrupt_cluster_is_reported_with_the_servers_words(data_dir: Path) -> None:
    with EmbeddedPostgres(data_dir, durable=False):
        pass
    (data_dir / "cluster" / "global" / "pg_control").write_bytes(b"\0" * 8192)
    with pytest.raises(PostgresFailed, match="stopped at once"):
        EmbeddedPostgres(data_dir).start()


def test_a_cluster_of_another_version_is_refused(data_dir: Path) -> None:
    with EmbeddedPostgres(data_dir, durable=False):
        pass
    (data_dir / "cluster" / "PG_VERSION").write_text("9.6\n")
    with pytest.raises(DataDirectoryUnusable, match=r"is of PostgreSQL 9\.6"):
        EmbeddedPostgres(data_dir).start()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root changes the account")
def test_a_directory_the_account_cannot_enter_is_named() -> None:
    # A fresh temporary directory is closed to all but root.
    with (
        tempfile.TemporaryDirectory() as closed,
        pytest.raises(DataDirectoryUnusable, match=f"cannot enter {closed}"),
    ):
        EmbeddedPostgres(Path(closed) / "postgres").start()


def running_socket_dir(data_dir: Path) -> Path:
    """Where the last owner's socket was."""
    return Path((data_dir / "owner.lock").read_text().splitlines()[1])


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "Z" not in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
