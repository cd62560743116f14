"""What polls bring, on its way into the store."""

from __future__ import annotations

import logging
import math
from collections.abc import Collection, Iterable, Mapping
from typing import Final

from exporter import engine, safe_text
from exporter.collectors._enabled import EnabledCollector
from exporter.errors import HANG_UP, ReplyError, TargetError
from exporter.metrics.family_set import FamilySet
from exporter.metrics.lane import Lane
from exporter.metrics.series_limit import SeriesLimit
from exporter.metrics.store import LaneTimes, Snapshot, Store
from exporter.options.metrics_options import MetricsOptions
from exporter.polling.known_faults import NO_FAULTS, KnownFaults
from exporter.polling.outcome import PollOutcome
from exporter.polling.results import PollResults
from exporter.polling.timing import PollTiming
from exporter.targets.target import Target
from exporter.telemetry.target_series import OUTCOMES, TargetSeries, Verdict

log = logging.getLogger(__name__)

#: refused commands that one line of the log names, and characters of the server's words
REFUSALS_SHOWN = 30
REFUSAL_LENGTH_MAX = 200

WENT_WELL: Final = OUTCOMES[True, True]


class SnapshotRecorder:
    """Stores the snapshots of one target within its limits, and counts in `target_series` how its collectors
    do."""

    __slots__ = (
        "_addr",
        "_dropped",
        "_faults",
        "_key",
        "_run_id",
        "_series_limit",
        "_store",
        "_target_series",
        "_with_timestamps",
    )

    def __init__(
        self, target: Target, store: Store, target_series: TargetSeries, metrics: MetricsOptions
    ) -> None:
        self._addr = target.addr
        self._key = target.key
        self._store = store
        self._target_series = target_series
        self._faults = KnownFaults()
        #: by collector: the most values of one reply that were dropped in this run of the server
        self._dropped: dict[str, int] = {}
        self._series_limit = SeriesLimit(metrics.max_series_per_target, metrics.max_series_per_family)
        self._with_timestamps = metrics.export_timestamps
        self._run_id = ""

    def keep(
        self, outcome: PollOutcome, collectors: Iterable[EnabledCollector], timing: PollTiming, intervals: int
    ) -> None:
        """Store what a poll without an error brought. A collector that failed leaves its old samples in
        place."""
        results, series = outcome.results, self._target_series
        assert results is not None
        blocks, failures, verdicts = results.blocks, results.failures, series.collectors
        went_badly = failures or results.unsupported or results.faults or results.cuts
        is_smooth = not (went_badly or self._faults.kinds or series.cuts)
        lane, rare = None, timing.turns
        times = LaneTimes(0.0, 0.0)
        for enabled in collectors:
            name = enabled.name
            block = blocks.get(name)
            if not is_smooth:
                self._note_run(name, results, has_block=block is not None)
            if block is None:
                continue
            if is_smooth and verdicts.get(name) is not WENT_WELL:
                self._note_verdict(name, WENT_WELL, None)
            if block.invalid:
                self._count_dropped(name, block.invalid)
            if enabled.lane is not lane:
                lane = enabled.lane
                times = LaneTimes(outcome.began_at, outcome.began_at + timing.expiry_s(lane, intervals))
                count = series.lanes[lane]
                count.succeeded_at = outcome.wall_at
                count.polled_at = outcome.began_at
                count.stale = False
            own = times
            if rare and name in rare:
                expires_at = outcome.began_at + timing.collector_expiry_s(name, lane, intervals)
                own = LaneTimes(outcome.began_at, expires_at)
            self._put(name, enabled.lane, block, outcome, own)
        self._count_series()

    def _note_run(self, name: str, results: PollResults, *, has_block: bool) -> None:
        """Note how a collector's run went, if it ran."""
        failure = results.failures.get(name)
        if failure is None and not has_block:
            return
        faults = results.faults.get(name, NO_FAULTS)
        verdict = OUTCOMES[failure is None and not faults, name not in results.unsupported]
        if self._target_series.collectors.get(name) is not verdict:
            self._note_verdict(name, verdict, failure)
        if has_block:
            self._log_faults(name, faults)
            self._target_series.note_cut(name, results.cuts.get(name, 0))

    def _count_dropped(self, name: str, invalid: int) -> None:
        more = invalid - self._dropped.get(name, 0)
        if more > 0:
            self._target_series.dropped += more
            self._dropped[name] = invalid

    def _count_series(self) -> None:
        series, limit = self._target_series, self._series_limit
        series.series, series.refused = limit.series, limit.refused

    def note_failure(self, name: str, failure: TargetError) -> None:
        """Note that a collector could not run."""
        self._note_verdict(name, OUTCOMES[False, True], failure)

    def _note_verdict(self, name: str, verdict: Verdict, failure: TargetError | None) -> None:
        """Note the result of a collector's run: whether it went well, and whether the server supports it. Log
        the first failure after a success, but not what the server refuses."""
        before = self._target_series.collectors.get(name)
        self._target_series.collectors[name] = verdict
        if failure is not None and verdict == (False, True) and (before is None or before[0]):
            log.warning(
                "the collector %s failed",
                name,
                extra={"addr": self._addr, "reason": failure.reason, "err": str(failure)},
            )

    def log_refusals(self, refusals: Mapping[str, ReplyError]) -> None:
        """Name the commands that the server refuses, in one line, with the words of the first reply."""
        names = [*refusals][:REFUSALS_SHOWN]
        more = "" if len(names) == len(refusals) else f" and {len(refusals) - len(names)} more"
        first = next(iter(refusals.values()))
        is_hang_up = first.code == HANG_UP
        log.info(
            "the server refuses %s%s: these metrics are left out, and the exporter asks again %s",
            ", ".join(names),
            more,
            "after a reload or a restart of the server" if is_hang_up else "after 10 minutes, then each hour",
            extra={"addr": self._addr, "err": safe_text.one_line(first.text, REFUSAL_LENGTH_MAX)},
        )

    def put_target_series(self, family_set: FamilySet, labels: engine.Labels, now: float) -> None:
        """Render the series about the target and store them; they never expire."""
        block = self._target_series.render(family_set, labels)
        times = LaneTimes(now, math.inf)
        self._store.put(Snapshot(self._key, family_set.name, family_set.lane, block, times))

    def note_run_id(self, run_id: str) -> None:
        """After a restart of the server, let the series in that come first, and count bad values again."""
        if run_id != self._run_id:
            self._run_id = run_id
            self._dropped.clear()
            self._series_limit.forget()

    def relabel(self, family_sets: Iterable[str]) -> None:
        """Note that the next snapshots of these family sets have other labels than the stored ones."""
        self._series_limit.relabel(family_sets)

    def change(self, metrics: MetricsOptions, gone: Collection[str], replaced: Collection[str] = ()) -> None:
        """Keep to other options from the next snapshots on; the `gone` family sets count no more, and those
        that are not `replaced` have no snapshot any longer."""
        self._series_limit.change(metrics.max_series_per_target, metrics.max_series_per_family)
        self._with_timestamps = metrics.export_timestamps
        for name in gone:
            self._series_limit.drop(name)
            if name not in replaced:
                self._store.withdraw(self._key, name)
            self._faults.kinds.pop(name, None)
        self._count_series()

    def change_expiries(
        self, collectors: Iterable[EnabledCollector], timing: PollTiming, intervals: int
    ) -> None:
        """Let the snapshots that have not expired last as long as the new `timing` says."""
        for enabled in collectors:
            snapshot = self._store.get(self._key, enabled.name)
            if snapshot is not None and not self._store.expired(self._key, enabled.name):
                lasts_s = timing.collector_expiry_s(enabled.name, enabled.lane, intervals)
                expires_at = snapshot.began_at + lasts_s
                self._store.put(snapshot.lasting_until(expires_at))

    def extend(
        self, collectors: Iterable[EnabledCollector], timing: PollTiming, intervals: int, turns_max: int
    ) -> None:
        """Let the snapshots of these collectors last for one more turn of their lane, in all for at most
        `turns_max` more than the timing says. An age that was configured stays the limit."""
        if timing.max_age_s:
            return
        for enabled in collectors:
            snapshot = self._store.get(self._key, enabled.name)
            if snapshot is not None and not self._store.expired(self._key, enabled.name):
                turn_s, lasts_s = (
                    timing.lane_interval_s(enabled.lane),
                    timing.collector_expiry_s(enabled.name, enabled.lane, intervals),
                )
                at_most = snapshot.began_at + lasts_s + turns_max * turn_s
                self._store.put(snapshot.lasting_until(min(snapshot.expires_at + turn_s, at_most)))

    def _put(
        self, name: str, lane: Lane, block: engine.Block, outcome: PollOutcome, times: LaneTimes
    ) -> None:
        if not self._series_limit.takes_whole(name, block.series):
            block = self._series_limit.admit(name, block, self._newest(name))
        if self._with_timestamps:
            block = engine.add_timestamps(block, round(outcome.wall_at * 1000))
        self._store.put(Snapshot(self._key, name, lane, block, times))

    def _newest(self, name: str) -> engine.Block | None:
        snapshot = self._store.get(self._key, name)
        return None if snapshot is None else snapshot.block

    def _log_faults(self, name: str, faults: Mapping[str, str]) -> None:
        for subject, text in self._faults.note(name, faults):
            log.warning("the collector %s: %s: %s", name, subject, text, extra={"addr": self._addr})
