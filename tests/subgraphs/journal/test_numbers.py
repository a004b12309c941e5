"""Numbers that people know things by, in the data of events."""

from __future__ import annotations

from subgraphs.journal.numbers import has_number


def test_a_number_is_found_in_whatever_case_and_nothing_is_none() -> None:
    assert has_number({"tracking_number": "X-1a"}, "x-1A")
    assert not has_number({"tracking_number": None}, "none")
    assert not has_number({}, "")
