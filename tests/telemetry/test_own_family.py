"""Durations, and values by their labels."""

from __future__ import annotations

import pytest

from exporter.telemetry.own_family import BOUNDS, Durations, added, by_labels, counted


def test_durations_are_counted_by_upper_bounds() -> None:
    durations = Durations()
    for seconds in (0.0005, 0.001, 0.3, 99.0):
        durations.observe(seconds)
    assert BOUNDS == ("0.001", "0.01", "0.1", "1.0", "+Inf")
    assert durations.counts == [2, 0, 0, 1, 1]
    assert durations.sum_s == pytest.approx(99.3015)


def test_one_value_is_one_without_labels() -> None:
    assert by_labels(2.5) == {(): 2.5}
    assert by_labels(None) == {}
    assert by_labels({"up": 1.0, "down": 2.0}) == {("up",): 1.0, ("down",): 2.0}
    pairs: dict[tuple[str, ...], float] = {("1", "2"): 3.0}
    assert by_labels(pairs) == pairs


def test_what_was_counted_before_is_added() -> None:
    before = Durations()
    before.observe(0.3)
    assert added({"slow": 1.0}, counted({"slow": 2.0, "odd": 1.0})) == {("slow",): 3.0, ("odd",): 1.0}
    total = added(None, counted(before))
    assert isinstance(total, dict)
    assert total[()].figures() == before.figures()
