"""The join directives: what the supergraph keeps about each subgraph's view.

Source: the join specification v0.3 to v0.5.
"""

from __future__ import annotations

from collections.abc import Mapping

from router.composition.context_values import split_context
from router.composition.federation_spec import COMPOSED, CONNECT, LINK
from router.composition.links import parse_url
from router.composition.merge.records import FieldMerge, InputMerge, Merge
from router.composition.model import Directive, FieldDef, TypeDef, applied
from router.composition.names import (
    EXTENDS,
    FROM_CONTEXT,
    KEY,
    OVERRIDE,
    PROVIDES,
    REQUIRES,
    plain,
)
from router.composition.values import EnumLiteral, Value, equal


def join_types(merge: Merge, sources: Mapping[int, TypeDef]) -> list[Directive]:
    """One `join__type` for each key of each source, one for a source without keys."""
    answer: list[Directive] = []
    for index, source in sources.items():
        graph: dict[str, Value] = {"graph": EnumLiteral(merge.subgraphs[index].graph)}
        facts = merge.subgraphs[index].facts
        tail: dict[str, Value] = (
            {"isInterfaceObject": True} if source.name in facts.interface_objects else {}
        )
        keys = applied(source, KEY)
        if not keys:
            answer.append(Directive("join__type", {**graph, **tail}))
        extends = bool(applied(source, EXTENDS))
        for key in keys:
            args: dict[str, Value] = {**graph, "key": key.args.get("fields")}
            if key.extension or extends:
                args["extension"] = True
            if key.args.get("resolvable") is False:
                args["resolvable"] = False
            answer.append(Directive("join__type", {**args, **tail}))
    return answer


def join_implements(merge: Merge, sources: Mapping[int, TypeDef]) -> list[Directive]:
    """One `join__implements` for each interface of each source."""
    return [
        Directive(
            "join__implements",
            {"graph": EnumLiteral(merge.subgraphs[index].graph), "interface": interface},
        )
        for index, source in sources.items()
        for interface in source.interfaces
    ]


def join_fields(merge: Merge, field: FieldMerge) -> list[Directive]:
    """The `join__field`s of a field; none when all subgraphs with the type resolve it alike."""
    if not _needs_join(merge, field):
        return []
    answer: list[Directive] = []
    for index, source in field.sources.items():
        label = field.overrides.labels.get(index)
        if source is None or (index in field.overrides.unused and label is None):
            continue
        args: dict[str, Value] = {"graph": EnumLiteral(merge.subgraphs[index].graph)}
        for name, argument in ((REQUIRES, "requires"), (PROVIDES, "provides")):
            found = applied(source, name)
            if found:
                args[argument] = found[0].args.get("fields")
        override = applied(source, OVERRIDE)
        if override:
            args["override"] = override[0].args.get("from")
        if not field.ref.equal:
            args["type"] = str(source.type)
        if index in field.external:
            args["external"] = True
        if index in field.overrides.used:
            args["usedOverridden"] = True
        if label is not None:
            args["overrideLabel"] = label
        contexts = _context_arguments(merge, index, source)
        if contexts:
            args["contextArguments"] = contexts
        answer.append(Directive("join__field", args))
    return answer


def join_input_fields(merge: Merge, parent: str, item: InputMerge) -> list[Directive]:
    """The `join__field`s of an input field, by the same rule."""
    everywhere = all(source is not None for source in item.sources.values())
    if item.ref.equal and everywhere:
        return []
    answer: list[Directive] = []
    for index, source in item.present().items():
        args: dict[str, Value] = {"graph": EnumLiteral(merge.subgraphs[index].graph)}
        if not item.ref.equal:
            args["type"] = str(source.type)
        answer.append(Directive("join__field", args))
    return answer


def join_members(
    merge: Merge, sources: Mapping[int, TypeDef], members: list[str]
) -> list[Directive]:
    """One `join__unionMember` for each member of each source."""
    return [
        Directive(
            "join__unionMember",
            {"graph": EnumLiteral(merge.subgraphs[index].graph), "member": member},
        )
        for member in members
        for index, source in sources.items()
        if member in source.members
    ]


def _needs_join(merge: Merge, field: FieldMerge) -> bool:
    if not field.ref.equal or field.overrides.used or field.overrides.labels or field.external:
        return True
    for index, source in field.sources.items():
        if source is None or index in field.overrides.unused:
            if field.parent in merge.subgraphs[index].schema.types:
                return True
            continue
        if applied(source, PROVIDES) or applied(source, REQUIRES):
            return True
        if any(applied(argument, FROM_CONTEXT) for argument in source.args.values()):
            return True
    return False


def _context_arguments(merge: Merge, index: int, source: FieldDef) -> list[Value]:
    answer: list[Value] = []
    for argument in source.args.values():
        for one in applied(argument, FROM_CONTEXT):
            context, selection = split_context(one.string("field") or "")
            answer.append(
                {
                    "context": f"{merge.name(index)}__{context}",
                    "name": argument.name,
                    "type": str(argument.type),
                    "selection": selection,
                }
            )
    return answer


def join_directives(merge: Merge, sources: Mapping[int, list[Directive]]) -> list[Directive]:
    """`join__directive`s: applications that keep the subgraphs they come from."""
    groups: list[tuple[str, dict[str, Value], list[int]]] = []
    for index, directives in sources.items():
        for one in directives:
            name = _joined_name(merge, index, one)
            if name is None:
                continue
            for known, args, graphs in groups:
                if known == name and equal(args, one.args):
                    graphs.append(index)
                    break
            else:
                groups.append((name, one.args, [index]))
    answer: list[Directive] = []
    for name, args, graphs in groups:
        listed: list[Value] = [EnumLiteral(merge.subgraphs[index].graph) for index in graphs]
        answer.append(
            Directive("join__directive", {"graphs": listed, "name": name, "args": dict(args)})
        )
    return answer


def _joined_name(merge: Merge, index: int, one: Directive) -> str | None:
    canonical = plain(one.name)
    if one.name != canonical:
        joined = canonical in COMPOSED and COMPOSED[canonical].joined
        return f"federation__{canonical}" if joined else None
    for link in merge.subgraphs[index].links:
        if link.identity == CONNECT and link.original_directive(one.name) is not None:
            return one.name
        if link.identity == LINK and link.local_directive("link") == one.name:
            url = one.string("url")
            return "link" if url and parse_url(url)[0] == CONNECT else None
    if one.name == "link":
        url = one.string("url")
        return "link" if url and parse_url(url)[0] == CONNECT else None
    return None
