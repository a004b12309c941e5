from __future__ import annotations

import pytest

from subgraphs.shared.ids import MalformedId, check_id, derived_id, is_id, new_id, prefix_of


def test_new_ids_are_well_formed_and_sort_by_time() -> None:
    made = [new_id("ord") for _ in range(1000)]
    assert made == sorted(made)
    assert len(set(made)) == 1000
    assert all(is_id(value, "ord") and len(value) == 30 for value in made)


def test_a_derived_id_is_the_same_whenever_asked() -> None:
    first = derived_id("ntf", "ord_1", "confirmation")
    assert first == derived_id("ntf", "ord_1", "confirmation")
    assert is_id(first, "ntf")


def test_parts_of_an_identity_do_not_run_together() -> None:
    assert derived_id("ntf", "ab", "c") != derived_id("ntf", "a", "bc")


@pytest.mark.parametrize("value", ["", "ord_", "ord_1", "42", "ord_" + "u" * 26, "ORD_" + "0" * 26])
def test_what_is_no_id_is_refused_with_the_shape_expected(value: str) -> None:
    with pytest.raises(MalformedId, match=r"expected ord_…") as caught:
        check_id(value, "ord", path=["id"])
    assert caught.value.path == ["id"]


def test_an_id_of_another_kind_is_refused() -> None:
    with pytest.raises(MalformedId, match="expected crt_…"):
        check_id(new_id("ord"), "crt")


def test_the_prefix_tells_the_kind() -> None:
    assert prefix_of(new_id("var")) == "var"
    with pytest.raises(MalformedId):
        prefix_of("var")
