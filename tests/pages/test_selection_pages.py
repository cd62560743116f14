"""Which pages of selections are kept."""

from __future__ import annotations

from dataclasses import replace

import pytest

from exporter.pages.page import Draft, Page
from exporter.pages.selection import Selection
from exporter.pages.selection_pages import CachedPage, SelectionPages
from tests.store_fixture import StoreFixture

BYTES = 1000


def page(size: int = BYTES) -> Page:
    return replace(Draft((), (), (), b"", b"", (), (), 0, 0.0).build(), body=bytearray(size))


def family_set(number: int) -> Selection:
    return Selection(slice=(number, 1000))


def scraped(
    shelf: SelectionPages, number: int, address: str, *, first_at: float = 0.0, steady: bool = True
) -> CachedPage:
    for beat in range(3 if steady else 1):
        kept = shelf.of(family_set(number), (address, "x"), first_at + 5 * beat)
        kept.scrapers.note((address, "x"), first_at + 5 * beat)
    kept.page = page()
    return kept


@pytest.fixture
def dropped() -> list[Selection]:
    return []


@pytest.fixture
def shelf(dropped: list[Selection]) -> SelectionPages:
    return SelectionPages(8, 100 * BYTES, dropped.append)


def numbers(shelf: SelectionPages) -> set[int]:
    return {kept.selection.slice[0] for kept in shelf if kept.selection.slice is not None}


class TestNumber:
    def test_pages_that_are_scraped_in_a_rhythm_stay_however_many_others_are_asked_for(
        self, shelf: SelectionPages, dropped: list[Selection]
    ) -> None:
        for number in range(4):
            scraped(shelf, number, "prometheus")
        for number in range(100, 400):
            scraped(shelf, number, f"stranger {number % 7}", first_at=11, steady=False)
        assert {0, 1, 2, 3} < numbers(shelf)
        assert len(shelf) == 8
        assert len(dropped) == 300 - 4

    def test_one_address_has_half_of_the_shelf(self, shelf: SelectionPages) -> None:
        for number in range(100):
            scraped(shelf, number, "stranger", steady=number % 2 == 0)
        for number in range(200, 204):
            scraped(shelf, number, "prometheus", first_at=11)
        assert {200, 201, 202, 203} < numbers(shelf)
        assert len(shelf) == 8

    def test_where_there_is_no_room_a_page_is_made_that_nobody_keeps(self, shelf: SelectionPages) -> None:
        for number in range(8):
            scraped(shelf, number, f"p{number % 4}")
        kept = scraped(shelf, 100, "late", first_at=11, steady=False)
        assert not kept.in_cache
        assert numbers(shelf) == set(range(8))

    def test_the_one_that_was_unused_for_the_longest_time_goes(self, shelf: SelectionPages) -> None:
        for number in range(8):
            scraped(shelf, number, f"p{number}", steady=False)
        scraped(shelf, 0, "p0", steady=False)
        scraped(shelf, 100, "new", steady=False)
        assert numbers(shelf) == {0, 2, 3, 4, 5, 6, 7, 100}


class TestBytes:
    def test_pages_go_and_who_scrapes_them_stays_those_in_a_rhythm_last(self) -> None:
        shelf = SelectionPages(100, 3 * BYTES)
        steady = [scraped(shelf, number, "p", first_at=number) for number in range(2)]
        others = [scraped(shelf, number, "p", steady=False) for number in range(10, 20)]
        shelf.trim(12)
        assert all(kept.page is not None for kept in steady)
        assert [kept.page is not None for kept in others] == [False] * 9 + [True]
        assert len(shelf) == 12

    def test_what_the_next_build_may_keep_counts_too(self) -> None:
        fixture = StoreFixture()
        fixture.add("redis://h:6379")
        built = fixture.exposition.draft().build()
        again = fixture.exposition.draft().build(fixture.exposition.draft().build(built))
        assert again.text is not None
        assert again.size == len(again.body) + again.text.size
        assert again.text.size > len(again.body) / 2, "the body before, most of all"

    def test_of_those_in_a_rhythm_the_newest_goes_first(self) -> None:
        shelf = SelectionPages(100, 2 * BYTES)
        steady = [scraped(shelf, number, "p", first_at=number) for number in range(4)]
        shelf.trim(15)
        assert [kept.page is not None for kept in steady] == [True, True, False, False]
