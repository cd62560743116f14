"""Which poll group each target is in, and how targets move between them.

Targets with one interval and one group of scrapers share a poll group. A target that moves to another group
gets one catch-up poll, an interval after its last one: so it never waits for more than one and a half
intervals.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Mapping
from datetime import timezone

from apscheduler.schedulers.asyncio import AsyncIOScheduler

from exporter.fleet.alignment import TARGET_S, Alignment, ScraperGroup
from exporter.fleet.poll_group import SLOTS, PollGroup
from exporter.fleet.scrape_slots import ScrapeSlots
from exporter.pages.selection import Selection
from exporter.polling.watched_target import WatchedTarget

#: targets that move to other groups before the event loop goes on
REGROUP_BATCH = 200


class PollGroups:
    """The groups of the `watched` targets, by interval and by the scrapers that they follow. Without an
    `alignment` no target follows a scraper."""

    def __init__(self, watched: Mapping[str, WatchedTarget], alignment: Alignment | None) -> None:
        self._watched = watched
        self._alignment = alignment
        self._groups: dict[tuple[float, ScraperGroup], PollGroup] = {}
        self._group_of: dict[str, PollGroup] = {}
        self._slots = ScrapeSlots()
        self._catch_ups: dict[str, asyncio.TimerHandle] = {}  # of targets that moved to another group
        self._scheduler: AsyncIOScheduler | None = None  # None: not started, or stopped
        self._regrouping: asyncio.Task[None] | None = None
        self._pages: tuple[Selection, ...] = ()  # those with steady scrapers, as the groups know them

    @property
    def in_step(self) -> int:
        """How many targets are polled in step with a scraper."""
        return sum(len(group.watched_targets) for group in self._groups.values() if group.burst is not None)

    @property
    def shortest_s(self) -> float:
        """The shortest interval; infinity without targets."""
        return min([interval_s for interval_s, _ in self._groups], default=math.inf)

    def expected_ages_s(self) -> Mapping[str, float]:
        """By scraper: the age of the oldest values that it will find, of targets polled in step."""
        if self._alignment is None:
            return {}
        return self._alignment.ages_s(
            (group.scrapers, group.interval_s, group.burst)
            for group in self._groups.values()
            if group.burst is not None
        )

    # -- members

    def join(self, watched: WatchedTarget) -> None:
        """Move a target to the group where it belongs now."""
        addr = watched.target.key
        scrapers = self._alignment.group_of(addr) if self._alignment is not None else ()
        key = (watched.timing.interval_s, scrapers)
        group = self._groups.get(key)
        if group is not None and addr in group.watched_targets:
            return
        self._leave_group(addr)
        is_new = group is None
        if group is None:
            group = self._groups[key] = PollGroup(*key)
        group.add(watched, self._slots.slot(addr))
        if is_new and self._scheduler is not None:
            self._aim(group)
            self._begin(group)
        self._group_of[addr] = group
        self._catch_up(watched)

    def leave(self, addr: str) -> None:
        """Forget a target."""
        self._leave_group(addr)
        self._cancel_catch_up(addr)
        self._slots.forget(addr)

    def note_scrape(self, addr: str, now: float) -> None:
        """Note that a target is scraped by itself: if that has a rhythm, it is polled just before."""
        group = self._group_of.get(addr)
        if self._alignment is None or group is None:
            return
        watched = group.watched_targets[addr]
        others_s = TARGET_S * len(group.watched_targets) / SLOTS  # those of its slot may come first
        poll_s = watched.state.series.duration_s + others_s
        if self._slots.note(addr, now, group.interval_s, poll_s):
            group.move(addr, self._slots.slot(addr))
            self._catch_up(watched)

    def _leave_group(self, addr: str) -> None:
        group = self._group_of.pop(addr, None)
        if group is None:
            return
        group.remove(addr)
        if not group.watched_targets:
            group.cancel()
            del self._groups[group.interval_s, group.scrapers]
            if self._scheduler is not None:
                self._scheduler.remove_job(group.name)

    def _catch_up(self, watched: WatchedTarget) -> None:
        """Poll a target when its old group would have: the first poll in its new one may come nearly two
        intervals after the last."""
        if self._scheduler is None or watched.ticked_at == -math.inf:
            return
        addr = watched.target.key
        self._cancel_catch_up(addr)
        wait_s = max(0.0, watched.ticked_at + watched.timing.interval_s - time.monotonic())
        self._catch_ups[addr] = asyncio.get_running_loop().call_later(wait_s, self._poll_catch_up, addr)

    def _poll_catch_up(self, addr: str) -> None:
        del self._catch_ups[addr]
        self._group_of[addr].poll_due([addr])

    def _cancel_catch_up(self, addr: str) -> None:
        catch_up = self._catch_ups.pop(addr, None)
        if catch_up is not None:
            catch_up.cancel()

    # -- moments

    def start(self) -> None:
        """Poll each target in its time slot."""
        self._scheduler = AsyncIOScheduler(
            timezone=timezone.utc,
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )
        self._scheduler.start()
        for group in self._groups.values():
            self._begin(group)

    def stop(self) -> list[asyncio.Task[None]]:
        """Start no more polls. Returns the tasks that this cancels."""
        scheduler, self._scheduler = self._scheduler, None
        if scheduler is not None:
            # It shuts down a moment later. Until then it would cancel a job that it starts, and log an error.
            scheduler.pause()
            scheduler.shutdown(wait=False)
        for group in self._groups.values():
            group.cancel()
        for catch_up in self._catch_ups.values():
            catch_up.cancel()
        if self._regrouping is None:
            return []
        self._regrouping.cancel()
        return [self._regrouping]

    def restart(self) -> None:
        """Set all jobs again, after a jump of the wall clock. No target waits until it counts as down."""
        for group in self._groups.values():
            self._restart(group)

    def align(self, now: float) -> None:
        """Follow the scrapers: groups change with them, or the moments of the bursts."""
        if self._alignment is None:
            return
        pages = self._alignment.update(now)
        if pages != self._pages and self._regrouping is None:
            self._pages = pages
            self._regrouping = asyncio.get_running_loop().create_task(self._regroup())
        for group in self._groups.values():
            # only every now and then: scrapers seldom move, and a job that has an aim keeps to it
            if group.scrapers and now >= group.aimed_at + group.interval_s / 2 and self._aim(group):
                self._restart(group)

    def _begin(self, group: PollGroup) -> None:
        """Set the group's job, in place of the one before."""
        assert self._scheduler is not None
        self._scheduler.add_job(group.fire, group, id=group.name, replace_existing=True)
        group.begin()

    def _restart(self, group: PollGroup) -> None:
        self._begin(group)
        for watched in group.watched_targets.values():
            self._catch_up(watched)

    def _aim(self, group: PollGroup) -> bool:
        """Find out when the group's bursts begin. Returns whether its job has to be set again for that; to
        small moves it adapts by itself."""
        before = group.burst
        group.aimed_at = time.monotonic()
        group.burst = None
        if self._alignment is not None and group.scrapers:
            group.burst = self._alignment.burst(
                group.scrapers, group.interval_s, len(group.watched_targets), before
            )
        return (before and before.every) != (group.burst and group.burst.every)

    async def _regroup(self) -> None:
        before = set(self._groups)
        try:
            for number, addr in enumerate(list(self._watched), 1):
                watched = self._watched.get(addr)
                if watched is not None:
                    self.join(watched)
                if number % REGROUP_BATCH == 0:
                    await asyncio.sleep(0)
            # how long a burst takes depends on all its targets; they have catch-up polls until then
            for key in self._groups.keys() - before:
                self._aim(self._groups[key])
                self._begin(self._groups[key])
        finally:
            self._regrouping = None
