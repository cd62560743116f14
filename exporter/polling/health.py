"""Whether a target is up, why not, and when to try again. Pure: the caller brings the time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from exporter.errors import DeadlineError, TargetError
from exporter.metrics.lane import Lane
from exporter.polling.outcome import PollOutcome
from exporter.polling.poll_history import PastPoll, PollHistory
from exporter.polling.timing import PollTiming


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
        "began_at",
        "down_at",
        "error_text",
        "failures",
        "history",
        "reason",
        "resumed",
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
        self.history = PollHistory()
        #: before a restart: whether it was up, and since when; it counts if the first poll finds the same
        self.resumed: tuple[bool, float] | None = None

    def note(
        self,
        outcome: PollOutcome,
        timing: PollTiming,
        intervals: int,
        lanes: tuple[Lane, ...] = (Lane.FAST,),
    ) -> None:
        """Take the outcome of a poll of these lanes that was not cancelled. Turns are `intervals` intervals
        apart."""
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
            # from its beginning: one that took a whole interval to fail must not cost one more turn
            self.retry_at = outcome.began_at + pause_s if pause_s else 0.0
        outcome.up_changed = was_up is not self.up
        if outcome.up_changed:
            self.since = outcome.wall_at + outcome.duration_s
            if self.resumed is not None and self.resumed[0] is self.up:
                self.since = self.resumed[1]
            self.resumed = None
        self.history.note(outcome, lanes)

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
        polls = tuple(self.history.newest())
        return HealthStatus(self.up, self.reason, self.error_text, self.failures, polls)

    def durations_s(self) -> Sequence[float]:
        """How long the remembered polls took, in no order. Cheap, for tables of all targets."""
        return self.history.durations_s()

    def _set_down(self, error: TargetError) -> None:
        self.up = False
        self.reason = error.reason
        self.error_text = str(error)
        self.down_at = math.inf
