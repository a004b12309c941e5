"""A drawn graph as text: the whole schema, and each subgraph's."""

from __future__ import annotations

import re
from random import Random

from tests.support.differential.model import AbstractModel, FieldModel, GraphModel, TypeModel

LINK = """extend schema @link(url: "https://specs.apollo.dev/federation/v2.9", import: [
  "@key" "@shareable" "@external" "@requires" "@provides" "@override" "@inaccessible"
  "@interfaceObject"
])"""
COMMON = {
    "Color": "enum Color { RED GREEN BLUE }",
    "Blob": "scalar Blob",
    "Order": "input Order "
    "{ a: Int = 1, b: String, c: [Color!], more: Order, yes: Boolean! = true }",
}
NEEDS = {"Order": "Color"}


def whole_text(model: GraphModel) -> str:
    """The whole as clients see it."""
    blocks: list[str] = []
    for type_ in model.types.values():
        lines = [_line(one) for one in type_.fields.values() if one.owners and not one.inaccessible]
        fake = model.fake_of(type_.name)
        if fake is not None:
            lines += [_line(one) for one in fake.extra.values()]
        blocks.append(_object(type_.name, type_.interfaces, "", lines))
    for abstract in model.abstracts.values():
        if abstract.union:
            blocks.append(f"union {abstract.name} = {' | '.join(abstract.members)}")
            continue
        declared = {
            name for index in abstract.present for name in model.local_fields(abstract, index)
        }
        first = model.types[abstract.members[0]]
        lines = [_line(first.fields[name]) for name in abstract.fields if name in declared]
        lines += [_line(one) for one in abstract.extra.values()]
        if abstract.fake is not None and "id" not in declared:
            lines.append("id: ID!")
        blocks.append(f"interface {abstract.name} {{\n  " + "\n  ".join(lines) + "\n}")
    for name, fields in (("Query", model.query), ("Mutation", model.mutation)):
        if fields:
            blocks.append(_object(name, [], "", [_line(one) for one in fields.values()]))
    hidden = [
        _line(one) for type_ in model.types.values() for one in type_.fields.values() if one.owners
    ]
    return "\n".join([*blocks, *_common([*blocks, *hidden])])


def subgraph_texts(model: GraphModel, random: Random) -> dict[str, str]:
    """SDL of each subgraph."""
    return {f"s{index}": _subgraph(model, index, random) for index in range(model.count)}


def _subgraph(model: GraphModel, index: int, random: Random) -> str:
    blocks: list[str] = [
        _local_object(model, type_, index, random)
        for type_ in model.types.values()
        if index in type_.present
    ]
    for abstract in model.abstracts.values():
        text = _local_abstract(model, abstract, index)
        if text:
            blocks.append(text)
    for name, fields in (("Query", model.query), ("Mutation", model.mutation)):
        lines = [_local(one, index, random) for one in fields.values() if index in one.owners]
        if lines:
            blocks.append(_object(name, [], "", lines))
    random.shuffle(blocks)
    return "\n".join([LINK, *blocks, *_common(blocks)])


def _local_object(model: GraphModel, type_: TypeModel, index: int, random: Random) -> str:
    lines = []
    for one in type_.fields.values():
        taken = any(source == index for source, _ in one.overrides.values())
        if index in one.owners or index in one.externals or taken:
            lines.append(_local(one, index, random, keyed=_keyed(type_, one.name, index)))
    random.shuffle(lines)
    interfaces = [name for name in type_.interfaces if index in model.abstracts[name].present]
    keys = "".join(
        f' @key(fields: "{key}"{"" if resolvable else ", resolvable: false"})'
        for key, resolvable in type_.keys.get(index, [])
    )
    return _object(type_.name, interfaces, keys, lines)


def _keyed(type_: TypeModel, name: str, index: int) -> bool:
    return any(name in re.findall(r"\w+", key) for key, _ in type_.keys.get(index, []))


def _local_abstract(model: GraphModel, abstract: AbstractModel, index: int) -> str:
    if abstract.fake == index:
        lines = ["id: ID!", *(_line(one) for one in abstract.extra.values())]
        return _object(abstract.name, [], ' @key(fields: "id") @interfaceObject', lines)
    if index not in abstract.present:
        return ""
    if abstract.union:
        return f"union {abstract.name} = {' | '.join(model.local_members(abstract, index))}"
    first = model.types[abstract.members[0]]
    names = model.local_fields(abstract, index)
    key = ' @key(fields: "id")' if abstract.home == index else ""
    lines = [_line(first.fields[name]) for name in names]
    return f"interface {abstract.name}{key} {{\n  " + "\n  ".join(lines) + "\n}"


def _local(one: FieldModel, index: int, random: Random, *, keyed: bool = False) -> str:
    line = _line(one)
    if index in one.stricter:
        line += "!"
    if index in one.externals:
        return line + " @external"
    if one.inaccessible and (index == min(one.owners) or random.random() < 0.5):
        line += " @inaccessible"
    shared = len(one.owners) > 1 or one.shareable or one.overrides
    if shared and not (keyed and random.random() < 0.5):
        line += " @shareable"
    if index in one.requires:
        line += f' @requires(fields: "{one.requires[index]}")'
    if index in one.provides:
        line += f' @provides(fields: "{one.provides[index]}")'
    if index in one.overrides:
        source, label = one.overrides[index]
        more = f', label: "{label}"' if label else ""
        line += f' @override(from: "s{source}"{more})'
    return line


def _line(one: FieldModel) -> str:
    return f"{one.name}{one.arguments}: {one.type}"


def _object(name: str, interfaces: list[str], head: str, lines: list[str]) -> str:
    implements = f" implements {' & '.join(interfaces)}" if interfaces else ""
    return f"type {name}{implements}{head} {{\n  " + "\n  ".join(lines) + "\n}"


def _common(blocks: list[str]) -> list[str]:
    text = "\n".join(blocks)
    used = {name for name in COMMON if re.search(rf"\b{name}\b", text)}
    used |= {NEEDS[name] for name in used if name in NEEDS}
    return [COMMON[name] for name in sorted(used)]
