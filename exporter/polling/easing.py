"""Asks a server less while it struggles.

Its slow and scan lanes pause, its standard lane runs every second time. The fast lane goes on as usual, so
`redis_up` and the state of the server stay as new as ever. No lane pauses for ever: one that waited for some
of its turns runs in the next one. A lane that has not been polled yet waits for turns of the fast lane, so it
runs as soon as the struggle is over.
"""

from __future__ import annotations

import logging

from exporter.metrics.lane import Lane
from exporter.polling.assignment import Assignment
from exporter.polling.lane_clock import LaneClock
from exporter.polling.memory import TargetMemory
from exporter.polling.outcome import PollOutcome
from exporter.polling.recorder import SnapshotRecorder
from exporter.polling.strain import Strain
from exporter.telemetry.target_series import TargetSeries

#: turns in a row that a lane waits at most
WAITS = {Lane.STANDARD: 1, Lane.SLOW: 4, Lane.SCAN: 4}

log = logging.getLogger(__name__)


class Easing:
    """Of one target, which of its lanes wait. `series` shows since when and why."""

    __slots__ = ("_clock", "_memory", "_recorder", "_series", "_since", "_strain", "_waited")

    def __init__(
        self, clock: LaneClock, memory: TargetMemory, recorder: SnapshotRecorder, series: TargetSeries
    ) -> None:
        self._clock = clock
        self._memory = memory
        self._recorder = recorder
        self._series = series
        self._strain = Strain()
        self._since = 0.0  # monotonic
        self._waited: dict[Lane, int] = {}  # turns in a row

    @property
    def usual_s(self) -> float:
        """How soon the server usually answers; 0.0: not known."""
        return self._strain.usual_s

    def note(self, outcome: PollOutcome, assignment: Assignment) -> None:
        """Judge by a poll that ended, and was not cancelled."""
        facts, results, error = self._memory.facts, outcome.results, outcome.error
        strain = ""
        if error is not None:
            strain = self._strain.judge_failure(error, self._series.strain)
        elif facts is not None and results is not None:
            strain = self._strain.judge(results.answered_s, facts, self._memory.forks)
        if strain or self._series.strain:
            self._follow(strain if assignment.options.poll.ease_off else "", outcome, assignment)

    def take_due(self, assignment: Assignment) -> tuple[Lane, ...]:
        """The lanes that the poll of this turn covers. Others that are due wait."""
        lanes = self._clock.due()
        if self._series.strain and len(lanes) > 1:
            waiting = tuple(lane for lane in lanes if lane in WAITS and self._waits(lane, assignment))
            if waiting:
                self._clock.postpone(waiting)
                return tuple([lane for lane in lanes if lane not in waiting])
        return lanes

    def holds_scan(self, assignment: Assignment) -> bool:
        """Whether a scan that is due waits for its next turn. The first one never does: pages wait for it."""
        if not self._series.strain or self._clock.first_scan_due or not self._waits(Lane.SCAN, assignment):
            return False
        self._clock.skip_scan()
        return True

    def _waits(self, lane: Lane, assignment: Assignment) -> bool:
        waited = self._waited.get(lane, 0)
        if waited >= WAITS[lane]:
            self._waited[lane] = 0
            return False
        self._waited[lane] = waited + 1
        if (
            self._series.up
        ):  # what is waited for on purpose is not stale yet; a target that is down has failed
            collectors = assignment.family_sets.on((lane,))
            self._recorder.extend(collectors, assignment.timing, self._clock.intervals, WAITS[lane])
        return True

    def _follow(self, strain: str, outcome: PollOutcome, assignment: Assignment) -> None:
        before, self._series.strain = self._series.strain, strain
        if strain != before:
            self._since = outcome.ended_at
            extra = {"addr": assignment.target.addr, "topic": "strain", "reason": strain or before}
            log.info(
                "the target struggles: it is polled less"
                if strain
                else "the target is polled as usual again",
                extra=extra,
            )
        if not strain:
            self._waited.clear()
        self._series.strained_s = outcome.ended_at - self._since
