"""When one target is polled: intervals, deadlines, limits. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from exporter.metrics.lane import Lane
from exporter.options.table import PollOptions


def lanes(poll: PollOptions) -> dict[Lane, float]:
    """The interval of each lane in seconds. Those of standard and slow are whole multiples of fast, rounded
    up."""
    return {
        Lane.FAST: poll.interval_s,
        Lane.STANDARD: _round_up(poll.standard_interval_s, poll.interval_s),
        Lane.SLOW: _round_up(poll.slow_interval_s, poll.interval_s),
        Lane.SCAN: poll.scan_interval_s,
    }


def lane_notes(poll: PollOptions) -> list[str]:
    """One sentence for each interval that `lanes` rounded, for the log at start."""
    rounded = lanes(poll)
    configured = {Lane.STANDARD: poll.standard_interval_s, Lane.SLOW: poll.slow_interval_s}
    return [
        f"the {lane.value} lane runs every {rounded[lane]:g}s, not {wanted:g}s: a whole multiple of the fast "
        f"lane's {poll.interval_s:g}s"
        for lane, wanted in configured.items()
        if not math.isclose(rounded[lane], wanted)
    ]


def _round_up(interval_s: float, fast_s: float) -> float:
    # 0.3 / 0.1 is a little more than 3 in floating point
    times = max(1, math.ceil(interval_s / fast_s - 1e-6))
    return round(times * fast_s, 9)


FLOOR_S, FLOOR_PART = 1.0, 0.1


@dataclass(frozen=True, slots=True)
class PollTiming:
    """Intervals and limits of one target's polls, in seconds. `every` counts fast intervals, by lane.

    A scan sends no more commands when its budget is spent; its deadline is later by one exchange.
    """

    interval_s: float
    every: Mapping[Lane, int]
    deadline_s: float
    scan_deadline_s: float
    max_backoff_s: float
    connection_max_age_s: float
    max_age_s: float  # 0: three intervals of the lane and one deadline
    max_age_floor_s: float = 0.0  # 0: `FLOOR_S`, or `FLOOR_PART` of the interval where that is less
    #: of the collectors that run in one of several turns of their lane: the lane, and of how many
    turns: Mapping[str, tuple[Lane, int]] = field(default_factory=dict)
    #: the lanes of those
    turning_lanes: frozenset[Lane] = field(init=False, repr=False, compare=False)
    _expiries_s: Mapping[Lane, float] = field(
        init=False, repr=False, compare=False
    )  # with turns one interval apart

    def __post_init__(self) -> None:
        turning_lanes = frozenset(lane for lane, _ in self.turns.values())
        object.__setattr__(self, "turning_lanes", turning_lanes)
        object.__setattr__(self, "_expiries_s", {lane: self._expiry_s(lane, 1) for lane in self.every})

    @classmethod
    def of(
        cls,
        lanes: Mapping[Lane, float],
        *,
        timeout_s: float,
        scan_budget_s: float,
        turns: Mapping[str, tuple[Lane, int]] | None = None,
        **limits: float,
    ) -> PollTiming:
        """The timing of targets with these intervals. The slower ones are whole multiples of the fast one, or
        become so."""
        interval_s = lanes[Lane.FAST]
        every = {
            lane: 1 if lane is Lane.FAST else _times(lane_s, interval_s) for lane, lane_s in lanes.items()
        }
        deadline_s = min(timeout_s, max(1.0, interval_s))
        return cls(interval_s, every, deadline_s, scan_budget_s + deadline_s, turns=turns or {}, **limits)

    @property
    def fresh_floor_s(self) -> float:
        """The least time between the beginnings of two polls that requests start."""
        return floor_s(self.max_age_floor_s, self.interval_s)

    def lane_interval_s(self, lane: Lane) -> float:
        return self.interval_s * self.every[lane]

    def expiry_s(self, lane: Lane, intervals: int = 1) -> float:
        """How long a snapshot may be served after its poll began, with turns `intervals` intervals apart."""
        return self._expiries_s[lane] if intervals == 1 else self._expiry_s(lane, intervals)

    def collector_expiry_s(self, name: str, lane: Lane, intervals: int = 1) -> float:
        """The same of a collector on this lane, which may run less often."""
        _, turns = self.turns.get(name, (lane, 1))
        return self.expiry_s(lane, intervals) if turns == 1 else self._expiry_s(lane, intervals, turns)

    def _expiry_s(self, lane: Lane, intervals: int, turns: int = 1) -> float:
        deadline_s = self.scan_deadline_s if lane is Lane.SCAN else self.deadline_s
        apart_s = turns * max(self.lane_interval_s(lane), intervals * self.interval_s)
        return self.max_age_s or 3 * apart_s + deadline_s

    def backoff_s(self, failures: int) -> float:
        """How long to wait after this many failures in a row: not at all after the first one, then less than
        two intervals, so that the target is polled in every second turn."""
        return 0.0 if failures < 2 else min(1.5 * self.interval_s, self.max_backoff_s)


def floor_s(configured_s: float, interval_s: float) -> float:
    return configured_s or min(FLOOR_S, FLOOR_PART * interval_s)


def _times(lane_s: float, interval_s: float) -> int:
    """How many intervals make up at least `lane_s`. 0.9 is three times 0.3, in spite of floating point."""
    return max(1, math.ceil(lane_s / interval_s - 1e-6))
