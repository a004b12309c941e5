"""A schema as SDL: definitions sorted by kind and name, so that the same graph prints the same."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from graphql.language.block_string import print_block_string

from router.composition.model import (
    ROOT_NAMES,
    Directive,
    DirectiveDef,
    EnumValueDef,
    FieldDef,
    InputDef,
    Schema,
    TypeDef,
)
from router.composition.values import Absent, show

KEYWORDS = {
    "scalar": "scalar",
    "object": "type",
    "interface": "interface",
    "union": "union",
    "enum": "enum",
    "input": "input",
}


def print_schema(schema: Schema) -> str:
    """The SDL of a schema, ending in a newline."""
    blocks = [_schema_block(schema)]
    blocks += [
        print_directive_definition(schema.directives[name]) for name in sorted(schema.directives)
    ]
    blocks += [_type_block(schema.types[name]) for name in sorted(schema.types)]
    return "\n\n".join(block for block in blocks if block) + "\n"


def print_applied(one: Directive) -> str:
    """One application, with its arguments."""
    if not one.args:
        return f"@{one.name}"
    return f"@{one.name}({', '.join(f'{name}: {show(value)}' for name, value in one.args.items())})"


def _schema_block(schema: Schema) -> str:
    default = all(name == ROOT_NAMES[kind] for kind, name in schema.roots.items())
    if default and not schema.applied and not schema.description:
        return ""
    lines = [*_description(schema.description, ""), "schema"]
    lines += [f"  {print_applied(one)}" for one in schema.applied]
    lines.append("{")
    lines += [f"  {kind}: {schema.roots[kind]}" for kind in ROOT_NAMES if kind in schema.roots]
    return "\n".join([*lines, "}"])


def print_directive_definition(definition: DirectiveDef) -> str:
    """One directive definition."""
    lines = [*_description(definition.description, "")]
    repeatable = " repeatable" if definition.repeatable else ""
    lines.append(
        f"directive @{definition.name}{_arguments(definition.args.values())}{repeatable} on "
        + " | ".join(definition.locations)
    )
    return "\n".join(lines)


def _type_block(definition: TypeDef) -> str:
    head = f"{KEYWORDS[definition.kind]} {definition.name}"
    if definition.interfaces:
        head += " implements " + " & ".join(definition.interfaces)
    lines = [*_description(definition.description, ""), head]
    lines += [f"  {print_applied(one)}" for one in definition.directives]
    match definition.kind:
        case "scalar":
            return "\n".join(lines)
        case "union":
            members = " | ".join(definition.members)
            return "\n".join([*lines, f"  = {members}"] if members else lines)
        case "enum":
            body = [line for value in definition.values.values() for line in _enum_value(value)]
        case "input":
            body = [
                line
                for item in definition.input_fields.values()
                for line in (*_description(item.description, "  "), f"  {_input(item)}")
            ]
        case _:
            body = [line for item in definition.fields.values() for line in _field(item)]
    if not definition.directives:
        lines[-1] += " {"
    else:
        lines.append("{")
    return "\n".join([*lines, *body, "}"])


def _enum_value(value: EnumValueDef) -> Iterator[str]:
    yield from _description(value.description, "  ")
    yield f"  {value.name}{_applied(value.directives)}"


def _field(item: FieldDef) -> Iterator[str]:
    yield from _description(item.description, "  ")
    yield (
        f"  {item.name}{_arguments(item.args.values(), '  ')}: {item.type}"
        f"{_applied(item.directives)}"
    )


def _arguments(args: Iterable[InputDef], indent: str = "") -> str:
    args = list(args)
    if not args:
        return ""
    if not any(argument.description for argument in args):
        return f"({', '.join(_input(argument) for argument in args)})"
    lines = ["("]
    for argument in args:
        lines += _description(argument.description, f"{indent}  ")
        lines.append(f"{indent}  {_input(argument)}")
    return "\n".join([*lines, f"{indent})"])


def _input(item: InputDef) -> str:
    default = "" if isinstance(item.default, Absent) else f" = {show(item.default)}"
    return f"{item.name}: {item.type}{default}{_applied(item.directives)}"


def _applied(directives: list[Directive]) -> str:
    return "".join(f" {print_applied(one)}" for one in directives)


def _description(text: str | None, indent: str) -> Iterator[str]:
    if text is not None:
        for line in print_block_string(text, minimize=False).split("\n"):
            yield f"{indent}{line}" if line else line
