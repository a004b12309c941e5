"""Root fields of a mutation: which come one after another, and under which conditions.

A response key runs where the operation first selects it (GraphQL § 6.3.2), once, with all that is
selected under it. Where the first place is under a condition and another is not, the order depends
on a variable: the operation is planned for each of its values.
"""

from __future__ import annotations

from typing import Final

from router.planner.selection import Field, Selection

CONDITIONS_MAX: Final = 4
"""Variables the order may depend on; further ones leave a key at its first place."""


def root_fields(selection: Selection) -> list[list[Field]]:
    """The fields by response key, keys in document order."""
    found: dict[str, list[Field]] = {}
    for field in selection.fields.values():
        found.setdefault(field.key, []).append(field)
    return list(found.values())


def deciding_variable(selection: Selection) -> str | None:
    """A variable that the order of the root fields depends on."""
    fields = list(selection.fields.values())
    for index, first in enumerate(fields):
        keys = [field.key for field in fields]
        if not first.conditions or first.key in keys[:index]:
            continue
        later = keys.index(first.key, index + 1) if first.key in keys[index + 1 :] else index
        if later > index + 1:
            return first.conditions[0][0]
    return None


def given(selection: Selection, variable: str, value: bool) -> Selection:
    """What is selected where a variable has a value."""
    result = Selection(selection.type, ordered=True)
    for field in selection.fields.values():
        if (variable, not value) in field.conditions:
            continue
        one = field.copy()
        one.conditions = tuple(pair for pair in field.conditions if pair[0] != variable)
        result.add(one)
    return result
