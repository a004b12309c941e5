"""`lonja`: one command, its subcommands one module each in `lonja.commands`.

Commands are imported when they are asked for, so that `lonja router` starts without the shop.
"""

from __future__ import annotations

import importlib

import click

COMMANDS = {
    "check": "router",
    "compose": "router",
    "plan": "router",
    "router": "router",
}
"""Command name to the module in `lonja.commands` that defines it (`-` in the name is `_` there)."""


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


@click.command(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="lonja")
def main() -> None:
    """Lonja: an event-sourced commerce backend over federated GraphQL."""
