"""The scans of one target. They take long, so they have a connection and a limiter of their own."""

from __future__ import annotations

from exporter.collectors._enabled import EnabledCollector
from exporter.connection.limiter import Rank
from exporter.errors import CancelledPollError
from exporter.metrics.lane import Lane
from exporter.polling.assignment import Services
from exporter.polling.outcome import PollOutcome
from exporter.polling.runner import PollRunner
from exporter.polling.target_state import TargetState

#: a target whose scan takes longer waits behind those whose scans are quicker
SCAN_QUICK_S = 5.0


class Scanner:
    """Runs the scan lane of a target."""

    def __init__(self, state: TargetState, services: Services) -> None:
        self.runner = PollRunner(services.dialer, services.scan_limiter, self._end)
        self._state = state
        self._rank = Rank.NEW
        # of the newest scan:
        self._assignment = state.assignment
        self._scanned: tuple[EnabledCollector, ...] = ()
        self._role = ""

    def start_if_due(self) -> None:
        if self._state.assignment.family_sets.scan and self._state.clock.scan_due():
            self.start()

    def start(self) -> None:
        """Start a scan, if there is anything to scan. If one still runs, count a skipped one."""
        state = self._state
        scanned = state.assignment.family_sets.scan
        if not scanned:
            return
        if self.runner.busy:
            state.series.lanes[Lane.SCAN].skipped += 1
            state.clock.skip_scan()
            return
        state.clock.note_scan()
        self._assignment, self._scanned, self._role = state.assignment, scanned, state.labels.role
        self.runner.start(state.context, scanned, state.assignment.timing.scan_deadline_s, self._rank)

    def _end(self, outcome: PollOutcome) -> None:
        """A scan that fails does not take the target down."""
        error, state = outcome.error, self._state
        if isinstance(error, CancelledPollError) or not state.assignment.family_sets.scan:
            return
        scanned = self._scanned
        if self._assignment is not state.assignment:
            scanned = state.still_assigned(scanned)
        self._rank = Rank.UP if error is None and outcome.duration_s < SCAN_QUICK_S else Rank.DOWN
        state.series.lanes[Lane.SCAN].polls += 1
        if error is None:
            state.keep(outcome, scanned, self._assignment, self._role)
        else:
            state.series.count_failure(error.reason)
            for enabled in scanned:
                state.recorder.note_failure(enabled.name, error)
        state.publish(outcome.ended_at)
