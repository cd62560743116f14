"""What a server that struggles is asked, and what is shown of that."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from itertools import pairwise

import pytest

from exporter.collectors._contract import Batches, Collector, Out
from exporter.collectors.info import InfoCollector
from exporter.collectors.stats import StatsCollector
from exporter.metrics.family import gauge
from exporter.metrics.lane import Lane
from exporter.options.table import Options
from exporter.polling import strain
from exporter.polling.easing import WAITS
from exporter.polling.watched_target import WatchedTarget
from exporter.protocol.command import Command
from exporter.protocol.facts import Facts
from tests.servers import Conversation
from tests.store_fixture import until
from tests.watch_harness import (
    AMPLE_S,
    SCANT_S,
    RedisFactory,
    ScriptFactory,
    WatchHarness,
    WatchHarnessFactory,
    info,
    redis_like,
)

BACKOFF = "redis_exporter_backoff_seconds"
SLOW_FLOOR_S = strain.SLOW_FLOOR_S
LONG = gauge("test_long", "A number of the slow lane.")
FOUND = gauge("test_found", "A number of the scan lane.")


class Long(Collector[None]):
    name = "long"
    help = "Takes long."
    lane = Lane.SLOW
    families = (LONG,)

    def collect(self, facts: Facts, options: Options, out: Out) -> Batches:
        yield [Command.of("PING")]
        out.add(LONG, 1)


class Found(Collector[None]):
    name = "found"
    help = "Scans."
    lane = Lane.SCAN
    families = (FOUND,)

    def collect(self, facts: Facts, options: Options, out: Out) -> Batches:
        yield [Command.of("ECHO", "x")]
        out.add(FOUND, 1)


COLLECTORS = (InfoCollector(), StatsCollector(), Long(), Found())


class Server:
    """Answers as a server that loads its data while `loading`, and `late_s` later than it could."""

    def __init__(self, scripted_server: ScriptFactory) -> None:
        self.replies: dict[str, bytes] = {}
        self.late_s = 0.0
        self.loads(False)
        script = redis_like(self.replies)

        def late(talk: Conversation) -> None:
            send = talk.send

            def send_late(data: bytes) -> None:
                time.sleep(self.late_s)
                send(data)

            talk.send = send_late  # type: ignore[method-assign]
            script(talk)

        self.port = scripted_server(*[late] * 4).port

    def loads(self, loading: bool) -> None:
        self.replies["INFO"] = info(loading=int(loading))


@pytest.fixture
def server(scripted_server: ScriptFactory) -> Server:
    return Server(scripted_server)


def reasons(harness: WatchHarness, watched: WatchedTarget) -> list[str]:
    return [labels[0] for name, labels in harness.series(watched) if name == BACKOFF]


def polls(watched: WatchedTarget, lane: Lane) -> int:
    return watched.state.series.lanes[lane].polls


async def turn(harness: WatchHarness, watched: WatchedTarget) -> None:
    """Give the target a turn, and wait for the end of its poll and of its scan."""
    await harness.poll(watched)
    await until(lambda: not watched.scanner.busy)


async def turns_of(harness: WatchHarness, watched: WatchedTarget, lane: Lane, count: int) -> list[int]:
    """The turns, of so many, in which a lane was polled."""
    found = []
    for number in range(1, count + 1):
        before = polls(watched, lane)
        await turn(harness, watched)
        if polls(watched, lane) > before:
            found.append(number)
    return found


class TestLanes:
    @pytest.mark.parametrize(
        ("lane", "healthy", "struggling"),
        [
            (Lane.FAST, list(range(1, 13)), list(range(1, 13))),
            (Lane.STANDARD, [3, 6, 9, 12], [6, 12]),  # every 3rd turn; every 6th
        ],
    )
    async def test_fast_goes_on_and_standard_runs_every_second_time(
        self,
        make_watch_harness: WatchHarnessFactory,
        server: Server,
        lane: Lane,
        healthy: list[int],
        struggling: list[int],
    ) -> None:
        harness = make_watch_harness(COLLECTORS)
        watched = harness.watched(server.port)
        watched.state.clock.place = 0
        await turn(harness, watched)
        await turn(harness, watched)
        assert await turns_of(harness, watched, lane, 12) == healthy
        server.loads(True)
        await turn(harness, watched)
        for _ in range(2):  # to the same phase
            await turn(harness, watched)
        found = await turns_of(harness, watched, lane, 12)
        assert len(found) == len(struggling)
        assert {later - earlier for earlier, later in pairwise(found)} == {struggling[1] - struggling[0]}
        assert reasons(harness, watched) == ["loading"]
        assert harness.value(watched, "redis_up") == 1

    @pytest.mark.parametrize(("lane", "every"), [(Lane.SLOW, 6), (Lane.SCAN, 4)])
    async def test_slow_and_scan_wait_for_four_turns_and_run_in_the_fifth(
        self, make_watch_harness: WatchHarnessFactory, server: Server, lane: Lane, every: int
    ) -> None:
        harness = make_watch_harness(COLLECTORS)
        watched = harness.watched(server.port)
        await turn(harness, watched)
        server.loads(True)
        await turn(harness, watched)
        found = await turns_of(harness, watched, lane, 2 * every * (WAITS[lane] + 1))
        assert len(found) == 2
        assert found[1] - found[0] == every * (WAITS[lane] + 1)

    async def test_all_lanes_run_as_usual_when_the_struggle_is_over(
        self, make_watch_harness: WatchHarnessFactory, server: Server
    ) -> None:
        harness = make_watch_harness(COLLECTORS)
        watched = harness.watched(server.port)
        server.loads(True)
        await turn(harness, watched)
        assert reasons(harness, watched) == ["loading"]
        assert (harness.value(watched, BACKOFF, "loading") or 0) >= 0
        server.loads(False)
        await turn(harness, watched)
        assert reasons(harness, watched) == []
        assert len(await turns_of(harness, watched, Lane.SLOW, 12)) == 2

    async def test_lanes_that_have_brought_nothing_run_as_soon_as_the_struggle_is_over(
        self, make_watch_harness: WatchHarnessFactory, redis_server: RedisFactory
    ) -> None:
        server = redis_server()
        harness = make_watch_harness(COLLECTORS)
        watched = harness.watched(server.port, standard_every=30, deadline_s=SCANT_S)
        watched.state.clock.place = 5
        server.pause()
        # a busy machine may not even connect before the deadline
        await harness.poll_until(watched, lambda: reasons(harness, watched))
        assert reasons(harness, watched) == ["blocked"]
        assert watched.up is False
        server.resume()
        await harness.poll_until(watched, lambda: watched.up)
        await turn(harness, watched)
        assert harness.store.get(watched.target.addr, "stats") is not None
        assert harness.value(watched, "redis_test_long") == 1

    async def test_the_first_scan_does_not_wait(
        self, make_watch_harness: WatchHarnessFactory, server: Server
    ) -> None:
        harness = make_watch_harness(COLLECTORS)
        watched = harness.watched(server.port)
        server.loads(True)
        await turn(harness, watched)
        await until(lambda: watched.whole)
        assert harness.value(watched, "redis_test_found") == 1

    async def test_nothing_of_it_with_the_option_off(
        self, make_watch_harness: WatchHarnessFactory, server: Server
    ) -> None:
        harness = make_watch_harness(COLLECTORS, argv=["--poll.ease-off=false"])
        watched = harness.watched(server.port)
        server.loads(True)
        for _ in range(2):
            await turn(harness, watched)
        assert reasons(harness, watched) == []
        assert len(await turns_of(harness, watched, Lane.SLOW, 12)) == 2


class TestAges:
    @pytest.mark.parametrize(("max_age_s", "later_s"), [(0.0, 4 * 6 * 0.2), (30.0, 0.0)])
    async def test_what_waits_lasts_longer_unless_its_age_was_configured(
        self, make_watch_harness: WatchHarnessFactory, server: Server, max_age_s: float, later_s: float
    ) -> None:
        harness = make_watch_harness(COLLECTORS)
        watched = harness.watched(server.port, max_age_s=max_age_s)
        await turn(harness, watched)

        def expires_at() -> float:
            snapshot = harness.store.get(watched.target.addr, "long")
            assert snapshot is not None
            return snapshot.expires_at - snapshot.began_at

        await turns_of(harness, watched, Lane.SLOW, 12)
        before_s = expires_at()
        server.loads(True)
        await turn(harness, watched)
        ran_at = (await turns_of(harness, watched, Lane.SLOW, 30))[-1]
        await turns_of(harness, watched, Lane.SLOW, 29 - (30 - ran_at))  # just before it runs again
        assert expires_at() - before_s == pytest.approx(later_s)


class TestReasons:
    async def test_a_server_that_answers_much_slower_than_usual(
        self, make_watch_harness: WatchHarnessFactory, server: Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        harness = make_watch_harness([InfoCollector()])
        watched = harness.watched(server.port)
        await harness.poll_until(watched, lambda: 0.0 < watched.state.easing.usual_s < 0.02)
        monkeypatch.setattr(strain, "SLOW_FLOOR_S", SLOW_FLOOR_S)
        server.late_s = 0.3
        await harness.poll(watched)
        assert reasons(harness, watched) == []
        await harness.poll(watched)
        assert reasons(harness, watched) == ["slow"]
        assert harness.value(watched, "redis_up") == 1
        await harness.poll(watched)
        assert (harness.value(watched, BACKOFF, "slow") or 0) >= 0.3
        server.late_s = 0.0
        await harness.poll_until(watched, lambda: reasons(harness, watched) == [])

    async def test_a_server_that_is_stopped_is_down_and_counts_as_blocked(
        self, make_watch_harness: WatchHarnessFactory, redis_server: RedisFactory
    ) -> None:
        server = redis_server()
        harness = make_watch_harness()
        watched = harness.watched(server.port, deadline_s=SCANT_S)
        await harness.poll_until(watched, lambda: watched.up)
        server.pause()
        for _ in range(3):  # on the kept connection, then on new ones
            await harness.poll(watched)
            assert reasons(harness, watched) == ["blocked"]
            assert harness.value(watched, "redis_up") == 0
        server.resume()
        await harness.poll_until(watched, lambda: watched.up)
        assert reasons(harness, watched) == []

    async def test_a_server_that_a_script_blocks_is_asked_for_info_alone(
        self, make_watch_harness: WatchHarnessFactory, redis_server: RedisFactory
    ) -> None:
        server = redis_server("--lua-time-limit", "10")
        harness = make_watch_harness()
        watched = harness.watched(server.port, standard_every=1)
        for _ in range(2):
            await harness.poll(watched)
        thread = threading.Thread(target=_ask_quietly, args=(server.ask, "EVAL", "while true do end", 0))
        thread.start()
        try:
            await harness.poll_until(watched, lambda: watched.health.reason == "busy")
            assert reasons(harness, watched) == ["blocked"]
            standard = polls(watched, Lane.STANDARD)
            await harness.poll(watched)
            assert polls(watched, Lane.STANDARD) == standard
        finally:
            server.ask("SCRIPT", "KILL")
            thread.join(AMPLE_S)

    async def test_a_server_that_is_gone_is_down_and_does_not_struggle(
        self, make_watch_harness: WatchHarnessFactory, redis_server: RedisFactory
    ) -> None:
        server = redis_server()
        harness = make_watch_harness()
        watched = harness.watched(server.port)
        await harness.poll(watched)
        server.kill()
        await harness.poll(watched)
        assert watched.up is False
        assert reasons(harness, watched) == []

    async def test_the_log_says_when_it_begins_and_when_it_ends(
        self,
        make_watch_harness: WatchHarnessFactory,
        server: Server,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        harness = make_watch_harness([InfoCollector()])
        watched = harness.watched(server.port)
        with caplog.at_level("INFO", "exporter.polling.easing"):
            for loading in (False, True, True, False, False):
                server.loads(loading)
                await harness.poll(watched)
        assert [(record.message, record.__dict__["reason"]) for record in caplog.records] == [
            ("the target struggles: it is polled less", "loading"),
            ("the target is polled as usual again", "loading"),
        ]


def _ask_quietly(ask: Callable[..., object], *args: str | int) -> None:
    try:
        ask(*args)
    except Exception:  # the script is killed in the end
        pass
