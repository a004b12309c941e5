"""IMPLEMENTED_BY_INACCESSIBLE: what an interface shows, its implementations do not hide."""

from __future__ import annotations

from collections.abc import Iterator

from router.composition.merge.records import Merge
from router.composition.model import FieldDef
from router.composition.problems import CompositionError
from router.composition.rules.supergraph.inaccessible import Visibility


def check(merge: Merge) -> Iterator[CompositionError]:
    view = Visibility(merge)
    if not view.in_use:
        return
    for definition in view.own_types():
        if view.hidden(definition):
            continue
        for name in definition.interfaces:
            interface = view.schema.types.get(name)
            if interface is None or view.hidden(interface):
                continue
            for shown in interface.fields.values():
                own = definition.fields.get(shown.name)
                if own is not None and not view.hidden(shown):
                    yield from _compare(view, own, shown)


def _compare(view: Visibility, own: FieldDef, shown: FieldDef) -> Iterator[CompositionError]:
    if view.hidden(own):
        yield _error(view, own.coordinate, shown.coordinate)
        return
    for argument in shown.args.values():
        implementing = own.args.get(argument.name)
        if implementing is not None and view.hidden(implementing) and not view.hidden(argument):
            yield _error(
                view,
                f"{own.coordinate}({argument.name}:)",
                f"{shown.coordinate}({argument.name}:)",
            )


def _error(view: Visibility, own: str, shown: str) -> CompositionError:
    return view.error(
        "IMPLEMENTED_BY_INACCESSIBLE",
        f"{own} is @inaccessible, but {shown} that it implements is not: hide both or neither",
        own,
        shown,
    )
