"""When each target is polled.

Targets are polled in poll groups (see `poll_groups`), each of which is a job of APScheduler. A job starts
polls and returns: nothing is awaited in it. APScheduler uses the wall clock; the beat compares that with the
monotonic clock, and sets all jobs again after a jump.

An idle exporter costs little more than its wakeups, so the beat is slow, and looks only at what may be due.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Iterable, Mapping

from exporter.fleet.alignment import Alignment
from exporter.fleet.name_checks import NameChecks
from exporter.fleet.page_labels import PageLabels
from exporter.fleet.poll_groups import PollGroups
from exporter.metrics.store import Store
from exporter.polling.watched_target import WatchedTarget

#: The beat comes each half of the shortest interval, within these limits: so a jump of the clock is noticed
#: before a target counts as down.
BEAT_S, SLOW_BEAT_S = 1.0, 2.5
JUMP_S = 1.0
#: the first polls after a start begin in batches, so that the event loop stays free for the replies
FIRST_BATCH = 50
FIRST_PAUSE_S = 0.02

log = logging.getLogger(__name__)


class Schedule:
    """Polls from `start` to `stop`. `on_lag` gets the lag of the event loop in seconds at each beat;
    `on_up_change` is called when a target goes down without the end of a poll. `turned_at` is the monotonic
    moment of the newest beat. Without an `alignment` no target is polled in step with scrapers."""

    def __init__(
        self,
        store: Store,
        on_lag: Callable[[float], None],
        on_up_change: Callable[[], None],
        alignment: Alignment | None = None,
    ) -> None:
        self.turned_at = time.monotonic()
        self._store = store
        self._on_lag = on_lag
        self._on_up_change = on_up_change
        self._watched: dict[str, WatchedTarget] = {}
        self._groups = PollGroups(self._watched, alignment)
        self._name_checks = NameChecks(self._watched)
        self._page_labels = PageLabels(store.set_apart)
        self._running = False
        self._tasks: list[asyncio.Task[None]] = []
        self._beat: asyncio.TimerHandle | None = None
        #: no target is down for want of polls before this (monotonic) moment
        self._down_after = -math.inf
        self._ending: set[asyncio.Task[None]] = set()  # of targets that were removed or changed
        self._offset_s = 0.0

    @property
    def in_step(self) -> int:
        """How many targets are polled in step with a scraper."""
        return self._groups.in_step

    def expected_ages_s(self) -> Mapping[str, float]:
        """By scraper: the age of the oldest values that it will find, of targets polled in step."""
        return self._groups.expected_ages_s()

    # -- targets

    def add(self, watched: WatchedTarget, *, apart: bool = False) -> None:
        """Poll one more target; at once, if the schedule is running."""
        self.place(watched, apart=apart)
        self._watched[watched.target.key] = watched
        if self._running:
            watched.tick(time.monotonic())
        self._groups.join(watched)
        self._name_checks.follow(watched)
        self._down_after = -math.inf

    def place(self, watched: WatchedTarget, *, apart: bool = False) -> None:
        """A target that is `apart`, by this or by itself, is on its own page only, until it is removed. So is
        an adopted one that has the labels of another one."""
        if apart or watched.target.is_apart or not self._page_labels.take(watched):
            self._store.set_apart(watched.target.key)

    def change(self, watched: WatchedTarget, cancelled: Iterable[asyncio.Task[None]]) -> None:
        """Follow a target's new interval. Its change has `cancelled` tasks."""
        target = watched.target
        if target.key in self._watched:
            self._groups.join(watched)
            self._name_checks.follow(watched)
            self._down_after = -math.inf
        if target.source != "adopted" and not target.variant:
            self._place_again(watched)
        self._keep_ending(cancelled)

    def _place_again(self, watched: WatchedTarget) -> None:
        """The same for a configured target that has changed: adopted ones make room for its labels."""
        target = watched.target
        if target.is_apart:
            self._page_labels.leave(target.key)
        else:
            self._page_labels.take(watched)
        self._store.set_apart(target.key, apart=target.is_apart)

    def remove(self, addr: str) -> None:
        """Stop polling a target, if it is polled, and drop its snapshots."""
        watched = self._watched.pop(addr, None)
        if watched is not None:
            self._groups.leave(addr)
            self._keep_ending((*self._name_checks.forget(addr), *watched.close()))
        self._page_labels.leave(addr)
        self._store.drop(addr)

    def note_scrape(self, addr: str) -> None:
        """Note that a target is scraped by itself now."""
        self._groups.note_scrape(addr, time.monotonic())

    def _keep_ending(self, tasks: Iterable[asyncio.Task[None]]) -> None:
        for task in tasks:
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)

    # -- from start to stop

    def start(self) -> None:
        """Poll every target for the first time now, then each in its time slot."""
        self._running = True
        self._offset_s = time.time() - time.monotonic()
        self._groups.start()
        self._tasks = [asyncio.get_running_loop().create_task(self._poll_first(list(self._watched)))]
        self._wait_for_beat(time.monotonic())

    async def stop(self) -> None:
        """Start no more polls, and cancel those that run. When this returns, no task is left."""
        self._running = False
        if self._beat is not None:
            self._beat.cancel()
        for task in self._tasks:
            task.cancel()
        cancelled = [*self._tasks, *self._ending, *self._groups.stop(), *self._name_checks.stop()]
        for watched in self._watched.values():
            cancelled += watched.close()
        await asyncio.gather(*cancelled, return_exceptions=True)

    async def _poll_first(self, addrs: Iterable[str]) -> None:
        for number, addr in enumerate(addrs, 1):
            watched = self._watched.get(addr)
            if watched is not None and watched.ticked_at == -math.inf:
                watched.tick(time.monotonic())
            if number % FIRST_BATCH == 0:
                await asyncio.sleep(FIRST_PAUSE_S)

    def _wait_for_beat(self, now: float) -> None:
        wait_s = min(max(BEAT_S, self._groups.shortest_s / 2), SLOW_BEAT_S)
        self._beat = asyncio.get_running_loop().call_later(wait_s, self._keep_beat, now + wait_s)

    def _keep_beat(self, due_at: float) -> None:
        now = self.turned_at = time.monotonic()
        self._wait_for_beat(now)
        try:
            self._on_lag(max(0.0, now - due_at))
            self._compare_clocks(time.time() - now)
            self._groups.align(now)
            self._expire_due(now)
            self._name_checks.check(now)
        except Exception:  # without the beat no value would expire
            log.exception("internal error in the beat of the schedule (please report)")

    def _compare_clocks(self, offset_s: float) -> None:
        """Restart the poll groups after a jump of the wall clock; slow drift needs nothing."""
        jump_s = offset_s - self._offset_s
        self._offset_s = offset_s
        if abs(jump_s) > JUMP_S:
            log.warning("the wall clock jumped by %+.1f s: all polls are scheduled again", jump_s)
            self._groups.restart()

    def expire(self, now: float) -> None:
        """Mark what is stale by now (monotonic)."""
        self._down_after = -math.inf
        self._expire_due(now)

    def _expire_due(self, now: float) -> None:
        for snapshot in self._store.expire(now):
            watched = self._watched.get(snapshot.addr)
            if watched is not None:
                watched.note_stale(snapshot.lane)
        if now > self._down_after:
            self._find_down(now)

    def _find_down(self, now: float) -> None:
        down_at = {watched: watched.health.down_at for watched in self._watched.values()}
        gone_down = [watched for watched, moment in down_at.items() if moment < now]
        for watched in gone_down:
            watched.expire()
        # what a poll sets that runs now is later: it began less than an interval ago, and lasts for two
        self._down_after = min(
            min((moment for moment in down_at.values() if moment >= now), default=math.inf),
            now + self._groups.shortest_s,
        )
        if gone_down:
            self._on_up_change()
