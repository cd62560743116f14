"""The scans of one target. They take long, so they have a connection and a limiter of their own.

What a scan has found is read on the same connection as soon as it ends. The first scan begins when the first
poll has gone well: a page is whole when that scan has ended.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable

from exporter.collectors._enabled import EnabledCollector
from exporter.connection.limiter import Rank
from exporter.errors import CancelledPollError
from exporter.metrics.lane import Lane
from exporter.polling import poll_log
from exporter.polling.assignment import Services
from exporter.polling.outcome import PollOutcome
from exporter.polling.runner import PollRunner
from exporter.polling.target_state import TargetState

#: a target whose scan takes longer waits behind those whose scans are quicker
SCAN_QUICK_S = 5.0


class Scanner:
    """Runs the scan lane of a target. `on_first` is called when the first scan has ended, well or not."""

    def __init__(self, state: TargetState, services: Services, on_first: Callable[[], None]) -> None:
        self.runner = PollRunner(services.dialer, services.scan_limiter, self._end)
        self._state = state
        self._on_first = on_first
        self.first_by = math.inf  # the monotonic moment at which the first scan ends at the latest
        self._first_ended = False
        self._waiting: asyncio.Future[None] | None = None  # None: nobody waits for the first scan
        self._rank = Rank.NEW
        # of the newest scan, or of the reading of what it found:
        self._assignment = state.assignment
        self._collectors: tuple[EnabledCollector, ...] = ()
        self._role = ""

    @property
    def busy(self) -> bool:
        """Whether a scan runs or waits for admission."""
        return self.runner.busy

    @property
    def first_ended(self) -> bool:
        """Whether there is no first scan to wait for: it has ended, or takes too long."""
        return (
            self._first_ended
            or not self._state.assignment.family_sets.scan
            or time.monotonic() >= self.first_by
        )

    async def wait_first(self, deadline: float) -> None:
        """Wait until the first scan has ended, until the (monotonic) deadline at most."""
        if not self.first_ended:
            if self._waiting is None:
                self._waiting = asyncio.get_running_loop().create_future()
            timeout_s = min(deadline, self.first_by) - time.monotonic()
            await asyncio.wait([self._waiting], timeout=max(0.0, timeout_s))

    def start_first(self) -> None:
        """Start a scan if there was none so far."""
        if self._state.clock.first_scan_due:
            self.start()

    def start_if_due(self) -> None:
        state = self._state
        is_due = state.assignment.family_sets.scan and state.clock.scan_due()
        if is_due and not state.easing.holds_scan(state.assignment):
            self.start()

    def start(self) -> None:
        """Start a scan, if there is anything to scan. If one still runs, count a skipped one."""
        state = self._state
        family_sets, timing = state.assignment.family_sets, state.assignment.timing
        if not family_sets.scan:
            return
        if self.runner.busy:
            state.series.lanes[Lane.SCAN].skipped += 1
            state.clock.skip_scan()
            return
        state.clock.note_scan()
        self.first_by = min(self.first_by, time.monotonic() + timing.scan_deadline_s + timing.deadline_s)
        self._run(family_sets.scan, timing.scan_deadline_s)

    def _run(self, collectors: tuple[EnabledCollector, ...], deadline_s: float) -> None:
        state = self._state
        self._assignment, self._collectors, self._role = state.assignment, collectors, state.labels.role
        self.runner.start(state.context, collectors, deadline_s, self._rank)

    def _end(self, outcome: PollOutcome) -> None:
        """A scan that fails does not take the target down."""
        error, state = outcome.error, self._state
        family_sets = state.assignment.family_sets
        if isinstance(error, CancelledPollError) or not family_sets.scan:
            self._end_first()
            return
        began, collectors = self._assignment, self._collectors
        scanned = collectors is began.family_sets.scan
        if began is not state.assignment:
            collectors = state.still_assigned(collectors)
        if scanned:
            self._rank = Rank.UP if error is None and outcome.duration_s < SCAN_QUICK_S else Rank.DOWN
            state.series.lanes[Lane.SCAN].polls += 1
        lanes = tuple(dict.fromkeys(enabled.lane for enabled in collectors))
        state.health.history.note(outcome, lanes)
        if poll_log.is_on():
            poll_log.note(state.assignment.target.addr, lanes, outcome)
        if outcome.results is not None:
            state.cost.note_scan(collectors, outcome.results)
        if error is None:
            state.keep(outcome, collectors, began, self._role)
        else:
            state.series.count_failure(error.reason)
            for enabled in collectors:
                state.recorder.note_failure(enabled.name, error)
        state.publish(outcome.ended_at)
        if scanned and error is None and family_sets.found:
            self._run(family_sets.found, state.assignment.timing.deadline_s)
        else:
            self._end_first()

    def let_go(self) -> None:
        """After the end of the runner, for good: see `PollRunner.let_go`."""
        self.runner.let_go()
        self._on_first = _tell_nobody

    def _end_first(self) -> None:
        if not self._first_ended:
            self._first_ended = True
            if self._waiting is not None and not self._waiting.done():
                self._waiting.set_result(None)
            self._on_first()


def _tell_nobody() -> None:
    pass
