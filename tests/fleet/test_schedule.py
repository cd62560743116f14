"""Who is polled when: slots, the beat, jumps of the clock, names, and the end of it all."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Hashable, Iterator, Sequence
from datetime import datetime, timedelta, tzinfo
from itertools import count, cycle, islice, pairwise
from typing import Any

import pytest
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from exporter.connection.limiter import Admission
from exporter.errors import DnsError
from exporter.fleet import poll_group as rounds_module
from exporter.fleet import schedule as schedule_module
from exporter.fleet.alignment import LAST_POLLS_S, TARGET_S, Alignment
from exporter.fleet.poll_group import SLOT_TARGETS, SLOTS, slot_of
from exporter.fleet.schedule import Schedule
from exporter.metrics.lane import Lane
from exporter.pages.rhythm import Rhythm
from exporter.pages.selection import WHOLE, Selection
from exporter.polling.watched_target import WatchedTarget
from tests.servers import Conversation, RedisServer, ScriptedServer, free_port
from tests.store_fixture import until
from tests.watch_harness import INTERVAL_S, WatchHarness, connections, others, redis_like

RedisFactory = Callable[..., RedisServer]
ScriptFactory = Callable[..., ScriptedServer]

SCANT_S = 0.3  # the deadline of polls that miss it


class Post:
    """A schedule and what it was heard to say."""

    def __init__(self, watch_harness: WatchHarness, alignment: Alignment | None = None) -> None:
        self.watch_harness = watch_harness
        self.lags: list[float] = []
        self.up_changes = 0
        #: those who come to scrape everything
        self.rhythms: list[Rhythm] = []
        whole = Alignment(
            lambda now: {WHOLE: {"p": self.rhythms}} if self.rhythms else {},
            lambda page, addr: True,
            lambda: 0.0,
        )
        self.schedule = Schedule(
            watch_harness.store, self.lags.append, self._note_up_change, alignment or whole
        )

    def _note_up_change(self) -> None:
        self.up_changes += 1

    def add(self, *watched_targets: WatchedTarget) -> None:
        for watched in watched_targets:
            self.schedule.add(watched)

    async def polled(self, watched: WatchedTarget, times: int) -> None:
        """Wait until so many more polls of a target have ended."""
        wanted = len(self.watch_harness.ends(watched)) + times
        await until(lambda: len(self.watch_harness.ends(watched)) >= wanted)


@pytest.fixture
async def watch_harness() -> AsyncIterator[WatchHarness]:
    watch_harness = WatchHarness()
    yield watch_harness
    await watch_harness.close()
    assert others() == set()


@pytest.fixture
async def post(watch_harness: WatchHarness, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Post]:
    """Its beat is faster than the real one."""
    monkeypatch.setattr(schedule_module, "BEAT_S", 0.02)
    post = Post(watch_harness)
    yield post
    await post.schedule.stop()


class SingleFlight:
    """Notes when targets get their turns, and lets nothing be polled."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.at: dict[str, list[float]] = {}
        turns = self.at

        def tick(watched: WatchedTarget, now: float, intervals: int = 1) -> None:
            watched.ticked_at = now
            turns.setdefault(watched.target.addr, []).append(now)

        monkeypatch.setattr(WatchedTarget, "tick", tick)

    async def taken(self, watched_targets: Sequence[WatchedTarget], times: int) -> None:
        """Wait until each target has had so many."""
        await until(
            lambda: all(len(self.at.get(watched.target.addr, ())) >= times for watched in watched_targets)
        )

    def newest(self) -> list[float]:
        return sorted(times[-1] for times in self.at.values())

    def gaps(self) -> list[float]:
        return [
            gap
            for times in self.at.values()
            for gap in (later - earlier for earlier, later in pairwise(times))
        ]


@pytest.fixture
def turns(monkeypatch: pytest.MonkeyPatch) -> SingleFlight:
    return SingleFlight(monkeypatch)


def names_in_slot(slot: int) -> Iterator[str]:
    """Addresses of targets that share a time slot."""
    return (name for number in count() if slot_of(name := f"redis://h:{number}") == slot)


class TestSlots:
    INTERVAL_S = 1.0

    async def test_are_evenly_apart_and_at_the_same_moments_after_a_restart(
        self, watch_harness: WatchHarness, turns: SingleFlight
    ) -> None:
        phases = []
        for _ in range(2):
            post = Post(watch_harness)
            watched_targets = [
                watch_harness.watched(free_port(), name=f"redis://h:{number}", interval_s=self.INTERVAL_S)
                for number in range(40)
            ]
            post.add(*watched_targets)
            post.schedule.start()
            await turns.taken(watched_targets, 3)
            await post.schedule.stop()
            wall_ahead_s = time.time() - time.monotonic()
            phases.append(
                {
                    slot_of(watched.target.addr): (turns.at[watched.target.addr][-1] + wall_ahead_s)
                    % self.INTERVAL_S
                    for watched in watched_targets
                }
            )
            turns.at.clear()
        assert len(phases[0]) > 5
        for phase_of in phases:
            for slot, phase_s in phase_of.items():
                off_s = (phase_s - slot * self.INTERVAL_S / SLOTS + 0.5) % self.INTERVAL_S - 0.5
                assert -0.01 < off_s < 0.1

    async def test_nobody_waits_for_more_than_one_and_a_half_intervals_or_less_than_a_half(
        self, post: Post, watch_harness: WatchHarness, turns: SingleFlight
    ) -> None:
        watched_targets = [
            watch_harness.watched(free_port(), name=f"redis://h:{number}", interval_s=self.INTERVAL_S)
            for number in range(40)
        ]
        post.add(*watched_targets)
        post.schedule.start()
        await turns.taken(watched_targets, 3)
        assert all(0.45 < gap < 1.6 for gap in turns.gaps())


class TestBursts:
    INTERVAL_S = 1.0
    PHASE_S = 0.2

    def fleet(self, post: Post, size: int = 70) -> list[WatchedTarget]:
        watched_targets = [
            post.watch_harness.watched(free_port(), name=f"redis://h:{number}", interval_s=self.INTERVAL_S)
            for number in range(size)
        ]
        post.add(*watched_targets)
        return watched_targets

    def scraper(self) -> Rhythm:
        now = time.monotonic()
        return Rhythm(now - now % self.INTERVAL_S + self.PHASE_S, self.INTERVAL_S)

    async def test_all_targets_get_their_turn_just_before_the_scrape(
        self, post: Post, turns: SingleFlight
    ) -> None:
        watched_targets = self.fleet(post)
        post.schedule.start()
        await until(lambda: len(turns.at) == len(watched_targets))
        post.rhythms = [self.scraper()]
        await until(lambda: post.schedule.in_step == len(watched_targets))
        window_s = TARGET_S * len(watched_targets) + LAST_POLLS_S
        assert len(watched_targets) > 2 * SLOT_TARGETS

        def are_in_time() -> bool:
            """Late if the machine is busy."""
            early_s = [(self.PHASE_S - moment + 0.4) % self.INTERVAL_S - 0.4 for moment in turns.newest()]
            return all(-0.35 < each < window_s + 0.02 for each in early_s)

        await until(are_in_time)
        turns.at.clear()
        await turns.taken(watched_targets, 3)
        assert are_in_time()

    async def test_coming_and_going_of_scrapers_costs_no_poll(self, post: Post, turns: SingleFlight) -> None:
        watched_targets = self.fleet(post)
        post.schedule.start()
        for scrapers in ([self.scraper()], [], [Rhythm(time.monotonic(), self.INTERVAL_S)], []):
            post.rhythms = scrapers
            await turns.taken(
                watched_targets, max((len(times) for times in turns.at.values()), default=0) + 2
            )
            assert (post.schedule.in_step == len(watched_targets)) == bool(scrapers)
        assert [gap for gap in turns.gaps() if not 0.4 < gap / self.INTERVAL_S < 1.7] == []

    async def test_a_scraper_that_drifts_is_followed(self, post: Post, turns: SingleFlight) -> None:
        watched_targets = self.fleet(post, 5)
        post.rhythms = [self.scraper()]
        post.schedule.start()
        await until(lambda: len(turns.at) == 5 and post.schedule.in_step == 5)
        post.rhythms = [Rhythm(post.rhythms[0].at + 0.15, self.INTERVAL_S)]
        await until(
            lambda: all(
                0 < (self.PHASE_S + 0.15 - moment) % self.INTERVAL_S < 0.2 for moment in turns.newest()
            )
        )
        assert len(turns.at) == len(watched_targets)

    async def test_scrapers_of_family_sets_and_pages_that_take_now_longer_and_now_shorter_cost_no_poll(
        self, watch_harness: WatchHarness, turns: SingleFlight, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(schedule_module, "BEAT_S", 0.02)
        family_sets, leads_s = 8, cycle((0.05, 0.1, 0.02))
        known: dict[Selection, dict[Hashable, list[Rhythm]]] = {}
        alignment = Alignment(
            lambda now: known.copy(),
            lambda page, addr: page.takes(addr, lambda addr: ""),
            lambda: next(leads_s),
        )
        post = Post(watch_harness, alignment)
        watched_targets = self.fleet(post, 80)
        post.schedule.start()
        began = time.monotonic()
        for family_set in range(family_sets):  # each is learnt at a moment of its own
            await turns.taken(watched_targets, family_set // 2 + 1)
            known[Selection(slice=(family_set, family_sets))] = {
                "p": [Rhythm(began + family_set / family_sets, self.INTERVAL_S)]
            }
        await until(lambda: post.schedule.in_step == len(watched_targets))
        await turns.taken(watched_targets, family_sets // 2 + 5)
        await post.schedule.stop()
        assert [gap for gap in turns.gaps() if not 0.4 < gap / self.INTERVAL_S < 1.7] == []

    async def test_targets_that_are_removed_get_no_more_turns(self, post: Post, turns: SingleFlight) -> None:
        watched_targets = self.fleet(post, 40)
        post.rhythms = [self.scraper()]
        post.schedule.start()
        await until(lambda: post.schedule.in_step == 40)
        for watched in watched_targets[:39]:
            post.schedule.remove(watched.target.addr)
        turns.at.clear()
        await until(lambda: len(turns.at.get(watched_targets[39].target.addr, ())) >= 2)
        assert list(turns.at) == [watched_targets[39].target.addr]


class TestPolling:
    async def test_begins_at_once_with_every_target_and_goes_on(
        self, post: Post, watch_harness: WatchHarness, redis_server: RedisFactory
    ) -> None:
        server = redis_server()
        watched_targets = [
            watch_harness.watched(server.port, name=f"redis://h:{number}") for number in range(120)
        ]
        slow = watch_harness.watched(server.port, name="redis://slow:1", interval_s=1000.0)
        post.add(*watched_targets, slow)
        post.schedule.start()
        await until(lambda: len(watch_harness.ended) == 121)
        await until(lambda: all(len(watch_harness.ends(watched)) >= 3 for watched in watched_targets))
        assert all(watch_harness.went_well(watched) for watched in watched_targets)
        assert len(watch_harness.ends(slow)) == 1
        assert watch_harness.dialer.dials == 121

    async def test_takes_the_standard_lane_along_at_its_multiple(
        self, post: Post, watch_harness: WatchHarness, redis_server: RedisFactory
    ) -> None:
        watched = watch_harness.watched(redis_server().port, interval_s=0.1, standard_every=3)
        post.add(watched)
        post.schedule.start()
        await post.polled(watched, 13)
        lanes = watched.target_series.lanes
        turns = lanes[Lane.FAST].polls + lanes[Lane.FAST].skipped
        assert (turns - 1) // 3 <= lanes[Lane.STANDARD].polls <= (turns - 1) // 3 + 2

    async def test_of_a_target_that_comes_later_begins_at_once(
        self, post: Post, watch_harness: WatchHarness, redis_server: RedisFactory
    ) -> None:
        server = redis_server()
        post.schedule.start()
        late = watch_harness.watched(server.port, interval_s=1000.0)
        post.add(late)
        await post.polled(late, 1)
        soon = watch_harness.watched(server.port, name="redis://h:2")
        post.add(soon)
        await post.polled(soon, 3)
        assert watch_harness.went_well(soon)

    async def test_others_are_polled_as_ever_while_one_hangs(
        self, post: Post, watch_harness: WatchHarness, redis_server: RedisFactory
    ) -> None:
        hanging, healthy = redis_server(), redis_server()
        stuck = watch_harness.watched(hanging.port, interval_s=0.5, deadline_s=SCANT_S)
        # all of them in one slot: it is there that one could hold up the others
        well = [
            watch_harness.watched(healthy.port, name=name, interval_s=0.5)
            for name in islice(names_in_slot(slot_of(stuck.target.addr)), 20)
        ]
        post.add(stuck, *well)
        post.schedule.start()
        await post.polled(stuck, 2)
        hanging.pause()
        await until(lambda: stuck.up is False)
        before = {watched.target.addr: watched.target_series.lanes[Lane.FAST].polls for watched in well}
        await post.polled(stuck, 3)
        assert stuck.target_series.failures.keys() == {"timeout"}
        for watched in well:
            assert (
                watched.target_series.lanes[Lane.FAST].polls - before[watched.target.addr] >= 3
            )  # as often as the stuck one failed
            assert watch_harness.went_well(watched)
            assert not any(
                ended.up_changed for ended in watch_harness.ends(watched)[1:]
            )  # nor was it down between two polls
        hanging.resume()
        await until(lambda: stuck.up)

    async def test_a_poll_that_outlasts_its_interval_is_not_started_twice(
        self, post: Post, watch_harness: WatchHarness, redis_server: RedisFactory
    ) -> None:
        server = redis_server()
        watched = watch_harness.watched(server.port)
        post.add(watched)
        post.schedule.start()
        await post.polled(watched, 1)
        server.pause()
        await until(lambda: watched.target_series.lanes[Lane.FAST].skipped >= 3)
        assert watch_harness.dialer.dials == 1
        server.resume()
        await post.polled(watched, 2)
        assert watch_harness.went_well(watched)


class TestRemoving:
    async def test_takes_the_targets_series_away_and_leaves_the_others(
        self, post: Post, watch_harness: WatchHarness, redis_server: RedisFactory
    ) -> None:
        server = redis_server()
        gone, stays = (watch_harness.watched(server.port, name=name) for name in islice(names_in_slot(0), 2))
        post.add(gone, stays)
        post.schedule.start()
        await post.polled(stays, 2)
        generation = watch_harness.store.generation
        post.schedule.remove(gone.target.addr)
        assert watch_harness.series(gone) == {}
        assert watch_harness.store.generation > generation
        await post.polled(stays, 2)
        assert watch_harness.series(gone) == {}
        assert connections(server) == 1

    async def test_while_it_is_polled(
        self, post: Post, watch_harness: WatchHarness, redis_server: RedisFactory
    ) -> None:
        server = redis_server()
        watched = watch_harness.watched(server.port)
        post.add(watched)
        post.schedule.start()
        await post.polled(watched, 1)
        server.pause()
        await until(lambda: watched.busy)
        post.schedule.remove(watched.target.addr)
        server.resume()
        assert watch_harness.was_cancelled(watched)
        assert watch_harness.series(watched) == {}
        assert watch_harness.limiter.inside == 0
        await until(lambda: connections(server) == 0)

    async def test_and_adding_it_again(
        self, post: Post, watch_harness: WatchHarness, redis_server: RedisFactory
    ) -> None:
        server = redis_server()
        post.schedule.start()
        for _ in range(2):
            watched = watch_harness.watched(server.port)
            post.add(watched)
            await post.polled(watched, 2)
            assert watch_harness.value(watched, "redis_up") == 1
            post.schedule.remove(watched.target.addr)

    async def test_before_the_start_and_after_the_end(self, watch_harness: WatchHarness) -> None:
        post = Post(watch_harness)
        for name in ("redis://h:1", "redis://h:2"):
            post.add(watch_harness.watched(free_port(), name=name))
        post.schedule.remove("redis://h:1")
        post.schedule.start()
        await post.schedule.stop()
        post.schedule.remove("redis://h:2")
        assert others() == set()


class TestStale:
    @pytest.mark.parametrize(("policy", "served"), [("drop", False), ("serve", True), ("fail", False)])
    async def test_a_snapshot_that_outlives_its_time_is_marked_and_withheld(
        self, post: Post, watch_harness: WatchHarness, redis_server: RedisFactory, policy: str, served: bool
    ) -> None:
        watch_harness.store.stale_policy = policy
        server = redis_server()
        watched = watch_harness.watched(server.port, max_age_s=0.5)
        post.add(watched)
        post.schedule.start()
        await post.polled(watched, 1)
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

    async def test_down_when_polls_have_ceased_to_begin(self, post: Post, redis_server: RedisFactory) -> None:
        watch_harness = post.watch_harness
        watched = watch_harness.watched(redis_server().port)
        post.add(watched)
        post.schedule.start()
        await post.polled(watched, 2)
        await until(lambda: watched.up and not watched.busy)
        up_changes = post.up_changes
        watch_harness.limiter.limit = 0
        await until(lambda: watched.up is False)
        assert watch_harness.value(watched, "redis_exporter_target_down", "timeout") == 1
        assert post.up_changes > up_changes
        watch_harness.limiter.limit = 1
        passing = Admission(watch_harness.limiter, lambda: None)
        passing.enter()
        passing.leave()
        await until(lambda: watched.up)
        assert watch_harness.went_well(watched)


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
    monkeypatch.setattr(rounds_module, "time", clock)
    for module in ("apscheduler.schedulers.base", "apscheduler.executors.base"):
        monkeypatch.setattr(f"{module}.datetime", clock.datetime_class())
    return clock


class TestBeat:
    @pytest.mark.parametrize("ahead_s", [-3600.0, 3600.0])
    async def test_a_jump_of_the_wall_clock_stops_no_polls(
        self,
        post: Post,
        watch_harness: WatchHarness,
        redis_server: RedisFactory,
        wall_clock: ShiftedTime,
        caplog: pytest.LogCaptureFixture,
        ahead_s: float,
    ) -> None:
        watched = watch_harness.watched(redis_server().port)
        post.add(watched)
        post.schedule.start()
        await post.polled(watched, 3)
        wall_clock.ahead_s = ahead_s
        await post.polled(watched, 5)
        assert watch_harness.went_well(watched)
        assert f"the wall clock jumped by {ahead_s:+.1f} s" in caplog.text
        assert caplog.text.count("jumped") == 1

    async def test_targets_that_would_wait_too_long_after_a_jump_get_their_turn_at_once(
        self, post: Post, watch_harness: WatchHarness, redis_server: RedisFactory, wall_clock: ShiftedTime
    ) -> None:
        watched = watch_harness.watched(redis_server().port, interval_s=1000.0)
        post.add(watched)
        post.schedule.start()
        await post.polled(watched, 1)
        watched.ticked_at -= 1600.0
        wall_clock.ahead_s = -5000.0
        await post.polled(watched, 1)
        assert watch_harness.went_well(watched)

    async def test_the_slow_drift_of_the_clock_changes_nothing(
        self, post: Post, wall_clock: ShiftedTime, caplog: pytest.LogCaptureFixture
    ) -> None:
        post.schedule.start()
        for _ in range(5):
            wall_clock.ahead_s += 0.5
            beats = len(post.lags)
            await until(lambda beats=beats: len(post.lags) > beats + 1)  # type: ignore[misc]
        assert "jumped" not in caplog.text

    async def test_tells_how_late_the_loop_is(self, post: Post) -> None:
        post.schedule.start()
        began_at = post.schedule.turned_at
        await until(lambda: len(post.lags) >= 2)
        time.sleep(0.1)  # somebody holds the loop
        await until(lambda: max(post.lags) >= 0.05)
        assert min(post.lags) >= 0
        assert post.schedule.turned_at > began_at

    async def test_goes_on_after_a_mistake_of_ours_and_logs_it(
        self,
        post: Post,
        watch_harness: WatchHarness,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(watch_harness.store, "expire", lambda now: 1 / 0)
            post.schedule.start()
            await until(lambda: len(post.lags) >= 3)
        assert "ZeroDivisionError" in caplog.text


class TestNames:
    @pytest.fixture(autouse=True)
    def at_every_beat(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(schedule_module, "RESOLVE_EVERY", 1)

    async def test_a_connection_whose_address_is_gone_is_made_anew(
        self, post: Post, watch_harness: WatchHarness, scripted_server: ScriptFactory
    ) -> None:
        server = scripted_server(redis_like())
        addresses = ["127.0.0.1"]

        async def look_up(host: str, port: int) -> tuple[str, ...]:
            return tuple(addresses)

        watch_harness.dialer.resolve_by(look_up)
        watched = watch_harness.watched(server.port, "redis.test")
        post.add(watched)
        post.schedule.start()
        await post.polled(watched, 3)
        assert server.accepted == 1
        # 127.0.0.2 leads to the same machine; a server that listens on 127.0.0.1 only refuses it
        addresses[:] = ["127.0.0.2"]
        await until(lambda: watched.up is False)
        assert watched.target_series.reason == "refused"
        await until(lambda: server.finished == 1)
        addresses[:] = ["127.0.0.1"]
        await until(lambda: watched.up)
        assert server.accepted == 2

    async def test_are_looked_up_once_for_all_targets_that_share_them(
        self, post: Post, watch_harness: WatchHarness, scripted_server: ScriptFactory
    ) -> None:
        server = scripted_server(redis_like())
        asked: list[str] = []
        going_on = asyncio.Event()

        async def look_up(host: str, port: int) -> tuple[str, ...]:
            if len(watch_harness.ended) == 6:  # the connections are made
                asked.append(host)
                await going_on.wait()
            return ("127.0.0.1",)

        watch_harness.dialer.resolve_by(look_up)
        for host in ("redis.test", "other.test", "127.0.0.1"):
            for number in range(2):
                post.add(
                    watch_harness.watched(
                        server.port, host, name=f"redis://{host}:{number}", interval_s=1000.0
                    )
                )
        post.schedule.start()
        await until(lambda: len(asked) >= 2)
        beats = len(post.lags)
        await until(lambda: len(post.lags) >= beats + 3)
        assert sorted(asked) == ["other.test", "redis.test"]  # under way: not asked again
        going_on.set()
        await until(lambda: len(asked) >= 4)

    async def test_that_do_not_resolve_just_now_cost_no_connection(
        self,
        post: Post,
        watch_harness: WatchHarness,
        scripted_server: ScriptFactory,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        server = scripted_server(redis_like())
        failures = 0

        async def look_up(host: str, port: int) -> tuple[str, ...]:
            nonlocal failures
            if watch_harness.ended:
                failures += 1
                raise DnsError(f"{host}: the name cannot be resolved")
            return ("127.0.0.1",)

        watch_harness.dialer.resolve_by(look_up)
        watched = watch_harness.watched(server.port, "redis.test")
        post.add(watched)
        post.schedule.start()
        await until(lambda: failures >= 3)
        await post.polled(watched, 2)
        assert watch_harness.went_well(watched)
        assert server.accepted == 1
        assert caplog.text == ""

    async def test_take_turns_in_different_beats(
        self, post: Post, watch_harness: WatchHarness, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(schedule_module, "RESOLVE_EVERY", 10)
        asked_in: dict[str, set[int]] = {}

        async def look_up(host: str, port: int) -> tuple[str, ...]:
            asked_in.setdefault(host, set()).add(len(post.lags) % 10)
            return ("127.0.0.1",)

        watched_targets = [
            watch_harness.watched(6379, f"h{number}.test", interval_s=1000.0) for number in range(40)
        ]
        watch_harness.limiter.limit = 0  # no polls, so that all who look up are those who do it again
        watch_harness.dialer.resolve_by(look_up)
        post.add(*watched_targets)
        post.schedule.start()
        await until(lambda: len(post.lags) >= 25)
        assert len(asked_in) == 40
        assert all(len(beats) == 1 for beats in asked_in.values())
        assert len(set().union(*asked_in.values())) > 5


class TestStop:
    async def test_at_the_moment_of_a_fire_is_no_error(
        self,
        watch_harness: WatchHarness,
        redis_server: RedisFactory,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        post = Post(watch_harness)
        watched = watch_harness.watched(redis_server().port)
        post.add(watched)
        post.schedule.start()
        await post.polled(watched, 1)
        stopping: list[asyncio.Task[None]] = []
        wakeup = AsyncIOScheduler.wakeup

        def stop_and_wake_up(scheduler: Any) -> None:
            stopping.append(asyncio.get_running_loop().create_task(post.schedule.stop()))
            wakeup(scheduler)

        monkeypatch.setattr(AsyncIOScheduler, "wakeup", stop_and_wake_up)
        await until(lambda: stopping)
        await stopping[0]
        await until(lambda: not others())
        assert caplog.text == ""

    async def test_leaves_nothing_of_what_was_under_way(
        self, watch_harness: WatchHarness, redis_server: RedisFactory, scripted_server: ScriptFactory
    ) -> None:
        post = Post(watch_harness)
        hanging, silent = redis_server(), scripted_server(Conversation.silence)
        idle, exchanging = (
            watch_harness.watched(hanging.port),
            watch_harness.watched(hanging.port, name="redis://h:1"),
        )
        greeting = watch_harness.watched(silent.port)
        post.add(idle, exchanging, greeting)
        post.schedule.start()
        await until(lambda: idle.up and exchanging.up and silent.accepted == 1)
        hanging.pause()
        await until(lambda: exchanging.busy)
        asking = asyncio.get_running_loop().create_task(exchanging.fresh(0.0, time.monotonic() + 1000))
        await asyncio.sleep(0)
        await post.schedule.stop()
        await asking
        assert others() == set()
        assert watch_harness.limiter.inside == 0
        hanging.resume()
        await until(lambda: connections(hanging) == 0)
        await until(lambda: silent.finished == 1)

    async def test_as_soon_as_it_has_started(
        self, watch_harness: WatchHarness, redis_server: RedisFactory
    ) -> None:
        post = Post(watch_harness)
        server = redis_server()
        post.add(*(watch_harness.watched(server.port, name=f"redis://h:{number}") for number in range(200)))
        post.schedule.start()
        await post.schedule.stop()
        assert others() == set()
        assert watch_harness.limiter.inside == 0
        assert watch_harness.dialer.under_way == 0

    async def test_while_more_wait_at_the_gate_than_the_stack_is_deep(
        self, watch_harness: WatchHarness, redis_server: RedisFactory
    ) -> None:
        watch_harness.limiter.limit = 2
        post = Post(watch_harness)
        server = redis_server()
        server.pause()
        watched_targets = [
            watch_harness.watched(server.port, name=f"redis://h:{number}") for number in range(1500)
        ]
        post.add(*watched_targets)
        post.schedule.start()
        await until(lambda: all(watched.busy for watched in watched_targets))
        await post.schedule.stop()
        assert others() == set()
        assert watch_harness.limiter.inside == 0
        assert all(watch_harness.was_cancelled(watched) for watched in watched_targets)

    async def test_no_polls_come_after_it(
        self, watch_harness: WatchHarness, redis_server: RedisFactory
    ) -> None:
        post = Post(watch_harness)
        watched = watch_harness.watched(redis_server().port)
        post.add(watched)
        post.schedule.start()
        await post.polled(watched, 1)
        await post.schedule.stop()
        ends = len(watch_harness.ends(watched))
        [whole] = post.schedule._rounds.values()
        await whole.fire()
        await asyncio.sleep(2 * INTERVAL_S)
        assert len(watch_harness.ends(watched)) == ends
        assert not watched.busy
