"""Who is polled in step with whom."""

from __future__ import annotations

from typing import Any

import pytest

from exporter.fleet.alignment import (
    LAST_POLLS_S,
    LOOK_S,
    NAME_MAX,
    NAMED_MAX,
    SETTLED_S,
    TARGET_S,
    WINDOW_PART,
    Alignment,
    Burst,
)
from exporter.pages.rhythm import ArrivalHistory, Rhythm
from exporter.pages.selection import WHOLE, Selection

BLUE, GREEN = Selection(group="blue"), Selection(group="green")
LEAD_S = 0.1


def shows(selection: Selection, addr: str) -> bool:
    return selection == WHOLE or addr.startswith(selection.group or "-")


def aligned(rhythms: dict[Selection, dict[Any, list[Rhythm]]], **settings: Any) -> Alignment:
    alignment = Alignment(lambda now: dict(rhythms), shows, lambda: LEAD_S, **settings)
    alignment.update(0.0)
    return alignment


class TestGroups:
    def test_a_target_follows_the_page_that_has_been_scraped_for_the_longest_time(self) -> None:
        alignment = aligned({WHOLE: {"p": [Rhythm(1, 5)]}, BLUE: {"q": [Rhythm(0, 5)]}})
        assert alignment.group_of("blue-1") == alignment.group_of("blue-2") == (BLUE,)
        assert alignment.group_of("green-1") == (WHOLE,)

    def test_pages_that_strangers_ask_for_in_a_rhythm_split_no_group(self) -> None:
        odd = {
            Selection(slice=(0, slices)): {"stranger": [Rhythm(10.0 + slices, 5)]} for slices in range(2, 30)
        }
        alignment = aligned({**odd, WHOLE: {"p": [Rhythm(0, 5)]}})
        assert alignment.group_of("blue-1") == alignment.group_of("green-1") == (WHOLE,)

    def test_whoever_came_first_is_first_whatever_its_period(self) -> None:
        slow_and_first, fast = ArrivalHistory(), ArrivalHistory()
        for beat in range(3):
            slow_and_first.arrive(100 + 15.0 * beat)
            fast.arrive(101 + 1.0 * beat)
        assert aligned({BLUE: {"fast": fast.rhythms}, WHOLE: {"slow": slow_and_first.rhythms}}).group_of(
            "blue-1"
        ) == (WHOLE,)

    def test_pages_that_nobody_asks_for_in_a_rhythm_do_not_count(self) -> None:
        assert aligned({}).group_of("blue-1") == ()

    def test_who_asks_is_looked_at_again(self) -> None:
        rhythms: dict[Selection, dict[Any, list[Rhythm]]] = {}
        alignment = aligned(rhythms)
        rhythms[BLUE] = {"p": [Rhythm(0, 5)]}
        assert alignment.group_of("blue-1") == ()
        assert alignment.update(1.0) == (BLUE,)
        assert alignment.group_of("blue-1") == (BLUE,)


class TestWhatWasLearnt:
    def test_is_told_by_scraper(self) -> None:
        prometheus, other = ("10.0.0.1", "Prometheus/3.5"), ("10.0.0.2", "")
        alignment = aligned(
            {
                WHOLE: {prometheus: [Rhythm(100, 5)]},
                Selection(slice=(3, 20), group="blue"): {other: [Rhythm(2, 15), Rhythm(1, 10)]},
            }
        )
        assert alignment.periods_s() == {"10.0.0.1 Prometheus/3.5": 5, "10.0.0.2 part=3/20 group=blue": 10}

    def test_and_how_old_the_values_will_be_that_it_finds(self) -> None:
        alignment = aligned(
            {WHOLE: {"p": [Rhythm(100, 5)], "q": [Rhythm(102, 5)]}, BLUE: {"r": [Rhythm(100, 5)]}}
        )
        burst = alignment.burst((WHOLE,), 5, 500)
        assert burst is not None
        ahead_s = 100 - burst.begins_at
        assert alignment.ages_s([((WHOLE,), 5, burst)]) == {
            "p": pytest.approx(ahead_s),
            "q": pytest.approx(2 + ahead_s),
        }

    def test_a_name_is_not_as_long_as_anybody_likes(self) -> None:
        [name] = aligned({WHOLE: {("10.0.0.1", "x" * 1000): [Rhythm(100, 5)]}}).periods_s()
        assert len(name) == NAME_MAX

    def test_nor_are_there_as_many_names(self) -> None:
        rhythms = {("10.0.0.1", f"{n}"): [Rhythm(100 + n, 5)] for n in range(NAMED_MAX + 5)}
        assert list(aligned({WHOLE: rhythms}).periods_s()) == [f"10.0.0.1 {n}" for n in range(NAMED_MAX)]

    def test_a_name_that_is_no_text_is_one_on_the_page(self) -> None:
        [name] = aligned({WHOLE: {("10.0.0.1", "a\udcff\n\x1b[31m"): [Rhythm(100, 5)]}}).periods_s()
        assert name == "10.0.0.1 a\ufffd[31m"


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
        burst = aligned({WHOLE: {"p": [Rhythm(100, 30)], "q": [Rhythm(100, 15)]}}, follow=True).burst(
            (WHOLE,), 5, 1
        )
        assert burst is not None
        assert burst.every == 3

    @pytest.mark.parametrize("phase_s", [0.5, 1.0, 2.4, 3.0, 4.0, 4.9])
    @pytest.mark.parametrize("period_s", [0.5, 1.0, 2.5, 5.0, 10.0])
    def test_a_stranger_s_rhythm_moves_it_for_nobody(self, phase_s: float, period_s: float) -> None:
        mine = {("10.0.0.1", "Prometheus/3"): [Rhythm(100, 5)]}
        late = 100 + 2 * period_s
        strangers = {
            ("10.0.0.9", f"curl/{n}"): [Rhythm(late + n + phase_s, period_s), Rhythm(late + n, period_s)]
            for n in range(5, 15)
        }
        alone = aligned({WHOLE: mine}).burst((WHOLE,), 5, 1)
        assert aligned({WHOLE: {**strangers, **mine}}).burst((WHOLE,), 5, 1) == alone

    def test_nor_does_one_that_takes_my_name_at_my_address_at_once(self) -> None:
        reader = ("10.0.0.1", "Prometheus/3")
        rhythms = {WHOLE: {reader: [Rhythm(100, 5), Rhythm(114, 5)]}}
        alignment = aligned(rhythms)
        assert alignment.burst((WHOLE,), 5, 1) == aligned({WHOLE: {reader: [Rhythm(100, 5)]}}).burst(
            (WHOLE,), 5, 1
        )
        alignment.update(114 + SETTLED_S)
        settled = alignment.burst((WHOLE,), 5, 1)
        assert settled is not None
        assert settled.met_at == 114

    @pytest.mark.parametrize("phase_s", [0.5, 2.4, 3.0, 4.0, 4.9])
    def test_the_two_of_a_pair_share_it(self, phase_s: float) -> None:
        pair = {
            ("10.0.0.1", "Prometheus/3"): [Rhythm(100, 5)],
            ("10.0.0.2", "Prometheus/3"): [Rhythm(100 + phase_s, 5)],
        }
        alignment = aligned({WHOLE: pair})
        burst = alignment.burst((WHOLE,), 5, 1)
        assert burst is not None
        assert max(alignment.ages_s([((WHOLE,), 5, burst)]).values()) <= 2.5 + burst.met_at - burst.begins_at

    def test_it_stays_with_the_scrape_that_it_was_for(self) -> None:
        alignment = aligned({WHOLE: {("p", "x"): [Rhythm(100, 5)], ("q", "x"): [Rhythm(102.4, 5)]}})
        first = alignment.burst((WHOLE,), 5, 1)
        assert first is not None
        assert first.met_at == 100
        for_the_other = Burst(0.0, 1, 102.4)
        again = alignment.burst((WHOLE,), 5, 1, for_the_other)
        assert again is not None
        assert again.met_at == 102.4


def test_rhythms_are_read_again_when_somebody_came_or_after_a_while() -> None:
    looks: list[float] = []
    scrapes = [0]

    def read(now: float) -> dict[Selection, dict[Any, list[Rhythm]]]:
        looks.append(now)
        return {WHOLE: {"p": [Rhythm(0.0, 5.0)]}} if scrapes[0] else {}

    alignment = Alignment(read, shows, lambda: LEAD_S, scrapes=lambda: scrapes[0])
    assert [alignment.update(float(now)) for now in range(5)] == [()] * 5
    assert looks == [0.0]
    scrapes[0] += 1
    assert alignment.update(5.0) == (WHOLE,)
    assert alignment.update(5.0 + LOOK_S - 1) == (WHOLE,)
    assert looks == [0.0, 5.0]
    alignment.update(5.0 + LOOK_S)
    assert looks == [0.0, 5.0, 5.0 + LOOK_S]
