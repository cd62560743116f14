"""Who is polled when: slots, the beat, jumps of the clock, names, and the end of it all."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, tzinfo
from itertools import islice
from typing import Any

import pytest
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from bench.ports import free_port
from exporter.connection.limiter import Admission
from exporter.fleet import poll_group as poll_group_module
from exporter.fleet import schedule as schedule_module
from exporter.fleet.poll_group import slot_of
from exporter.metrics.lane import Lane
from exporter.targets.target import NodeFacts
from tests.fleet.schedule_harness import ScheduleHarness, names_in_slot
from tests.servers import Conversation, RedisServer, ScriptedServer
from tests.store_fixture import until
from tests.watch_harness import INTERVAL_S, WatchHarness, connections, others

RedisFactory = Callable[..., RedisServer]
ScriptFactory = Callable[..., ScriptedServer]

SCANT_S = 0.3  # the deadline of polls that miss it


class TestPolling:
    async def test_begins_at_once_with_every_target_and_goes_on(
        self, harness: ScheduleHarness, watch_harness: WatchHarness, redis_server: RedisFactory
    ) -> None:
        server = redis_server()
        watched_targets = [
            watch_harness.watched(server.port, name=f"redis://h:{number}") for number in range(120)
        ]
        slow = watch_harness.watched(server.port, name="redis://slow:1", interval_s=1000.0)
        harness.add(*watched_targets, slow)
        harness.schedule.start()
        await until(lambda: len(watch_harness.ended) == 121)
        await until(lambda: all(len(watch_harness.ends(watched)) >= 3 for watched in watched_targets))
        assert all(watch_harness.went_well(watched) for watched in watched_targets)
        assert len(watch_harness.ends(slow)) == 1
        assert watch_harness.dialer.dials == 121

    async def test_takes_the_standard_lane_along_at_its_multiple(
        self, harness: ScheduleHarness, watch_harness: WatchHarness, redis_server: RedisFactory
    ) -> None:
        watched = watch_harness.watched(redis_server().port, interval_s=0.1, standard_every=3)
        harness.add(watched)
        harness.schedule.start()
        await harness.polled(watched, 13)
        lanes = watched.state.series.lanes
        polls, skipped = lanes[Lane.FAST].polls, lanes[Lane.FAST].skipped
        # of turns that are skipped, several may have one poll of the standard lane
        assert polls // 3 <= lanes[Lane.STANDARD].polls <= (polls + skipped - 1) // 3 + 2

    async def test_of_a_target_that_comes_later_begins_at_once(
        self, harness: ScheduleHarness, watch_harness: WatchHarness, redis_server: RedisFactory
    ) -> None:
        server = redis_server()
        harness.schedule.start()
        late = watch_harness.watched(server.port, interval_s=1000.0)
        harness.add(late)
        await harness.polled(late, 1)
        soon = watch_harness.watched(server.port, name="redis://h:2")
        harness.add(soon)
        await harness.polled(soon, 3)
        assert watch_harness.went_well(soon)

    async def test_others_are_polled_as_ever_while_one_hangs(
        self, harness: ScheduleHarness, watch_harness: WatchHarness, redis_server: RedisFactory
    ) -> None:
        hanging, healthy = redis_server(), redis_server()
        stuck = watch_harness.watched(hanging.port, interval_s=0.5, deadline_s=SCANT_S)
        # all of them in one slot: it is there that one could hold up the others
        well = [
            watch_harness.watched(healthy.port, name=name, interval_s=0.5)
            for name in islice(names_in_slot(slot_of(stuck.target.addr)), 20)
        ]
        harness.add(stuck, *well)
        harness.schedule.start()
        await harness.polled(stuck, 2)
        hanging.pause()
        await until(lambda: stuck.up is False)
        polls = {watched.target.addr: watched.state.series.lanes[Lane.FAST].polls for watched in well}
        await harness.polled(stuck, 3)
        assert stuck.state.series.failures.keys() == {"timeout"}
        await until(
            lambda: all(
                watched.state.series.lanes[Lane.FAST].polls >= polls[watched.target.addr] + 3
                for watched in well
            )
        )
        for watched in well:
            assert watch_harness.went_well(watched)
            # nor was it down between two polls, unless the machine held the loop or the healthy server
            ends = watch_harness.ends(watched)
            held_s = max(*harness.lags, *(ended.duration_s for ended in ends))
            assert held_s > 0.4 or not any(ended.up_changed for ended in ends[1:])
        hanging.resume()
        await until(lambda: stuck.up)

    async def test_a_poll_that_outlasts_its_interval_is_not_started_twice(
        self, harness: ScheduleHarness, watch_harness: WatchHarness, redis_server: RedisFactory
    ) -> None:
        server = redis_server()
        watched = watch_harness.watched(server.port)
        harness.add(watched)
        harness.schedule.start()
        await harness.polled(watched, 1)
        server.pause()
        await until(lambda: watched.state.series.lanes[Lane.FAST].skipped >= 3)
        assert watch_harness.dialer.dials == 1
        server.resume()
        await harness.polled(watched, 2)
        assert watch_harness.went_well(watched)


class TestRemoving:
    async def test_takes_the_targets_series_away_and_leaves_the_others(
        self, harness: ScheduleHarness, watch_harness: WatchHarness, redis_server: RedisFactory
    ) -> None:
        server = redis_server()
        gone, stays = (watch_harness.watched(server.port, name=name) for name in islice(names_in_slot(0), 2))
        harness.add(gone, stays)
        harness.schedule.start()
        await harness.polled(stays, 2)
        generation = watch_harness.store.generation
        harness.schedule.remove(gone.target.addr)
        assert watch_harness.series(gone) == {}
        assert watch_harness.store.generation > generation
        await harness.polled(stays, 2)
        assert watch_harness.series(gone) == {}
        assert connections(server) == 1

    async def test_while_it_is_polled(
        self, harness: ScheduleHarness, watch_harness: WatchHarness, redis_server: RedisFactory
    ) -> None:
        server = redis_server()
        watched = watch_harness.watched(server.port)
        harness.add(watched)
        harness.schedule.start()
        await harness.polled(watched, 1)
        server.pause()
        await until(lambda: watched.busy)
        harness.schedule.remove(watched.target.addr)
        server.resume()
        assert watch_harness.was_cancelled(watched)
        assert watch_harness.series(watched) == {}
        assert watch_harness.limiter.inside == 0
        await until(lambda: connections(server) == 0)

    async def test_and_adding_it_again(
        self, harness: ScheduleHarness, watch_harness: WatchHarness, redis_server: RedisFactory
    ) -> None:
        server = redis_server()
        harness.schedule.start()
        for _ in range(2):
            watched = watch_harness.watched(server.port)
            harness.add(watched)
            await harness.polled(watched, 2)
            assert watch_harness.value(watched, "redis_up") == 1
            harness.schedule.remove(watched.target.addr)

    async def test_before_the_start_and_after_the_end(self, watch_harness: WatchHarness) -> None:
        harness = ScheduleHarness(watch_harness)
        for name in ("redis://h:1", "redis://h:2"):
            harness.add(watch_harness.watched(free_port(), name=name))
        harness.schedule.remove("redis://h:1")
        harness.schedule.start()
        await harness.schedule.stop()
        harness.schedule.remove("redis://h:2")
        assert others() == set()


class TestStale:
    @pytest.mark.parametrize(("policy", "served"), [("drop", False), ("serve", True), ("fail", False)])
    async def test_a_snapshot_that_outlives_its_time_is_marked_and_withheld(
        self,
        harness: ScheduleHarness,
        watch_harness: WatchHarness,
        redis_server: RedisFactory,
        policy: str,
        served: bool,
    ) -> None:
        watch_harness.store.stale_policy = policy
        server = redis_server()
        watched = watch_harness.watched(server.port, max_age_s=0.5)
        harness.add(watched)
        harness.schedule.start()
        await harness.polled(watched, 1)
        server.kill()
        await until(
            lambda: (
                watch_harness.store.expired(watched.target.addr, "info")
                and watch_harness.store.expired(watched.target.addr, "stats")
            )
        )
        told = watch_harness.series(watched)
        assert told["redis_exporter_snapshot_stale", ("fast",)] == 1
        assert told["redis_exporter_snapshot_stale", ("standard",)] == 1
        assert told["redis_up", ()] == 0
        assert (("redis_connected_clients", ()) in told) is served
        assert (("redis_commands_total", ("info",)) in told) is served
        server.start()
        await until(lambda: watch_harness.value(watched, "redis_exporter_snapshot_stale", "fast") == 0)
        assert watch_harness.value(watched, "redis_connected_clients") == 1

    async def test_down_when_polls_have_ceased_to_begin(
        self, harness: ScheduleHarness, redis_server: RedisFactory
    ) -> None:
        watch_harness = harness.watch_harness
        watched = watch_harness.watched(redis_server().port)
        harness.add(watched)
        harness.schedule.start()
        await harness.polled(watched, 2)
        await until(lambda: watched.up and not watched.busy)
        up_changes = harness.up_changes
        watch_harness.limiter.limit = 0
        await until(lambda: watched.up is False)
        assert watch_harness.value(watched, "redis_exporter_target_down", "timeout") == 1
        assert harness.up_changes > up_changes
        watch_harness.limiter.limit = 1
        passing = Admission(watch_harness.limiter, lambda: None)
        passing.enter()
        passing.leave()
        await until(lambda: watched.up)
        assert watch_harness.went_well(watched)

    async def test_down_after_two_short_intervals_beside_targets_with_long_ones(
        self, harness: ScheduleHarness, watch_harness: WatchHarness, redis_server: RedisFactory
    ) -> None:
        server = redis_server()
        slow = watch_harness.watched(server.port, name="redis://slow:1", interval_s=1000.0)
        harness.add(slow)
        harness.schedule.start()
        await harness.polled(slow, 1)
        beats = len(harness.lags)
        await until(lambda: len(harness.lags) > beats + 1)  # it has looked: nobody is down for long
        quick = watch_harness.watched(server.port)
        harness.add(quick)
        await harness.polled(quick, 1)
        await until(lambda: quick.up and not quick.busy)
        watch_harness.limiter.limit = 0
        await until(lambda: quick.up is False)
        assert slow.up

    async def test_a_look_for_all_that_is_down_needs_no_beat(
        self, harness: ScheduleHarness, watch_harness: WatchHarness
    ) -> None:
        watched = watch_harness.watched(free_port())
        harness.add(watched)
        now = time.monotonic()
        harness.schedule.expire(now)
        watched.health.down_at = now - 1.0
        harness.schedule.expire(now)
        assert watched.up is False
        assert harness.up_changes == 1


class ShiftedTime:
    """Stands for the module `time`, and makes the `datetime` that goes with it: their wall clock is ahead
    of the real one."""

    def __init__(self) -> None:
        self.ahead_s = 0.0
        self.monotonic = time.monotonic

    def time(self) -> float:
        return time.time() + self.ahead_s

    def datetime_class(self) -> type[datetime]:
        clock = self

        class Shifted(datetime):
            @classmethod
            def now(cls, tz: tzinfo | None = None) -> Any:
                return datetime.now(tz) + timedelta(seconds=clock.ahead_s)

        return Shifted


@pytest.fixture
def wall_clock(monkeypatch: pytest.MonkeyPatch) -> ShiftedTime:
    """The wall clock of the schedule and of APScheduler."""
    clock = ShiftedTime()
    monkeypatch.setattr(schedule_module, "time", clock)
    monkeypatch.setattr(poll_group_module, "time", clock)
    for module in ("apscheduler.schedulers.base", "apscheduler.executors.base"):
        monkeypatch.setattr(f"{module}.datetime", clock.datetime_class())
    return clock


class TestBeat:
    @pytest.mark.parametrize("ahead_s", [-3600.0, 3600.0])
    async def test_a_jump_of_the_wall_clock_stops_no_polls(
        self,
        harness: ScheduleHarness,
        watch_harness: WatchHarness,
        redis_server: RedisFactory,
        wall_clock: ShiftedTime,
        caplog: pytest.LogCaptureFixture,
        ahead_s: float,
    ) -> None:
        watched = watch_harness.watched(redis_server().port)
        harness.add(watched)
        harness.schedule.start()
        await harness.polled(watched, 3)
        wall_clock.ahead_s = ahead_s
        await harness.polled(watched, 5)
        assert watch_harness.went_well(watched)
        assert f"the wall clock jumped by {ahead_s:+.1f} s" in caplog.text
        assert caplog.text.count("jumped") == 1

    async def test_targets_that_would_wait_too_long_after_a_jump_get_their_turn_at_once(
        self,
        harness: ScheduleHarness,
        watch_harness: WatchHarness,
        redis_server: RedisFactory,
        wall_clock: ShiftedTime,
    ) -> None:
        watched = watch_harness.watched(redis_server().port, interval_s=1000.0)
        harness.add(watched)
        harness.schedule.start()
        await harness.polled(watched, 1)
        watched.ticked_at -= 1600.0
        wall_clock.ahead_s = -5000.0
        await harness.polled(watched, 1)
        assert watch_harness.went_well(watched)

    async def test_the_slow_drift_of_the_clock_changes_nothing(
        self, harness: ScheduleHarness, wall_clock: ShiftedTime, caplog: pytest.LogCaptureFixture
    ) -> None:
        harness.schedule.start()
        for _ in range(5):
            wall_clock.ahead_s += 0.5
            beats = len(harness.lags)
            await until(lambda beats=beats: len(harness.lags) > beats + 1)  # type: ignore[misc]
        assert "jumped" not in caplog.text

    @pytest.mark.parametrize(
        ("intervals_s", "beat_s"), [([], 2.5), ([0.5, 60.0], 1.0), ([3.0, 5.0], 1.5), ([60.0], 2.5)]
    )
    async def test_is_slower_with_longer_intervals(
        self, watch_harness: WatchHarness, intervals_s: list[float], beat_s: float
    ) -> None:
        schedule = ScheduleHarness(watch_harness).schedule
        watch_harness.limiter.limit = 0
        for number, interval_s in enumerate(intervals_s):
            schedule.add(watch_harness.watched(6379, name=f"redis://h:{number}", interval_s=interval_s))
        began_at = time.monotonic()
        schedule.start()
        ended_at = time.monotonic()
        assert schedule._beat is not None
        beats_at = schedule._beat.when()
        await schedule.stop()
        # timers count milliseconds
        assert began_at + beat_s - 0.002 <= beats_at <= ended_at + beat_s + 0.002

    async def test_tells_how_late_the_loop_is(self, harness: ScheduleHarness) -> None:
        harness.schedule.start()
        began_at = harness.schedule.turned_at
        await until(lambda: len(harness.lags) >= 2)
        time.sleep(0.1)  # somebody holds the loop
        await until(lambda: max(harness.lags) >= 0.05)
        assert min(harness.lags) >= 0
        assert harness.schedule.turned_at > began_at

    async def test_goes_on_after_a_mistake_of_ours_and_logs_it(
        self,
        harness: ScheduleHarness,
        watch_harness: WatchHarness,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(harness.schedule._groups, "align", lambda now: 1 / 0)
            harness.schedule.start()
            await until(lambda: len(harness.lags) >= 3)
        assert "ZeroDivisionError" in caplog.text


class TestStop:
    async def test_at_the_moment_of_a_fire_is_no_error(
        self,
        watch_harness: WatchHarness,
        redis_server: RedisFactory,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        harness = ScheduleHarness(watch_harness)
        watched = watch_harness.watched(redis_server().port)
        harness.add(watched)
        harness.schedule.start()
        await harness.polled(watched, 1)
        stopping: list[asyncio.Task[None]] = []
        wakeup = AsyncIOScheduler.wakeup

        def stop_and_wake_up(scheduler: Any) -> None:
            stopping.append(asyncio.get_running_loop().create_task(harness.schedule.stop()))
            wakeup(scheduler)

        monkeypatch.setattr(AsyncIOScheduler, "wakeup", stop_and_wake_up)
        await until(lambda: stopping)
        await stopping[0]
        await until(lambda: not others())
        assert caplog.text == ""

    async def test_leaves_nothing_of_what_was_under_way(
        self, watch_harness: WatchHarness, redis_server: RedisFactory, scripted_server: ScriptFactory
    ) -> None:
        harness = ScheduleHarness(watch_harness)
        hanging, silent = redis_server(), scripted_server(Conversation.silence)
        idle, exchanging = (
            watch_harness.watched(hanging.port),
            watch_harness.watched(hanging.port, name="redis://h:1"),
        )
        greeting = watch_harness.watched(silent.port)
        harness.add(idle, exchanging, greeting)
        harness.schedule.start()
        await until(lambda: idle.up and exchanging.up and silent.accepted == 1)
        hanging.pause()
        await until(lambda: exchanging.busy)
        asking = asyncio.get_running_loop().create_task(exchanging.fresh(0.0, time.monotonic() + 1000))
        await asyncio.sleep(0)
        await harness.schedule.stop()
        await asking
        assert others() == set()
        assert watch_harness.limiter.inside == 0
        hanging.resume()
        await until(lambda: connections(hanging) == 0)
        await until(lambda: silent.finished == 1)

    async def test_as_soon_as_it_has_started(
        self, watch_harness: WatchHarness, redis_server: RedisFactory
    ) -> None:
        harness = ScheduleHarness(watch_harness)
        server = redis_server()
        harness.add(
            *(watch_harness.watched(server.port, name=f"redis://h:{number}") for number in range(200))
        )
        harness.schedule.start()
        await harness.schedule.stop()
        assert others() == set()
        assert watch_harness.limiter.inside == 0
        assert watch_harness.dialer.under_way == 0

    async def test_while_more_wait_at_the_gate_than_the_stack_is_deep(
        self, watch_harness: WatchHarness, redis_server: RedisFactory
    ) -> None:
        watch_harness.limiter.limit = 2
        harness = ScheduleHarness(watch_harness)
        server = redis_server()
        server.pause()
        watched_targets = [
            watch_harness.watched(server.port, name=f"redis://h:{number}") for number in range(1500)
        ]
        harness.add(*watched_targets)
        harness.schedule.start()
        await until(lambda: all(watched.busy for watched in watched_targets))
        await harness.schedule.stop()
        assert others() == set()
        assert watch_harness.limiter.inside == 0
        assert all(watch_harness.was_cancelled(watched) for watched in watched_targets)

    async def test_no_polls_come_after_it(
        self, watch_harness: WatchHarness, redis_server: RedisFactory
    ) -> None:
        harness = ScheduleHarness(watch_harness)
        watched = watch_harness.watched(redis_server().port)
        harness.add(watched)
        harness.schedule.start()
        await harness.polled(watched, 1)
        await harness.schedule.stop()
        ends = len(watch_harness.ends(watched))
        [whole] = harness.schedule._groups._groups.values()
        await whole.fire()
        await asyncio.sleep(2 * INTERVAL_S)
        assert len(watch_harness.ends(watched)) == ends
        assert not watched.busy


async def test_a_stop_waits_for_the_tasks_that_a_change_has_cancelled(
    harness: ScheduleHarness, watch_harness: WatchHarness
) -> None:
    async def linger() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            for _ in range(10):
                await asyncio.sleep(0)

    watched = watch_harness.watched(free_port())
    harness.add(watched)
    harness.schedule.start()
    lingering = asyncio.create_task(linger())
    await asyncio.sleep(0)
    lingering.cancel()
    harness.schedule.change(watched, [lingering])
    await harness.schedule.stop()
    assert lingering.done()


async def test_an_address_of_changing_nodes_is_on_its_own_page_while_it_is_known_as_one(
    harness: ScheduleHarness, watch_harness: WatchHarness, redis_server: RedisFactory
) -> None:
    watched = watch_harness.watched(redis_server().port, node=NodeFacts(is_endpoint=True))
    harness.add(watched)
    await watch_harness.poll(watched)
    store = watch_harness.store
    assert list(store.addrs()) == []
    for node in (None, NodeFacts(is_endpoint=True)):
        target = replace(watched.target, node=node)
        watched.reassign(replace(watched.assignment, target=target))
        harness.schedule.change(watched, ())
        assert list(store.addrs()) == ([] if node else [target.addr])
