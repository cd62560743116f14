"""One live target: what its polls remember, which lanes are due, what becomes of what they bring, when to try
again.

A watch has two lines: one for its polls, and one for scans, which take long and must not hold the others up.
Who is due when is the schedule's business; whether a due poll can start now, and which lanes it takes along,
is decided here.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from exporter import engine
from exporter.connection.dialer import Dialer
from exporter.connection.handshake import Notice
from exporter.connection.limiter import Limiter, Rank
from exporter.connection.resolver import numeric
from exporter.errors import AuthError, CancelledPollError, DeadlineError, TargetError
from exporter.metrics.family_set import FamilySet
from exporter.metrics.labels import label_forms, label_text
from exporter.metrics.lane import Lane
from exporter.metrics.series_limit import SeriesLimit
from exporter.metrics.store import Snapshot, Store
from exporter.options.groups import Options
from exporter.polling.bounds import bounds_for
from exporter.polling.faults import NONE, Faults
from exporter.polling.memory import TargetMemory
from exporter.polling.poll import Poll
from exporter.polling.runner import Call, PollRunner
from exporter.polling.timing import PollTiming
from exporter.protocol.facts import Facts
from exporter.targets.labels import target_labels
from exporter.targets.redaction import redaction_of
from exporter.targets.spread import spread
from exporter.targets.target import Target
from exporter.telemetry.target_series import OUTCOMES, ROLELESS, LaneCount, TargetSeries

#: a turn that comes so little before the deadline of the poll under way finds it over
EARLY_S = 0.02
ROLE_LABEL = b"instance_role"
#: turns over which the first scans of a fleet are spread
SCAN_SPREAD = 4
#: where a scan took longer, the next one waits behind those of targets that are quicker
SCAN_QUICK_S = 5.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Ended:
    """A poll that ended: what it took, and whether `redis_up` changed by it."""

    duration_s: float
    error: TargetError | None
    up_changed: bool


class WatchedTarget:
    """See the module. `family_sets` are the collectors' parts, INFO's first; `target_family_set` that of the series
    about the target."""

    def __init__(
        self,
        target: Target,
        family_sets: Sequence[FamilySet],
        target_family_set: FamilySet,
        *,
        timing: PollTiming,
        dialer: Dialer,
        store: Store,
        limiter: Limiter,
        scan_limiter: Limiter | None = None,
        options: Options,
        on_end: Callable[[WatchedTarget, Ended], None] = lambda watched, ended: None,
    ) -> None:
        self.target = target
        self.timing = timing
        self.memory = TargetMemory(redaction=redaction_of(target.user, target.password))
        self.target_series = TargetSeries(
            lanes={
                lane: LaneCount()
                for lane in Lane
                if any(family_set.lane is lane for family_set in family_sets)
            }
        )
        self.error_text = ""
        self.notices: tuple[Notice, ...] = ()
        #: whether the host is a name, behind which the address can change
        self.named = bool(target.host) and numeric(target.host) is None
        self.lane_turn = spread(target.addr, "lane turn")
        self._family_sets = [family_set for family_set in family_sets if family_set.lane is not Lane.SCAN]
        self._scan_family_sets = [family_set for family_set in family_sets if family_set.lane is Lane.SCAN]
        self._target_family_set = target_family_set
        metrics = options.metrics
        pairs = target_labels(target, metrics.target_labels, metrics.max_label_length)
        if metrics.append_instance_role_label:
            pairs = tuple(pair for pair in pairs if pair[0] != ROLE_LABEL)
        self._all_family_sets = (*family_sets, target_family_set)
        self._label_pairs = pairs
        self._plain_labels = label_forms(self._all_family_sets, pairs)
        #: those that are written, with the role where that is asked for
        self._labels = dict(self._plain_labels)
        self._role = ""
        self.group = dict(target.labels).get("group", "")
        #: before the label `lane`, which wins over a configured one of that name
        self.lane_labels = label_text(pair for pair in pairs if pair[0] != b"lane")
        self._faults = Faults()
        self._series_limit = SeriesLimit(metrics.max_series_per_target, metrics.max_series_per_family)
        self._bounds = bounds_for(options.poll.reply_max_rows, metrics.client_list_max_clients)
        self._run_id = ""
        self._dialer = dialer
        self._store = store
        self._options = options
        self._on_end = on_end
        phase = spread(target.addr, "connection age") % 1000 / 1000
        max_age_s = timing.connection_max_age_s
        self._runner = PollRunner(
            target, dialer, limiter, self.memory, max_age_s=max_age_s, phase=phase, on_end=self._end
        )
        self._scan_runner = PollRunner(
            target,
            dialer,
            scan_limiter or limiter,
            self.memory,
            max_age_s=max_age_s,
            phase=phase,
            on_end=self._end_scan,
        )
        self._scan_rank = Rank.NEW
        self._polling: tuple[Sequence[Lane], Sequence[FamilySet]] = ((), ())
        self._family_sets_of: dict[tuple[Lane, ...], Sequence[FamilySet]] = {}
        #: the monotonic moment of the newest turn
        self.ticked_at = -math.inf
        #: when it counts as down unless another poll ends before: two intervals after the beginning of the
        #: last one
        self.down_at = math.inf
        self._ticks = 0
        self._intervals = 1  # between the newest turn and the next one
        self._lanes = [lane for lane in self.target_series.lanes if lane is not Lane.SCAN]
        self._due_at: dict[Lane, int] = {}
        self._failures = 0
        self._retry_at = 0.0
        self._last_began_at = 0.0
        self._ended: asyncio.Future[None] | None = (
            None  # of the poll under way, if somebody waits for its end
        )
        self._closed = False

    # -- what others see

    def labels_of(self, family_set: str) -> engine.Labels:
        """What a page without the target's labels leaves off: all but the role."""
        return self._plain_labels[family_set]

    @property
    def up(self) -> bool | None:
        """None before the first attempt ended."""
        return self.target_series.up

    @property
    def facts(self) -> Facts | None:
        """What is known of the server; None before its first INFO."""
        return self.memory.facts

    def remembered(self, name: str) -> Any:
        """What the collectors of a memory name remember of the target; None before their first poll."""
        return self.memory.collectors.get(name)

    @property
    def busy(self) -> bool:
        """Whether a poll is under way, or waits at the gate."""
        return self._runner.busy

    # -- when to poll

    def tick(self, now: float, intervals: int = 1) -> None:
        """The target's turn has come (monotonic `now`): start a poll, unless the one before runs or failures
        ask for a pause. The next turn is so many intervals away."""
        if self._closed:
            return
        self.ticked_at = now
        self._ticks += intervals
        if intervals != self._intervals:
            self.down_at += 2 * (intervals - self._intervals) * self.timing.interval_s
            self._intervals = intervals
        if self._runner.overdue(now + EARLY_S):
            self._runner.time_out()
        if self._runner.busy:
            for lane in self._due_lanes():
                self.target_series.lanes[lane].skipped += 1
        elif now >= self._retry_at:
            self._start()
        if (
            self._scan_family_sets
            and self.up
            and self._ticks >= self._due_at.setdefault(Lane.SCAN, self._first_scan())
        ):
            self.scan()

    def poll_all(self) -> None:
        """Poll all lanes but scan now, due or not. Only while it is not busy; for those who have no
        schedule."""
        self._due_at.clear()
        self._start()

    def expire(self) -> None:
        """Down: `down_at` has passed."""
        self.down_at = math.inf
        self.target_series.up = False
        self.target_series.reason = DeadlineError.reason
        self.error_text = f"{self.target.addr}: no poll that ended began within two intervals"
        self._tell()

    def note_stale(self, lane: Lane) -> None:
        """A snapshot of this lane has outlived its time."""
        self.target_series.lanes[lane].stale = True
        self._tell()

    async def fresh(self, max_age_s: float, deadline: float) -> None:
        """Return when there is nothing to wait for, or at the (monotonic) deadline. See `refresh`."""
        ended = self.refresh(max_age_s)
        if ended is not None:
            await asyncio.wait([ended], timeout=max(0.0, deadline - time.monotonic()))

    def refresh(self, max_age_s: float) -> asyncio.Future[None] | None:
        """Poll if the newest poll that ended began longer ago, unless one is under way or the pace forbids
        it: the floor, and back-off while the target is down. What ends with the poll under way, the same for
        all who wait; None: there is nothing to wait for."""
        now = time.monotonic()
        floor_s = self.timing.fresh_floor_s
        if self._closed or (
            self.up is not None
            and now - self._last_began_at <= (max(max_age_s, floor_s) if self.up else floor_s)
        ):
            return None
        if not self.busy:
            if now < self._retry_at:
                return None
            self._start()
        if not self.busy:  # it has ended already
            return None
        if self._ended is None:
            self._ended = asyncio.get_running_loop().create_future()
        return self._ended

    def _due_lanes(self) -> tuple[Lane, ...]:
        """Of the lanes but scan."""
        due_at = self._due_at
        return tuple(
            [lane for lane in self._lanes if lane is Lane.FAST or self._ticks >= due_at.get(lane, 0)]
        )

    def _start(self) -> None:
        lanes = self._due_lanes()
        family_sets = self._family_sets_of.get(lanes)
        if family_sets is None:
            family_sets = self._family_sets_of[lanes] = [
                family_set for family_set in self._family_sets if family_set.lane in lanes
            ]
        self._polling = (lanes, family_sets)
        rank = Rank.UP if self.up else Rank.NEW if self.up is None else Rank.DOWN
        self._runner.start(
            lambda wall, now: self._new_poll(family_sets, wall, now), self.timing.deadline_s, rank
        )

    def _new_poll(self, family_sets: Sequence[FamilySet], wall: float, now: float) -> Poll:
        return Poll(
            family_sets,
            self.memory,
            self._labels,
            self._options,
            wall,
            now,
            self._learn,
            self.target.db,
            self._bounds,
        )

    def _learn(self, facts: Facts) -> bool:
        """What INFO has just told. Whether the labels have changed by it."""
        if facts.run_id != self._run_id:
            self._run_id = facts.run_id
            self._series_limit.forget()
        if not self._options.metrics.append_instance_role_label or facts.role == self._role:
            return False
        self._role = facts.role
        pairs = (*self._label_pairs, (ROLE_LABEL, engine.escape(self._role.encode())))
        self._labels.update(
            label_forms(self._all_family_sets, pairs, {family.name: ROLE_LABEL for family in ROLELESS})
        )
        return True

    def _first_scan(self) -> int:
        """Soon, for nothing is known until then; but not of all targets at once."""
        turns = min(SCAN_SPREAD, self.timing.every[Lane.SCAN])
        return self._ticks + spread(self.target.addr, "first scan") % turns

    @property
    def scanning(self) -> bool:
        """Whether a scan is under way, or waits at its gate."""
        return self._scan_runner.busy

    def scan(self) -> None:
        """Start what is on the scan lane, unless it still runs: that is counted."""
        if not self._scan_family_sets:
            return
        if self._scan_runner.busy:
            self.target_series.lanes[Lane.SCAN].skipped += 1
            self._due_at[Lane.SCAN] += self.timing.every[Lane.SCAN]
            return
        self._due_at[Lane.SCAN] = self._ticks + self.timing.every[Lane.SCAN]
        self._scan_runner.start(
            lambda wall, now: self._new_poll(self._scan_family_sets, wall, now),
            self.timing.scan_deadline_s,
            self._scan_rank,
        )

    # -- the target's name

    async def resolve(self) -> tuple[str, ...]:
        """The addresses that the name has now. DnsError if there is none."""
        return await self._dialer.resolve(self.target.host, self.target.port)

    def compare(self, addresses: Iterable[str]) -> None:
        """If the connection is to none of the target's `addresses`, let the next poll make a new one."""
        self._runner.compare(addresses)
        self._scan_runner.compare(addresses)

    # -- a reload

    def repassword(self, password: str) -> None:
        """Greet with this password from the next connection on, and ask again what the server refused."""
        self.memory.refused.clear()
        if password != self.target.password:
            self.target = self._runner.target = self._scan_runner.target = replace(
                self.target, password=password
            )
            self.memory.redaction = redaction_of(self.target.user, password)
            self._retry_at = 0.0
            self._runner.renew()
            self._scan_runner.renew()

    # -- the end

    def close(self) -> list[asyncio.Task[None]]:
        """Give up what is under way and the connections; the watch polls no more. Gives the tasks that are
        cancelled by it."""
        self._closed = True
        cancelled = [*self._runner.close(), *self._scan_runner.close()]
        self._wake()
        return cancelled

    # -- the ends of polls

    def _end(self, call: Call) -> None:
        (lanes, family_sets), self._polling = self._polling, ((), ())
        was_up = self.target_series.up
        duration_s = time.monotonic() - call.began_at
        if not isinstance(call.error, CancelledPollError):
            self.notices = self._runner.notices
            self.target_series.connect_s = self._runner.connect_s
            self.target_series.ping_s = self._runner.ping_s
            self.target_series.duration_s = duration_s
            self._last_began_at = call.began_at
            for lane in lanes:
                self.target_series.lanes[lane].polls += 1
            if call.error is None and call.poll is not None:
                self._succeed(call, call.poll, lanes, family_sets)
            else:
                self._give_up(call.error or TargetError("a poll ended without a cause"))
            self.down_at = (
                call.began_at + 2 * self._intervals * self.timing.interval_s
                if self.target_series.up
                else math.inf
            )
            self._tell()
        self._wake()
        self._on_end(self, Ended(duration_s, call.error, was_up is not self.target_series.up))

    def _end_scan(self, call: Call) -> None:
        """A scan that fails is no failure of the target: it is on a connection and a budget of its own."""
        if isinstance(call.error, CancelledPollError):
            return
        quick = call.error is None and time.monotonic() - call.began_at < SCAN_QUICK_S
        self._scan_rank = Rank.UP if quick else Rank.DOWN
        self.target_series.lanes[Lane.SCAN].polls += 1
        if call.error is None and call.poll is not None:
            self._keep(call, call.poll, self._scan_family_sets)
        else:
            error = call.error or TargetError("a scan ended without a cause")
            self.target_series.count_failure(error.reason)
            for family_set in self._scan_family_sets:
                self._note_collector(family_set.name, error, supported=True)
        self._tell()

    def _succeed(
        self, call: Call, poll: Poll, lanes: Sequence[Lane], family_sets: Sequence[FamilySet]
    ) -> None:
        self.target_series.up = True
        self.target_series.reason = self.error_text = ""
        self._failures = 0
        self._retry_at = 0.0
        self._keep(call, poll, family_sets)
        for lane in lanes:
            self._due_at[lane] = self._next_turn(lane)
        facts = self.memory.facts
        if Notice.DB_PENDING in self.notices and facts is not None and not facts.loading:
            self._runner.drop()  # the next greeting selects the database

    def _keep(self, call: Call, poll: Poll, family_sets: Sequence[FamilySet]) -> None:
        """Store what a poll brought. Each part stands for itself: a collector that failed leaves its old
        block in place."""
        target_series = self.target_series
        blocks, failures = poll.blocks, poll.failures
        for family_set in family_sets:
            name = family_set.name
            block = blocks.get(name)
            failure = failures.get(name) if failures else None
            if block is None and failure is None:
                continue
            faults = poll.faults.get(name, NONE) if poll.faults else NONE
            self._note_collector(name, failure, name not in poll.unsupported, is_whole=not faults)
            if block is not None:
                for subject, text in self._faults.note(name, faults) if faults or self._faults else ():
                    log.warning(
                        "the collector %s: %s: %s", name, subject, text, extra={"addr": self.target.addr}
                    )
            if block is not None:
                target_series.dropped += block.invalid
                if poll.cuts or target_series.cuts:
                    target_series.note_cut(name, poll.cuts.get(name, 0))
                self._put(
                    family_set,
                    block,
                    call,
                    call.began_at + self.timing.expiry_s(family_set.lane, self._intervals),
                )
                lane = target_series.lanes[family_set.lane]
                lane.succeeded_at = call.wall_at
                lane.stale = False
        target_series.series, target_series.refused = self._series_limit.series, self._series_limit.refused

    def _note_collector(
        self, name: str, failure: TargetError | None, supported: bool, *, is_whole: bool = True
    ) -> None:
        """How a collector fared. The log is told when it goes from well to ill, not of a command that the
        server refuses."""
        outcome = OUTCOMES[failure is None and is_whole, supported]
        before = self.target_series.collectors.get(name)
        if before is outcome:
            return
        self.target_series.collectors[name] = outcome
        if failure is not None and supported and (before is None or before[0]):
            log.warning(
                "the collector %s failed: %s",
                name,
                failure,
                extra={"addr": self.target.addr, "reason": failure.reason},
            )

    def _next_turn(self, lane: Lane) -> int:
        """The tick at which a lane that was polled just now is due again. The first poll took all lanes
        along; after it each comes round at a turn of this target's own."""
        every = self.timing.every[lane]
        due_at = self._due_at.get(lane)
        if due_at is None:
            return self._ticks + 1 + self.lane_turn % every
        return due_at + every * ((self._ticks - due_at) // every + 1)

    def _give_up(self, error: TargetError) -> None:
        self._failures += 1
        self.target_series.fail(error.reason)
        self.error_text = str(error)
        pause_s = self.timing.backoff_s(self._failures)
        self._retry_at = time.monotonic() + pause_s if pause_s else 0.0
        if isinstance(error, AuthError):
            self._runner.drop()  # a password that was set meanwhile is sent by the next greeting

    def _put(self, family_set: FamilySet, block: engine.Block, call: Call, expires_at: float) -> None:
        addr = self.target.addr
        before = self._store.get(addr, family_set.name)
        rendered = (block.samples, block.offsets, block.series)
        samples, offsets, series = self._series_limit.admit(
            family_set.name, rendered, None if before is None else (before.samples, before.offsets)
        )
        if self._options.metrics.export_timestamps:
            samples, offsets = engine.stamp(samples, offsets, round(call.wall_at * 1000))
        self._store.put(
            Snapshot(
                addr, family_set.name, family_set.lane, samples, offsets, series, call.began_at, expires_at
            )
        )

    def _tell(self) -> None:
        """Render the series about the target anew."""
        family_set = self._target_family_set
        block = self.target_series.render(family_set, self._labels[family_set.name])
        self._store.put(
            Snapshot(
                self.target.addr,
                family_set.name,
                family_set.lane,
                block.samples,
                block.offsets,
                block.series,
                time.monotonic(),
                float("inf"),
            )
        )

    def _wake(self) -> None:
        ended, self._ended = self._ended, None
        if ended is not None and not ended.done():
            ended.set_result(None)
