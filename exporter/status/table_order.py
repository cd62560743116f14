"""By what the rows of the table are sorted: a value for each target, made without its row."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from heapq import merge
from typing import Any

from exporter.fleet.fleet import PAUSED
from exporter.polling.watched_target import WatchedTarget
from exporter.status.rows import cost_ratio_of, next_poll_s, percentiles_s, reconnects_of, role_of, version_of
from exporter.status.table_query import STALE, TableQuery

#: the worst first
RANKS = {"down": 0, "unknown": 1, STALE: 2, PAUSED: 3, "up": 4}
#: more than any Unix time, and few enough digits for milliseconds
_LONG_S = 1e12

#: a value to sort by, the name for those with the same value, a number that no two have, and the target
Entry = tuple[Any, str, int, WatchedTarget]
#: of a target, its state or `STALE`, the monotonic moment and that of the wall clock; a number that is not
#: known is None
_Read = Callable[[WatchedTarget, str, float, float], "float | str | None"]


class TableOrder:
    """The order of a query. Numbers come with the largest first, unless they are in `_SMALLEST_FIRST`. What
    is not known comes last, either way."""

    def __init__(self, query: TableQuery) -> None:
        column = query.column
        self._read = _READ[column]
        self._is_text = column in _TEXTS
        #: whether values get smaller from row to row
        self.is_descending = (column not in _SMALLEST_FIRST and not self._is_text) is not query.is_reversed
        self._sign = -1 if self.is_descending else 1
        self._backwards = self._is_text and query.is_reversed

    def entry(self, watched: WatchedTarget, number: int, state: str, now: float, wall: float) -> Entry:
        """Of a target in this state; `STALE` for one that is up and `is_stale`."""
        value: Any = self._read(watched, state, now, wall)
        if self._is_text:
            value = (bool(value) is self._backwards, value)
        else:
            value = math.inf if value is None else value * self._sign
        target = watched.target
        return value, target.alias or target.addr, number, watched

    def sort(self, run: list[Entry]) -> None:
        run.sort(reverse=self._backwards)

    def merged(self, runs: Iterable[list[Entry]]) -> Iterator[Entry]:
        """Of sorted runs, all entries in order."""
        return merge(*runs, reverse=self._backwards)


def is_stale(watched: WatchedTarget) -> bool:
    """Whether any lane's values are too old."""
    for count in watched.state.series.lanes.values():  # noqa: SIM110 - `any` takes twice as long
        if count.stale:
            return True
    return False


def _rank(watched: WatchedTarget, state: str, now: float, wall: float) -> int:
    return RANKS[state]


def _worst(watched: WatchedTarget, state: str, now: float, wall: float) -> float:
    """The longest down first; others by name."""
    return watched.health.since if state == "down" else RANKS[state] * _LONG_S


def _age_ratio(watched: WatchedTarget, state: str, now: float, wall: float) -> float:
    """The age of the lane that is nearest to its limit, as a part of that; 0 before the first values."""
    timing, intervals = watched.timing, watched.state.clock.intervals
    worst = 0.0
    for lane, count in watched.state.series.lanes.items():
        if count.polled_at > -math.inf:
            worst = max(worst, (now - count.polled_at) / timing.expiry_s(lane, intervals))
    return worst


_READ: dict[str, _Read] = {
    "worst": _worst,
    "name": lambda watched, state, now, wall: watched.target.alias or watched.target.addr,
    "address": lambda watched, state, now, wall: watched.target.addr,
    "state": _rank,
    "since": lambda watched, state, now, wall: watched.health.since,
    "age": _age_ratio,
    "p50": lambda watched, state, now, wall: percentiles_s(watched.health.durations_s())[0],
    "p99": lambda watched, state, now, wall: percentiles_s(watched.health.durations_s())[1],
    "next": lambda watched, state, now, wall: next_poll_s(watched, now, wall),
    "series": lambda watched, state, now, wall: watched.state.series.series,
    "refused": lambda watched, state, now, wall: len(watched.state.memory.refusals.known),
    "reconnects": lambda watched, state, now, wall: reconnects_of(watched),
    "cost": lambda watched, state, now, wall: cost_ratio_of(watched),
    "role": lambda watched, state, now, wall: role_of(watched.facts),
    "version": lambda watched, state, now, wall: version_of(watched.facts),
}
_TEXTS = frozenset({"name", "address", "role", "version"})
_SMALLEST_FIRST = frozenset({"worst", "state", "next"})
