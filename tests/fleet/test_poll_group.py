"""When a poll group fires: over the interval by the clock, in a burst by its moment, and what becomes of one
that moves."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone
from itertools import pairwise

import pytest

from exporter.fleet.alignment import Burst
from exporter.fleet.poll_group import SLOTS, PollGroup
from tests.watch_harness import WatchHarness

INTERVAL_S = 10.0
#: for what is rounded to microseconds
NEARLY = 0.001


@pytest.fixture(autouse=True)
def stopped_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both clocks stand still: whatever the machine does between two looks, they show the same."""
    monotonic, wall = time.monotonic(), time.time()
    monkeypatch.setattr(time, "monotonic", lambda: monotonic)
    monkeypatch.setattr(time, "time", lambda: wall)


def utc_now() -> datetime:
    return datetime.fromtimestamp(time.time(), timezone.utc)


def fires(of: PollGroup, times: int, moves: list[float] | None = None) -> list[float]:
    """The monotonic moments of so many fires, the scheduler's clock standing still; after each the burst
    moves by the next of `moves`."""
    ahead_s = time.time() - time.monotonic()
    found: list[float] = []
    previous = None
    for number in range(times):
        now = utc_now()
        previous = of.get_next_fire_time(previous, now)
        found.append(previous.timestamp() - ahead_s)
        if moves and of.burst is not None:
            of.burst = Burst(of.burst.begins_at + moves[number % len(moves)], of.burst.every, of.burst.met_at)
    return found


def in_step(begins_in_s: float, every: int = 1) -> PollGroup:
    made = PollGroup(INTERVAL_S, ())
    moment = time.monotonic() + begins_in_s
    made.burst = Burst(moment, every, moment)
    return made


class TestOverTheInterval:
    def test_fires_at_whole_intervals_of_the_clock(self) -> None:
        ahead_s = time.time() - time.monotonic()
        for moment in fires(PollGroup(INTERVAL_S), 3):
            assert (moment + ahead_s + 1) % INTERVAL_S == pytest.approx(1, abs=NEARLY)

    def test_a_wall_clock_that_was_set_back_or_ahead_is_no_reason_to_fire_in_the_past(self) -> None:
        now = utc_now()
        for away in (-3600, 3600):
            assert PollGroup(INTERVAL_S).get_next_fire_time(now + timedelta(seconds=away), now) > now


class TestInABurst:
    @pytest.mark.parametrize("begins_in_s", [-123.0, -3.0, 4.0, 1234.0])
    def test_fires_at_its_moment_and_whole_periods_later(self, begins_in_s: float) -> None:
        now = time.monotonic()
        moments = fires(in_step(begins_in_s), 3)
        assert [moment - now for moment in moments] == pytest.approx(
            [begins_in_s % INTERVAL_S + number * INTERVAL_S for number in range(3)], abs=NEARLY
        )

    def test_at_every_so_many_intervals_when_it_follows_a_slow_scraper(self) -> None:
        one, other = fires(in_step(1.0, every=3), 2)
        assert other - one == pytest.approx(3 * INTERVAL_S, abs=NEARLY)

    @pytest.mark.parametrize("moves", [[0.3, -0.3], [-0.02], [4.9], [-4.9], [3.0, 3.0, -6.0], [5.1]])
    def test_one_that_moves_costs_no_fire(self, moves: list[float]) -> None:
        moments = fires(in_step(1.0), 30, moves)
        assert all(
            INTERVAL_S / 2 - NEARLY <= later - earlier <= INTERVAL_S * 1.5 + NEARLY
            for earlier, later in pairwise(moments)
        )
        assert moments[-1] - moments[0] == pytest.approx(29 * INTERVAL_S, abs=29 * INTERVAL_S / 2)

    def test_after_a_hang_it_fires_at_its_next_moment(self) -> None:
        late = in_step(2.0)
        now = utc_now()
        following = late.get_next_fire_time(now - timedelta(seconds=5 * INTERVAL_S), now)
        assert (following - now).total_seconds() == pytest.approx(2.0, abs=NEARLY)


class TestTimers:
    """An idle exporter with few targets has few wakeups."""

    @pytest.mark.parametrize(("targets", "timers"), [(1, 1), (3, 3), (2 * SLOTS, SLOTS)])
    async def test_a_small_group_has_one_for_each_slot_that_it_uses(
        self, watch_harness: WatchHarness, targets: int, timers: int
    ) -> None:
        group = PollGroup(1000.0)
        for number in range(targets):
            # the slot after the first one: it is not polled at once
            group.add(watch_harness.watched(6379, name=f"redis://h:{number}"), 1 + number % (SLOTS - 1))
        group._start_slots(0.0)
        assert len(group._pending) == min(timers, SLOTS - 1)
        group.cancel()
