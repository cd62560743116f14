"""One family of series about this process: a row of a table, and how its values become samples."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Generic, TypeVar

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from exporter.metrics.family import MetricType

#: few, because each is a series of every page
_SECONDS = (0.001, 0.01, 0.1, 1.0)
_BOUNDS = (*map(str, _SECONDS), "+Inf")

Source = TypeVar("Source")


class Durations:
    """How long something took, counted by upper bounds. For one thread: so it needs no lock."""

    def __init__(self) -> None:
        self.sum_s = 0.0
        self._counts = [0] * (len(_SECONDS) + 1)

    def observe(self, seconds: float) -> None:
        self._counts[bisect_left(_SECONDS, seconds)] += 1
        self.sum_s += seconds

    def buckets(self) -> list[tuple[str, float]]:
        """(upper bound, how many took at most that)"""
        return list(zip(_BOUNDS, accumulate(self._counts), strict=True))


Value = float | Durations
#: one value, or one for each value of the label (each tuple of values, with several labels); None: unknown
Values = Value | Mapping[str, Value] | Mapping[tuple[str, ...], Value] | None


@dataclass(frozen=True, slots=True)
class OwnFamily(Generic[Source]):
    """One row. `name` has no namespace yet. `read` gets the values when a page is built; None: another part
    of the program passes a reader. `of_process`: it says nothing about targets, only about the process and
    its endpoint. `once_above_0`: a value of 0 has no series."""

    name: str
    help: str
    type: MetricType
    labels: tuple[str, ...] = ()
    read: Callable[[Source], Values] | None = None
    of_process: bool = False
    once_above_0: bool = False

    def metric(self, values: Values, prefix: str = "") -> Metric:
        """These values under the name with its `prefix`."""
        name = prefix + self.name
        by_labels = values if isinstance(values, Mapping) else {} if values is None else {(): values}
        if self.type is MetricType.HISTOGRAM:
            histogram = HistogramMetricFamily(name, self.help, labels=self.labels)
            for labels, value in by_labels.items():
                assert isinstance(value, Durations)
                histogram.add_metric(_tuple(labels), value.buckets(), value.sum_s)
            return histogram
        kind = CounterMetricFamily if self.type is MetricType.COUNTER else GaugeMetricFamily
        family = kind(name, self.help, labels=self.labels)
        for labels, value in by_labels.items():
            assert not isinstance(value, Durations)
            if value or not self.once_above_0:
                family.add_metric(_tuple(labels), value)
        return family


def _tuple(labels: str | tuple[str, ...]) -> tuple[str, ...]:
    return (labels,) if isinstance(labels, str) else labels
