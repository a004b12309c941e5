"""The form in which personal data is kept, over whatever payloads and subjects there may be."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from eventstore.canonical import canonical
from eventstore.privacy.sealing import (
    PREFIX,
    Tampered,
    merged,
    open_sealed,
    parts,
    place,
    seal,
    split,
    stored,
)

CIPHER = AESGCM(b"k" * 32)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
names = st.from_regex(re.compile(r"[a-z_][a-z_0-9]{0,8}", re.ASCII), fullmatch=True)
payloads = st.dictionaries(names, values, min_size=1, max_size=6)
subjects = st.text(st.characters(min_codepoint=1, max_codepoint=126), min_size=1, max_size=30)


@given(payload=payloads, subject=subjects, data=st.data())
def test_what_is_sealed_opens_as_it_was(payload: dict[str, Any], subject: str, data: Any) -> None:
    personal = data.draw(st.sets(st.sampled_from(sorted(payload)), min_size=1))
    mine, rest = split(canonical(payload), personal)
    assert json.loads(mine).keys() | json.loads(rest).keys() == payload.keys()
    assert canonical(json.loads(mine)) == mine
    context = place(subject, "a.b", "str_1")
    kept = stored(subject, seal(CIPHER, mine, context), rest)
    assert canonical(json.loads(kept)) == kept  # what is hashed
    assert kept.startswith(PREFIX)
    found = parts(kept)
    assert found.subject == subject
    opened = open_sealed(CIPHER, found.sealed, context)
    assert opened == mine
    assert json.loads(merged(opened, found.rest)) == payload


@given(at=st.integers(0, 10_000), by=st.integers(1, 255))
def test_any_changed_byte_is_found(at: int, by: int) -> None:
    sealed = bytearray(seal(CIPHER, b'{"name":"Ada"}', "here"))
    at %= len(sealed)
    sealed[at] ^= by
    with pytest.raises(Tampered):
        open_sealed(CIPHER, bytes(sealed), "here")


@pytest.mark.parametrize("context", ["there", "", "here\0"])
def test_it_opens_in_its_place_only(context: str) -> None:
    with pytest.raises(Tampered):
        open_sealed(CIPHER, seal(CIPHER, b"{}", "here"), context)


@pytest.mark.parametrize(
    "kept",
    [
        b"{}",
        b'{"$personal":{}}',
        b'{"$personal":{"of":"","sealed":"AA=="}}',
        b'{"$personal":{"of":"x","sealed":""}}',
        b'{"$personal":{"of":"x","sealed":"AA==","more":1}}',
        b'{"a":1,"$personal":{"of":"x","sealed":"AA=="}}',
    ],
)
def test_other_forms_are_refused(kept: bytes) -> None:
    with pytest.raises(Tampered):
        parts(kept)
