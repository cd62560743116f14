"""The deadlines of running polls: one timer for the earliest of them.

A timer for each poll costs more than all else that its deadline needs, and nearly all polls end long before.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from typing import Protocol
from weakref import WeakKeyDictionary

log = logging.getLogger(__name__)

#: a timer may come a moment early
EARLY_S = 0.001


class Late(Protocol):
    """What has a deadline."""

    def time_out(self) -> None:
        """End: the deadline has passed."""


class Deadlines:
    """Calls `time_out` once, of what is still here at its deadline. Moments are monotonic."""

    __slots__ = ("__weakref__", "_of", "_timer", "_wakes_at")

    def __init__(self) -> None:
        self._of: dict[Late, float] = {}
        self._timer: asyncio.TimerHandle | None = None
        #: when the timer comes. It is not moved when an earlier deadline goes: that is cheaper
        self._wakes_at = math.inf

    def __len__(self) -> int:
        return len(self._of)

    def __contains__(self, timed: Late) -> bool:
        return timed in self._of

    def add(self, timed: Late, deadline: float) -> None:
        """Only one deadline for each."""
        self._of[timed] = deadline
        if deadline < self._wakes_at:
            self._wake_at(deadline)

    def drop(self, timed: Late) -> None:
        """It has ended, in time or not."""
        self._of.pop(timed, None)

    def _wake_at(self, moment: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._wakes_at = moment
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(max(0.0, moment - time.monotonic()), self._end_late)

    def _end_late(self) -> None:
        self._timer, self._wakes_at = None, math.inf
        until = time.monotonic() + EARLY_S
        for timed in [timed for timed, deadline in self._of.items() if deadline <= until]:
            if self._of.get(timed, math.inf) > until:  # the end of another one has ended it too
                continue
            del self._of[timed]
            try:
                timed.time_out()
            except Exception:  # the deadlines of others must not be missed
                log.exception("internal error at the deadline of a poll (please report)")
        if self._of:
            earliest = min(self._of.values())
            if earliest < self._wakes_at:
                self._wake_at(earliest)


#: nothing in them keeps a loop that has ended: a timer does until it comes
_deadlines: WeakKeyDictionary[asyncio.AbstractEventLoop, Deadlines] = WeakKeyDictionary()


def running_deadlines() -> Deadlines:
    """Those of the running event loop, for all polls."""
    loop = asyncio.get_running_loop()
    deadlines = _deadlines.get(loop)
    if deadlines is None:
        deadlines = _deadlines[loop] = Deadlines()
    return deadlines


class Timed:
    """What has a deadline: its time is taken from `start_clock` to `stop_clock`. `began_at` and `deadline`
    are monotonic, `wall_at` is wall-clock seconds of the beginning."""

    def __init__(self) -> None:
        self.began_at = self.wall_at = self.deadline_s = self.deadline = 0.0
        #: whether it has begun, and has not ended. Who starts the clock sets it to False
        self.begun = False
        #: whether its time is taken: its deadline has not passed
        self.in_time = False
        self._deadlines: Deadlines | None = None  # None: it has never begun

    def start_clock(self, now: float) -> None:
        """It begins at `now` (monotonic), and has `deadline_s`."""
        self.began_at, self.deadline, self.in_time = now, now + self.deadline_s, True
        self.begun = True
        self.wall_at = time.time()
        if self._deadlines is None:
            self._deadlines = running_deadlines()
        self._deadlines.add(self, self.deadline)

    def stop_clock(self) -> None:
        """It has ended, or is late."""
        if self.in_time and self._deadlines is not None:
            self.in_time = False
            self._deadlines.drop(self)

    def overdue(self, now: float) -> bool:
        """Whether its deadline has passed at `now`, and it has not ended."""
        return self.begun and now >= self.deadline

    def time_out(self) -> None:
        """End: the deadline has passed."""
        raise NotImplementedError
