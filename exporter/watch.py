"""One live target: its connection, what its polls remember, the poll under way, when to try again.

A watch is a small state machine driven by callbacks: idle, waiting at the gate, dialling (the only task), exchanging.
There is at most one poll and one dial at a time, under one deadline; every poll that began ends in `_end`, once. Who is
due when is the schedule's business; whether a due poll can start now, and which lanes it takes along, is decided here.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import time
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from exporter import fastparse
from exporter.catalog import Part, label_forms, label_text, target_labels
from exporter.connection import Dialer, Link, Reply, pack
from exporter.errors import AuthError, CancelledPollError, DeadlineError, RedpollError, ReplyError, ResetError, TargetError
from exporter.greeting import SET_NAME, Note
from exporter.model import Command, Lane, Snapshot, Target
from exporter.pace import Gate, Pace
from exporter.poller import Memory, Poll
from exporter.store import Store
from exporter.targets import redact
from exporter.vitals import LaneCount, Vitals

#: a turn that comes so little before the deadline of the poll under way finds it over
EARLY_S = 0.02

log = logging.getLogger(__name__)


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
        #: whether the host is a name, behind which the address can change
        self.named = bool(target.host) and not _is_numeric(target.host)
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
        self._dialling: asyncio.Task[None] | None = None
        self._polling: list[Part] = []
        self._poll: Poll | None = None
        self._batch: list[Command] = []
        self._untouched = False  # no reply of this poll has come yet, and it began on a kept connection
        self._began_at = 0.0
        self._wall_at = 0.0
        self._deadline = 0.0
        self._timer: asyncio.TimerHandle | None = None  # None: no poll under way, or its deadline has passed
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
    def busy(self) -> bool:
        """Whether a poll is under way, or waits at the gate."""
        return bool(self._polling)

    # -- when to poll

    def tick(self, now: float) -> None:
        """The target's turn has come (monotonic `now`): start a poll, unless the one before runs or failures ask for a pause."""
        if self._closed:
            return
        self._ticks += 1
        if self._poll is not None and now >= self._deadline - EARLY_S:
            self._time_out()
        if self.busy:
            for lane in self._due_lanes():
                self.vitals.lanes[lane].skipped += 1
        elif now >= self._retry_at:
            self._start()

    def expire(self, now: float) -> bool:
        """Down, if the last finished attempt began more than two intervals ago. Whether that changed `redis_up`."""
        if self.vitals.up and now - self._last_began_at > 2 * self.pace.interval_s:
            self.vitals.up = False
            self.vitals.reason = DeadlineError.reason
            self.error_text = f"{self.target.addr}: no poll that ended began within two intervals"
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
        if self._closed or (self.up and now - self._last_began_at <= max_age_s):
            return
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        if not self.busy:
            self._start()
        try:
            await asyncio.wait_for(waiter, max(0.0, deadline - now))
        except TimeoutError:
            pass

    def _due_lanes(self) -> list[Lane]:
        return [lane for lane in self.vitals.lanes if lane is Lane.FAST or self._ticks >= self._due_at.get(lane, 0)]

    def _start(self) -> None:
        lanes = self._due_lanes()
        self._polling = [part for part in self._parts if part.lane in lanes]
        self._gate.enter(self._begin)

    # -- the target's name

    async def resolve(self) -> tuple[str, ...]:
        """The addresses that the name has now. DnsError if there is none."""
        return await self._dialer.resolve(self.target.host, self.target.port)

    def compare(self, addresses: Iterable[str]) -> None:
        """If the connection is to none of the target's `addresses`, let the next poll make a new one."""
        if self._link is not None and self._link.peer not in addresses:
            self._link_until = 0.0

    # -- the end

    def close(self) -> list[asyncio.Task[None]]:
        """Give up the poll under way and the connection; the watch polls no more. Gives the tasks that are cancelled by it."""
        self._closed = True
        dialling, self._dialling = self._dialling, None
        if dialling is not None:
            dialling.cancel()
        link, self._link = self._link, None
        if link is not None:
            link.close()
        if self._poll is not None:
            self._end(self._removed())
        self._wake()
        return [dialling] if dialling is not None else []

    def _removed(self) -> CancelledPollError:
        return CancelledPollError(f"{self.target.addr}: the target was removed")

    # -- the poll

    def _begin(self) -> None:
        now = self._began_at = time.monotonic()
        if self._closed:  # while it waited at the gate
            self._end(self._removed())
            return
        self._wall_at = time.time()
        self._deadline = now + self.pace.deadline_s
        self._timer = asyncio.get_running_loop().call_later(self.pace.deadline_s, self._time_out)
        self._poll = Poll(self._polling, self.memory, self._labels, self._options, self._wall_at, now)
        link = self._link
        if link is not None and (link.closed or now >= self._link_until):
            link.close()
            link = self._link = None
        self._untouched = link is not None
        if not self._advance(None):
            return
        if link is None:
            self._dial()
        else:
            self._exchange(link)

    def _time_out(self) -> None:
        """The deadline has passed. A dial sees that for itself, and knows better what it was that did not come."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._dialling is None and self._link is not None:
            self._link.abort(self._late(self._link))

    def _late(self, link: Link) -> DeadlineError:
        return DeadlineError(f"{link.where}: no complete answer within {self.pace.deadline_s:g} s")

    def _dial(self) -> None:
        self._dialling = asyncio.get_running_loop().create_task(self._connect())

    async def _connect(self) -> None:
        began_at = time.monotonic()
        try:
            named = self.memory.refusal(SET_NAME.name, began_at) is None
            link = await self._dialer.dial(self.target, self._deadline, named=named)
        except RedpollError as failure:
            self._end_dial(began_at)
            self._end(failure if isinstance(failure, TargetError) else TargetError(str(failure)))
        except Exception as failure:  # whatever it is, the watch must not hang in this poll
            log.exception("%s: a mistake in this program, while connecting", self.target.addr)
            self._end_dial(began_at)
            self._end(TargetError(f"{self.target.addr}: {type(failure).__name__} while connecting"))
        else:
            now = self._end_dial(began_at)
            self._link = link
            self.notes = link.notes
            if Note.UNNAMED in link.notes:
                self.memory.refuse(SET_NAME.name, ReplyError(Note.UNNAMED.value), now)
            # a different moment for each target, so that a fleet does not reconnect all at once
            self._link_until = now + self.pace.connection_max_age_s * (0.8 + 0.2 * (self.hash % 1000) / 1000)
            self._exchange(link)
            if self._timer is None:
                link.abort(self._late(link))

    def _end_dial(self, began_at: float) -> float:
        now = time.monotonic()
        self.vitals.connect_s = now - began_at
        self._dialling = None
        return now

    def _exchange(self, link: Link) -> None:
        link.exchange(pack(self._batch), len(self._batch), self._receive)

    def _advance(self, replies: list[Reply] | None) -> bool:
        """Let the poll take its replies and say what it asks next. False: nothing, it has ended."""
        poll = self._poll
        assert poll is not None
        try:
            self._batch = poll.begin() if replies is None else poll.receive(replies, time.monotonic() - self._began_at)
        except Exception as failure:  # as above
            log.exception("%s: a mistake in this program, while reading replies", self.target.addr)
            self._end(TargetError(f"{self.target.addr}: {type(failure).__name__} while reading replies"))
            return False
        if not self._batch:
            self._end(poll.error)
        return bool(self._batch)

    def _receive(self, outcome: list[Reply] | TargetError) -> None:
        if self._poll is None:  # it was given up
            return
        link = self._link
        if isinstance(outcome, TargetError):
            self._link = None
            if isinstance(outcome, ResetError) and self._untouched and link is not None and not link.began_reply:
                self._untouched = False  # closed while idle: once more, on a new connection, before the same deadline
                self._dial()
            else:
                self._end(outcome)
            return
        self._untouched = False
        if self._advance(outcome) and link is not None:
            self._exchange(link)

    def _end(self, error: TargetError | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        poll, self._poll = self._poll, None
        parts, self._polling = self._polling, []
        was_up = self.vitals.up
        duration_s = time.monotonic() - self._began_at
        if not isinstance(error, CancelledPollError):
            self.vitals.duration_s = duration_s
            self._last_began_at = self._began_at
            for lane in {part.lane for part in parts}:
                self.vitals.lanes[lane].polls += 1
            if error is None and poll is not None:
                self._keep(poll, parts)
            else:
                self._give_up(error or TargetError("a poll ended without a cause"))
            self._tell()
        self._gate.leave()
        self._wake()
        self._on_end(self, Ended(duration_s, error, was_up is not self.vitals.up))

    def _keep(self, poll: Poll, parts: Sequence[Part]) -> None:
        """Store what a poll brought. Each part stands for itself: a collector that failed leaves its old block in place."""
        vitals = self.vitals
        vitals.up = True
        vitals.reason = self.error_text = ""
        self._failures = 0
        self._retry_at = 0.0
        for part in parts:
            block = poll.blocks.get(part.name)
            failure = poll.failures.get(part.name)
            if block is not None or failure is not None:
                self._note_collector(part.name, failure, part.name not in poll.unsupported)
            if block is not None:
                vitals.dropped += block.bad
                self._put(part, block, self._began_at + self.pace.expiry_s(part.lane))
                lane = vitals.lanes[part.lane]
                lane.succeeded_at = self._wall_at
                lane.stale = False
        for polled in {part.lane for part in parts}:
            self._due_at[polled] = self._next_turn(polled)
        vitals.series = sum(snapshot.series for part in self._parts if (snapshot := self._store.get(self.target.addr, part.name)))
        facts = self.memory.facts
        if Note.DB_PENDING in self.notes and facts is not None and not facts.loading:
            self._drop_link()  # the next greeting selects the database

    def _note_collector(self, name: str, failure: TargetError | None, supported: bool) -> None:
        """How a collector fared. The log is told when it goes from well to ill, not of a command that the server refuses."""
        went_well, _ = self.vitals.collectors.get(name, (True, True))
        if failure is not None and went_well and supported:
            text = redact(str(failure), [self.target.password])
            log.warning("the collector %s failed: %s", name, text, extra={"addr": self.target.addr, "reason": failure.reason})
        self.vitals.collectors[name] = (failure is None, supported)

    def _next_turn(self, lane: Lane) -> int:
        """The tick at which a lane that was polled just now is due again. The first poll took all lanes along; after it
        each comes round at a turn of this target's own."""
        every = self.pace.every[lane]
        due_at = self._due_at.get(lane)
        if due_at is None:
            return self._ticks + 1 + self.hash % every
        return due_at + every * ((self._ticks - due_at) // every + 1)

    def _give_up(self, error: TargetError) -> None:
        self._failures += 1
        self.vitals.fail(error.reason)
        self.error_text = str(error)
        pause_s = self.pace.backoff_s(self._failures)
        self._retry_at = time.monotonic() + pause_s if pause_s else 0.0
        if isinstance(error, AuthError):
            self._drop_link()  # a password that was set meanwhile is sent by the next greeting

    def _drop_link(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            link.close()

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
