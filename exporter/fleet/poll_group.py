"""Targets that are polled in one go: one interval, and one group of scrapers to be in step with, or none.

A round is one job of APScheduler. It gives its targets their turns in slots: ten over the whole interval, or,
in step with a scraper (see `alignment`), one after another in a burst. A target's slot over the interval is a
hash of its address, so its phase is the same after a restart.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from apscheduler.triggers.base import BaseTrigger

from exporter.fleet.alignment import TARGET_S, Burst, Group
from exporter.polling.watched_target import WatchedTarget
from exporter.targets.spread import spread

SLOTS = 10
#: in a burst
SLOT_TARGETS = 30


class PollGroup(BaseTrigger):  # type: ignore[misc]
    """The job, and when it is to fire: each time a period after the one before, as nearly as the moment of
    the burst allows. So a burst that is moved comes half a period early or late at most, and costs nobody a
    poll.

    Whoever was polled less than half an interval ago is passed over: so a round that begins anew takes nobody
    twice.
    """

    def __init__(self, interval_s: float, group: Group = ()) -> None:
        self.interval_s = interval_s
        self.group = group
        self.burst: Burst | None = None  # None: in slots over the interval
        self.aimed_at = -math.inf  # when the burst was last looked after
        self.watched_targets: dict[str, WatchedTarget] = {}
        self._slots: list[dict[str, WatchedTarget]] = [{} for _ in range(SLOTS)]
        self._pending: list[tuple[float, asyncio.TimerHandle]] = []  # (when, slot's turn)

    def add(self, watched: WatchedTarget) -> None:
        addr = watched.target.addr
        self.watched_targets[addr] = self._slots[slot_of(addr)][addr] = watched

    def remove(self, addr: str) -> None:
        del self.watched_targets[addr]
        del self._slots[slot_of(addr)][addr]

    @property
    def name(self) -> str:
        return f"{self.interval_s:g}s {self.group}"

    @property
    def every(self) -> int:
        """How many intervals lie between two fires."""
        return self.burst.every if self.burst is not None else 1

    # -- when to fire

    def begin_anew(self) -> None:
        """For a job that is set anew. Over the interval, what is left of the slots until its next fire get
        their turns."""
        self.cancel()
        if self.burst is None:
            self._give_turns(time.time() % self.interval_s)

    def get_next_fire_time(self, previous: datetime | None, now: datetime) -> datetime:
        """As the base class has it; the scheduler lives on wall time."""
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

    # -- turns

    async def fire(self) -> None:  # a coroutine, for APScheduler calls plain functions in a thread
        self._give_turns(0.0)

    def _give_turns(self, elapsed_s: float) -> None:
        """As if that had begun `elapsed_s` ago: the slots before that are left out."""
        loop = asyncio.get_running_loop()
        now = time.monotonic()
        self._pending = [(when, timer) for when, timer in self._pending if when > now]
        slots, apart_s = self._turns()
        for number, slot in enumerate(slots):
            wait_s = number * apart_s - elapsed_s
            if wait_s == 0:
                self._poll_due(slot)
            elif wait_s > 0:
                self._pending.append((now + wait_s, loop.call_later(wait_s, self._poll_due, slot)))

    def _turns(self) -> tuple[Sequence[Mapping[str, WatchedTarget]], float]:
        """The slots, and how many seconds they are apart."""
        if self.burst is None:
            return self._slots, self.interval_s / SLOTS
        watched_targets = list(self.watched_targets.items())
        firsts = range(0, len(watched_targets), SLOT_TARGETS)
        return [
            dict(watched_targets[first : first + SLOT_TARGETS]) for first in firsts
        ], SLOT_TARGETS * TARGET_S

    def poll_due(self, addr: str) -> None:
        """Give one target its turn."""
        self._poll_due({addr: self.watched_targets[addr]})

    def _poll_due(self, slot: Mapping[str, WatchedTarget]) -> None:
        now = time.monotonic()
        for watched in list(slot.values()):
            if now - watched.ticked_at >= self.interval_s / 2:
                watched.tick(now, self.every)

    def cancel(self) -> None:
        """Give no more turns."""
        for _, timer in self._pending:
            timer.cancel()
        self._pending.clear()


def slot_of(addr: str) -> int:
    """A target's time slot in the interval."""
    return spread(addr, "time slot") % SLOTS
