"""The text of a family about the process: as prometheus-client writes it, whatever was written before."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import prometheus_client
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from exporter.metrics.family import MetricType
from exporter.telemetry.family_text import FamilyText
from exporter.telemetry.own_family import BOUNDS, Durations, OwnFamily, Value, Values, by_labels

GAUGE, COUNTER, HISTOGRAM = MetricType.GAUGE, MetricType.COUNTER, MetricType.HISTOGRAM


def metric(family: OwnFamily[None], values: Values, prefix: str = "") -> Metric:
    """These values as prometheus-client's own kind of family."""
    name = prefix + family.name
    if family.type is HISTOGRAM:
        histogram = HistogramMetricFamily(name, family.help, labels=family.labels)
        for labels, durations in by_labels(values).items():
            assert isinstance(durations, Durations)
            below = [sum(durations.counts[: number + 1]) for number in range(len(BOUNDS))]
            histogram.add_metric(labels, list(zip(BOUNDS, below, strict=True)), durations.sum_s)
        return histogram
    simple = (CounterMetricFamily if family.type is COUNTER else GaugeMetricFamily)(
        name, family.help, labels=family.labels
    )
    for labels, value in by_labels(values).items():
        assert not isinstance(value, Durations)
        if value or not family.once_above_0:
            simple.add_metric(labels, value)
    return simple


class Told(prometheus_client.registry.Collector):
    def __init__(self, told: Metric) -> None:
        self._told = told

    def collect(self) -> Iterator[Metric]:
        yield self._told


def as_prometheus_client_writes(told: Metric) -> bytes:
    registry = prometheus_client.CollectorRegistry(auto_describe=False)
    registry.register(Told(told))
    return prometheus_client.generate_latest(registry)


def family_of(name: str, help: str, kind: MetricType, labels: tuple[str, ...] = ()) -> OwnFamily[None]:
    return OwnFamily(name, help, kind, labels)


def durations(seconds: Sequence[float]) -> Durations:
    made = Durations()
    for each in seconds:
        made.observe(each)
    return made


NUMBERS = st.one_of(
    st.integers(-(2**70), 2**70), st.floats(), st.sampled_from([0, 1, 1.5, 1e6, 123456789.25, 2e-7])
)
DURATIONS = st.lists(st.floats(0, 100), max_size=4).map(durations)
LABEL = st.text(st.characters(blacklist_categories=["Cs"]), max_size=5)


def values_of(value: st.SearchStrategy[Value], labels: int) -> st.SearchStrategy[Values]:
    many = st.dictionaries(st.tuples(*[LABEL] * labels), value, max_size=4)
    return st.one_of(st.none(), many, *([] if labels else [value]))


@st.composite
def families_and_values(draw: st.DrawFn) -> tuple[OwnFamily[None], list[Values]]:
    """A family, and what it shows on page after page."""
    kind, labels = (
        draw(st.sampled_from([GAUGE, COUNTER, HISTOGRAM])),
        draw(st.sampled_from([(), ("z",), ("z", "a")])),
    )
    family: OwnFamily[None] = OwnFamily(
        "a_total" if kind is COUNTER else "a",
        "A thing.",
        kind,
        labels,
        once_above_0=kind is not HISTOGRAM and draw(st.booleans()),
    )
    value: st.SearchStrategy[Value] = DURATIONS if kind is HISTOGRAM else NUMBERS
    return family, draw(st.lists(values_of(value, len(labels)), min_size=1, max_size=5))


@given(families_and_values(), st.sampled_from(["", "redis_"]))
def test_page_after_page_is_as_prometheus_client_writes_it(
    drawn: tuple[OwnFamily[None], list[Values]], prefix: str
) -> None:
    family, pages = drawn
    text = FamilyText(family, prefix)
    for values in pages:
        wanted = as_prometheus_client_writes(metric(family, values, prefix))
        assert text.of(values) == wanted
        assert text.of(values) == wanted  # kept


def test_without_labels() -> None:
    text = FamilyText(family_of("a", "A.", GAUGE), "cache_")
    assert text.of(2.5) == b"# HELP cache_a A.\n# TYPE cache_a gauge\ncache_a 2.5\n"


@pytest.mark.parametrize("kind", [GAUGE, COUNTER, HISTOGRAM])
def test_what_is_unknown_has_a_header_only(kind: MetricType) -> None:
    text = FamilyText(family_of("a_total", "A.", kind))
    assert text.of(None) == f"# HELP a_total A.\n# TYPE a_total {kind.value}\n".encode()


def test_a_change_in_place_is_seen() -> None:
    states: dict[str, Value] = {"up": 1.0}
    text = FamilyText(family_of("a", "A.", GAUGE, ("state",)))
    assert text.of(states).endswith(b'a{state="up"} 1.0\n')
    states["up"] = 2.0
    assert text.of(states).endswith(b'a{state="up"} 2.0\n')
    took = durations([0.5])
    histogram = FamilyText(family_of("b", "B.", HISTOGRAM, ("endpoint",)))
    assert b'b_count{endpoint="x"} 1.0\n' in histogram.of({"x": took})
    took.observe(2.0)
    assert b'b_count{endpoint="x"} 2.0\nb_sum{endpoint="x"} 2.5\n' in histogram.of({"x": took})


def test_the_order_is_the_newest_one() -> None:
    text = FamilyText(family_of("a", "A.", GAUGE, ("state",)))
    text.of({"up": 1.0, "down": 2.0})
    assert text.of({"down": 2.0, "up": 1.0}).endswith(b'a{state="down"} 2.0\na{state="up"} 1.0\n')


def test_nothing_is_kept_of_labels_that_are_gone() -> None:
    text = FamilyText(family_of("a", "A.", GAUGE, ("state",)))
    for number in range(100):
        text.of({"stays": 1.0, f"goes{number}": math.nan})
    assert len(text._lines) == 2


def test_a_label_that_is_no_valid_text_costs_no_page() -> None:
    text = FamilyText(family_of("a", "A.", GAUGE, ("state",)))
    assert text.of({"a\udcff": 1.0}).endswith(b'a{state="a?"} 1.0\n')
