"""From arrivals to rhythms, and the moment that suits several of them."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.pages.rhythm import (
    LIKENESS,
    MISSES_MAX,
    RHYTHMS_MAX,
    ArrivalHistory,
    Rhythm,
    ages_s,
    best_moment,
    intervals_in,
)


def after(arrivals: Iterable[float]) -> ArrivalHistory:
    history = ArrivalHistory()
    for moment in arrivals:
        history.arrive(moment)
    return history


def periods(history: ArrivalHistory) -> list[float]:
    return [round(rhythm.period_s, 3) for rhythm in history.rhythms]


class TestLearning:
    def test_takes_three_arrivals(self) -> None:
        assert periods(after([100, 105])) == []
        assert periods(after([100, 105, 110])) == [5]

    @pytest.mark.parametrize(
        ("third", "learnt"), [(110.09, True), (109.91, True), (110.3, False), (109.7, False)]
    )
    def test_whose_gaps_agree_within_two_percent(self, third: float, learnt: bool) -> None:
        assert bool(after([100, 105, third]).rhythms) is learnt

    @pytest.mark.parametrize("gap_s", [0.1, 1000])
    def test_of_a_period_that_a_scraper_may_have(self, gap_s: float) -> None:
        assert after([0, gap_s, 2 * gap_s]).rhythms == []

    def test_a_person_with_curl_has_none(self) -> None:
        assert after([0, 3, 3.8, 11, 12.5, 30, 31, 40]).rhythms == []

    def test_two_that_look_alike_are_two(self) -> None:
        arrivals = sorted([5.0 * beat for beat in range(5)] + [5.0 * beat + 2 for beat in range(5)])
        history = after(arrivals)
        assert periods(history) == [5, 5]
        assert sorted(round(rhythm.at % 5, 3) for rhythm in history.rhythms) == [0, 2]

    def test_one_who_comes_in_between_changes_nothing(self) -> None:
        history = after([0, 5, 10, 11.7, 15, 18.1, 20])
        assert periods(history) == [5]
        assert history.rhythms[0].next_after(20) == pytest.approx(25)

    def test_a_restart_with_another_phase_is_another_rhythm_and_the_old_one_goes(self) -> None:
        history = after([0, 5, 10, *(13 + 5.0 * beat for beat in range(6))])
        assert [round(rhythm.at % 5, 3) for rhythm in history.rhythms] == [3]


class TestFollowing:
    def test_a_late_arrival_moves_it_less_than_an_early_one(self) -> None:
        moved = {}
        for error_s in (0.05, -0.05):
            rhythm = after([0, 5, 10]).rhythms[0]
            assert rhythm.take(15 + error_s)
            moved[error_s] = rhythm.at - 15
        assert 0 < moved[0.05] < 0.01
        assert -0.03 < moved[-0.05] < -0.02

    def test_a_clock_that_goes_otherwise(self) -> None:
        period_s = 5.004
        history = after([period_s * beat for beat in range(200)])
        assert history.rhythms[0].period_s == pytest.approx(period_s, abs=0.0005)
        assert history.rhythms[0].next_after(period_s * 199) == pytest.approx(period_s * 200, abs=0.005)

    def test_a_second_request_of_the_same_beat_is_none_of_another(self) -> None:
        history = after([0, 5, 10, 10.01, 15, 15.01])
        assert periods(history) == [5]
        assert history._strays == []

    def test_of_many_requests_in_one_beat_the_one_that_is_nearest_counts(self) -> None:
        history = after([0, 5, 10])
        for beat in range(1, 40):
            for early in range(-9, 10):
                history.arrive(10 + 5 * beat + early / 100 + 0.001)
        assert history.rhythms[0].next_after(205.2) == pytest.approx(210, abs=0.02)

    def test_rhythms_of_one_reader_are_bounded(self) -> None:
        history = after(
            sorted(100 + 7.0 * number / 11 + 7 * beat for number in range(11) for beat in range(12))
        )
        assert len(history.rhythms) <= RHYTHMS_MAX

    def test_it_outlives_a_miss_or_two(self) -> None:
        history = after([0, 5, 10])
        history.forget(10 + 5 * MISSES_MAX)
        history.arrive(10 + 5 * MISSES_MAX)
        assert periods(history) == [5]

    def test_and_is_forgotten_after_three(self) -> None:
        history = after([0, 5, 10])
        history.forget(10 + 5 * (MISSES_MAX + 0.6))
        assert history.rhythms == []

    @given(st.floats(0.6, 500), st.lists(st.floats(-LIKENESS / 2.1, LIKENESS / 2.1), min_size=5, max_size=40))
    @settings(max_examples=200, deadline=None)
    def test_the_next_arrival_is_near_whatever_the_jitter(
        self, period_s: float, jitters: list[float]
    ) -> None:
        rhythm = Rhythm(0, period_s)
        for beat, jitter in enumerate(jitters, 1):
            assert rhythm.take(beat * period_s + jitter * period_s)
        end = len(jitters) * period_s
        assert rhythm.next_after(end + period_s / 2) == pytest.approx(
            end + period_s, abs=2 * LIKENESS * period_s
        )

    @given(st.floats(0, 1e6), st.floats(0.5, 600), st.floats(0, 1e6))
    def test_the_next_arrival_is_later_and_not_by_more_than_a_period(
        self, at: float, period_s: float, moment: float
    ) -> None:
        assert moment < Rhythm(at, period_s).next_after(moment) <= moment + period_s * 1.000001


class TestInStep:
    @pytest.mark.parametrize(
        ("period_s", "interval_s", "number"),
        [
            (5, 5, 1),
            (5.05, 5, 1),
            (4.95, 5, 1),
            (15, 5, 3),
            (15.2, 5, 3),
            (2.5, 5, 1),
            (1, 5, 1),
            (7, 5, 0),
            (12.5, 5, 0),
            (3, 5, 0),
            (60, 5, 12),
        ],
    )
    def test_so_many_intervals_make_up_the_period(
        self, period_s: float, interval_s: float, number: int
    ) -> None:
        assert intervals_in(Rhythm(0, period_s), interval_s) == number


class TestMeeting:
    def test_nobody_to_meet(self) -> None:
        assert best_moment([], 5) is None
        assert best_moment([Rhythm(0, 7)], 5) is None

    def test_one_scraper(self) -> None:
        assert best_moment([Rhythm(12, 5)], 5) == 12

    def test_one_who_is_not_in_step_has_no_say(self) -> None:
        assert best_moment([Rhythm(12, 5), Rhythm(1, 7)], 5) == 12

    def test_of_two_the_one_after_whom_the_other_comes_sooner(self) -> None:
        # polled for the first, the other finds 1 s; polled for the other, the first finds 4 s
        assert best_moment([Rhythm(10, 5), Rhythm(11, 5)], 5) == 10
        assert best_moment([Rhythm(10, 5), Rhythm(14, 5)], 5) == 14

    def test_a_fast_scraper_is_met_at_each_of_its_arrivals(self) -> None:
        met_at = best_moment([Rhythm(10, 2.5), Rhythm(13, 5)], 5)
        assert met_at is not None
        assert max(ages_s([10, 12.5, 13], met_at, 5)) == pytest.approx(2.5)

    def test_what_was_chosen_is_kept_unless_another_is_much_better(self) -> None:
        pair = [Rhythm(10, 5), Rhythm(12.4, 5)]
        assert best_moment(pair, 5) == 10
        assert best_moment(pair, 5, 27.4) == 12.4
        assert best_moment([Rhythm(10, 5), Rhythm(11, 5)], 5, 26) == 10

    @given(st.lists(st.floats(0, 5, exclude_max=True), min_size=1, max_size=6))
    @settings(max_examples=200, deadline=None)
    def test_no_other_choice_has_a_fresher_worst(self, phases: list[float]) -> None:
        met_at = best_moment([Rhythm(phase, 5) for phase in phases], 5)
        assert met_at in phases
        worst = max(ages_s(phases, met_at, 5))
        assert all(worst <= max(ages_s(phases, other / 10, 5)) + 1e-4 for other in range(50))
