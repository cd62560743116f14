"""What a soak says of the samples that it took."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest

from bench.figures import Figure, verdict
from bench.soak import LONG_S, Sample, judge

TURN_S = 20.0
MADE = Sample(0.0, True, 100.0, 600, 8, 40, 300_000, 400_000)
Change = Callable[[Sample], Sample]


def samples(for_s: float, change: Change = lambda sample: sample) -> list[Sample]:
    return [change(dataclasses.replace(MADE, at_s=at_s)) for at_s in range(0, round(for_s), 5)]


def figures(for_s: float, change: Change = lambda sample: sample) -> dict[str, Figure]:
    result = judge(samples(for_s, change), for_s, TURN_S)
    return {figure.figure: figure for figure in result.figures}


def missed(found: dict[str, Figure]) -> list[str]:
    return [name for name, figure in found.items() if verdict(figure) == "MISSED"]


@pytest.mark.parametrize("for_s", [180.0, LONG_S, 2 * LONG_S])
def test_an_exporter_that_does_not_grow_meets_every_goal(for_s: float) -> None:
    assert missed(figures(for_s)) == []


def test_memory_that_grows_for_an_hour_is_a_slope() -> None:
    found = figures(3600.0, lambda each: dataclasses.replace(each, rss_mb=100 + each.at_s / 3600 * 2))
    assert missed(found) == ["slope of resident memory"]
    assert found["slope of resident memory"].value == pytest.approx(2.0)


def test_memory_that_grows_for_minutes_is_a_growth() -> None:
    found = figures(180.0, lambda each: dataclasses.replace(each, rss_mb=100 + each.at_s / 5))
    assert missed(found) == ["growth of resident memory"]


def test_what_it_takes_while_it_warms_up_does_not_count() -> None:
    assert missed(figures(180.0, lambda each: dataclasses.replace(each, rss_mb=min(each.at_s, 59)))) == []


@pytest.mark.parametrize("name", ["descriptors", "threads", "tasks", "series"])
def test_what_is_left_behind_each_turn_shows(name: str) -> None:
    def leave(each: Sample) -> Sample:
        count = getattr(each, name)
        return dataclasses.replace(each, **{name: round(count + each.at_s / 180 * (10 + 0.1 * count))})

    assert missed(figures(180.0, leave)) == [f"growth of {name}"]


@pytest.mark.parametrize("name", ["descriptors", "threads", "tasks", "series"])
def test_what_comes_and_goes_does_not(name: str) -> None:
    def come(each: Sample) -> Sample:
        is_there = each.at_s > 150 and each.at_s % 10
        return dataclasses.replace(each, **{name: getattr(each, name) * (2 if is_there else 1)})

    assert missed(figures(180.0, come)) == []


@pytest.mark.parametrize("name", ["descriptors", "threads", "tasks", "series"])
def test_what_is_there_beside_more_targets_does_not(name: str) -> None:
    def adopt(each: Sample) -> Sample:
        if each.at_s < 145:
            return each
        few = each.at_s >= 160
        return dataclasses.replace(each, at_rest=few, **{name: getattr(each, name) * (1 if few else 2)})

    assert missed(figures(180.0, adopt)) == []


@pytest.mark.parametrize("at_rest_s", [(0, 60), (140, 180)])
def test_a_run_in_which_targets_never_go_or_come_back_has_no_verdict(at_rest_s: tuple[int, int]) -> None:
    first_s, last_s = at_rest_s

    def stay(each: Sample) -> Sample:
        return dataclasses.replace(each, at_rest=first_s <= each.at_s < last_s)

    with pytest.raises(SystemExit, match="while the fleet rested"):
        figures(180.0, stay)


def test_a_run_that_is_too_short_says_so() -> None:
    with pytest.raises(SystemExit, match="too short"):
        figures(20.0)
