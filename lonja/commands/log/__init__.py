"""`lonja log`: read, trace, export and prove the services' event logs."""

from __future__ import annotations

import click

from lonja.commands.log.erasing import erase, rotate_key
from lonja.commands.log.exporting import export
from lonja.commands.log.proving import check_proof, checkpoint, prove, verify
from lonja.commands.log.reading import search, tail
from lonja.commands.log.reads import reads
from lonja.commands.log.showing import show
from lonja.commands.log.tracing import trace
from lonja.commands.log.types import types

READING = (tail, search, show, trace, reads, types, export)
PROVING = (verify, checkpoint, prove, check_proof)
PERSONS = (erase, rotate_key)


class InOrder(click.Group):
    """Lists its commands as they are used, not by the alphabet."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


@click.group(cls=InOrder)
def log() -> None:
    """The event logs: who did what, when, what led to it, and the proof that it stands so.

    Things are named by their ids (ord_…), an order by its number (L-…), a person by their e-mail
    address, too. Whoever reads is recorded: `lonja log reads` shows it. See docs/audit.md.
    """


for command in (*READING, *PROVING, *PERSONS):
    log.add_command(command)
