from __future__ import annotations

from datetime import UTC, datetime

import pytest

from subgraphs.shared.errors import InvalidPage
from subgraphs.shared.graphql import Connection
from subgraphs.shared.paging import FIRST_MAX, Keyset, read_page

NEWEST = Keyset("o.placed_at", "o.id", descending=True, cast="timestamptz")
ROWS = [{"placed_at": datetime(2026, 1, day, tzinfo=UTC), "id": f"ord_{day}"} for day in (3, 2, 1)]


def test_the_first_page_has_no_condition() -> None:
    page = read_page(2, None, NEWEST)
    assert (page.condition, page.params, page.limit) == ("TRUE", {}, 3)
    assert page.order == "o.placed_at DESC, o.id DESC"


def test_the_next_page_starts_after_the_row_of_the_cursor() -> None:
    page = read_page(2, NEWEST.cursor(ROWS[1]), NEWEST)
    assert page.condition == (
        "(o.placed_at, o.id) < (%(after_key)s::timestamptz, %(after_id)s::text)"
    )
    assert page.params == {"after_key": "2026-01-02T00:00:00+00:00", "after_id": "ord_2"}


def test_a_connection_shows_one_row_less_than_it_was_given() -> None:
    page = read_page(2, None, NEWEST)
    connection = Connection[str].of(ROWS, page, NEWEST, lambda row: str(row["id"]))
    assert [edge.node for edge in connection.edges] == ["ord_3", "ord_2"]
    assert connection.page_info.has_next_page
    assert not connection.page_info.has_previous_page
    assert connection.page_info.end_cursor == NEWEST.cursor(ROWS[1])


def test_an_empty_connection_has_no_cursors() -> None:
    info = Connection[str].empty().page_info
    assert (info.has_next_page, info.start_cursor, info.end_cursor) == (False, None, None)


@pytest.mark.parametrize("first", [0, -1, FIRST_MAX + 1, 2**31])
def test_a_page_has_1_to_100_rows(first: int) -> None:
    with pytest.raises(InvalidPage, match="ask for 1 to 100"):
        read_page(first, None, NEWEST)


@pytest.mark.parametrize("cursor", ["", "x", "e30", "é", "A" * 2000, "WyJhIl0"])
def test_rubbish_is_no_cursor(cursor: str) -> None:
    with pytest.raises(InvalidPage, match="not a cursor"):
        read_page(1, cursor, NEWEST)


def test_a_cursor_of_another_order_is_refused() -> None:
    oldest = Keyset("o.placed_at", "o.id", cast="timestamptz")
    with pytest.raises(InvalidPage, match="another order"):
        read_page(1, oldest.cursor(ROWS[0]), NEWEST)


def test_a_forged_value_of_the_wrong_type_is_refused_before_the_database_sees_it() -> None:
    forged = Keyset("o.placed_at", "o.id", descending=True).cursor(
        {"placed_at": "yesterday", "id": "1"}
    )
    with pytest.raises(InvalidPage, match="not a cursor"):
        read_page(1, forged, NEWEST)
    with pytest.raises(InvalidPage, match="not a cursor"):
        read_page(1, Keyset("n").cursor({"n": 2**80, "id": "1"}), Keyset("n", cast="bigint"))
