"""A row of the exporter's own series, and the samples of its values."""

from __future__ import annotations

import pytest

from exporter.metrics.family import MetricType
from exporter.telemetry.own_family import Durations, OwnFamily, Values


def samples(
    family: OwnFamily[None], values: Values, prefix: str = ""
) -> list[tuple[str, dict[str, str], float]]:
    return [(sample.name, sample.labels, sample.value) for sample in family.metric(values, prefix).samples]


def test_one_value_without_labels() -> None:
    assert samples(OwnFamily("a", "A.", MetricType.GAUGE), 2.5, "cache_") == [("cache_a", {}, 2.5)]


def test_a_counter_ends_in_total() -> None:
    family: OwnFamily[None] = OwnFamily("a_total", "A.", MetricType.COUNTER)
    assert samples(family, 3) == [("a_total", {}, 3)]
    assert family.metric(3).type == "counter"


def test_a_value_for_each_value_of_the_labels() -> None:
    one: OwnFamily[None] = OwnFamily("a", "A.", MetricType.GAUGE, ("state",))
    assert samples(one, {"up": 1.0, "down": 2.0}) == [
        ("a", {"state": "up"}, 1.0),
        ("a", {"state": "down"}, 2.0),
    ]
    two: OwnFamily[None] = OwnFamily("a", "A.", MetricType.GAUGE, ("x", "y"))
    pairs: dict[tuple[str, ...], float] = {("1", "2"): 3.0}
    assert samples(two, pairs) == [("a", {"x": "1", "y": "2"}, 3.0)]


@pytest.mark.parametrize("type", [MetricType.GAUGE, MetricType.COUNTER, MetricType.HISTOGRAM])
def test_what_is_unknown_has_no_samples(type: MetricType) -> None:
    assert samples(OwnFamily("a", "A.", type), None) == []


def test_durations_are_a_histogram() -> None:
    durations = Durations()
    for seconds in (0.0005, 0.3, 99.0):
        durations.observe(seconds)
    found = {
        (name, labels.get("le")): value
        for name, labels, value in samples(OwnFamily("a", "A.", MetricType.HISTOGRAM), durations)
    }
    assert found["a_bucket", "0.001"] == found["a_bucket", "0.01"] == found["a_bucket", "0.1"] == 1
    assert found["a_bucket", "1.0"] == 2
    assert found["a_bucket", "+Inf"] == found["a_count", None] == 3
    assert found["a_sum", None] == pytest.approx(99.3005)
