"""Two supergraphs compared by meaning: order, descriptions of machinery and layout do not count."""

from __future__ import annotations

from typing import Any

from graphql import parse

from router.composition.build import build_schema
from router.composition.model import Directive, InputDef
from router.composition.values import Absent, Value, show

DEFAULTS: dict[str, dict[str, Value]] = {
    "join__type": {"extension": False, "resolvable": True, "isInterfaceObject": False},
    "join__field": {"external": False, "usedOverridden": False},
}


def shape(sdl: str) -> dict[str, Any]:
    """The schema as nested dicts and sets, comparable with `==`."""
    schema = build_schema(parse(sdl, no_location=True))
    return {
        "roots": dict(schema.roots),
        "schema": _applied(schema.applied),
        "types": {
            one.name: {
                "kind": one.kind,
                "applied": _applied(one.directives),
                "interfaces": set(one.interfaces),
                "members": set(one.members),
                "values": {value.name: _applied(value.directives) for value in one.values.values()},
                "fields": {
                    field.name: {
                        "type": str(field.type),
                        "applied": _applied(field.directives),
                        "args": {arg.name: _input(arg) for arg in field.args.values()},
                        "description": field.description,
                    }
                    for field in one.fields.values()
                },
                "inputs": {item.name: _input(item) for item in one.input_fields.values()},
                "description": one.description,
            }
            for one in schema.types.values()
        },
        "directives": {
            one.name: {
                "args": {arg.name: _input(arg) for arg in one.args.values()},
                "locations": set(one.locations),
                "repeatable": one.repeatable,
            }
            for one in schema.directives.values()
        },
    }


def differences(left: object, right: object, path: str = "") -> list[str]:
    """Where two shapes differ, a line each."""
    if isinstance(left, dict) and isinstance(right, dict):
        answer = []
        for key in sorted({*left, *right}):
            here = f"{path}/{key}"
            if key not in left:
                answer.append(f"{here}: only right: {right[key]}")
            elif key not in right:
                answer.append(f"{here}: only left: {left[key]}")
            else:
                answer += differences(left[key], right[key], here)
        return answer
    if left != right:
        return [f"{path}: {left} != {right}"]
    return []


def _applied(directives: list[Directive]) -> list[str]:
    answer = []
    for one in directives:
        args = {**DEFAULTS.get(one.name, {}), **one.args}
        kept = {name: value for name, value in args.items() if value is not None}
        answer.append(f"@{one.name}({', '.join(f'{n}: {_show(kept[n])}' for n in sorted(kept))})")
    return sorted(answer)


def _show(value: Value) -> str:
    if isinstance(value, str):
        return show(" ".join(value.split()))
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {_show(value[name])}" for name in sorted(value)) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_show, value)) + "]"
    return show(value)


def _input(item: InputDef) -> tuple[str, str, list[str]]:
    default = "" if isinstance(item.default, Absent) else _show(item.default)
    return (str(item.type), default, _applied(item.directives))
