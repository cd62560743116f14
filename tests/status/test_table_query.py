"""The parameters of the table."""

from __future__ import annotations

import pytest
from multidict import MultiDict
from yarl import URL

from exporter.errors import RequestError
from exporter.status.table_query import SORTS, STATE_CHOICES, TableQuery, table_query


def read(**parameters: str) -> TableQuery:
    return table_query(MultiDict(parameters))


def test_without_parameters_the_worst_come_first() -> None:
    assert read() == read(state="", q="", sort="", page="", size="") == TableQuery("", "", "worst", 1, 100)


def test_all_parameters() -> None:
    query = read(state="down", q=" Cache ", sort="-age", page="3", size="20")
    assert query == TableQuery("down", "Cache", "-age", 3, 20)
    assert (query.column, query.is_reversed) == ("age", True)


@pytest.mark.parametrize("state", STATE_CHOICES)
def test_every_state_can_be_asked_for(state: str) -> None:
    assert read(state=state).state == state


@pytest.mark.parametrize("sort", SORTS)
def test_every_column_can_be_sorted_by(sort: str) -> None:
    assert read(sort=sort).column == read(sort=f"-{sort}").column == sort


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        ({"state": "dead"}, "state: write one of up, down, unknown, paused, stale, such as state=down"),
        ({"sort": "--age"}, "sort: write one of worst, "),
        ({"q": "x" * 201}, "q: at most 200 characters"),
        ({"page": "0"}, "page: write a number from 1 to 1000000, such as page=1"),
        ({"page": "-1"}, "page: write a number"),
        ({"page": "²"}, "page: write a number"),
        ({"size": "1001"}, "size: write a number from 1 to 1000, such as size=100"),
        ({"size": "9" * 5000}, "size: write a number"),
    ],
)
def test_a_mistake_is_told(parameters: dict[str, str], text: str) -> None:
    with pytest.raises(RequestError) as caught:
        read(**parameters)
    assert str(caught.value).startswith(text)


@pytest.mark.parametrize("text", ["", "a b&c=d#e", "Ä<script>\"'", "50%25+1", "\ud800"])
def test_a_link_leads_to_the_same_query(text: str) -> None:
    query = read(state="up", q=text, sort="-p99", page="7", size="10")
    assert table_query(URL("/" + query.href()).query) == query


def test_a_link_to_other_rows_leads_to_their_first_page() -> None:
    query = TableQuery(sort="age", page=4)
    assert query.href(state="down") == "?state=down&sort=age"
    assert query.href(page=5) == "?sort=age&page=5"
    assert TableQuery().href() == "?"
