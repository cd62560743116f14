"""Who is due when.

Targets of one interval share ten slots, each a job of APScheduler; a target's slot is a hash of its address, so its phase
is the same after a restart. A fire starts the polls of its slot and returns: nothing is awaited under the scheduler.
APScheduler lives on wall time; the beat compares that with the monotonic clock and sets all jobs anew after a jump.
"""

from __future__ import annotations

import asyncio
import logging
import time
import zlib
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta, timezone

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.interval import IntervalTrigger

from exporter.errors import TargetError
from exporter.store import Store
from exporter.watch import Watch

SLOTS = 10
BEAT_S = 1.0
JUMP_S = 1.0
#: in beats: names are resolved again so often
RESOLVE_EVERY = 30
#: the first polls of a start go out in handfuls, so that the loop stays free for those that answer
FIRST_HANDFUL = 50
FIRST_PAUSE_S = 0.02

log = logging.getLogger(__name__)


class Slot:
    """Targets that are polled together: one interval, one phase. `fired_at` is the monotonic moment of the newest turn."""

    def __init__(self, interval_s: float, number: int) -> None:
        self.interval_s = interval_s
        self.number = number
        self.fired_at = time.monotonic()
        self.watches: dict[str, Watch] = {}

    @property
    def name(self) -> str:
        return f"{self.interval_s:g}s/{self.number}"

    async def fire(self) -> None:  # a coroutine, for APScheduler calls plain functions in a thread
        self.turn()

    def turn(self) -> None:
        """Give every target its turn."""
        self.fired_at = time.monotonic()
        for watch in list(self.watches.values()):
            watch.tick(self.fired_at)

    def wait_s(self, wall_s: float) -> float:
        """How long it is, from the wall time `wall_s` (Unix seconds), to the next moment of the slot's phase."""
        return (self.interval_s * self.number / SLOTS - wall_s) % self.interval_s


class Schedule:
    """Fires slots from `start` to `stop`. `on_lag` is told the loop's lag in seconds at every beat, `on_up_change` that
    a target went down without a poll having ended. `turned_at` is the monotonic moment of the newest beat."""

    def __init__(self, store: Store, on_lag: Callable[[float], None], on_up_change: Callable[[], None]) -> None:
        self.turned_at = time.monotonic()
        self._store = store
        self._on_lag = on_lag
        self._on_up_change = on_up_change
        self._watches: dict[str, Watch] = {}
        self._slots: dict[tuple[float, int], Slot] = {}
        self._scheduler: AsyncIOScheduler | None = None  # None: not started, or stopped
        self._tasks: list[asyncio.Task[None]] = []
        self._lookups: dict[str, asyncio.Task[None]] = {}  # host → the look-up under way
        self._offset_s = 0.0

    def add(self, watch: Watch) -> None:
        """Poll one more target; at once, if the schedule is running."""
        key = self._key(watch)
        slot = self._slots.get(key)
        if slot is None:
            slot = self._slots[key] = Slot(*key)
            if self._scheduler is not None:
                self._set_first(slot)
        slot.watches[watch.target.addr] = watch
        self._watches[watch.target.addr] = watch
        if self._scheduler is not None:
            watch.tick(time.monotonic())

    def remove(self, addr: str) -> None:
        """Stop polling a target and forget what is stored of it."""
        watch = self._watches.pop(addr)
        slot = self._slots[self._key(watch)]
        del slot.watches[addr]
        if not slot.watches:
            del self._slots[self._key(watch)]
            if self._scheduler is not None:
                self._scheduler.remove_job(slot.name)
        watch.close()
        self._store.drop(addr)

    @staticmethod
    def _key(watch: Watch) -> tuple[float, int]:
        return watch.pace.interval_s, watch.hash % SLOTS

    def start(self) -> None:
        """Poll every target at once for the first time, then each in its slot."""
        self._scheduler = AsyncIOScheduler(
            timezone=timezone.utc, job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
        )
        self._scheduler.start()
        self._offset_s = time.time() - time.monotonic()
        for slot in self._slots.values():
            self._set_first(slot)
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._poll_first(list(self._watches.values()))), loop.create_task(self._keep_beat())]

    async def stop(self) -> None:
        """Fire no more, and give up what is under way. Nothing is left of it when this returns."""
        scheduler, self._scheduler = self._scheduler, None
        if scheduler is not None:
            # It shuts down a moment later; a fire that it calls for until then would be cancelled, and logged as an error.
            scheduler.pause()
            scheduler.shutdown(wait=False)
        cancelled = [*self._tasks, *self._lookups.values()]
        for task in cancelled:
            task.cancel()
        for watch in self._watches.values():
            cancelled += watch.close()
        await asyncio.gather(*cancelled, return_exceptions=True)

    def _set_first(self, slot: Slot) -> None:
        """Let a slot begin whose targets are polled just now: half an interval later at the soonest."""
        wait_s = slot.wait_s(time.time())
        slot.fired_at = time.monotonic()
        self._set(slot, wait_s if wait_s >= slot.interval_s / 2 else wait_s + slot.interval_s)

    def _set(self, slot: Slot, wait_s: float) -> None:
        """(Re)place the slot's job: it fires after `wait_s`, then at every interval."""
        assert self._scheduler is not None
        start = datetime.now(timezone.utc) + timedelta(seconds=wait_s)
        trigger = IntervalTrigger(seconds=slot.interval_s, start_date=start, timezone=timezone.utc)
        self._scheduler.add_job(slot.fire, trigger, id=slot.name, replace_existing=True)

    async def _poll_first(self, watches: Iterable[Watch]) -> None:
        for number, watch in enumerate(watches, 1):
            watch.tick(time.monotonic())
            if number % FIRST_HANDFUL == 0:
                await asyncio.sleep(FIRST_PAUSE_S)

    async def _keep_beat(self) -> None:
        beat = 0
        while True:
            before = time.monotonic()
            await asyncio.sleep(BEAT_S)
            now = self.turned_at = time.monotonic()
            beat += 1
            try:
                self._on_lag(max(0.0, now - before - BEAT_S))
                self._rebase(time.time() - now)
                self._expire(now)
                self._resolve(beat)
            except Exception:  # without the beat nothing would become stale
                log.exception("a mistake in this program, in the schedule's beat")

    def _rebase(self, offset_s: float) -> None:
        """After a jump of the wall clock (not its slow drift) set every job anew. Targets that would have to wait for
        much more than an interval by that get their turn now, or they would count as down."""
        jump_s = offset_s - self._offset_s
        self._offset_s = offset_s
        if abs(jump_s) > JUMP_S:
            log.warning("the wall clock jumped by %+.1f s: the polls are set anew", jump_s)
            now = time.monotonic()
            for slot in self._slots.values():
                wait_s = slot.wait_s(time.time())
                self._set(slot, wait_s)
                if now + wait_s - slot.fired_at > 1.5 * slot.interval_s:
                    slot.turn()

    def _expire(self, now: float) -> None:
        for snapshot in self._store.expire(now):
            watch = self._watches.get(snapshot.addr)
            if watch is not None:
                watch.note_stale(snapshot.lane)
        gone_down = [watch for watch in self._watches.values() if watch.expire(now)]
        if gone_down:
            self._on_up_change()

    def _resolve(self, beat: int) -> None:
        """Look up the names whose turn it is in this beat, each once for all targets that share it."""
        for watch in self._watches.values():
            host = watch.target.host
            if watch.named and host not in self._lookups and zlib.crc32(host.encode()) % RESOLVE_EVERY == beat % RESOLVE_EVERY:
                self._lookups[host] = asyncio.get_running_loop().create_task(self._look_up(watch))

    async def _look_up(self, asking: Watch) -> None:
        host = asking.target.host
        try:
            addresses = await asking.resolve()
            for watch in self._watches.values():
                if watch.target.host == host:
                    watch.compare(addresses)
        except TargetError:
            pass  # a name that does not resolve just now is no reason to leave a connection that works
        finally:
            del self._lookups[host]
