"""Operations that were worked out once, found again by their text or by its normal form.

Three maps, each bounded: a text leads to an operation's key and the values of its literals; a
pattern of the normal form says which literals belong to the key; the key leads to the operation.
A text seen before costs two look-ups; another spelling, or other values, cost the normal form.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TypeAlias

from router.config import Caches
from router.executor import CompiledOperation
from router.http.cache import BoundedCache
from router.http.errors import OperationRefused
from router.http.literals import Hoisted
from router.http.normal_form import NormalForm, normal_form

NORMALISED_CHARACTERS_MAX: Final = 10_000
"""Of longer texts no normal form is made: that is done between other requests."""
ENTRY_BYTES: Final = 5_000
CHARACTER_BYTES: Final = 20
FETCH_CHARACTER_BYTES: Final = 30
"""What a kept operation takes, about: each, per character of its text and of its fetches."""
SPELLING_BYTES: Final = 1_000
SPELLING_CHARACTER_BYTES: Final = 2

OperationKey: TypeAlias = tuple[str, tuple[str, ...], str | None, frozenset[str]]
"""Pattern, fixed literals, operation name, active override labels."""


class Asked(NamedTuple):
    """What the caller asks for: text, operation name, active override labels."""

    text: str
    name: str | None
    labels: frozenset[str]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A kept operation with the values of its text's literals, or why it is refused."""

    compiled: CompiledOperation | None
    refusal: OperationRefused | None = None
    literals: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Worked:
    """An operation just worked out: where it can be found again."""

    prepared: Prepared
    form: NormalForm | None = None
    hoisted: Hoisted | None = None


class _Kept(NamedTuple):
    compiled: CompiledOperation
    hoisted: Hoisted | None


class OperationCache:
    """All operations kept of one supergraph. Texts longer than `characters_max` have no form."""

    def __init__(self, caches: Caches, characters_max: int = NORMALISED_CHARACTERS_MAX) -> None:
        self.characters_max = min(characters_max, NORMALISED_CHARACTERS_MAX)
        self._spelled: BoundedCache[Asked, tuple[OperationKey, Mapping[str, Any] | None]]
        self._spelled = BoundedCache(caches.spellings_max, caches.spellings_bytes_max)
        self._fixed: BoundedCache[str, tuple[int, ...]] = BoundedCache(caches.operations_max)
        self._operations: BoundedCache[OperationKey, _Kept]
        self._operations = BoundedCache(caches.operations_max, caches.operations_bytes_max)
        self._refused: BoundedCache[Asked, OperationRefused]
        self._refused = BoundedCache(caches.refusals_max, caches.refusals_bytes_max)

    def get(self, asked: Asked) -> Prepared | None:
        """What was worked out for this text, or for one that differs in spelling alone."""
        spelled = self._spelled.get(asked)
        if spelled is not None:
            key, literals = spelled
            kept = self._operations.get(key)
            if kept is not None:
                return Prepared(kept.compiled, None, literals)
        refusal = self._refused.get(asked)
        if refusal is not None:
            return Prepared(None, refusal)
        form = self.form(asked.text)
        return self._recognised(asked, form) if form is not None else None

    def form(self, text: str) -> NormalForm | None:
        """The normal form, of texts short enough."""
        return normal_form(text) if len(text) <= self.characters_max else None

    def _recognised(self, asked: Asked, form: NormalForm) -> Prepared | None:
        fixed = self._fixed.get(form.pattern)
        if fixed is None:
            return None
        key = _key(asked, form, fixed)
        kept = self._operations.get(key)
        if kept is None:
            return None
        literals = None
        if kept.hoisted is not None:
            literals = kept.hoisted.values(form.literals)
            if literals is None:
                return None
        self._keep_spelling(asked, key, literals)
        return Prepared(kept.compiled, None, literals)

    def put(self, asked: Asked, worked: Worked) -> None:
        """Keep what was worked out."""
        prepared, form, hoisted = worked.prepared, worked.form, worked.hoisted
        if prepared.refusal is not None:
            weight = ENTRY_BYTES + CHARACTER_BYTES * len(asked.text)
            self._refused.put(asked, prepared.refusal, weight)
            return
        assert prepared.compiled is not None
        key: OperationKey
        if form is None:
            key = (asked.text, (), asked.name, asked.labels)
        else:
            fixed = hoisted.fixed if hoisted is not None else ()
            self._fixed.put(form.pattern, fixed)
            key = _key(asked, form, fixed)
        weight = _weight(asked.text, prepared.compiled)
        self._operations.put(key, _Kept(prepared.compiled, hoisted), weight)
        self._keep_spelling(asked, key, prepared.literals)

    def _keep_spelling(
        self, asked: Asked, key: OperationKey, literals: Mapping[str, Any] | None
    ) -> None:
        weight = SPELLING_BYTES + SPELLING_CHARACTER_BYTES * len(asked.text)
        self._spelled.put(asked, (key, literals), weight)

    @property
    def kept(self) -> int:
        """Operations that can be executed at once."""
        return len(self._operations)

    @property
    def refused(self) -> int:
        """Texts that can be refused at once."""
        return len(self._refused)


def _key(asked: Asked, form: NormalForm, fixed: tuple[int, ...]) -> OperationKey:
    name = None if asked.name == form.name else asked.name
    literals = tuple([form.literals[number] for number in fixed])
    return form.pattern, literals, name, asked.labels


def _weight(text: str, compiled: CompiledOperation) -> int:
    """An estimate of the bytes that keeping it takes."""
    fetches = compiled.plan.fetches()
    characters = sum(len(fetch.operation) for fetch in fetches)
    return ENTRY_BYTES + CHARACTER_BYTES * len(text) + FETCH_CHARACTER_BYTES * characters
