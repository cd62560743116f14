"""Poll groups and their moments: over the interval, in step with scrapers, and when targets move between
them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Hashable
from itertools import cycle

import pytest

from bench.ports import free_port
from exporter.fleet import schedule as schedule_module
from exporter.fleet.alignment import LAST_POLLS_S, TARGET_S, Alignment
from exporter.fleet.poll_group import SLOT_TARGETS, SLOTS, slot_of
from exporter.fleet.schedule import Schedule
from exporter.pages.rhythm import Rhythm
from exporter.pages.selection import Selection
from exporter.polling.watched_target import WatchedTarget
from tests.fleet.schedule_harness import PollTimes, ScheduleHarness, move_time_by_timers
from tests.store_fixture import until
from tests.watch_harness import WatchHarness

pytestmark = pytest.mark.asyncio(loop_factories=["asyncio"])


@pytest.fixture(autouse=True)
async def virtual_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """How busy the machine is makes no difference: nothing is polled here, and no time passes by itself."""
    move_time_by_timers(asyncio.get_running_loop(), monkeypatch)


#: for what is rounded, and for timers that the loop finds due together
NEARLY = 0.001


class TestSlots:
    INTERVAL_S = 1.0

    async def test_are_evenly_apart_and_at_the_same_moments_after_a_restart(
        self, watch_harness: WatchHarness, poll_times: PollTimes
    ) -> None:
        lateness: list[dict[int, list[float]]] = []
        for _ in range(2):
            harness = ScheduleHarness(watch_harness)
            watched_targets = [
                watch_harness.watched(free_port(), name=f"redis://h:{number}", interval_s=self.INTERVAL_S)
                for number in range(40)
            ]
            harness.add(*watched_targets)
            harness.schedule.start()
            await poll_times.taken(watched_targets, 3)
            await harness.schedule.stop()
            wall_ahead_s = time.time() - time.monotonic()
            late_s: dict[int, list[float]] = {}  # by slot; the first polls are at the start, in no slot
            for watched in watched_targets:
                slot = slot_of(watched.target.addr)
                for at in poll_times.at[watched.target.addr][1:]:
                    off_s = at + wall_ahead_s - slot * self.INTERVAL_S / SLOTS
                    late_s.setdefault(slot, []).append((off_s + 0.01) % self.INTERVAL_S - 0.01)
            lateness.append(late_s)
            poll_times.at.clear()
        for late_s in lateness:
            assert len(late_s) > 5
            assert max(map(max, late_s.values())) < NEARLY

    async def test_nobody_waits_for_more_than_one_and_a_half_intervals_or_less_than_a_half(
        self, harness: ScheduleHarness, watch_harness: WatchHarness, poll_times: PollTimes
    ) -> None:
        watched_targets = [
            watch_harness.watched(free_port(), name=f"redis://h:{number}", interval_s=self.INTERVAL_S)
            for number in range(40)
        ]
        harness.add(*watched_targets)
        harness.schedule.start()
        await poll_times.taken(watched_targets, 3)
        assert all(0.45 < gap < 1.6 for gap in poll_times.gaps())


class TestScrapedByThemselves:
    INTERVAL_S, SCRAPES = 1.0, 9

    async def test_each_target_is_polled_in_the_slot_before_its_scrape(
        self, harness: ScheduleHarness, watch_harness: WatchHarness, poll_times: PollTimes
    ) -> None:
        watched_targets = [
            watch_harness.watched(free_port(), name=f"redis://h:{number}", interval_s=self.INTERVAL_S)
            for number in range(10)
        ]
        harness.add(*watched_targets)
        harness.schedule.start()
        await poll_times.taken(watched_targets, 1)
        begin_s = time.monotonic() + 0.1
        for number in range(self.SCRAPES * len(watched_targets)):
            await until(lambda number=number: time.monotonic() >= begin_s + number / len(watched_targets))  # type: ignore[misc]
            harness.schedule.note_scrape(watched_targets[number % len(watched_targets)].target.addr)
        ages_s = []
        for number, watched in enumerate(watched_targets):
            scraped_at = begin_s + self.SCRAPES - 1 + number / len(watched_targets)
            polled_at = max(at for at in poll_times.at[watched.target.addr] if at <= scraped_at)
            ages_s.append(scraped_at - polled_at)
        assert max(ages_s) < 2.5 * self.INTERVAL_S / SLOTS
        assert all(0.45 < gap < 1.6 for gap in poll_times.gaps())

    async def test_unless_polls_follow_no_scraper(
        self, watch_harness: WatchHarness, poll_times: PollTimes
    ) -> None:
        schedule = Schedule(watch_harness.store, lambda lag_s: None, lambda: None, None)
        watched = watch_harness.watched(free_port(), interval_s=self.INTERVAL_S)
        schedule.add(watched)
        for _ in range(3):
            schedule.note_scrape(watched.target.addr)
        schedule.note_scrape("redis://gone:1")
        assert not poll_times.at


class TestBursts:
    INTERVAL_S = 1.0
    PHASE_S = 0.2

    def fleet(self, harness: ScheduleHarness, size: int = 70) -> list[WatchedTarget]:
        watched_targets = [
            harness.watch_harness.watched(free_port(), name=f"redis://h:{number}", interval_s=self.INTERVAL_S)
            for number in range(size)
        ]
        harness.add(*watched_targets)
        return watched_targets

    def scraper(self) -> Rhythm:
        now = time.monotonic()
        return Rhythm(now - now % self.INTERVAL_S + self.PHASE_S, self.INTERVAL_S)

    async def test_all_targets_get_their_turn_just_before_the_scrape(
        self, harness: ScheduleHarness, poll_times: PollTimes
    ) -> None:
        watched_targets = self.fleet(harness)
        harness.schedule.start()
        await until(lambda: len(poll_times.at) == len(watched_targets))
        harness.rhythms = [self.scraper()]
        await until(lambda: harness.schedule.in_step == len(watched_targets))
        window_s = TARGET_S * len(watched_targets) + LAST_POLLS_S
        assert len(watched_targets) > 2 * SLOT_TARGETS

        def are_in_time() -> bool:
            early_s = [
                (self.PHASE_S - moment + 0.4) % self.INTERVAL_S - 0.4 for moment in poll_times.newest()
            ]
            return all(0.0 < each < window_s + NEARLY for each in early_s)

        await until(are_in_time)
        poll_times.at.clear()
        await poll_times.taken(watched_targets, 3)
        assert are_in_time()

    async def test_coming_and_going_of_scrapers_costs_no_poll(
        self, harness: ScheduleHarness, poll_times: PollTimes
    ) -> None:
        watched_targets = self.fleet(harness)
        harness.schedule.start()
        for scrapers in ([self.scraper()], [], [Rhythm(time.monotonic(), self.INTERVAL_S)], []):
            harness.rhythms = scrapers
            await poll_times.taken(
                watched_targets, max((len(times) for times in poll_times.at.values()), default=0) + 2
            )
            assert (harness.schedule.in_step == len(watched_targets)) == bool(scrapers)
        assert [gap for gap in poll_times.gaps() if not 0.4 < gap / self.INTERVAL_S < 1.7] == []

    async def test_a_scraper_that_drifts_is_followed(
        self, harness: ScheduleHarness, poll_times: PollTimes
    ) -> None:
        watched_targets = self.fleet(harness, 5)
        harness.rhythms = [self.scraper()]
        harness.schedule.start()
        await until(lambda: len(poll_times.at) == 5 and harness.schedule.in_step == 5)
        harness.rhythms = [Rhythm(harness.rhythms[0].at + 0.15, self.INTERVAL_S)]
        await until(
            lambda: all(
                0 < (self.PHASE_S + 0.15 - moment) % self.INTERVAL_S < 0.2 for moment in poll_times.newest()
            )
        )
        assert len(poll_times.at) == len(watched_targets)

    async def test_scrapers_of_family_sets_and_pages_that_take_now_longer_and_now_shorter_cost_no_poll(
        self, watch_harness: WatchHarness, poll_times: PollTimes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(schedule_module, "BEAT_S", 0.02)
        family_sets, leads_s = 8, cycle((0.05, 0.1, 0.02))
        known: dict[Selection, dict[Hashable, list[Rhythm]]] = {}
        alignment = Alignment(
            lambda now: known.copy(),
            lambda page, addr: page.takes(addr, lambda addr: ""),
            lambda: next(leads_s),
        )
        harness = ScheduleHarness(watch_harness, alignment)
        watched_targets = self.fleet(harness, 80)
        harness.schedule.start()
        began = time.monotonic()
        for family_set in range(family_sets):  # each is learnt at a moment of its own
            await poll_times.taken(watched_targets, family_set // 2 + 1)
            known[Selection(slice=(family_set, family_sets))] = {
                "p": [Rhythm(began + family_set / family_sets, self.INTERVAL_S)]
            }
        await until(lambda: harness.schedule.in_step == len(watched_targets))
        await poll_times.taken(watched_targets, family_sets // 2 + 5)
        await harness.schedule.stop()
        assert [gap for gap in poll_times.gaps() if not 0.4 < gap / self.INTERVAL_S < 1.7] == []

    async def test_targets_that_are_removed_get_no_more_turns(
        self, harness: ScheduleHarness, poll_times: PollTimes
    ) -> None:
        watched_targets = self.fleet(harness, 40)
        harness.rhythms = [self.scraper()]
        harness.schedule.start()
        await until(lambda: harness.schedule.in_step == 40)
        for watched in watched_targets[:39]:
            harness.schedule.remove(watched.target.addr)
        poll_times.at.clear()
        await until(lambda: len(poll_times.at.get(watched_targets[39].target.addr, ())) >= 2)
        assert list(poll_times.at) == [watched_targets[39].target.addr]
