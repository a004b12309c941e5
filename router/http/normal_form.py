"""The normal form of an operation's text: what several spellings of one operation have in common.

GraphQL § 2.1 ignores white space, commas, comments and byte order marks; and clients that write
values into the text, instead of into variables, send one operation in many texts. Both differences
are taken away by two regular expressions, without parsing: a tenth of what a parser costs.

The form must be right, but need not be complete. Valid texts of one form are the same tokens, but
for the values of literals and the name of a lone operation, and no invalid text has the form of a
valid one unless a string in it is at fault. Texts that mean the same for other reasons (names of
fragments, order of arguments) may have two forms, which costs no more than a place in a cache.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

_SET_APART: Final = re.compile(
    r"""(
      ["\#0-9-]  # one set of characters to look for, then what it begins
      (?:
        (?<=") (?: "" (?:[^"\\]|\\(?:\"\"\")?|"(?!""))*+ \"\"\" | (?!"") (?:[^"\\\n\r]|\\.)*+ " )
      | (?<=\#) [^\n\r]*+
      | (?: (?<=-) | (?<=[0-9]) (?<![A-Za-z0-9_].) ) [A-Za-z0-9_.+-]*+
      )
    )""",
    re.VERBOSE,
)
"""Strings, comments and numbers: what must be taken out before white space can be."""
_TOKEN: Final = re.compile(r"[#A-Za-z0-9_]+|\.\.\.|[^ \t\n\r,\ufeff]")
_INT: Final = re.compile(r"-?(?:0|[1-9][0-9]*)")
_FLOAT: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_OPERATIONS: Final = ("query ", "mutation ", "subscription ")
_NAME: Final = re.compile(r"[A-Za-z_]\w*", re.ASCII)


class NormalForm(NamedTuple):
    """`pattern` is the tokens, a blank between them, with a sign (`#i0`) for each literal.

    The sign says the literal's kind, as a value of another kind makes another operation, and its
    number among the different ones, as two fields under one key must have the same. `literals` are
    those, as they are written. `name` is the name of an operation alone in its text, which is not
    in the pattern.
    """

    pattern: str
    literals: tuple[str, ...]
    name: str | None


def normal_form(text: str) -> NormalForm | None:
    """The normal form; None for a text that cannot be valid."""
    pieces = _SET_APART.split(text)
    literals: dict[str, str] = {}
    for index in range(1, len(pieces), 2):
        piece = pieces[index]
        if piece[0] == "#":
            pieces[index] = "\n"
            continue
        sign = literals.get(piece)
        if sign is None:
            kind = _kind(piece)
            if kind is None:
                return None
            sign = literals[piece] = f" #{kind}{len(literals)} "
        pieces[index] = sign
    tokens = _TOKEN.findall("".join(pieces))
    pattern = " ".join(tokens)
    if '"' in pattern:
        return None
    name = None
    # An operation begins with one of these words, but for one in short form, which is alone.
    if pattern.startswith(_OPERATIONS) and sum(map(pattern.count, _OPERATIONS)) == 1:
        word = tokens[0]
        if _NAME.fullmatch(tokens[1]):
            name = tokens[1]
            pattern = f"{word}{pattern[len(word) + 1 + len(name) :]}"
        if pattern.startswith("query {"):
            pattern = pattern[len("query ") :]
    return NormalForm(pattern, tuple(literals), name)


def _kind(literal: str) -> str | None:
    """`s`tring, `i`nt or `f`loat; None for a number that is none (GraphQL § 2.9)."""
    if literal[0] == '"':
        return "s"
    if _INT.fullmatch(literal):
        return "i"
    return "f" if _FLOAT.fullmatch(literal) else None
