"""One family of series about this process: a row of a table, and the values that it may have."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from exporter.metrics.family import MetricType

#: few, because each is a series of every page
_SECONDS = (0.001, 0.01, 0.1, 1.0)
BOUNDS = (*map(str, _SECONDS), "+Inf")

Source = TypeVar("Source")


class Durations:
    """How long something took. `counts` has one number for each of `BOUNDS`: how many took at most that, and
    more than the bound before. For one thread: so it needs no lock."""

    __slots__ = ("counts", "sum_s")

    def __init__(self) -> None:
        self.sum_s = 0.0
        self.counts = [0] * (len(_SECONDS) + 1)

    def observe(self, seconds: float) -> None:
        self.counts[bisect_left(_SECONDS, seconds)] += 1
        self.sum_s += seconds

    def figures(self) -> list[float]:
        """All that it has counted, as numbers: see `plus`."""
        return [self.sum_s, *self.counts]

    def plus(self, figures: Sequence[float]) -> Durations:
        """The same with what another one has counted. Figures of other buckets count nothing."""
        total = Durations()
        total.sum_s, total.counts = self.sum_s, list(self.counts)
        if len(figures) == len(self.counts) + 1:
            total.sum_s += figures[0]
            total.counts = [one + int(other) for one, other in zip(self.counts, figures[1:], strict=True)]
        return total


Value = float | Durations
#: one value, or one for each value of the label (each tuple of values, with several labels); None: unknown
Values = Value | Mapping[str, Value] | Mapping[tuple[str, ...], Value] | None


#: what was counted, by label values: a number, or the figures of `Durations`
Counted = Mapping[tuple[str, ...], float | Sequence[float]]


def by_labels(values: Values) -> Mapping[tuple[str, ...], Value]:
    if isinstance(values, Mapping):
        return {_tuple(labels): value for labels, value in values.items()}
    return {} if values is None else {(): values}


def counted(values: Values) -> Counted:
    return {
        labels: value.figures() if isinstance(value, Durations) else value
        for labels, value in by_labels(values).items()
    }


def added(values: Values, before: Counted) -> Values:
    """The values of a counter or histogram and what was counted before them."""
    total = dict(by_labels(values))
    for labels, counted in before.items():
        if isinstance(counted, Sequence):
            known = total.get(labels, Durations())
            assert isinstance(known, Durations)
            total[labels] = known.plus(counted)
        else:
            known = total.get(labels, 0.0)
            assert not isinstance(known, Durations)
            total[labels] = known + counted
    return total


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


def _tuple(labels: str | tuple[str, ...]) -> tuple[str, ...]:
    return (labels,) if isinstance(labels, str) else labels
