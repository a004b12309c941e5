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


@click.group()
def log() -> None:
    """The event logs: who did what, when, what led to it, and the proof that it stands so."""


READING = (tail, show, search, trace, reads, export, types)
PROVING = (verify, checkpoint, prove, check_proof)
for command in (*READING, *PROVING, erase, rotate_key):
    log.add_command(command)
