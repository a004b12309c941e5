"""`lonja log show`: one stream, its events, how it stood, and what changed."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import click
import orjson

from eventstore import EventStore, Recorded
from eventstore.audit.as_of import History, Time, left_out, until
from lonja.commands.log.logs import NothingFound, described, looked_at, redacted, warn_of
from lonja.commands.log.names import find
from lonja.commands.log.recorded import AS, record, seen
from lonja.databases import running_server
from lonja.output import AS_JSON, DATA_DIR, console, print_json, print_rows
from lonja.settings import SERVICES, Settings, load
from lonja.wiring import AnyService, build_service


@click.command(short_help="A thing's events, or how it stood and what changed.")
@click.argument("stream")
@click.option("--at", metavar="VERSION|TIME", help="The state then, instead of the events.")
@click.option(
    "--effective",
    is_flag=True,
    help="With --at TIME: how it stood then by what is known now, not by what was recorded then.",
)
@click.option(
    "--diff", nargs=2, type=click.IntRange(0), metavar="V1 V2", help="What differs between two."
)
@AS
@DATA_DIR
@AS_JSON
def show(
    stream: str,
    at: str | None,
    effective: bool,
    diff: tuple[int, int] | None,
    reader: str,
    data_dir: Path | None,
    as_json: bool,
) -> None:
    """STREAM, such as an order's id: every event with its payload.

    Or what people call it: an order's number, a tracking number, the payment provider's reference,
    or an e-mail address, for the user who has it.

    With --at the state as it stood at a version, or as it was recorded by a time (ISO 8601, UTC
    unless it says otherwise). An event that was recorded late is not in what was known before; add
    --effective to count it from when it happened. With --diff the values that differ between two
    versions, and the event that made each so; version 0 is before the first event.
    """
    if at is not None and diff is not None:
        raise click.UsageError("give --at or --diff, not both")
    if effective and (at is None or at.isdecimal()):
        raise click.UsageError("--effective needs --at TIME: a version has no time of its own")
    by = Time.OCCURRED if effective else Time.RECORDED
    settings = load(data_dir=data_dir)
    named = find(settings, reader, "show", stream)
    stream = named.id
    service, events, history = asyncio.run(_stream(settings, stream))
    described_events = [described(service.name, service.store, event) for event in events]
    by_time = "effective" if effective else None
    asked = {"stream": stream, "by": named.by, "at": at, "time": by_time, "diff": diff}
    asyncio.run(record(settings, reader, seen("show", asked, described_events)))
    if not as_json:
        if named.by is not None:
            click.echo(f"{named.by} of {stream}", err=True)
        for event in described_events:
            warn_of(event)
    if diff is not None:
        _print_differences(_known(history, stream), stream, events, diff, as_json)
    elif at is not None:
        _print_state(_known(history, stream), stream, _until(events, at, by), by, as_json)
    else:
        _print_events(described_events, as_json)


async def _stream(
    settings: Settings, stream: str
) -> tuple[AnyService, list[Recorded[Any]], History | None]:
    """The service that has the stream, its events, and what folds them. Raises NothingFound.

    States are without secrets, as the journal shows events.
    """
    conninfos = running_server(settings, SERVICES)
    for name in SERVICES:
        service = looked_at(build_service(name, settings, conninfos[name], {}))
        async with service.store:
            events = await service.store.read_stream(stream)
            if not events and (event := await _event(service.store, stream)) is not None:
                raise NothingFound(
                    f"{stream} is version {event.version} of the stream {event.stream}: "
                    f"`lonja log show {event.stream}`; `lonja log trace {stream}` has its causes"
                )
        if events:
            history = service.histories.get(stream.partition("_")[0])
            return service, events, history and without_secrets(history)
    raise NothingFound(
        f"no service has a stream {stream!r}, and nothing has such a number: give an id like "
        "ord_…, a number as the shop writes it (L-…), or an e-mail address"
    )


async def _event(store: EventStore, text: str) -> Recorded[Any] | None:
    """The event whose id a text is, if it is one."""
    try:
        return await store.event(UUID(text))
    except ValueError:
        return None


def without_secrets(history: History) -> History:
    """The same history, whose states show null for each secret."""
    return History(history.aggregate, lambda state: redacted(history.plain(state)))


def _known(history: History | None, stream: str) -> History:
    if history is None:
        raise NothingFound(f"stream {stream} has events only: nothing folds them to a state")
    return history


def _until(events: list[Recorded[Any]], at: str, by: Time) -> list[Recorded[Any]]:
    """The events up to a version, or a time of the kind `by`. Raises NothingFound if there was
    nothing yet.
    """
    if at.isdecimal():
        found = [event for event in events if event.version <= int(at)]
    else:
        try:
            moment = datetime.fromisoformat(at)
        except ValueError:
            raise click.BadParameter(
                f"{at!r} is neither a version nor a time like 2026-11-24T12:00:00",
                param_hint="--at",
            ) from None
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        found = until(events, moment, by)
    if not found:
        first = min(map(by.of, events)).isoformat(timespec="milliseconds")
        raise NothingFound(f"there was nothing at {at}: the first event {by.value.lower()} {first}")
    return found


def _print_state(
    history: History, stream: str, events: list[Recorded[Any]], by: Time, as_json: bool
) -> None:
    last, state, without = events[-1], history.state(stream, events), left_out(events)
    times = {"recorded_at": last.recorded_at, "occurred_at": last.metadata.occurred_at}
    if as_json:
        print_json({"version": last.version, **times, "without": without, "state": state})
        return
    when = by.of(last).isoformat(timespec="milliseconds")
    told = f"[bold]version {last.version}[/bold], {by.value.lower()} {when} ({last.type})"
    if without:
        told += f", without {', '.join(map(str, without))}, which happened later"
    console.print(told)
    console.print(orjson.dumps(state, option=orjson.OPT_INDENT_2).decode(), markup=False)


def _print_differences(
    history: History,
    stream: str,
    events: list[Recorded[Any]],
    between: tuple[int, int],
    as_json: bool,
) -> None:
    last = events[-1].version
    if max(between) > last:
        raise NothingFound(f"stream {stream} has no version {max(between)}: the last one is {last}")
    types = {event.id: event.type for event in events}
    rows = [
        {
            "path": change.path,
            "before": change.before,
            "after": change.after,
            "event": types[change.event_id],
            "event_id": str(change.event_id),
        }
        for change in history.differences(stream, events, *between)
    ]
    if as_json:
        print_json(rows)
    else:
        print_rows(rows)


def _print_events(events: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        print_json(events)
        return
    for event in events:
        head = f"version {event['version']}  {event['type']}  {event['recorded_at']}"
        console.print(head, style="bold", markup=False, soft_wrap=True)
        who = f"    by {event['actor']}, event {event['id']}"
        console.print(who, style="dim", markup=False, soft_wrap=True)
        text = orjson.dumps(event["data"], option=orjson.OPT_INDENT_2).decode()
        console.print(text, markup=False, soft_wrap=True)
