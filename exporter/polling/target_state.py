"""What the polls and the scans of one target share, and how it changes with the target's assignment."""

from __future__ import annotations

import time
from dataclasses import replace

from exporter.collectors._enabled import EnabledCollector
from exporter.errors import InternalError
from exporter.metrics.lane import Lane
from exporter.metrics.store import Store
from exporter.polling import poll_log
from exporter.polling.assignment import Assignment
from exporter.polling.bounds import bounds_for
from exporter.polling.easing import Easing
from exporter.polling.health import Health
from exporter.polling.label_texts import LabelTexts
from exporter.polling.lane_clock import LaneClock
from exporter.polling.memory import TargetMemory
from exporter.polling.outcome import PollOutcome
from exporter.polling.poll_context import PollContext, learn_nothing
from exporter.polling.recorder import SnapshotRecorder
from exporter.polling.server_cost import ServerCost
from exporter.protocol.facts import Facts
from exporter.targets.spread import spread
from exporter.targets.target import Target
from exporter.telemetry.target_series import TargetSeries

SCAN = "SCAN"

#: the assignment under which a poll began, its lanes and their collectors
Turn = tuple[Assignment, tuple[Lane, ...], tuple[EnabledCollector, ...]]


class TargetState:
    """See the module."""

    __slots__ = (
        *("assignment", "clock", "context", "cost", "easing"),
        *("health", "labels", "memory", "recorder", "series"),
    )

    def __init__(self, assignment: Assignment, store: Store) -> None:
        target, family_sets = assignment.target, assignment.family_sets
        metrics = assignment.options.metrics
        self.assignment = assignment
        self.memory = TargetMemory()
        self.labels = _label_texts(assignment)
        self.health = Health(time.time())
        self.clock = LaneClock(
            family_sets.lanes,
            assignment.timing.every,
            spread(target.key, "lane turn"),
            spread(target.key, "scan turn"),
        )
        self.series = TargetSeries(traffic=self.memory.traffic)
        self.series.keep_only(family_sets.lanes, ())
        self.recorder = SnapshotRecorder(target, store, self.series, metrics)
        self.cost = ServerCost()
        self.easing = Easing(self.clock, self.memory, self.recorder, self.series)
        self.context = _context(self)

    def publish(self, now: float) -> None:
        """Store the series about the target as of `now`."""
        series, health = self.series, self.health
        series.up, series.reason = health.up, health.reason
        family_set = self.assignment.family_sets.about_target
        if self.labels.former:
            self.labels.former.pop(family_set.name, None)
        self.recorder.put_target_series(family_set, self.labels.written[family_set.name], now)

    def let_go(self) -> None:
        """After the last poll: see `PollRunner.let_go`."""
        self.context = replace(self.context, on_facts=learn_nothing)
        self.memory.programs.clear()  # they have the context

    def pause(self, until: float, now: float) -> None:
        """Show only that the target is not polled until `until` (wall clock), for good."""
        self.health.forget(time.time())
        self.series.pause(until)
        self.publish(now)

    def note_poll(
        self,
        outcome: PollOutcome,
        began: Assignment,
        lanes: tuple[Lane, ...],
        collectors: tuple[EnabledCollector, ...],
    ) -> None:
        """Take the outcome of a poll that was not cancelled."""
        assignment, series, intervals = self.assignment, self.series, self.clock.intervals
        if poll_log.is_on():
            poll_log.note(assignment.target.addr, lanes, outcome)
        covered = began.family_sets.covered(lanes, collectors)
        if began is not assignment:
            lanes = tuple(lane for lane in lanes if lane in assignment.family_sets.lanes)
            collectors = self.still_assigned(collectors)
        series.duration_s = outcome.duration_s
        series.count_poll(lanes, covered, outcome.began_at)
        self.health.note(outcome, assignment.timing, intervals, lanes)
        self.easing.note(outcome, assignment)
        if began is not assignment and _login(began.target) != _login(assignment.target):
            self.health.retry_at = 0.0  # the new login has not failed yet
        if outcome.error is not None:
            series.count_failure(outcome.error.reason)
            self.clock.note_missed(lanes)
            self.memory.note_failure()
            return
        if len(lanes) > 1:  # the fast lane alone costs the same every time
            usual_s, turns = self.easing.usual_s, assignment.timing.turns
            self.cost.note(outcome, collectors, self.memory, series, usual_s, turns)
        self.keep(outcome, collectors, began)
        if began is assignment:  # else they are due in the next turn, under the new one
            self.clock.note_polled(lanes)

    def keep(
        self,
        outcome: PollOutcome,
        collectors: tuple[EnabledCollector, ...],
        began: Assignment,
        role: str | None = None,
    ) -> None:
        """Store what a poll brought that began under `began`. It may have written its labels with another
        `role`, unless that is None."""
        self.recorder.keep(outcome, collectors, self.assignment.timing, self.clock.intervals)
        if outcome.results is not None and outcome.results.outdated:
            self.recorder.relabel(outcome.results.outdated)
        if self.memory.refusals.fresh:
            self.recorder.log_refusals(self.memory.refusals.take_fresh())
        labels = self.labels
        if began is not self.assignment:
            wrote = _label_texts(began)
            if not wrote.writes_as(labels):
                labels.former.update({each.name: wrote.plain[each.name] for each in collectors})
                self._relabel(collectors)
                return
        if role is not None and role != labels.role:
            self._relabel(collectors)
        if labels.former:
            for each in collectors:
                labels.former.pop(each.name, None)

    def _relabel(self, collectors: tuple[EnabledCollector, ...]) -> None:
        """Note that the next series of these collectors have other labels than the stored ones."""
        self.recorder.relabel([each.name for each in collectors])
        self.clock.bring_scan_forward()

    def still_assigned(self, collectors: tuple[EnabledCollector, ...]) -> tuple[EnabledCollector, ...]:
        """Those that go on, of a poll during which the target was reassigned, without what it remembered."""
        assigned = self.assignment.family_sets.of_collectors
        self.memory.keep_only(assigned)
        return tuple(enabled for enabled in collectors if enabled in assigned)

    def ask_again(self) -> None:
        """Send the commands that the server refused again, at the next turn: their lane may be a slow one."""
        refused = self.memory.refusals.known
        if any(name.partition(" ")[0] == SCAN for name in refused):
            self.clock.bring_scan_forward()
        if refused:
            self.clock.bring_forward()
        self.memory.refusals.forget()

    def reassign(self, assignment: Assignment, now: float, deadline: float = 0.0) -> bool:
        """Go on with another assignment of the same target. Returns whether the login has changed, so that
        new connections are needed. A running poll ends at `deadline` at the latest.

        Snapshots, counters, health and phases stay. Nothing is left of collectors and lanes that are gone.
        Commands that the server refused are tried again.
        """
        before, self.assignment = self.assignment, assignment
        target, timing = assignment.target, assignment.timing
        if target.key != before.target.key:
            raise InternalError(f"{target.addr} is assigned in place of {before.target.addr}")
        self.ask_again()
        if timing != before.timing:
            self._change_timing(before, now, deadline)
        same_options = assignment.options is before.options or assignment.options == before.options
        if assignment.family_sets is not before.family_sets or not same_options:
            self._change_family_sets(before)
        self._change_labels()
        self.context = _context(self)
        renews = _login(target) != _login(before.target)
        if renews:
            self.health.retry_at = 0.0
        if self.health.up is not None or self.series.paused_until is not None:
            self.publish(now)
        return renews

    def _change_timing(self, before: Assignment, now: float, deadline: float) -> None:
        """The newest snapshots last until the next polls, whichever timing is slower. The target stays up for
        two turns from now on, and until a running poll has ended."""
        timing, intervals, health = self.assignment.timing, self.clock.intervals, self.health
        down_at = health.down_at + 2 * intervals * (timing.interval_s - before.timing.interval_s)
        health.down_at = max(down_at, now + 2 * intervals * timing.interval_s, deadline)
        self.clock.change(before.family_sets.lanes, timing.every)
        names = {each.name for each in before.family_sets.of_collectors}
        kept = [each for each in self.assignment.family_sets.of_collectors if each.name in names]
        self.recorder.change_expiries(kept, timing, intervals)

    def _change_family_sets(self, before: Assignment) -> None:
        family_sets, options = self.assignment.family_sets, self.assignment.options
        kept = set(family_sets.of_collectors)
        gone = [each.name for each in before.family_sets.of_collectors if each not in kept]
        for name in gone:  # a replaced one begins again
            self.memory.orders.pop(name, None)
            self.memory.named.pop(name, None)
        self.memory.keep_only(kept)
        self.recorder.change(options.metrics, gone, {each.name for each in kept})
        self.series.keep_only(family_sets.lanes, {each.name for each in kept})
        self.clock.change(family_sets.lanes, self.assignment.timing.every)
        self.clock.bring_forward()
        if options.keys != before.options.keys:
            self.clock.bring_scan_forward()

    def _change_labels(self) -> None:
        facts, before = self.memory.facts, self.labels
        labels = _label_texts(self.assignment)
        if labels.same_as(before):
            return
        labels.learn_role("" if facts is None else facts.role)
        labels.follow(before)
        self.labels = labels
        self.clock.bring_forward()
        if not labels.writes_as(before):
            self._relabel(self.assignment.family_sets.of_collectors)

    def learn(self, facts: Facts) -> bool:
        """Take what INFO reports. Returns whether the labels change by it."""
        self.recorder.note_run_id(facts.run_id)
        changes = self.labels.learn_role(facts.role)
        if changes:
            self._relabel(self.assignment.family_sets.of_collectors)
        return changes


def _label_texts(assignment: Assignment) -> LabelTexts:
    return LabelTexts(assignment.target, assignment.family_sets, assignment.options.metrics)


def _login(target: Target) -> tuple[object, ...]:
    """What a connection depends on."""
    place = (target.scheme, target.host, target.port, target.addresses, target.path, target.db)
    command = target.password_command
    return (*place, target.user, target.password, command.args if command is not None else ())


def _context(state: TargetState) -> PollContext:
    """What its polls from now on have in common."""
    assignment = state.assignment
    target, options = assignment.target, assignment.options
    age_part = spread(target.addr, "connection age") % 1000 / 1000
    if target.password_command is None:
        state.memory.note_password(target)
    return PollContext(
        target,
        state.memory,
        state.labels.written,
        options,
        bounds_for(options.poll.reply_max_rows, options.metrics.client_list_max_clients),
        state.learn,
        # less up to a fifth, so that the targets of a fleet do not reconnect all at once
        assignment.timing.connection_max_age_s * (0.8 + 0.2 * age_part),
    )
