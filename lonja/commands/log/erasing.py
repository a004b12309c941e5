"""`lonja log erase` and `rotate-key`: forgetting persons, and the key that all of it hangs on."""

from __future__ import annotations

import asyncio
import getpass
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from eventstore.privacy.holdings import Holdings, Key
from lonja.erasing import Beside, Erased, eraser
from lonja.errors import LonjaError
from lonja.output import AS_JSON, DATA_DIR, console, print_json, print_rows
from lonja.rotating import finish_rotation, rotate
from lonja.settings import Settings, load


class NotForgottenYet(LonjaError):
    """The keys are destroyed, and something beside a log has not forgotten yet."""

    code = "NOT_FORGOTTEN_YET"


@click.command(short_help="Forget a person, in every service.")
@click.argument("subject")
@click.option("--reason", required=True, help="Why; recorded for ever, so do not tell of them.")
@click.option("--by", default=getpass.getuser, show_default="you", help="Who does it; recorded.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--force", is_flag=True, help="Even if orders of theirs are under way.")
@DATA_DIR
@AS_JSON
def erase(
    subject: str,
    reason: str,
    by: str,
    yes: bool,
    force: bool,
    data_dir: Path | None,
    as_json: bool,
) -> None:
    """Forget SUBJECT, the id of a person: destroy their key in every service's log.

    What is sealed with it reads "erased" from then on, in the logs and in every export of them, and
    all proofs stay valid. Read models, mails and sessions follow before this returns, whether the
    services run or not. Nothing brings the person back. Erasing again is harmless.
    """
    if not reason.strip():
        raise click.BadParameter("it is empty: say why", param_hint="--reason")
    if as_json and not yes:
        raise click.UsageError("--json does not ask: give --yes, too")
    settings = load(data_dir=data_dir)
    done = asyncio.run(_erase(settings, subject, reason, by, sure=yes, force=force))
    if as_json:
        print_json([_row(each) for each in done])
    else:
        print_rows([_row(each) for each in done], right=("events", "plain"))
    late = [each.service for each in done if each.beside is not Beside.FORGOTTEN]
    plain = sum(each.before.plain for each in done)
    if plain and not as_json:
        console.print(
            f"[yellow]{plain} events[/yellow] were stored in plain before their types had personal "
            "fields: a log is never changed, so they stay"
        )
    if late:
        raise NotForgottenYet(
            f"the keys of {subject!r} are destroyed, but {', '.join(late)} may still show some "
            "of theirs: see `lonja projections parked`, then run this again"
        )


async def _erase(
    settings: Settings, subject: str, reason: str, by: str, *, sure: bool, force: bool
) -> list[Erased]:
    async with eraser(settings) as opened:
        held = await opened.held(subject)
        if not force:
            await opened.check_orders(subject)
        if not sure:
            print_rows([_held(name, each) for name, each in held.items()], right=("events",))
            click.confirm(f"Forget {subject} for ever?", abort=True, err=True)
        return await opened.erase(subject, held, reason=reason, by=by)


def _held(service: str, holdings: Holdings) -> dict[str, Any]:
    return {"service": service, "key": str(holdings.key), "events": holdings.sealed}


def _row(erased: Erased) -> dict[str, Any]:
    return {
        "service": erased.service,
        "key": "destroyed"
        if erased.before.key is Key.HELD
        else "was destroyed before"
        if erased.again
        else "none",
        "events": erased.before.sealed,
        "plain": erased.before.plain,
        "read_models": str(erased.beside),
        "position": erased.position,
    }


@click.command(name="rotate-key")
@click.option("--finish", is_flag=True, help="Forget the key before, once nothing needs it.")
@DATA_DIR
@AS_JSON
def rotate_key(finish: bool, data_dir: Path | None, as_json: bool) -> None:
    """Wrap the keys of all persons by a new master key. The services may be running.

    The key before is accepted until --finish. Where LONJA_MASTER_KEY gives the key: start the
    services with the new one there and the old one in LONJA_MASTER_KEY_PREVIOUS, then run this.
    A rotation that was interrupted goes on.
    """
    settings = load(data_dir=data_dir)
    rotated = finish_rotation(settings) if finish else rotate(settings)
    if as_json:
        print_json(asdict(rotated))
        return
    print_rows(
        [{"service": name, "keys": keys} for name, keys in rotated.keys.items()], right=("keys",)
    )
    console.print(f"master key [bold]{rotated.current}[/bold] wraps everything now")
    if rotated.previous is not None:
        told = "is no longer accepted" if finish else "is accepted until `--finish`"
        console.print(f"{rotated.previous} {told}; backups made before need it")
