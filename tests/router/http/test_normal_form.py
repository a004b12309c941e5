"""The normal form against graphql-core's own lexer, over texts of every lexical form."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest
from graphql import GraphQLSyntaxError, Lexer, Source, TokenKind, strip_ignored_characters
from hypothesis import example, given
from hypothesis import strategies as st

from router.http.normal_form import NormalForm, normal_form

PIECES = [
    *("query", "mutation", "fragment", "on", "a", "b1", "_", "true", "null", "N"),
    *("{", "}", "(", ")", "[", "]", ":", "=", "!", "$", "@", "|", "&", "...", ".", "-"),
    *("0", "-1", "12", "1.5", "1e3", "-0.1E-2", "01", "1.", "1.2.3", "1a"),
    *('""', '"a b"', '"#,"', r'"\""', r'"\u0041"', r'"\u{1F600}"', r'"\q"', '"é"', '"', "'"),
    *(
        '""""""',
        '"""a\n  b"""',
        '"""\\""" , # """',
        '"""\\"""',
        '"""\\\n\\"x"""',
        '"""a"b""c"""',
        '"""',
    ),
    *(" ", ",", "\n", "\r", "\r\n", "\t", "\ufeff", "# c\n", '#"\n', "#"),
    *("\x0b", "\xa0", "\u2028", "\0", "é", "\\"),
]
TEXTS = st.lists(st.sampled_from(PIECES), max_size=14).map("".join) | st.text(
    st.sampled_from('{a1-.e"\\#\n, '), max_size=14
)
IGNORED = st.sampled_from([" ", "\n", ",", "\t", "\r\n", "\ufeff", "  ", "#\n", '# "x {\r', " , "])
VALID = st.lists(
    st.sampled_from(
        [
            *("query", "a", "b1", "on", "{", "}", "(", ")", ":", "$", "@", "...", "!"),
            *("1", "-2", "1.5", '"a"', '"# ,"', r'"\\"', '"""\n a"""'),
        ]
    ),
    max_size=12,
)


NEEDLESS = [(TokenKind.NAME, "query"), (TokenKind.BRACE_L, None)]


def lexed(text: str) -> list[tuple[TokenKind, str | None]] | None:
    """Kinds and values of tokens, of `query {` the last only; None where something is no token."""
    lexer = Lexer(Source(text))
    tokens: list[tuple[TokenKind, str | None]] = []
    try:
        while lexer.advance().kind is not TokenKind.EOF:
            tokens.append((lexer.token.kind, lexer.token.value))
    except GraphQLSyntaxError:
        return None
    return tokens[1:] if tokens[:2] == NEEDLESS else tokens


def written(form: NormalForm, literals: Sequence[str] | None = None) -> str:
    """The pattern with literals in the places of their signs, and with the name."""
    values = form.literals if literals is None else literals
    text = re.sub(r"#[sif](\d+)", lambda sign: values[int(sign[1])], form.pattern)
    if form.name is None:
        return text
    word, _, rest = text.partition(" ")
    return f"query {form.name} {text}" if word == "{" else f"{word} {form.name} {rest}"


@given(TEXTS)
@example('a"""b "')
@example('"""a\\"""')
@example("query a query b")
@example("a...b1.5")
def test_a_form_has_the_tokens_of_its_text_and_no_others(text: str) -> None:
    form = normal_form(text)
    if form is None:
        assert lexed(text) is None or re.search(r"[0-9]-", text)
    else:
        assert lexed(written(form)) == lexed(text)
        assert normal_form(written(form)) == form


@given(TEXTS)
def test_what_is_ignored_does_not_matter(text: str) -> None:
    if lexed(text) is None or re.search(r"[0-9]-", text):
        return
    form, stripped = normal_form(text), normal_form(strip_ignored_characters(text))
    assert form is not None
    assert stripped is not None
    # Block strings are written anew by what strips, so the same value may be another literal.
    if '"""' not in text:
        assert stripped == form


@given(VALID, st.data())
def test_spellings_of_the_same_tokens_have_one_form(tokens: list[str], data: st.DataObject) -> None:
    other = "".join(token + data.draw(IGNORED) for token in tokens)
    assert normal_form(other) == normal_form(" ".join(tokens))


def test_literals_are_told_apart_by_kind_and_by_which_are_the_same() -> None:
    def pattern(text: str) -> str:
        form = normal_form(text)
        assert form is not None
        return form.pattern

    one = pattern('{ f(a: 1, b: "x") g(a: 1) }')
    assert one == "{ f ( a : #i0 b : #s1 ) g ( a : #i0 ) }"
    assert pattern('{ f(a: 27, b: """y""") g(a: 27) }') == one
    for other in (
        '{ f(a: 1.0, b: "x") g(a: 1.0) }',
        '{ f(a: "1", b: "x") g(a: "1") }',
        '{ f(a: 1, b: "x") g(a: 2) }',
        "{ f(a: 1, b: X) g(a: 1) }",
        "{ f(a: 1, b: $x) g(a: 1) }",
        "{ f1(a: 1, b: X) g(a: 1) }",
    ):
        assert pattern(other) != one


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("query A { f }", "A"),
        ("query A($v: Int) { f }", "A"),
        ("mutation query { f }", None),
        ("{ f } fragment A on B { c }", None),
        ("query { f }", None),
        ("query { query { f } }", None),
        ("query A { f } query B { f }", None),
    ],
)
def test_the_name_of_a_lone_operation_is_apart(text: str, name: str | None) -> None:
    form = normal_form(text)
    assert form is not None
    assert form.name == name
