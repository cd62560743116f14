"""Polls of one target that requests ask for. Those who wait for newer values share them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Iterable

from exporter.metrics.lane import Lane
from exporter.polling.runner import PollRunner
from exporter.polling.target_state import TargetState

FAST = (Lane.FAST,)


class RequestedPolls:
    """`start` starts a poll of the lanes that are due, while the `runner` is not busy."""

    __slots__ = ("_next", "_runner", "_start", "_state", "waiting")

    def __init__(self, state: TargetState, runner: PollRunner, start: Callable[[], None]) -> None:
        self._state = state
        self._runner = runner
        self._start = start
        self.waiting: asyncio.Future[None] | None = None  # None: nobody waits
        #: lanes that the running poll does not cover and the one after it shall
        self._next: set[Lane] = set()

    def refresh(
        self, max_age_s: float, lanes: Iterable[Lane], running: Collection[Lane]
    ) -> asyncio.Future[None] | None:
        """Poll those of these lanes whose newest poll began longer than `max_age_s` ago, as soon as the
        floor, back-off and a running poll allow it. `running` are the lanes that the newest poll covers.

        Returns the end of it, the same future for all who wait. None: there is nothing to wait for.
        """
        older = self._older(max_age_s, lanes)
        if not older:
            return None
        if self._runner.busy:
            self._next.update(lane for lane in older if lane not in running)
        elif time.monotonic() >= self._state.health.retry_at:
            self._poll(older)
        if not self._runner.busy:  # it may not start, or has ended already
            return None
        if self.waiting is None:
            self.waiting = asyncio.get_running_loop().create_future()
        return self.waiting

    def end(self) -> None:
        """A poll has ended for which somebody waits. What it did not cover, another one does before they go
        on."""
        lanes, self._next = self._next, set()
        if lanes and self._state.health.up:
            self._poll(lanes)
        if not self._runner.busy:
            self.wake()

    def wake(self) -> None:
        """Let those who wait go on."""
        ended, self.waiting = self.waiting, None
        if ended is not None and not ended.done():
            ended.set_result(None)

    def let_go(self) -> None:
        """After the end of the target: see `PollRunner.let_go`."""
        self._start = _start_nothing

    def _poll(self, lanes: Iterable[Lane]) -> None:
        self._state.clock.bring_forward(lanes)
        self._start()

    def _older(self, max_age_s: float, lanes: Iterable[Lane]) -> list[Lane]:
        """Requests start polls of a lane at the floor at most, whatever age they accept."""
        health, floor_s = self._state.health, self._state.assignment.timing.fresh_floor_s
        if health.up is None:
            return [*FAST]  # the first poll covers all
        before = time.monotonic() - (max(max_age_s, floor_s) if health.up else floor_s)
        return [lane for lane in lanes if self._covered_at(lane) < before]

    def _covered_at(self, lane: Lane) -> float:
        """When the newest poll that ended and covers the lane began. A lane that the target has not is as new
        as can be."""
        state = self._state
        if lane is Lane.FAST and lane not in state.assignment.timing.turning_lanes:
            return state.health.began_at
        count = state.series.lanes.get(lane)
        return time.monotonic() if count is None else count.covered_at


def _start_nothing() -> None:
    pass
