"""Who is due when.

Targets of one interval share ten slots, each a job of APScheduler; a target's slot is a hash of its address, so its phase
is the same after a restart. A fire starts the polls of its slot and returns: nothing is awaited under the scheduler.
APScheduler lives on wall time; the beat compares that with the monotonic clock and sets all jobs anew after a jump.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta, timezone

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.interval import IntervalTrigger

from exporter.store import Store
from exporter.watch import Watch

SLOTS = 10
BEAT_S = 1.0
JUMP_S = 1.0
#: the first polls of a start go out in handfuls, so that the loop stays free for those that answer
FIRST_HANDFUL = 50
FIRST_PAUSE_S = 0.02

log = logging.getLogger(__name__)


class Slot:
    """Targets that are polled together: one interval, one phase."""

    def __init__(self, interval_s: float, number: int) -> None:
        self.interval_s = interval_s
        self.number = number
        self.watches: dict[str, Watch] = {}

    @property
    def name(self) -> str:
        return f"{self.interval_s:g}s/{self.number}"

    async def fire(self) -> None:
        """Give every target its turn, and come back at the deadline for those that do not answer."""
        now = time.monotonic()
        deadline_s = 0.0
        for watch in list(self.watches.values()):
            if watch.tick(now):
                deadline_s = max(deadline_s, watch.pace.deadline_s)
        if deadline_s:
            asyncio.get_running_loop().call_later(deadline_s, self.sweep)

    def sweep(self) -> None:
        # the timer's millisecond may be a little early
        now = time.monotonic() + 0.005
        for watch in self.watches.values():
            watch.check(now)


class Schedule:
    """Fires slots from `start` to `stop`. `on_lag` is told the loop's lag in seconds at every beat, `on_up_change` that
    a target went down without a poll having ended."""

    def __init__(self, store: Store, on_lag: Callable[[float], None], on_up_change: Callable[[], None]) -> None:
        self.turned_at = time.monotonic()
        self._store = store
        self._on_lag = on_lag
        self._on_up_change = on_up_change
        self._watches: dict[str, Watch] = {}
        self._slots: dict[tuple[float, int], Slot] = {}
        self._scheduler: AsyncIOScheduler | None = None
        self._beat: asyncio.Task[None] | None = None
        self._first: asyncio.Task[None] | None = None
        self._offset_s = 0.0

    def add(self, watch: Watch) -> None:
        key = (watch.pace.interval_s, watch.hash % SLOTS)
        slot = self._slots.get(key)
        if slot is None:
            slot = self._slots[key] = Slot(*key)
            if self._scheduler is not None:
                self._schedule(slot)
        slot.watches[watch.target.addr] = watch
        self._watches[watch.target.addr] = watch

    def remove(self, addr: str) -> None:
        """Stop polling a target and forget what is stored of it."""
        watch = self._watches.pop(addr)
        for key, slot in list(self._slots.items()):
            if slot.watches.pop(addr, None) is not None and not slot.watches:
                del self._slots[key]
                if self._scheduler is not None:
                    self._scheduler.remove_job(slot.name)
        watch.close()
        self._store.drop(addr)

    def start(self) -> None:
        """Poll every target at once for the first time, then each in its slot."""
        logging.getLogger("apscheduler").setLevel(logging.WARNING)
        self._scheduler = AsyncIOScheduler(
            timezone=timezone.utc, job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
        )
        self._scheduler.start()
        self._offset_s = time.time() - time.monotonic()
        for slot in self._slots.values():
            self._schedule(slot)
        loop = asyncio.get_running_loop()
        self._first = loop.create_task(self._poll_first(list(self._watches.values())))
        self._beat = loop.create_task(self._keep_beat())

    async def stop(self) -> None:
        """Fire no more, and give up what is under way."""
        for task in (self._beat, self._first):
            if task is not None:
                task.cancel()
        await asyncio.gather(*(task for task in (self._beat, self._first) if task), return_exceptions=True)
        if self._scheduler is not None:
            self._scheduler.shutdown(wait=False)
        for watch in self._watches.values():
            watch.close()
        await asyncio.sleep(0)  # cancelled dials close their sockets

    def _schedule(self, slot: Slot) -> None:
        """(Re)place the slot's job: its next fire is the next moment of its phase, at least half an interval away."""
        scheduler = self._scheduler
        assert scheduler is not None
        now = time.time()
        phase_s = slot.interval_s * slot.number / SLOTS
        wait_s = (phase_s - now) % slot.interval_s
        if wait_s < slot.interval_s / 2:
            wait_s += slot.interval_s
        start = datetime.fromtimestamp(now, timezone.utc) + timedelta(seconds=wait_s)
        trigger = IntervalTrigger(seconds=slot.interval_s, start_date=start, timezone=timezone.utc)
        scheduler.add_job(slot.fire, trigger, id=slot.name, replace_existing=True)

    async def _poll_first(self, watches: Iterable[Watch]) -> None:
        loop = asyncio.get_running_loop()
        for number, watch in enumerate(watches, 1):
            if watch.tick(time.monotonic()):
                loop.call_later(watch.pace.deadline_s + 0.01, _check, watch)
            if number % FIRST_HANDFUL == 0:
                await asyncio.sleep(FIRST_PAUSE_S)

    async def _keep_beat(self) -> None:
        while True:
            before = time.monotonic()
            await asyncio.sleep(BEAT_S)
            now = self.turned_at = time.monotonic()
            self._on_lag(max(0.0, now - before - BEAT_S))
            self._rebase(time.time() - now)
            self._expire(now)

    def _rebase(self, offset_s: float) -> None:
        """After a jump of the wall clock (not its slow drift) set every job anew."""
        jump_s = offset_s - self._offset_s
        self._offset_s = offset_s
        if abs(jump_s) > JUMP_S:
            log.warning("the wall clock jumped by %+.1f s: the polls are set anew", jump_s)
            for slot in self._slots.values():
                self._schedule(slot)

    def _expire(self, now: float) -> None:
        for snapshot in self._store.expire(now):
            watch = self._watches.get(snapshot.addr)
            if watch is not None:
                watch.note_stale(snapshot.lane)
        gone_down = [watch for watch in self._watches.values() if watch.expire(now)]
        if gone_down:
            self._on_up_change()


def _check(watch: Watch) -> None:
    watch.check(time.monotonic())
