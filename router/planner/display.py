"""Plans shown: as text in the style of Apollo's query plans, and as JSON in their format.

What that format has no word for is told in members of our own: a fetch with several entity calls
has `entityCalls`, a required field read from another key has `source`.
"""

from __future__ import annotations

from collections.abc import Iterable

from graphql import parse, print_ast

from router.planner.plan import (
    Condition,
    EntityCall,
    Fetch,
    Flatten,
    Json,
    Parallel,
    Path,
    PlanNode,
    QueryPlan,
    RenameKey,
    RequiredField,
    RequiredSelection,
    Sequence,
    SetTypename,
    Subscription,
    TypeFilter,
)

_INDENT = "  "


def display(plan: QueryPlan) -> str:
    """The plan as text, ending without a newline."""
    lines = ["QueryPlan {"]
    if plan.node is not None:
        lines += _indented(_node(plan.node))
    return "\n".join([*lines, "}"])


def _indented(lines: Iterable[str]) -> list[str]:
    return [_INDENT + line for line in lines]


def _block(head: str, *bodies: Iterable[str]) -> list[str]:
    return [f"{head} {{", *(line for body in bodies for line in _indented(body)), "},"]


def _node(node: PlanNode) -> list[str]:
    match node:
        case Sequence() | Parallel():
            return _block(type(node).__name__, *(_node(child) for child in node.nodes))
        case Condition(variable, yes, no) if yes is not None and no is None:
            return _block(f"Include(if: ${variable})", _node(yes))
        case Condition(variable, yes, no) if no is not None and yes is None:
            return _block(f"Skip(if: ${variable})", _node(no))
        case Condition(variable, yes, no):
            return _block(
                f"Condition(if: ${variable})",
                _block("Then", _node(yes) if yes else ()),
                _block("Else", _node(no) if no else ()),
            )
        case Subscription(primary, rest):
            return _block(
                "Subscription",
                _block("Primary", _node(primary)),
                _block("Rest", _node(rest) if rest else ()),
            )
        case Flatten(path, fetch):
            return _block(f'Flatten(path: "{path_text(path)}")', _node(fetch))
        case Fetch():
            return _fetch(node)


def _fetch(fetch: Fetch) -> list[str]:
    head = f'Fetch(service: "{fetch.subgraph}")'
    body = _pretty(fetch.operation)
    if not fetch.entities:
        return _block(head, body, _rewrites(fetch.output_rewrites))
    if len(fetch.entities) == 1:
        call = fetch.entities[0]
        inner = _block(head, _call(call), body)
        return _block(f'Flatten(path: "{path_text(call.path)}")', inner)
    calls = [
        _block(f'{call.alias}: Flatten(path: "{path_text(call.path)}")', _call(call))
        for call in fetch.entities
    ]
    return _block(f'BatchFetch(service: "{fetch.subgraph}")', *calls, body)


def _call(call: EntityCall) -> list[str]:
    lines = ["{", *_indented(_required(call.requires)), "} =>"]
    lines += [
        f"rewrite __typename of {_types(rewrite)} to {rewrite.typename}"
        for rewrite in call.input_rewrites
    ]
    lines += [
        f"${value.variable} from {value.levels_up} up: {' '.join(_required(value.selections))}"
        for value in call.context
    ]
    return lines + _rewrites(call.output_rewrites)


def _types(rewrite: SetTypename) -> str:
    return ", ".join(sorted(rewrite.possible_types))


def _rewrites(rewrites: Iterable[RenameKey]) -> list[str]:
    return [f'rename {one.old} to {one.new} at "{path_text(one.path)}"' for one in rewrites]


def _required(selections: Iterable[RequiredSelection]) -> list[str]:
    lines: list[str] = []
    for one in selections:
        if isinstance(one, RequiredField):
            head = one.name if one.name == one.source else f"{one.name} (from {one.source})"
        else:
            head = f"... on {one.type_condition}"
        if one.selections:
            lines += [f"{head} {{", *_indented(_required(one.selections)), "}"]
        else:
            lines.append(head)
    return lines


def _pretty(operation: str) -> list[str]:
    return print_ast(parse(operation, no_location=True)).split("\n")


def path_text(path: Path) -> str:
    """A path as text: `products.@.author`, with filters as `|[Book,Film]`."""
    text = ""
    for element in path:
        if isinstance(element, TypeFilter):
            text += f"|[{','.join(element.types)}]"
        else:
            text += f".{element}" if text else element
    return text


def to_json(plan: QueryPlan) -> Json:
    """The plan in Apollo's query plan format."""
    node = _json_node(plan.node) if plan.node is not None else None
    return {"kind": "QueryPlan", "node": node}


def _json_node(node: PlanNode | None) -> Json:
    match node:
        case None:
            return None
        case Sequence() | Parallel():
            return {
                "kind": type(node).__name__,
                "nodes": [_json_node(child) for child in node.nodes],
            }
        case Condition(variable, yes, no):
            clauses = {"ifClause": _json_node(yes), "elseClause": _json_node(no)}
            return {
                "kind": "Condition",
                "condition": variable,
                **{key: value for key, value in clauses.items() if value is not None},
            }
        case Subscription(primary, rest):
            return {
                "kind": "Subscription",
                "primary": _json_node(primary),
                "rest": _json_node(rest),
            }
        case Flatten(path, fetch):
            return {"kind": "Flatten", "path": _json_path(path), "node": _json_node(fetch)}
        case Fetch():
            return _json_fetch(node)


def _json_fetch(fetch: Fetch) -> Json:
    result: dict[str, Json] = {
        "kind": "Fetch",
        "serviceName": fetch.subgraph,
        "variableUsages": list(fetch.variable_usages),
        "operation": fetch.operation,
        "operationKind": fetch.kind.value,
        "operationName": fetch.operation_name,
        "id": str(fetch.id),
    }
    if fetch.output_rewrites:
        result["outputRewrites"] = _json_renames(fetch.output_rewrites)
    if len(fetch.entities) == 1:
        call = fetch.entities[0]
        result.update(_json_call(call))
        return {"kind": "Flatten", "path": _json_path(call.path), "node": result}
    if fetch.entities:
        result["entityCalls"] = [
            {
                "alias": call.alias,
                "variable": call.variable,
                "path": _json_path(call.path),
                **_json_call(call),
            }
            for call in fetch.entities
        ]
    return result


def _json_call(call: EntityCall) -> dict[str, Json]:
    result: dict[str, Json] = {"requires": _json_required(call.requires)}
    if call.input_rewrites:
        result["inputRewrites"] = [
            {
                "kind": "ValueSetter",
                "path": [f"... on {name}", "__typename"],
                "setValueTo": rewrite.typename,
            }
            for rewrite in call.input_rewrites
            for name in sorted(rewrite.possible_types)
        ]
    if call.output_rewrites:
        result["outputRewrites"] = _json_renames(call.output_rewrites)
    if call.context:
        result["contextRewrites"] = [
            {
                "kind": "KeyRenamer",
                "path": [*([".."] * value.levels_up), *_required(value.selections)],
                "renameKeyTo": value.variable,
            }
            for value in call.context
        ]
    return result


def _json_renames(renames: Iterable[RenameKey]) -> Json:
    return [
        {
            "kind": "KeyRenamer",
            "path": [*_json_rewrite_path(one.path), one.old],
            "renameKeyTo": one.new,
        }
        for one in renames
    ]


def _json_rewrite_path(path: Path) -> list[Json]:
    result: list[Json] = []
    for element in path:
        if isinstance(element, TypeFilter):
            result.append(f"... on {'|'.join(element.types)}")
        elif element != "@":
            result.append(element)
    return result


def _json_path(path: Path) -> Json:
    result: list[Json] = []
    for element in path:
        if isinstance(element, TypeFilter):
            last = result.pop() if result else ""
            result.append(f"{last}|[{','.join(element.types)}]")
        else:
            result.append(element)
    return result


def _json_required(selections: Iterable[RequiredSelection]) -> Json:
    result: list[Json] = []
    for one in selections:
        below = _json_required(one.selections) if one.selections else None
        item: dict[str, Json] = (
            {"kind": "Field", "name": one.name}
            if isinstance(one, RequiredField)
            else {"kind": "InlineFragment", "typeCondition": one.type_condition}
        )
        if isinstance(one, RequiredField) and one.source != one.name:
            item["source"] = one.source
        if below is not None:
            item["selections"] = below
        result.append(item)
    return result
