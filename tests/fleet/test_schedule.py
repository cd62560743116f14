"""Who is polled when: slots, the beat, jumps of the clock, names, and the end of it all."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Hashable, Sequence
from datetime import datetime, timedelta, tzinfo
from itertools import cycle, pairwise
from typing import Any

import pytest
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from exporter.connection.gate import Entry
from exporter.errors import DnsError
from exporter.fleet import poll_group as rounds_module
from exporter.fleet import schedule as schedule_module
from exporter.fleet.alignment import LAST_POLLS_S, TARGET_S, Alignment
from exporter.fleet.poll_group import SLOT_TARGETS, SLOTS
from exporter.fleet.schedule import Schedule
from exporter.metrics.lane import Lane
from exporter.pages.rhythm import Rhythm
from exporter.pages.selection import WHOLE, Selection
from exporter.polling.watched_target import Watch
from tests.lookout import INTERVAL_S, Lookout, connections, others, redis_like
from tests.servers import Conversation, RedisServer, ScriptedServer, free_port
from tests.stock import until

RedisFactory = Callable[..., RedisServer]
ScriptFactory = Callable[..., ScriptedServer]

SCANT_S = 0.3  # the deadline of polls that miss it


class Post:
    """A schedule and what it was heard to say."""

    def __init__(self, lookout: Lookout, alignment: Alignment | None = None) -> None:
        self.lookout = lookout
        self.lags: list[float] = []
        self.up_changes = 0
        #: those who come to scrape everything
        self.rhythms: list[Rhythm] = []
        whole = Alignment(
            lambda now: {WHOLE: {"p": self.rhythms}} if self.rhythms else {},
            lambda page, addr: True,
            lambda: 0.0,
        )
        self.schedule = Schedule(lookout.store, self.lags.append, self._note_up_change, alignment or whole)

    def _note_up_change(self) -> None:
        self.up_changes += 1

    def add(self, *watches: Watch) -> None:
        for watch in watches:
            self.schedule.add(watch)

    async def polled(self, watch: Watch, times: int) -> None:
        """Wait until so many more polls of a target have ended."""
        wanted = len(self.lookout.ends(watch)) + times
        await until(lambda: len(self.lookout.ends(watch)) >= wanted)


@pytest.fixture
async def lookout() -> AsyncIterator[Lookout]:
    lookout = Lookout()
    yield lookout
    await lookout.close()
    assert others() == set()


@pytest.fixture
async def post(lookout: Lookout, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Post]:
    """Its beat is faster than the real one."""
    monkeypatch.setattr(schedule_module, "BEAT_S", 0.02)
    post = Post(lookout)
    yield post
    await post.schedule.stop()


class Turns:
    """Notes when targets get their turns, and lets nothing be polled."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.at: dict[str, list[float]] = {}
        turns = self.at

        def tick(watch: Watch, now: float, intervals: int = 1) -> None:
            watch.ticked_at = now
            turns.setdefault(watch.target.addr, []).append(now)

        monkeypatch.setattr(Watch, "tick", tick)

    async def taken(self, watches: Sequence[Watch], times: int) -> None:
        """Wait until each target has had so many."""
        await until(lambda: all(len(self.at.get(watch.target.addr, ())) >= times for watch in watches))

    def newest(self) -> list[float]:
        return sorted(times[-1] for times in self.at.values())

    def gaps(self) -> list[float]:
        return [
            gap
            for times in self.at.values()
            for gap in (later - earlier for earlier, later in pairwise(times))
        ]


@pytest.fixture
def turns(monkeypatch: pytest.MonkeyPatch) -> Turns:
    return Turns(monkeypatch)


class TestSlots:
    INTERVAL_S = 1.0

    async def test_are_evenly_apart_and_at_the_same_moments_after_a_restart(
        self, lookout: Lookout, turns: Turns
    ) -> None:
        phases = []
        for _ in range(2):
            post = Post(lookout)
            watches = [
                lookout.watch(free_port(), name=f"redis://h:{number}", interval_s=self.INTERVAL_S)
                for number in range(40)
            ]
            post.add(*watches)
            post.schedule.start()
            await turns.taken(watches, 3)
            await post.schedule.stop()
            wall_ahead_s = time.time() - time.monotonic()
            phases.append(
                {
                    watch.hash % SLOTS: (turns.at[watch.target.addr][-1] + wall_ahead_s) % self.INTERVAL_S
                    for watch in watches
                }
            )
            turns.at.clear()
        assert len(phases[0]) > 5
        for phase_of in phases:
            for slot, phase_s in phase_of.items():
                off_s = (phase_s - slot * self.INTERVAL_S / SLOTS + 0.5) % self.INTERVAL_S - 0.5
                assert -0.01 < off_s < 0.1

    async def test_nobody_waits_for_more_than_one_and_a_half_intervals_or_less_than_a_half(
        self, post: Post, lookout: Lookout, turns: Turns
    ) -> None:
        watches = [
            lookout.watch(free_port(), name=f"redis://h:{number}", interval_s=self.INTERVAL_S)
            for number in range(40)
        ]
        post.add(*watches)
        post.schedule.start()
        await turns.taken(watches, 3)
        assert all(0.45 < gap < 1.6 for gap in turns.gaps())


class TestBursts:
    INTERVAL_S = 1.0
    PHASE_S = 0.2

    def fleet(self, post: Post, size: int = 70) -> list[Watch]:
        watches = [
            post.lookout.watch(free_port(), name=f"redis://h:{number}", interval_s=self.INTERVAL_S)
            for number in range(size)
        ]
        post.add(*watches)
        return watches

    def scraper(self) -> Rhythm:
        now = time.monotonic()
        return Rhythm(now - now % self.INTERVAL_S + self.PHASE_S, self.INTERVAL_S)

    async def test_all_targets_get_their_turn_just_before_the_scrape(self, post: Post, turns: Turns) -> None:
        watches = self.fleet(post)
        post.schedule.start()
        await until(lambda: len(turns.at) == len(watches))
        post.rhythms = [self.scraper()]
        await until(lambda: post.schedule.in_step == len(watches))
        window_s = TARGET_S * len(watches) + LAST_POLLS_S
        assert len(watches) > 2 * SLOT_TARGETS

        def are_in_time() -> bool:
            """Late if the machine is busy."""
            early_s = [(self.PHASE_S - moment + 0.4) % self.INTERVAL_S - 0.4 for moment in turns.newest()]
            return all(-0.35 < each < window_s + 0.02 for each in early_s)

        await until(are_in_time)
        turns.at.clear()
        await turns.taken(watches, 3)
        assert are_in_time()

    async def test_coming_and_going_of_scrapers_costs_no_poll(self, post: Post, turns: Turns) -> None:
        watches = self.fleet(post)
        post.schedule.start()
        for scrapers in ([self.scraper()], [], [Rhythm(time.monotonic(), self.INTERVAL_S)], []):
            post.rhythms = scrapers
            await turns.taken(watches, max((len(times) for times in turns.at.values()), default=0) + 2)
            assert (post.schedule.in_step == len(watches)) == bool(scrapers)
        assert [gap for gap in turns.gaps() if not 0.4 < gap / self.INTERVAL_S < 1.7] == []

    async def test_a_scraper_that_drifts_is_followed(self, post: Post, turns: Turns) -> None:
        watches = self.fleet(post, 5)
        post.rhythms = [self.scraper()]
        post.schedule.start()
        await until(lambda: len(turns.at) == 5 and post.schedule.in_step == 5)
        post.rhythms = [Rhythm(post.rhythms[0].at + 0.15, self.INTERVAL_S)]
        await until(
            lambda: all(
                0 < (self.PHASE_S + 0.15 - moment) % self.INTERVAL_S < 0.2 for moment in turns.newest()
            )
        )
        assert len(turns.at) == len(watches)

    async def test_scrapers_of_parts_and_pages_that_take_now_longer_and_now_shorter_cost_no_poll(
        self, lookout: Lookout, turns: Turns, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(schedule_module, "BEAT_S", 0.02)
        parts, leads_s = 8, cycle((0.05, 0.1, 0.02))
        known: dict[Selection, dict[Hashable, list[Rhythm]]] = {}
        alignment = Alignment(
            lambda now: known.copy(),
            lambda page, addr: page.takes(addr, lambda addr: ""),
            lambda: next(leads_s),
        )
        post = Post(lookout, alignment)
        watches = self.fleet(post, 80)
        post.schedule.start()
        began = time.monotonic()
        for part in range(parts):  # each is learnt at a moment of its own
            await turns.taken(watches, part // 2 + 1)
            known[Selection(shard=(part, parts))] = {"p": [Rhythm(began + part / parts, self.INTERVAL_S)]}
        await until(lambda: post.schedule.in_step == len(watches))
        await turns.taken(watches, parts // 2 + 5)
        await post.schedule.stop()
        assert [gap for gap in turns.gaps() if not 0.4 < gap / self.INTERVAL_S < 1.7] == []

    async def test_targets_that_are_removed_get_no_more_turns(self, post: Post, turns: Turns) -> None:
        watches = self.fleet(post, 40)
        post.rhythms = [self.scraper()]
        post.schedule.start()
        await until(lambda: post.schedule.in_step == 40)
        for watch in watches[:39]:
            post.schedule.remove(watch.target.addr)
        turns.at.clear()
        await until(lambda: len(turns.at.get(watches[39].target.addr, ())) >= 2)
        assert list(turns.at) == [watches[39].target.addr]


class TestPolling:
    async def test_begins_at_once_with_every_target_and_goes_on(
        self, post: Post, lookout: Lookout, redis_server: RedisFactory
    ) -> None:
        server = redis_server()
        watches = [lookout.watch(server.port, name=f"redis://h:{number}") for number in range(120)]
        slow = lookout.watch(server.port, name="redis://slow:1", interval_s=1000.0)
        post.add(*watches, slow)
        post.schedule.start()
        await until(lambda: len(lookout.ended) == 121)
        await until(lambda: all(len(lookout.ends(watch)) >= 3 for watch in watches))
        assert all(lookout.went_well(watch) for watch in watches)
        assert len(lookout.ends(slow)) == 1
        assert lookout.dialer.dials == 121

    async def test_takes_the_standard_lane_along_at_its_multiple(
        self, post: Post, lookout: Lookout, redis_server: RedisFactory
    ) -> None:
        watch = lookout.watch(redis_server().port, interval_s=0.1, standard_every=3)
        post.add(watch)
        post.schedule.start()
        await post.polled(watch, 13)
        lanes = watch.vitals.lanes
        turns = lanes[Lane.FAST].polls + lanes[Lane.FAST].skipped
        assert (turns - 1) // 3 <= lanes[Lane.STANDARD].polls <= (turns - 1) // 3 + 2

    async def test_of_a_target_that_comes_later_begins_at_once(
        self, post: Post, lookout: Lookout, redis_server: RedisFactory
    ) -> None:
        server = redis_server()
        post.schedule.start()
        late = lookout.watch(server.port, interval_s=1000.0)
        post.add(late)
        await post.polled(late, 1)
        soon = lookout.watch(server.port, name="redis://h:2")
        post.add(soon)
        await post.polled(soon, 3)
        assert lookout.went_well(soon)

    async def test_others_are_polled_as_ever_while_one_hangs(
        self, post: Post, lookout: Lookout, redis_server: RedisFactory
    ) -> None:
        hanging, healthy = redis_server(), redis_server()
        stuck = lookout.watch(hanging.port, interval_s=0.5, deadline_s=SCANT_S)
        # all of them in one slot: it is there that one could hold up the others
        well = [
            lookout.watch(healthy.port, name=f"redis://h:{number}", interval_s=0.5) for number in range(20)
        ]
        for watch in well:
            watch.hash = stuck.hash
        post.add(stuck, *well)
        post.schedule.start()
        await post.polled(stuck, 2)
        hanging.pause()
        await until(lambda: stuck.up is False)
        before = {watch.target.addr: watch.vitals.lanes[Lane.FAST].polls for watch in well}
        await post.polled(stuck, 3)
        assert stuck.vitals.failures.keys() == {"timeout"}
        for watch in well:
            assert (
                watch.vitals.lanes[Lane.FAST].polls - before[watch.target.addr] >= 3
            )  # as often as the stuck one failed
            assert lookout.went_well(watch)
            assert not any(
                ended.up_changed for ended in lookout.ends(watch)[1:]
            )  # nor was it down between two polls
        hanging.resume()
        await until(lambda: stuck.up)

    async def test_a_poll_that_outlasts_its_interval_is_not_started_twice(
        self, post: Post, lookout: Lookout, redis_server: RedisFactory
    ) -> None:
        server = redis_server()
        watch = lookout.watch(server.port)
        post.add(watch)
        post.schedule.start()
        await post.polled(watch, 1)
        server.pause()
        await until(lambda: watch.vitals.lanes[Lane.FAST].skipped >= 3)
        assert lookout.dialer.dials == 1
        server.resume()
        await post.polled(watch, 2)
        assert lookout.went_well(watch)


class TestRemoving:
    async def test_takes_the_targets_series_away_and_leaves_the_others(
        self, post: Post, lookout: Lookout, redis_server: RedisFactory
    ) -> None:
        server = redis_server()
        gone, stays = (
            lookout.watch(server.port, name="redis://h:1"),
            lookout.watch(server.port, name="redis://h:2"),
        )
        gone.hash = stays.hash
        post.add(gone, stays)
        post.schedule.start()
        await post.polled(stays, 2)
        generation = lookout.store.generation
        post.schedule.remove("redis://h:1")
        assert lookout.series(gone) == {}
        assert lookout.store.generation > generation
        await post.polled(stays, 2)
        assert lookout.series(gone) == {}
        assert connections(server) == 1

    async def test_while_it_is_polled(self, post: Post, lookout: Lookout, redis_server: RedisFactory) -> None:
        server = redis_server()
        watch = lookout.watch(server.port)
        post.add(watch)
        post.schedule.start()
        await post.polled(watch, 1)
        server.pause()
        await until(lambda: watch.busy)
        post.schedule.remove(watch.target.addr)
        server.resume()
        assert lookout.was_cancelled(watch)
        assert lookout.series(watch) == {}
        assert lookout.gate.inside == 0
        await until(lambda: connections(server) == 0)

    async def test_and_adding_it_again(
        self, post: Post, lookout: Lookout, redis_server: RedisFactory
    ) -> None:
        server = redis_server()
        post.schedule.start()
        for _ in range(2):
            watch = lookout.watch(server.port)
            post.add(watch)
            await post.polled(watch, 2)
            assert lookout.value(watch, "redis_up") == 1
            post.schedule.remove(watch.target.addr)

    async def test_before_the_start_and_after_the_end(self, lookout: Lookout) -> None:
        post = Post(lookout)
        for name in ("redis://h:1", "redis://h:2"):
            post.add(lookout.watch(free_port(), name=name))
        post.schedule.remove("redis://h:1")
        post.schedule.start()
        await post.schedule.stop()
        post.schedule.remove("redis://h:2")
        assert others() == set()


class TestStale:
    @pytest.mark.parametrize(("policy", "served"), [("drop", False), ("serve", True), ("fail", False)])
    async def test_a_snapshot_that_outlives_its_time_is_marked_and_withheld(
        self, post: Post, lookout: Lookout, redis_server: RedisFactory, policy: str, served: bool
    ) -> None:
        lookout.store.stale_policy = policy
        server = redis_server()
        watch = lookout.watch(server.port, max_age_s=0.5)
        post.add(watch)
        post.schedule.start()
        await post.polled(watch, 1)
        server.kill()
        await until(
            lambda: (
                lookout.store.expired(watch.target.addr, "info")
                and lookout.store.expired(watch.target.addr, "stats")
            )
        )
        told = lookout.series(watch)
        assert told["redis_exporter_snapshot_stale", ("fast",)] == 1
        assert told["redis_exporter_snapshot_stale", ("standard",)] == 1
        assert told["redis_up", ()] == 0
        assert (("redis_connected_clients", ()) in told) is served
        assert (("redis_commands_total", ("info",)) in told) is served
        server.start()
        await until(lambda: lookout.value(watch, "redis_exporter_snapshot_stale", "fast") == 0)
        assert lookout.value(watch, "redis_connected_clients") == 1

    async def test_down_when_polls_have_ceased_to_begin(self, post: Post, redis_server: RedisFactory) -> None:
        lookout = post.lookout
        watch = lookout.watch(redis_server().port)
        post.add(watch)
        post.schedule.start()
        await post.polled(watch, 2)
        await until(lambda: watch.up and not watch.busy)
        up_changes = post.up_changes
        lookout.gate.limit = 0
        await until(lambda: watch.up is False)
        assert lookout.value(watch, "redis_exporter_target_down", "timeout") == 1
        assert post.up_changes > up_changes
        lookout.gate.limit = 1
        passing = Entry(lookout.gate, lambda: None)
        passing.enter()
        passing.leave()
        await until(lambda: watch.up)
        assert lookout.went_well(watch)


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
        lookout: Lookout,
        redis_server: RedisFactory,
        wall_clock: ShiftedTime,
        caplog: pytest.LogCaptureFixture,
        ahead_s: float,
    ) -> None:
        watch = lookout.watch(redis_server().port)
        post.add(watch)
        post.schedule.start()
        await post.polled(watch, 3)
        wall_clock.ahead_s = ahead_s
        await post.polled(watch, 5)
        assert lookout.went_well(watch)
        assert f"the wall clock jumped by {ahead_s:+.1f} s" in caplog.text
        assert caplog.text.count("jumped") == 1

    async def test_targets_that_would_wait_too_long_after_a_jump_get_their_turn_at_once(
        self, post: Post, lookout: Lookout, redis_server: RedisFactory, wall_clock: ShiftedTime
    ) -> None:
        watch = lookout.watch(redis_server().port, interval_s=1000.0)
        post.add(watch)
        post.schedule.start()
        await post.polled(watch, 1)
        watch.ticked_at -= 1600.0
        wall_clock.ahead_s = -5000.0
        await post.polled(watch, 1)
        assert lookout.went_well(watch)

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
        self, post: Post, lookout: Lookout, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(lookout.store, "expire", lambda now: 1 / 0)
            post.schedule.start()
            await until(lambda: len(post.lags) >= 3)
        assert "ZeroDivisionError" in caplog.text


class TestNames:
    @pytest.fixture(autouse=True)
    def at_every_beat(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(schedule_module, "RESOLVE_EVERY", 1)

    async def test_a_connection_whose_address_is_gone_is_made_anew(
        self, post: Post, lookout: Lookout, scripted_server: ScriptFactory
    ) -> None:
        server = scripted_server(redis_like())
        addresses = ["127.0.0.1"]

        async def look_up(host: str, port: int) -> tuple[str, ...]:
            return tuple(addresses)

        lookout.dialer.resolve_by(look_up)
        watch = lookout.watch(server.port, "redis.test")
        post.add(watch)
        post.schedule.start()
        await post.polled(watch, 3)
        assert server.accepted == 1
        # 127.0.0.2 leads to the same machine; a server that listens on 127.0.0.1 only refuses it
        addresses[:] = ["127.0.0.2"]
        await until(lambda: watch.up is False)
        assert watch.vitals.reason == "refused"
        await until(lambda: server.finished == 1)
        addresses[:] = ["127.0.0.1"]
        await until(lambda: watch.up)
        assert server.accepted == 2

    async def test_are_looked_up_once_for_all_targets_that_share_them(
        self, post: Post, lookout: Lookout, scripted_server: ScriptFactory
    ) -> None:
        server = scripted_server(redis_like())
        asked: list[str] = []
        going_on = asyncio.Event()

        async def look_up(host: str, port: int) -> tuple[str, ...]:
            if len(lookout.ended) == 6:  # the connections are made
                asked.append(host)
                await going_on.wait()
            return ("127.0.0.1",)

        lookout.dialer.resolve_by(look_up)
        for host in ("redis.test", "other.test", "127.0.0.1"):
            for number in range(2):
                post.add(lookout.watch(server.port, host, name=f"redis://{host}:{number}", interval_s=1000.0))
        post.schedule.start()
        await until(lambda: len(asked) >= 2)
        beats = len(post.lags)
        await until(lambda: len(post.lags) >= beats + 3)
        assert sorted(asked) == ["other.test", "redis.test"]  # under way: not asked again
        going_on.set()
        await until(lambda: len(asked) >= 4)

    async def test_that_do_not_resolve_just_now_cost_no_connection(
        self, post: Post, lookout: Lookout, scripted_server: ScriptFactory, caplog: pytest.LogCaptureFixture
    ) -> None:
        server = scripted_server(redis_like())
        failures = 0

        async def look_up(host: str, port: int) -> tuple[str, ...]:
            nonlocal failures
            if lookout.ended:
                failures += 1
                raise DnsError(f"{host}: the name cannot be resolved")
            return ("127.0.0.1",)

        lookout.dialer.resolve_by(look_up)
        watch = lookout.watch(server.port, "redis.test")
        post.add(watch)
        post.schedule.start()
        await until(lambda: failures >= 3)
        await post.polled(watch, 2)
        assert lookout.went_well(watch)
        assert server.accepted == 1
        assert caplog.text == ""

    async def test_take_turns_in_different_beats(
        self, post: Post, lookout: Lookout, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(schedule_module, "RESOLVE_EVERY", 10)
        asked_in: dict[str, set[int]] = {}

        async def look_up(host: str, port: int) -> tuple[str, ...]:
            asked_in.setdefault(host, set()).add(len(post.lags) % 10)
            return ("127.0.0.1",)

        watches = [lookout.watch(6379, f"h{number}.test", interval_s=1000.0) for number in range(40)]
        lookout.gate.limit = 0  # no polls, so that all who look up are those who do it again
        lookout.dialer.resolve_by(look_up)
        post.add(*watches)
        post.schedule.start()
        await until(lambda: len(post.lags) >= 25)
        assert len(asked_in) == 40
        assert all(len(beats) == 1 for beats in asked_in.values())
        assert len(set().union(*asked_in.values())) > 5


class TestStop:
    async def test_at_the_moment_of_a_fire_is_no_error(
        self,
        lookout: Lookout,
        redis_server: RedisFactory,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        post = Post(lookout)
        watch = lookout.watch(redis_server().port)
        post.add(watch)
        post.schedule.start()
        await post.polled(watch, 1)
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
        self, lookout: Lookout, redis_server: RedisFactory, scripted_server: ScriptFactory
    ) -> None:
        post = Post(lookout)
        hanging, silent = redis_server(), scripted_server(Conversation.silence)
        idle, exchanging = lookout.watch(hanging.port), lookout.watch(hanging.port, name="redis://h:1")
        greeting = lookout.watch(silent.port)
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
        assert lookout.gate.inside == 0
        hanging.resume()
        await until(lambda: connections(hanging) == 0)
        await until(lambda: silent.finished == 1)

    async def test_as_soon_as_it_has_started(self, lookout: Lookout, redis_server: RedisFactory) -> None:
        post = Post(lookout)
        server = redis_server()
        post.add(*(lookout.watch(server.port, name=f"redis://h:{number}") for number in range(200)))
        post.schedule.start()
        await post.schedule.stop()
        assert others() == set()
        assert lookout.gate.inside == 0
        assert lookout.dialer.under_way == 0

    async def test_while_more_wait_at_the_gate_than_the_stack_is_deep(
        self, lookout: Lookout, redis_server: RedisFactory
    ) -> None:
        lookout.gate.limit = 2
        post = Post(lookout)
        server = redis_server()
        server.pause()
        watches = [lookout.watch(server.port, name=f"redis://h:{number}") for number in range(1500)]
        post.add(*watches)
        post.schedule.start()
        await until(lambda: all(watch.busy for watch in watches))
        await post.schedule.stop()
        assert others() == set()
        assert lookout.gate.inside == 0
        assert all(lookout.was_cancelled(watch) for watch in watches)

    async def test_no_polls_come_after_it(self, lookout: Lookout, redis_server: RedisFactory) -> None:
        post = Post(lookout)
        watch = lookout.watch(redis_server().port)
        post.add(watch)
        post.schedule.start()
        await post.polled(watch, 1)
        await post.schedule.stop()
        ends = len(lookout.ends(watch))
        [whole] = post.schedule._rounds.values()
        await whole.fire()
        await asyncio.sleep(2 * INTERVAL_S)
        assert len(lookout.ends(watch)) == ends
        assert not watch.busy
