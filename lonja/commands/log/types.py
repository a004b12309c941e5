"""`lonja log types`: the registry of event types, as the services declare them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click
import msgspec

from eventstore import EventTypes
from lonja.commands.log.logs import SERVICE, NothingFound
from lonja.output import AS_JSON, print_json, print_rows
from lonja.settings import SERVICES
from lonja.wiring import event_types

EVERY = "every service"


@click.command(short_help="The types of events, their fields and schemas.")
@click.argument("name", required=False)
@click.option("--schema", is_flag=True, help="The JSON Schema of each version, as it was stored.")
@click.option("--version", type=click.IntRange(1), help="Of that version alone, with --schema.")
@SERVICE
@AS_JSON
def types(
    name: str | None,
    schema: bool,
    version: int | None,
    services: Sequence[str],
    as_json: bool,
) -> None:
    """The types of events: versions that can be read, whose they are, what is personal in them.

    With NAME that type alone, with the fields of its newest version. Events are held against that
    version's schema when they are appended; older ones stay as they were stored, and are turned
    into the newest when they are read. --schema has all versions by number, older ones as they were
    declared, or a sample. Needs no database.
    """
    if version is not None and (name is None or not schema):
        raise click.UsageError("--version takes the NAME of a type, and --schema")
    found = described(services or SERVICES)
    if name is not None:
        found = {known: row for known, row in found.items() if known == name}
        if not found:
            raise NothingFound(f"no service has an event type {name!r}: see `lonja log types`")
    elif schema and not as_json:
        raise click.UsageError("--schema takes the NAME of a type, or --json for all of them")
    rows = list(found.values())
    if version is not None:
        print_json(_of_version(rows[0], version))
    elif as_json:
        hidden = () if schema or name is not None else ("schema", "by_version")
        print_json([{key: row[key] for key in row if key not in hidden} for row in rows])
    elif schema:
        print_json(rows[0]["by_version"])
    else:
        print_rows([_shown(row) for row in rows])
        if name is not None:
            print_rows(_fields(rows[0]))


def described(services: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The event types of services, by name and in its order."""
    found: dict[str, dict[str, Any]] = {}
    for service in services:
        registry = event_types(service)
        for kind in registry.names:
            row = found.setdefault(kind, _row(registry, kind))
            row["services"].append(service)
    return dict(sorted(found.items()))


def _row(registry: EventTypes, kind: str) -> dict[str, Any]:
    cls, shape = registry.current(kind), registry.personal(kind)
    return {
        "type": kind,
        "services": [],
        "versions": registry.versions(kind),
        "public": cls.PUBLIC,
        "subject": cls.SUBJECT,
        "personal": sorted(shape.stand_ins) if shape is not None else [],
        "schema": registry.schema(kind),
        "by_version": {
            str(version): registry.described(kind, version) for version in registry.versions(kind)
        },
    }


def _of_version(row: dict[str, Any], version: int) -> Any:
    """The schema of a version, or a sample. Raises NothingFound."""
    kind, known = row["type"], row["by_version"].get(str(version))
    if known is None:
        versions = ", ".join(row["by_version"])
        raise NothingFound(f"{kind!r} has no version {version}: expected one of {versions}")
    if not known:
        raise NothingFound(
            f"nobody declared version {version} of {kind!r}: give its Upcaster `was` or `sample`"
        )
    return next(iter(known.values()))


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    services = row["services"]
    return {
        "type": row["type"],
        "service": EVERY if len(services) == len(SERVICES) else ", ".join(services),
        "versions": ", ".join(map(str, row["versions"])),
        "public": "public" if row["public"] else "private",
        "personal": ", ".join(row["personal"]),
    }


def _fields(row: dict[str, Any]) -> list[dict[str, Any]]:
    schema = row["schema"]
    struct = schema["$defs"][schema["$ref"].rpartition("/")[2]]
    return [
        {
            "field": name,
            "is": _kind(value),
            "required": "required" if name in struct.get("required", ()) else "",
            "personal": "personal" if name in row["personal"] else "",
        }
        for name, value in struct["properties"].items()
    ]


def _kind(value: dict[str, Any]) -> str:
    """A JSON Schema in a few words."""
    match value:
        case {"anyOf": variants}:
            return " or ".join(map(_kind, variants))
        case {"$ref": ref}:
            return str(ref).rpartition("/")[2]
        case {"type": "array", "items": items}:
            return f"list of {_kind(items)}"
        case {"type": kind}:
            return str(kind)
        case {"enum": values}:
            return msgspec.json.encode(values).decode()
        case _:
            return "anything"
