"""Who of those who ask for a page is remembered."""

from __future__ import annotations

import math
from typing import Any

from exporter.pages.scrapers import ADDRESS_MAX, SCRAPERS_MAX, Scraper, Scrapers

PROMETHEUS = Scraper("10.0.0.1", "Prometheus/2.42.0")


def steady(scrapers: Scrapers, scraper: Any, *, period_s: float = 5.0, first_at: float = 0.0) -> None:
    for beat in range(3):
        scrapers.note(scraper, first_at + beat * period_s)


class TestScrapers:
    def test_one_with_a_rhythm_is_never_displaced_however_many_others_come(self) -> None:
        scrapers = Scrapers()
        steady(scrapers, PROMETHEUS)
        for number in range(1000):
            scrapers.note(Scraper(f"10.0.1.{number % 250}", f"agent/{number}"), 10 + number / 1000)
        assert set(scrapers.rhythms(11)) == {PROMETHEUS}
        assert len(scrapers.habits) == SCRAPERS_MAX

    def test_nor_by_others_at_its_own_address(self) -> None:
        scrapers = Scrapers()
        steady(scrapers, PROMETHEUS)
        for number in range(1000):
            scrapers.note(Scraper(PROMETHEUS.address, f"agent/{number}"), 10 + number / 1000)
        assert PROMETHEUS in scrapers.habits
        assert len(scrapers.habits) == ADDRESS_MAX

    def test_one_address_leaves_room_for_others(self) -> None:
        scrapers = Scrapers()
        for number in range(100):
            steady(scrapers, Scraper("10.0.0.9", f"agent/{number}"), first_at=number / 1000)
        steady(scrapers, PROMETHEUS, first_at=1)
        assert PROMETHEUS in scrapers.rhythms(11)

    def test_without_rhythms_the_one_that_was_not_seen_for_the_longest_time_goes(self) -> None:
        scrapers = Scrapers()
        for number in range(SCRAPERS_MAX):
            scrapers.note(number, number)
        scrapers.note(0, SCRAPERS_MAX)
        scrapers.note("new", SCRAPERS_MAX + 1)
        assert 1 not in scrapers.habits
        assert {0, "new"} < set(scrapers.habits)

    def test_where_all_have_a_rhythm_a_newcomer_is_not_remembered(self) -> None:
        scrapers = Scrapers()
        for number in range(SCRAPERS_MAX):
            steady(scrapers, number)
        scrapers.note("new", 10)
        assert set(scrapers.habits) == set(range(SCRAPERS_MAX))

    def test_a_rhythm_that_has_ended_protects_nobody(self) -> None:
        scrapers = Scrapers()
        for number in range(SCRAPERS_MAX):
            steady(scrapers, number)
        scrapers.note("new", 100)
        assert "new" in scrapers.habits

    def test_one_that_has_not_come_for_three_of_its_intervals_is_gone(self) -> None:
        scrapers = Scrapers()
        for moment in (0.0, 100.0, 110.0, 120.0):
            scrapers.note("often", moment)
        for moment in (0.0, 60.0, 120.0):
            scrapers.note("seldom", moment)
        scrapers.forget_gone(149.0)
        assert set(scrapers.habits) == {"often", "seldom"}
        scrapers.forget_gone(151.0)
        assert set(scrapers.habits) == {"seldom"}
        scrapers.forget_gone(301.0)
        assert not scrapers.habits

    def test_since_when_somebody_comes_in_a_rhythm(self) -> None:
        scrapers = Scrapers()
        assert scrapers.steady_since(0) == math.inf
        assert scrapers.expected_after(0) == math.inf
        scrapers.note("once", 0)
        assert scrapers.steady_since(0) == math.inf
        steady(scrapers, "p", first_at=100)
        steady(scrapers, "q", first_at=101)
        assert scrapers.steady_since(112) == 100
        assert scrapers.expected_after(112) == 115

    def test_one_without_a_rhythm_does_not_come_just_before_a_steady_one(self) -> None:
        scrapers = Scrapers()
        steady(scrapers, PROMETHEUS)  # comes at 15
        assert scrapers.steady_after(11) == 15
        scrapers.note("crowd", 13.2)
        scrapers.note("crowd", 13.9)  # the gap is a second
        assert scrapers.expected_after(14) == 15
        scrapers.note("crowd", 13.4)
        assert scrapers.expected_after(14) == 14.4

    def test_two_steady_ones_are_both_expected(self) -> None:
        scrapers = Scrapers()
        steady(scrapers, PROMETHEUS)
        steady(scrapers, Scraper("10.0.0.2", "Prometheus/2.42.0"), first_at=-0.1)
        assert scrapers.expected_after(14) == 14.9
        assert scrapers.expected_after(14.9) == 15
