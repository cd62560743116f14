"""Whether a target is up, why not, and when to try again. Pure: the caller brings the time."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass

from exporter.errors import REASONS, DeadlineError, TargetError
from exporter.polling.outcome import PollOutcome
from exporter.polling.timing import PollTiming

#: newest polls that are remembered of each target
POLLS_MAX = 16
_REASONS = ("", *REASONS)  # in the ring a reason is its place here
_NUMBERS = {reason: number for number, reason in enumerate(_REASONS)}


@dataclass(frozen=True, slots=True)
class PastPoll:
    """One poll that ended. `began_at` is wall-clock seconds; `reason` is empty if it went well."""

    began_at: float
    duration_s: float
    reason: str


@dataclass(frozen=True, slots=True)
class HealthStatus:
    """What a status page shows of a target; `polls` has the newest first."""

    up: bool | None
    reason: str
    error_text: str
    failures: int
    polls: tuple[PastPoll, ...]


class Health:
    """The state of one target, which begins at `since`. That is wall-clock seconds, other times are monotonic
    ones."""

    __slots__ = (
        "_noted",
        "_ring",
        "began_at",
        "down_at",
        "error_text",
        "failures",
        "reason",
        "retry_at",
        "since",
        "up",
    )

    def __init__(self, since: float = 0.0) -> None:
        self.since = since  # when it came to be up, down, or not known
        self.up: bool | None = None  # None: no poll has ended yet
        self.reason = ""
        self.error_text = ""
        self.failures = 0  # polls that failed in a row
        self.retry_at = 0.0  # no poll begins before
        self.began_at = 0.0  # when the newest poll that ended began
        #: when the target counts as down unless another poll ends before: two turns after `began_at`
        self.down_at = math.inf
        self._ring = array("d", bytes(8 * 3 * POLLS_MAX))  # a third of the memory of objects
        self._noted = 0

    def note(self, outcome: PollOutcome, timing: PollTiming, intervals: int) -> None:
        """Take the outcome of a poll that was not cancelled. Turns are `intervals` intervals apart."""
        was_up, error = self.up, outcome.error
        self.began_at = outcome.began_at
        if error is None:
            self.up = True
            self.reason = self.error_text = ""
            self.failures = 0
            self.retry_at = 0.0
            self.down_at = outcome.began_at + 2 * intervals * timing.interval_s
        else:
            self._set_down(error)
            self.failures += 1
            pause_s = timing.backoff_s(self.failures)
            self.retry_at = outcome.ended_at + pause_s if pause_s else 0.0
        outcome.up_changed = was_up is not self.up
        if outcome.up_changed:
            self.since = outcome.wall_at + outcome.duration_s
        at = self._noted % POLLS_MAX * 3
        self._noted += 1
        ring = self._ring
        ring[at] = outcome.wall_at
        ring[at + 1] = outcome.duration_s
        ring[at + 2] = _NUMBERS[self.reason]

    def forget(self, wall: float) -> None:
        """Nothing is known from `wall` (wall clock) on: the target is not polled."""
        self.since = wall
        self.up, self.reason, self.error_text, self.failures = None, "", "", 0
        self.retry_at, self.down_at = 0.0, math.inf

    def expire(self, where: str, wall: float) -> None:
        """`down_at` has passed at `wall` (wall clock)."""
        self.since = wall
        self._set_down(DeadlineError(f"{where}: no poll that ended began within two intervals"))

    def status(self) -> HealthStatus:
        newest_first = range(self._noted - 1, max(-1, self._noted - 1 - POLLS_MAX), -1)
        return HealthStatus(
            self.up, self.reason, self.error_text, self.failures, tuple(map(self._past_poll, newest_first))
        )

    def durations_s(self) -> Sequence[float]:
        """How long the remembered polls took, in no order. Cheap, for tables of all targets."""
        return self._ring[1 : 3 * min(self._noted, POLLS_MAX) : 3]

    def _set_down(self, error: TargetError) -> None:
        self.up = False
        self.reason = error.reason
        self.error_text = str(error)
        self.down_at = math.inf

    def _past_poll(self, number: int) -> PastPoll:
        at = number % POLLS_MAX * 3
        began_at, duration_s, reason = self._ring[at : at + 3]
        return PastPoll(began_at, duration_s, _REASONS[int(reason)])
