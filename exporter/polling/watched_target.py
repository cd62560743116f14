"""One live target: when it is polled, and what its polls lead to.

The schedule decides who has a turn. Whether a poll can start in that turn, and which lanes it covers, is
decided here.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Iterable

from exporter.connection.handshake import Notice
from exporter.connection.limiter import Rank
from exporter.connection.resolver import numeric
from exporter.errors import AuthError, CancelledPollError
from exporter.metrics.lane import Lane
from exporter.polling.assignment import Assignment, Services
from exporter.polling.identity import Identity
from exporter.polling.outcome import PollOutcome
from exporter.polling.requested_polls import FAST, RequestedPolls
from exporter.polling.runner import PollRunner
from exporter.polling.scanner import Scanner
from exporter.polling.target_state import TargetState, Turn
from exporter.polling.timing import PollTiming
from exporter.polling.turns import due_collectors
from exporter.protocol.cluster import ClusterView
from exporter.protocol.facts import Facts
from exporter.targets.target import Target

#: a turn that comes so little before the deadline of the running poll finds it over
EARLY_S = 0.02


class WatchedTarget:
    """See the module. `on_end` is called with the outcome of each poll, scans apart, and `on_first_scan` at
    the end of the first scan."""

    def __init__(
        self,
        assignment: Assignment,
        services: Services,
        on_end: Callable[[WatchedTarget, PollOutcome], None] = lambda watched, outcome: None,
        on_first_scan: Callable[[WatchedTarget], None] = lambda watched: None,
    ) -> None:
        target = assignment.target
        self.identity = Identity()
        self.state = TargetState(assignment, services.store)
        self.health = self.state.health
        self.notices: tuple[Notice, ...] = ()
        #: whether it goes on with the state of the process before
        self.restored = False
        self.named = _is_named(target)
        #: the monotonic moment of the newest turn
        self.ticked_at = -math.inf
        self._dialer = services.dialer
        self._runner = PollRunner(services.dialer, services.limiter, self._end)
        self._requested = RequestedPolls(self.state, self._runner, self._start)
        self.connection = self._runner.connection
        self.scanner = Scanner(self.state, services, lambda: on_first_scan(self))
        self._on_end = on_end
        self._turn: Turn = (assignment, (), ())  # of the newest poll
        self._closed = False

    @property
    def assignment(self) -> Assignment:
        return self.state.assignment

    @property
    def target(self) -> Target:
        return self.state.assignment.target

    @property
    def timing(self) -> PollTiming:
        return self.state.assignment.timing

    @property
    def up(self) -> bool | None:
        """None before the first poll has ended."""
        return self.health.up

    @property
    def facts(self) -> Facts | None:
        """What is known of the server; None before its first INFO."""
        return self.state.memory.facts

    @property
    def cluster(self) -> ClusterView | None:
        """The newest view that the server gave of its cluster; None if there is none."""
        return self.state.memory.cluster

    @property
    def busy(self) -> bool:
        """Whether a poll runs or waits for admission."""
        return self._runner.busy

    @property
    def whole(self) -> bool:
        """Whether it has all its values: it was polled, and scanned if it is up, now or before a restart."""
        return self.restored or self.up is False or (self.up is True and self.scanner.first_ended)

    def restore(self, restore: Callable[[TargetState], None]) -> None:
        """Go on with a saved state, before the first poll."""
        restore(self.state)
        self.restored = True

    # -- when to poll

    def tick(self, now: float, intervals: int = 1) -> None:
        """Start a poll unless one runs or back-off forbids it. `now` is monotonic; the next turn is
        `intervals` intervals away."""
        if self._closed:
            return
        self.ticked_at = now
        clock, health = self.state.clock, self.health
        if intervals != clock.intervals:
            health.down_at += 2 * (intervals - clock.intervals) * self.timing.interval_s
        clock.tick(intervals)
        if self._runner.overdue(now + EARLY_S):
            self._runner.time_out()
        if self._runner.busy:
            missed = clock.due()
            clock.note_missed(missed)
            for lane in missed:
                self.state.series.lanes[lane].skipped += 1
        elif now >= health.retry_at:
            self._start()
        if health.up:
            self.scanner.start_if_due()

    def poll_all(self) -> None:
        """Poll all lanes but scan now, due or not. Only for callers without a schedule, while no poll
        runs."""
        self.state.clock.make_all_due()
        self._start()

    def expire(self) -> None:
        """Count the target as down, because `health.down_at` has passed."""
        self.health.expire(self.target.addr, time.time())
        self.state.publish(time.monotonic())

    def note_stale(self, lane: Lane) -> None:
        """Show that a snapshot of this lane has expired."""
        self.state.series.lanes[lane].stale = True
        self.state.publish(time.monotonic())

    async def fresh(self, max_age_s: float | None, deadline: float, lanes: Iterable[Lane] = FAST) -> None:
        """Wait for what `refresh` returns, until the (monotonic) deadline at most. None: whatever their age,
        for all values that it has none of yet."""
        ended = None if max_age_s is None and self.up is not None else self.refresh(max_age_s or 0.0, lanes)
        if ended is not None:
            await asyncio.wait([ended], timeout=max(0.0, deadline - time.monotonic()))
        if max_age_s is None and self.up:
            await self.scanner.wait_first(deadline)

    def refresh(self, max_age_s: float, lanes: Iterable[Lane] = FAST) -> asyncio.Future[None] | None:
        """Poll what is older: see `RequestedPolls.refresh`."""
        if self._closed:
            return None
        began, polled, collectors = self._turn
        running = began.family_sets.covered(polled, collectors)
        return self._requested.refresh(max_age_s, lanes, running)

    def _start(self) -> None:
        state, up = self.state, self.health.up
        assignment, lanes = state.assignment, state.easing.take_due(state.assignment)
        collectors = due_collectors(assignment, lanes, state.clock)
        self._turn = (assignment, lanes, collectors)
        rank = Rank.UP if up else Rank.NEW if up is None else Rank.DOWN
        self._runner.start(state.context, collectors, assignment.timing.deadline_s, rank)

    # -- the target's name

    async def resolve(self) -> tuple[str, ...]:
        """The addresses that the name has now. DnsError if there is none."""
        return await self._dialer.resolve_for(self.target)

    def compare(self, addresses: Iterable[str]) -> None:
        """If the connection leads to none of the target's `addresses`, let the next poll make a new one."""
        for runner in (self._runner, self.scanner.runner):
            runner.connection.compare(addresses)

    # -- changes and the end

    def reassign(self, assignment: Assignment) -> list[asyncio.Task[None]]:
        """Go on with another assignment of the same target, from the next turn on. The connection stays if
        the login and the settings of dials do. Returns the tasks that it cancels."""
        renews = self.state.reassign(assignment, time.monotonic(), self._runner.deadline)
        self.named = _is_named(assignment.target)
        for runner in (self._runner, self.scanner.runner):
            if renews or runner.connection.is_outdated(assignment.target):
                runner.renew(assignment.target)
        return [] if assignment.family_sets.scan else self.scanner.runner.close()

    def ask_again(self) -> None:
        """Send commands again that the server refused, at the next turn."""
        self.state.ask_again()

    def close(self) -> list[asyncio.Task[None]]:
        """Give up the running polls and the connections, for good. Returns the tasks that this cancels."""
        self._closed = True
        self._dialer.forget(self.target.host)
        self._requested.wake()
        cancelled = [*self._runner.close(), *self.scanner.runner.close()]
        for each in (self._runner, self.scanner, self._requested, self.state):
            each.let_go()
        return cancelled

    def _end(self, outcome: PollOutcome) -> None:
        error, connection, state = outcome.error, self._runner.connection, self.state
        if error is None or not isinstance(error, CancelledPollError):
            self.notices = connection.notices
            state.series.connect_s, state.series.ping_s = connection.connect_s, connection.ping_s
            began, lanes, collectors = self._turn
            state.note_poll(outcome, began, lanes, collectors)
            # The next handshake sends a password that was set meanwhile, or selects the database of a server
            # that was loading.
            if (self.notices and self._has_loaded()) if error is None else isinstance(error, AuthError):
                connection.drop()
            state.publish(outcome.ended_at)
            if error is None:
                self.scanner.start_first()
        self._on_end(self, outcome)
        if self._requested.waiting is not None:
            self._requested.end()

    def _has_loaded(self) -> bool:
        """Whether the database can be selected now that could not be before."""
        return Notice.DB_PENDING in self.notices and self.facts is not None and not self.facts.loading


def _is_named(target: Target) -> bool:
    """Whether its host is a name, behind which the address can change."""
    return bool(target.host) and not target.addresses and numeric(target.host) is None
