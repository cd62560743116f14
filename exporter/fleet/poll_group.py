"""Targets that are polled together: they have one interval, and follow one group of scrapers or none.

A poll group is one job of APScheduler. It polls its targets in time slots: ten over the whole interval, or,
in step with a scraper (see `alignment`), one directly after another in a burst. A target's slot in the
interval is a hash of its address, so its phase is the same after a restart.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from apscheduler.triggers.base import BaseTrigger

from exporter.fleet.alignment import TARGET_S, Burst, ScraperGroup
from exporter.polling.watched_target import WatchedTarget
from exporter.targets.spread import spread

SLOTS = 10
#: in a burst
SLOT_TARGETS = 30


class PollGroup(BaseTrigger):  # type: ignore[misc]
    """The job, and when it fires: one period after the last fire, or as near to that as the moment of the
    burst allows. So a burst that moves comes half a period early or late at most, and no target misses a
    poll.

    A target that was polled less than half an interval ago is skipped, so a restart polls no target twice.
    """

    def __init__(self, interval_s: float, scrapers: ScraperGroup = ()) -> None:
        self.interval_s = interval_s
        self.scrapers = scrapers
        self.burst: Burst | None = None  # None: in slots over the interval
        self.aimed_at = -math.inf  # when the burst was last adjusted
        self.watched_targets: dict[str, WatchedTarget] = {}
        self._slots: list[dict[str, None]] = [{} for _ in range(SLOTS)]  # the addresses
        self._slot_of: dict[str, int] = {}
        self._pending: list[tuple[float, asyncio.TimerHandle]] = []  # (when, timer of a slot)

    def add(self, watched: WatchedTarget, slot: int | None = None) -> None:
        """Poll a target in this slot, or else in that of its address."""
        addr = watched.target.key
        self.watched_targets[addr] = watched
        self.move(addr, slot_of(addr) if slot is None else slot)

    def move(self, addr: str, slot: int) -> None:
        """Poll a target in another slot."""
        if addr in self._slot_of:
            del self._slots[self._slot_of[addr]][addr]
        self._slots[slot][addr] = None
        self._slot_of[addr] = slot

    def remove(self, addr: str) -> None:
        del self.watched_targets[addr]
        del self._slots[self._slot_of.pop(addr)][addr]

    @property
    def name(self) -> str:
        return f"{self.interval_s:g}s {self.scrapers}"

    @property
    def every(self) -> int:
        """How many intervals lie between two fires."""
        return self.burst.every if self.burst is not None else 1

    # -- when to fire

    def begin(self) -> None:
        """Begin with a job that was just set. Over the interval, this covers the slots that remain before the
        job first fires."""
        self.cancel()
        if self.burst is None:
            self._start_slots(time.time() % self.interval_s)

    def get_next_fire_time(self, previous: datetime | None, now: datetime) -> datetime:
        """As the base class defines it; the scheduler uses the wall clock."""
        moment = time.monotonic()
        period_s = self.interval_s * self.every
        begins_at = self.burst.begins_at if self.burst is not None else moment - now.timestamp()
        soonest = moment + (begins_at - moment) % period_s
        if previous is not None:
            due_at = moment + (previous - now).total_seconds() + period_s
            due_at += (begins_at - due_at + period_s / 2) % period_s - period_s / 2
            if due_at > moment:
                soonest = due_at
        return now + timedelta(seconds=soonest - moment)

    # -- polls

    async def fire(self) -> None:  # a coroutine, because APScheduler calls plain functions in a thread
        self._start_slots(0.0)

    def _start_slots(self, elapsed_s: float) -> None:
        """Poll slot after slot, as if that had begun `elapsed_s` ago; earlier slots are left out."""
        loop = asyncio.get_running_loop()
        now = time.monotonic()
        self._pending = [(when, timer) for when, timer in self._pending if when > now]
        slots, apart_s = self._split()
        for number, slot in enumerate(slots):
            wait_s = number * apart_s - elapsed_s
            if not slot and len(self.watched_targets) < SLOTS:
                continue  # who comes into it before has a catch-up poll, and an idle exporter fewer wakeups
            if wait_s == 0:
                self.poll_due(slot)
            elif wait_s > 0:
                self._pending.append((now + wait_s, loop.call_later(wait_s, self.poll_due, slot)))

    def _split(self) -> tuple[Sequence[Iterable[str]], float]:
        """The slots, and how many seconds they are apart."""
        if self.burst is None:
            return self._slots, self.interval_s / SLOTS
        addrs = list(self.watched_targets)
        firsts = range(0, len(addrs), SLOT_TARGETS)
        return [addrs[first : first + SLOT_TARGETS] for first in firsts], SLOT_TARGETS * TARGET_S

    def poll_due(self, addrs: Iterable[str]) -> None:
        """Poll those of these targets that are due and still in the group."""
        now = time.monotonic()
        for addr in list(addrs):
            watched = self.watched_targets.get(addr)
            if watched is not None and now - watched.ticked_at >= self.interval_s / 2:
                watched.tick(now, self.every)

    def cancel(self) -> None:
        """Start no more polls."""
        for _, timer in self._pending:
            timer.cancel()
        self._pending.clear()


def slot_of(addr: str) -> int:
    """A target's time slot in the interval."""
    return spread(addr, "time slot") % SLOTS
