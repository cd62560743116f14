"""Who is polled in step with whom."""

from __future__ import annotations

from typing import Any

import pytest

from exporter.alignment import LAST_POLLS_S, NAME_MAX, TARGET_S, WINDOW_PART, Alignment
from exporter.cadence import Rhythm
from exporter.exposition import WHOLE, Selection

BLUE, GREEN = Selection(group="blue"), Selection(group="green")
LEAD_S = 0.1


def shows(selection: Selection, addr: str) -> bool:
    return selection == WHOLE or addr.startswith(selection.group or "-")


def aligned(rhythms: dict[Selection, dict[Any, list[Rhythm]]], **settings: Any) -> Alignment:
    alignment = Alignment(lambda now: dict(rhythms), shows, lambda: LEAD_S, **settings)
    alignment.update(0.0)
    return alignment


class TestGroups:
    def test_targets_on_the_same_pages_are_one(self) -> None:
        alignment = aligned({WHOLE: {"p": [Rhythm(0, 5)]}, BLUE: {"q": [Rhythm(1, 5)]}})
        assert alignment.group_of("blue-1") == alignment.group_of("blue-2") == (WHOLE, BLUE)
        assert alignment.group_of("green-1") == (WHOLE,)

    def test_pages_that_nobody_asks_for_in_a_rhythm_do_not_count(self) -> None:
        assert aligned({}).group_of("blue-1") == ()

    def test_who_asks_is_looked_at_again(self) -> None:
        rhythms: dict[Selection, dict[Any, list[Rhythm]]] = {}
        alignment = aligned(rhythms)
        rhythms[BLUE] = {"p": [Rhythm(0, 5)]}
        assert alignment.group_of("blue-1") == ()
        assert alignment.update(1.0) == {BLUE}
        assert alignment.group_of("blue-1") == (BLUE,)


class TestWhatWasLearnt:
    def test_is_told_by_scraper(self) -> None:
        prometheus, other = ("10.0.0.1", "Prometheus/3.5"), ("10.0.0.2", None)
        alignment = aligned(
            {WHOLE: {prometheus: [Rhythm(100, 5)]}, Selection(shard=(3, 20), group="blue"): {other: [Rhythm(2, 15), Rhythm(1, 10)]}}
        )
        assert alignment.periods_s() == {"10.0.0.1 Prometheus/3.5": 5, "10.0.0.2 part=3/20 group=blue": 10}

    def test_and_how_old_the_values_will_be_that_it_finds(self) -> None:
        alignment = aligned({WHOLE: {"p": [Rhythm(100, 5)], "q": [Rhythm(102, 5)]}, BLUE: {"r": [Rhythm(100, 5)]}})
        burst = alignment.burst((WHOLE,), 5, 500)
        assert burst is not None
        ahead_s = 100 - burst.begins_at
        assert alignment.ages_s([((WHOLE,), 5, burst)]) == {"p": pytest.approx(ahead_s), "q": pytest.approx(2 + ahead_s)}

    def test_a_name_is_not_as_long_as_anybody_likes(self) -> None:
        [name] = aligned({WHOLE: {("10.0.0.1", "x" * 1000): [Rhythm(100, 5)]}}).periods_s()
        assert len(name) == NAME_MAX


class TestBurst:
    def test_ends_before_the_page_is_built_for_the_scrape(self) -> None:
        burst = aligned({WHOLE: {"p": [Rhythm(100, 5)]}}).burst((WHOLE,), 5, 500)
        assert burst is not None
        assert burst.begins_at == pytest.approx(100 - LEAD_S - 500 * TARGET_S - LAST_POLLS_S)
        assert (burst.every, burst.met_at) == (1, 100)

    def test_there_is_none_without_a_scraper_in_step(self) -> None:
        assert aligned({WHOLE: {"p": [Rhythm(100, 7)]}}).burst((WHOLE,), 5, 500) is None
        assert aligned({}).burst((WHOLE,), 5, 500) is None

    def test_nor_one_that_would_take_much_of_the_interval(self) -> None:
        alignment = aligned({WHOLE: {"p": [Rhythm(100, 5)]}})
        most = int((WINDOW_PART * 5 - LAST_POLLS_S) / TARGET_S)
        assert alignment.burst((WHOLE,), 5, most) is not None
        assert alignment.burst((WHOLE,), 5, most + 1) is None

    def test_a_slower_scraper_is_followed_only_when_that_is_asked_for(self) -> None:
        rhythms = {WHOLE: {"p": [Rhythm(100, 15)]}}
        for follow, every in ((False, 1), (True, 3)):
            burst = aligned(rhythms, follow=follow).burst((WHOLE,), 5, 1)
            assert burst is not None
            assert burst.every == every

    def test_of_two_slow_scrapers_the_less_slow_one_is_followed(self) -> None:
        burst = aligned({WHOLE: {"p": [Rhythm(100, 30)], "q": [Rhythm(100, 15)]}}, follow=True).burst((WHOLE,), 5, 1)
        assert burst is not None
        assert burst.every == 3

    def test_it_stays_with_the_scrape_that_it_was_for(self) -> None:
        alignment = aligned({WHOLE: {"p": [Rhythm(100, 5)], "q": [Rhythm(102.4, 5)]}})
        first = alignment.burst((WHOLE,), 5, 1)
        assert first is not None
        assert first.met_at == 100
        for_the_other = first.__class__(0.0, 1, 102.4)
        again = alignment.burst((WHOLE,), 5, 1, for_the_other)
        assert again is not None
        assert again.met_at == 102.4
