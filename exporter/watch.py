"""One live target: its connection, what its polls remember, the poll under way, when to try again.

A watch is a small state machine driven by callbacks: idle, waiting at the gate, dialling (the only task), exchanging.
There is at most one poll and one dial at a time, under one deadline. Who is due when is the schedule's business; whether
a due poll can start now, and which lanes it takes along, is decided here.
"""

from __future__ import annotations

import asyncio
import ipaddress
import time
import zlib
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from exporter import fastparse
from exporter.catalog import Part, label_forms, label_text, target_labels
from exporter.connection import Dialer, Link, Note, Reply, pack
from exporter.errors import AuthError, CancelledPollError, DeadlineError, RedpollError, ResetError, TargetError
from exporter.model import Command, Lane, Snapshot, Target
from exporter.poller import Memory, Poll
from exporter.store import Store
from exporter.vitals import LaneCount, Vitals

#: names are resolved again so often; a connection whose address is gone is made anew
RESOLVE_AGAIN_S = 30.0


@dataclass(frozen=True, slots=True)
class Pace:
    """Intervals and limits of one target's polls, in seconds. `every` counts fast intervals, by lane."""

    interval_s: float
    every: Mapping[Lane, int]
    deadline_s: float
    max_backoff_s: float
    connection_max_age_s: float
    max_age_s: float  # 0: three intervals of the lane and one deadline

    @classmethod
    def of(cls, target: Target, lanes: Mapping[Lane, float], *, timeout_s: float, **limits: float) -> Pace:
        """`lanes` are the configured intervals; a target's own takes the place of the fast one, the others follow in whole multiples."""
        interval_s = target.interval_s or lanes[Lane.FAST]
        every = {lane: 1 if lane is Lane.FAST else max(1, -int(-lane_s // interval_s)) for lane, lane_s in lanes.items()}
        return cls(interval_s, every, min(timeout_s, max(1.0, interval_s)), **limits)

    def lane_interval_s(self, lane: Lane) -> float:
        return self.interval_s * self.every[lane]

    def expiry_s(self, lane: Lane) -> float:
        """How long after its poll began a snapshot may be served."""
        return self.max_age_s or 3 * self.lane_interval_s(lane) + self.deadline_s

    def backoff_s(self, failures: int) -> float:
        """How long to leave a target alone after so many failures in a row: not at all after the first, then less than
        two intervals, so that every second turn is taken."""
        return 0.0 if failures < 2 else min(1.5 * self.interval_s, self.max_backoff_s)


class Gate:
    """Lets so many polls be under way at once; the others wait in line."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.inside = 0
        self._waiting: deque[Callable[[], None]] = deque()

    def enter(self, start: Callable[[], None]) -> None:
        """Call `start` now or when there is room. Whoever was started leaves once."""
        if self.inside >= self.limit:
            self._waiting.append(start)
        else:
            self.inside += 1
            start()

    def leave(self) -> None:
        if self._waiting:
            self._waiting.popleft()()
        else:
            self.inside -= 1


@dataclass(frozen=True, slots=True)
class Ended:
    """A poll that ended: what it took, and whether `redis_up` changed by it."""

    duration_s: float
    error: TargetError | None
    up_changed: bool


class Watch:
    """See the module. `parts` are the collectors' parts, INFO's first; `vitals_part` that of the series about the target."""

    def __init__(
        self,
        target: Target,
        parts: Sequence[Part],
        vitals_part: Part,
        *,
        pace: Pace,
        dialer: Dialer,
        store: Store,
        gate: Gate,
        options: Any,
        label_mode: str = "auto",
        label_max: int = 1024,
        timestamps: bool = False,
        on_end: Callable[[Watch, Ended], None] = lambda watch, ended: None,
    ) -> None:
        self.target = target
        self.pace = pace
        self.memory = Memory()
        self.vitals = Vitals(lanes={lane: LaneCount() for lane in Lane if any(part.lane is lane for part in parts)})
        self.error_text = ""
        self.notes: tuple[Note, ...] = ()
        self.hash = zlib.crc32(target.addr.encode())
        self._parts = parts
        self._vitals_part = vitals_part
        pairs = target_labels(target, label_mode, label_max)
        self._labels = {part.name: label_forms(part, pairs) for part in (*parts, vitals_part)}
        #: before the label `lane`, which wins over a configured one of that name
        self.lane_labels = label_text(pair for pair in pairs if pair[0] != b"lane")
        self._timestamps = timestamps
        self._dialer = dialer
        self._store = store
        self._gate = gate
        self._options = options
        self._on_end = on_end
        self._link: Link | None = None
        self._link_until = 0.0
        self._named = bool(target.host) and not _is_numeric(target.host)
        self._resolved_at = 0.0
        self._dialling: asyncio.Task[None] | None = None
        self._resolving: asyncio.Task[None] | None = None
        self._polling: list[Part] = []
        self._poll: Poll | None = None
        self._batch: list[Command] = []
        self._untouched = False  # no reply of this poll has come yet, and it began on a kept connection
        self._began_at = 0.0
        self._wall_at = 0.0
        self._deadline = 0.0
        self._ticks = 0
        self._due_at: dict[Lane, int] = {}
        self._failures = 0
        self._retry_at = 0.0
        self._last_began_at = 0.0
        self._waiters: list[asyncio.Future[None]] = []
        self._closed = False

    # -- what others see

    def labels_of(self, part: str) -> fastparse.Labels:
        return self._labels[part]

    @property
    def up(self) -> bool | None:
        """None before the first attempt ended."""
        return self.vitals.up

    @property
    def attempted(self) -> bool:
        return self.vitals.up is not None

    @property
    def busy(self) -> bool:
        return bool(self._polling)

    # -- when to poll

    def tick(self, now: float) -> bool:
        """The target's turn has come (monotonic `now`). Whether a poll was started, or waits at the gate."""
        self.check(now)
        self._ticks += 1
        if self.busy:
            for lane in self._due_lanes():
                self.vitals.lanes[lane].skipped += 1
            return False
        if now < self._retry_at or self._closed:
            return False
        self._start(self._due_lanes())
        return True

    def check(self, now: float) -> None:
        """End the poll under way if its deadline has passed."""
        if self._poll is not None and now >= self._deadline and self._link is not None and self._dialling is None:
            where = self._link.where
            self._link.abort(DeadlineError(f"{where}: no complete answer within {self.pace.deadline_s:g} s"))

    def expire(self, now: float) -> bool:
        """Down, if the last finished attempt began more than two intervals ago. Whether that changed `redis_up`."""
        if self.vitals.up and now - self._last_began_at > 2 * self.pace.interval_s:
            self.vitals.up = False
            self.vitals.reason = DeadlineError.reason
            self._tell()
            return True
        return False

    def note_stale(self, lane: Lane) -> None:
        """A snapshot of this lane has outlived its time."""
        self.vitals.lanes[lane].stale = True
        self._tell()

    async def fresh(self, max_age_s: float, deadline: float) -> None:
        """Return when the fast snapshot is at most `max_age_s` old, when a poll that was needed has ended, or at the
        (monotonic) deadline. Joins the poll under way."""
        now = time.monotonic()
        if not self.busy and now - self._last_began_at <= max_age_s and self.up:
            return
        if self._closed:
            return
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        if not self.busy:
            self._start(self._due_lanes())
            asyncio.get_running_loop().call_later(self.pace.deadline_s + 0.05, lambda: self.check(time.monotonic()))
        try:
            await asyncio.wait_for(waiter, max(0.0, deadline - now))
        except TimeoutError:
            pass

    def close(self) -> None:
        """Give up the poll under way and the connection. The watch polls no more."""
        self._closed = True
        for task in (self._dialling, self._resolving):
            if task is not None:
                task.cancel()
        link, self._link = self._link, None
        if link is not None:
            link.close()
        self._wake()

    def _due_lanes(self) -> list[Lane]:
        lanes = self.vitals.lanes
        return [lane for lane in lanes if self._ticks >= self._due_at.get(lane, 0)]

    def _start(self, lanes: Sequence[Lane]) -> None:
        self._polling = [part for part in self._parts if part.lane in lanes or part.lane is Lane.FAST]
        self._gate.enter(self._begin)

    # -- the poll

    def _begin(self) -> None:
        now = self._began_at = time.monotonic()
        self._wall_at = time.time()
        self._deadline = now + self.pace.deadline_s
        if self._closed:
            self._end(CancelledPollError(f"{self.target.addr}: the target was removed"))
            return
        self._poll = Poll(self._polling, self.memory, self._labels, self._options, self._wall_at, now)
        self._batch = self._poll.begin()
        link = self._link
        if link is not None and (link.closed or now >= self._link_until):
            link.close()
            link = self._link = None
        if self._named and now - self._resolved_at >= RESOLVE_AGAIN_S and link is not None and self._resolving is None:
            self._resolving = asyncio.get_running_loop().create_task(self._resolve())
        self._untouched = link is not None
        if not self._batch:
            self._end(self._poll.error)
        elif link is None:
            self._dial()
        else:
            link.exchange(pack(self._batch), len(self._batch), self._receive)

    def _dial(self) -> None:
        self._dialling = asyncio.get_running_loop().create_task(self._connect())

    async def _connect(self) -> None:
        began_at = time.monotonic()
        error: TargetError | None = None
        try:
            self._link = await self._dialer.dial(self.target, self._deadline)
        except TargetError as failure:
            error = failure
        except asyncio.CancelledError:
            error = CancelledPollError(f"{self.target.addr}: the target was removed")
        except RedpollError as failure:
            error = TargetError(str(failure))
        except Exception as failure:  # whatever it is, the watch must not hang in this poll
            error = TargetError(f"{type(failure).__name__} while connecting")
        self._dialling = None
        now = time.monotonic()
        self.vitals.connect_s = now - began_at
        link = self._link
        if error is not None or link is None:
            self._end(error or CancelledPollError("the target was removed"))
            return
        if self._closed:
            link.close()
        self.notes = link.notes
        # a different moment for each target, so that a fleet does not reconnect all at once
        self._link_until = now + self.pace.connection_max_age_s * (0.8 + 0.2 * (self.hash % 1000) / 1000)
        self._resolved_at = now
        link.exchange(pack(self._batch), len(self._batch), self._receive)

    async def _resolve(self) -> None:
        """See whether the connection's address still is one of the target's; if not, let the next poll make a new one."""
        try:
            addresses = await self._dialer.resolve(self.target.host, self.target.port)
            if self._link is not None and self._link.peer not in addresses:
                self._link_until = 0.0
        except (TargetError, asyncio.CancelledError):
            pass  # a name that does not resolve just now is no reason to leave a connection that works
        finally:
            self._resolved_at = time.monotonic()
            self._resolving = None

    def _receive(self, outcome: list[Reply] | TargetError) -> None:
        poll = self._poll
        if poll is None:
            return
        if isinstance(outcome, TargetError):
            link, self._link = self._link, None
            if isinstance(outcome, ResetError) and self._untouched and link is not None and not link.began_reply and not self._closed:
                self._untouched = False  # closed while idle: once more, on a new connection, before the same deadline
                self._dial()
            else:
                self._end(outcome)
            return
        self._untouched = False
        self._batch = poll.receive(outcome)
        link = self._link
        if not self._batch:
            self._end(poll.error)
        elif link is None or link.closed:
            self._end(ResetError(f"{self.target.addr}: the connection was lost between two batches"))
        else:
            link.exchange(pack(self._batch), len(self._batch), self._receive)

    def _end(self, error: TargetError | None) -> None:
        poll, self._poll = self._poll, None
        parts, self._polling = self._polling, []
        now = time.monotonic()
        vitals = self.vitals
        was_up = vitals.up
        vitals.duration_s = now - self._began_at
        for lane in {part.lane for part in parts}:
            vitals.lanes[lane].polls += 1
        if error is None and poll is not None:
            self._keep(poll, parts)
        else:
            self._give_up(error or TargetError("a poll ended without a cause"), now)
        if not isinstance(error, CancelledPollError):
            self._last_began_at = self._began_at
            self._tell()
        self._gate.leave()
        self._wake()
        self._on_end(self, Ended(vitals.duration_s, error, was_up is not vitals.up))

    def _keep(self, poll: Poll, parts: Sequence[Part]) -> None:
        """Store what a poll brought. Each part stands for itself: a collector that failed leaves its old block in place."""
        vitals = self.vitals
        if vitals.up is None:
            self._spread(self.hash)
        vitals.up = True
        vitals.reason = self.error_text = ""
        self._failures = 0
        self._retry_at = 0.0
        for part in parts:
            block = poll.blocks.get(part.name)
            if part.name in poll.failures:
                vitals.collectors[part.name] = (False, True)
            elif block is not None:
                vitals.collectors[part.name] = (True, part.name not in poll.unsupported)
                vitals.dropped += block.bad
                self._put(part, block, self._began_at + self.pace.expiry_s(part.lane))
                lane = vitals.lanes[part.lane]
                lane.succeeded_at = self._wall_at
                lane.stale = False
        for polled in {part.lane for part in parts}:
            every = self.pace.every[polled]
            self._due_at[polled] = max(self._due_at.get(polled, 0), self._ticks - every) + every
        vitals.series = sum(snapshot.series for part in self._parts if (snapshot := self._store.get(self.target.addr, part.name)))

    def _spread(self, number: int) -> None:
        """After the first poll, which took all lanes: let each slower lane come round at a turn of this target's own."""
        for lane in self.vitals.lanes:
            every = self.pace.every[lane]
            self._due_at[lane] = self._ticks - every + number % every

    def _give_up(self, error: TargetError, now: float) -> None:
        if isinstance(error, CancelledPollError):
            return
        self._failures += 1
        self.vitals.fail(error.reason)
        self.error_text = str(error)
        self._retry_at = now + self.pace.backoff_s(self._failures)
        if isinstance(error, AuthError) and self._link is not None:
            self._link.close()  # a password that was set meanwhile is sent by the next greeting
            self._link = None

    def _put(self, part: Part, block: fastparse.Block, expires_at: float) -> None:
        samples, offsets = block.samples, block.offsets
        if self._timestamps and part is not self._vitals_part:  # those change between polls as well
            samples, offsets = fastparse.stamp(samples, offsets, round(self._wall_at * 1000))
        self._store.put(
            Snapshot(
                self.target.addr,
                part.name,
                part.lane,
                samples,
                offsets,
                block.series,
                self._began_at,
                self._wall_at,
                expires_at,
            )
        )

    def _tell(self) -> None:
        """Render the series about the target anew."""
        part = self._vitals_part
        self._put(part, self.vitals.render(part, self._labels[part.name]), float("inf"))

    def _wake(self) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)


def _is_numeric(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True
