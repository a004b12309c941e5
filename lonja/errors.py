"""Errors of the command line and the wiring: a stable `code`, a message that says the way on."""

from __future__ import annotations


class LonjaError(Exception):
    """Base of the errors that end a command with exit code 1 and one sentence."""

    code = "LONJA_ERROR"


class PostgresNotFound(LonjaError):
    """No PostgreSQL binaries on this machine."""

    code = "POSTGRES_NOT_FOUND"


class PostgresFailed(LonjaError):
    """The embedded server did not start, or stopped by itself."""

    code = "POSTGRES_FAILED"


class DataDirectoryInUse(LonjaError):
    """Another process serves this data directory."""

    code = "DATA_DIRECTORY_IN_USE"


class DataDirectoryUnusable(LonjaError):
    """The directory cannot hold, or does not hold, a PostgreSQL cluster of ours."""

    code = "DATA_DIRECTORY_UNUSABLE"


class BadSettings(LonjaError):
    """A setting that is unknown, malformed or out of range."""

    code = "BAD_SETTINGS"


class PortInUse(LonjaError):
    """Another process listens on the port."""

    code = "PORT_IN_USE"


class NoDatabase(LonjaError):
    """Neither a configured PostgreSQL server nor a running embedded one."""

    code = "NO_DATABASE"


class CannotGuard(LonjaError):
    """A log cannot be given to another role than its service's."""

    code = "CANNOT_GUARD"

    def __init__(self, service: str, reason: str) -> None:
        self.service = service
        super().__init__(f"the log of {service!r} cannot be guarded: {reason}")


class SupergraphBroken(LonjaError):
    """The services' schemas cannot be composed."""

    code = "SUPERGRAPH_BROKEN"
