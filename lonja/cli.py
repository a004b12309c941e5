"""`lonja`: one command, its subcommands one module each in `lonja.commands`.

Commands are imported when they are asked for, so that `lonja router` starts without the shop. Exit
codes: 0 done, 1 refused or failed (one sentence on standard error says why), 2 wrong usage.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from lonja.errors import LonjaError

COMMANDS = {
    "check": "compose",
    "compose": "compose",
    "db": "db",
    "demo": "demo",
    "doctor": "doctor",
    "log": "log",
    "plan": "plan",
    "projections": "projections",
    "router": "router",
    "serve": "serve",
    "up": "up",
}
"""Command name to the module in `lonja.commands` that defines it."""


class LazyGroup(click.Group):
    """A group whose commands are imported on first use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"lonja.commands.{COMMANDS[cmd_name]}")
        command = getattr(module, cmd_name.replace("-", "_"))
        assert isinstance(command, click.Command)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; an error we know becomes one sentence and exit code 1."""
        try:
            with ended_as_by_ctrl_c():
                return super().invoke(ctx)
        except BrokenPipeError:
            # Whoever read our output has gone; leave quietly, as other commands do.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise SystemExit(1) from None
        except Exception as error:
            known = known_error(error)
            if known is None:
                raise
            raise Failed(known) from error


KNOWN_ERRORS = (
    ("lonja.errors", "LonjaError"),
    ("eventstore", "EventStoreError"),
    ("projections", "ProjectionError"),
    ("router.errors", "RouterError"),
    ("psycopg", "OperationalError"),
)
"""Module and class of errors whose message is for the user; anything else is a mistake of ours."""


def known_error(error: Exception) -> Exception | None:
    """The error to be told in a sentence, the first one of a group; None for a mistake of ours."""
    if isinstance(error, ExceptionGroup):
        told = [known_error(each) for each in error.exceptions]
        return None if None in told else told[0]
    for module, name in KNOWN_ERRORS:
        # What was not imported was not raised either.
        found: type[Exception] | None = getattr(sys.modules.get(module), name, None)
        if found is not None and isinstance(error, found):
            return error
    return None


@contextmanager
def ended_as_by_ctrl_c() -> Iterator[None]:
    """SIGTERM and SIGHUP end a command as Ctrl-C does, so that it stops what it started.

    Commands that serve handle these signals themselves while they do.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {
        number: signal.signal(number, lambda *_: signal.raise_signal(signal.SIGINT))
        for number in (signal.SIGTERM, signal.SIGHUP)
        if signal.getsignal(number) is signal.SIG_DFL
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Failed(click.ClickException):
    """How an error of ours is shown."""

    exit_code = 1

    def __init__(self, error: Exception) -> None:
        self.code = getattr(error, "code", LonjaError.code)
        super().__init__(str(error).strip() or type(error).__name__)

    def show(self, file: Any = None) -> None:
        click.echo(click.style("error: ", fg="red", bold=True) + self.message, err=True)


@click.command(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="lonja", prog_name="lonja")
def main() -> None:
    """Lonja: an event-sourced commerce backend over federated GraphQL."""
