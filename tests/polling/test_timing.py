"""Intervals and limits of one target."""

from __future__ import annotations

from dataclasses import replace

import pytest

from exporter.metrics.lane import Lane
from exporter.polling.timing import PollTiming

LANES = {Lane.FAST: 5.0, Lane.STANDARD: 15.0, Lane.SLOW: 60.0, Lane.SCAN: 300.0}


def timing(
    interval_s: float | None = None,
    *,
    timeout_s: float = 15.0,
    max_age_s: float = 0.0,
    max_backoff_s: float = 30.0,
) -> PollTiming:
    return PollTiming.of(
        {**LANES, Lane.FAST: interval_s or LANES[Lane.FAST]},
        timeout_s=timeout_s,
        scan_budget_s=30.0,
        max_backoff_s=max_backoff_s,
        connection_max_age_s=600.0,
        max_age_s=max_age_s,
    )


class TestPace:
    def test_lanes_are_whole_multiples_of_the_fast_one(self) -> None:
        assert timing().every == {Lane.FAST: 1, Lane.STANDARD: 3, Lane.SLOW: 12, Lane.SCAN: 60}

    @pytest.mark.parametrize(
        ("interval_s", "standard"),
        [(2.0, 8), (15.0, 1), (20.0, 1), (0.3, 50), (0.1, 150)],
        ids=lambda value: f"{value:g}",
    )
    def test_a_targets_own_interval_takes_the_place_of_the_fast_one(
        self, interval_s: float, standard: int
    ) -> None:
        assert timing(interval_s).every[Lane.FAST] == 1
        assert timing(interval_s).every[Lane.STANDARD] == standard
        assert timing(interval_s).lane_interval_s(Lane.STANDARD) == pytest.approx(interval_s * standard)

    @pytest.mark.parametrize(
        ("interval_s", "timeout_s", "deadline_s"),
        [(5.0, 15.0, 5.0), (30.0, 15.0, 15.0), (0.2, 15.0, 1.0), (0.2, 0.5, 0.5)],
    )
    def test_a_poll_has_an_interval_but_a_second_at_least_and_never_more_than_the_timeout(
        self, interval_s: float, timeout_s: float, deadline_s: float
    ) -> None:
        assert timing(interval_s, timeout_s=timeout_s).deadline_s == deadline_s

    def test_a_snapshot_may_be_served_for_three_intervals_of_its_lane_and_a_deadline(self) -> None:
        assert timing().expiry_s(Lane.FAST) == 20.0
        assert timing().expiry_s(Lane.STANDARD) == 50.0

    def test_or_as_long_as_is_configured(self) -> None:
        assert timing(max_age_s=7.0).expiry_s(Lane.STANDARD) == 7.0

    def test_the_first_failure_costs_no_pause_and_more_cost_less_than_two_intervals(self) -> None:
        assert [timing().backoff_s(failures) for failures in (0, 1, 2, 100)] == [0.0, 0.0, 7.5, 7.5]

    def test_the_pause_has_a_cap(self) -> None:
        assert timing(60.0, max_backoff_s=30.0).backoff_s(2) == 30.0


@pytest.mark.parametrize(
    ("configured_s", "interval_s", "floor_s"),
    [(0.0, 5.0, 0.5), (0.0, 60.0, 1.0), (0.0, 1.0, 0.1), (3.0, 5.0, 3.0), (0.01, 5.0, 0.01)],
)
def test_polls_that_requests_ask_for_have_a_floor(
    configured_s: float, interval_s: float, floor_s: float
) -> None:
    assert replace(timing(interval_s), max_age_floor_s=configured_s).fresh_floor_s == floor_s
