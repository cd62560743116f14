"""What polls cost a server, by its own counts and by an estimate."""

from __future__ import annotations

import re
from collections.abc import Callable, Container

import pytest

from exporter.collectors._contract import AnyCollector
from exporter.collectors.config import ConfigCollector
from exporter.collectors.info import InfoCollector
from exporter.collectors.key_scan import KeyScanCollector
from exporter.collectors.stats import StatsCollector
from exporter.metrics.lane import Lane
from exporter.polling import server_cost
from exporter.polling.watched_target import WatchedTarget
from tests.servers import Conversation, RedisServer
from tests.store_fixture import until
from tests.watch_harness import RedisFactory, ScriptFactory, WatchHarness, WatchHarnessFactory, redis_like

SECONDS = "redis_exporter_target_server_seconds_total"
Read = Callable[[], None]


class AnyCommand(Container[str]):
    def __contains__(self, command: object) -> bool:
        return True


@pytest.fixture
def read_always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read the counts at each poll of the standard lane."""
    monkeypatch.setattr(server_cost, "READ_S", 0.0)


def spent_s(server: RedisServer, commands: Container[str] = AnyCommand()) -> float:
    """All time of these commands, by the server's own counts."""
    text = server.ask("INFO", "commandstats").decode()
    found = re.findall(r"cmdstat_(\S+):calls=[0-9]+,usec=([0-9]+)", text)
    return sum(int(usec) for command, usec in found if command in commands) / 1e6


def sent_by(watched: WatchedTarget) -> set[str]:
    """The commands of its polls, as servers name them: with a sub-command, or without."""
    verbs = {verb for _, verb, _, _ in watched.state.cost.by_command()}
    return {name.lower() for first, second in verbs for name in (first, f"{first}|{second}")}


def costs(harness: WatchHarness, watched: WatchedTarget) -> dict[tuple[str, ...], float]:
    """By lane and source."""
    return {labels: value for (name, labels), value in harness.series(watched).items() if name == SECONDS}


@pytest.mark.usefixtures("read_always")
class TestCommandstats:
    async def test_all_lanes_together_are_what_the_server_spent_when_nobody_else_asks(
        self, make_watch_harness: WatchHarnessFactory, redis_server: RedisFactory
    ) -> None:
        server = redis_server()
        harness = make_watch_harness([InfoCollector(), StatsCollector(), ConfigCollector()])
        watched = harness.watched(server.port)
        server.ask("CONFIG", "RESETSTAT")
        while watched.state.series.lanes[Lane.SLOW].polls < 3:
            await harness.poll(watched)
        commands = sent_by(watched)  # without those that set a connection up, which are not counted
        before_s = spent_s(server, commands)
        before = watched.state.series.lanes[Lane.STANDARD].polls
        while watched.state.series.lanes[Lane.STANDARD].polls == before:  # which reads the counts
            await harness.poll(watched)
        found = costs(harness, watched)
        assert set(found) == {(lane, "commandstats") for lane in ("fast", "standard", "slow")}
        # the newest INFO is not in the counts that it shows, and takes long if the machine is busy just then
        assert 0.65 * before_s < sum(found.values()) < 1.35 * spent_s(server, commands)

    async def test_commands_of_others_change_it_only_by_the_average(
        self, make_watch_harness: WatchHarnessFactory, redis_server: RedisFactory
    ) -> None:
        server = redis_server()
        harness = make_watch_harness()
        watched = harness.watched(server.port, standard_every=1)
        for _ in range(5):
            await harness.poll(watched)
        before = sum(costs(harness, watched).values())
        for _ in range(500):
            server.ask("INFO", "everything")
        await harness.poll(watched)
        assert 0 < sum(costs(harness, watched).values()) - before < spent_s(server) / 50

    async def test_scans_count_every_command(
        self, make_watch_harness: WatchHarnessFactory, redis_server: RedisFactory
    ) -> None:
        server = redis_server()
        for number in range(300):
            server.ask("SET", f"k{number}", 1)
        collectors: list[AnyCollector] = [InfoCollector(), StatsCollector(), KeyScanCollector()]
        harness = make_watch_harness(collectors, argv=["--check-keys=k*", "--check-keys-batch-size=10"])
        watched = harness.watched(server.port, standard_every=1)
        await harness.poll(watched)
        await until(lambda: watched.state.series.lanes[Lane.SCAN].polls == 1)
        calls = watched.state.cost._scan_calls
        text = server.ask("INFO", "commandstats").decode()
        scans = re.findall(r"cmdstat_scan:calls=([0-9]+)", text)
        assert [calls["SCAN", ""]] == list(map(int, scans))
        await harness.poll(watched)
        assert costs(harness, watched)["scan", "commandstats"] > 0

    async def test_after_a_restart_of_the_server_it_goes_on(
        self, make_watch_harness: WatchHarnessFactory, redis_server: RedisFactory
    ) -> None:
        server = redis_server()
        harness = make_watch_harness()
        watched = harness.watched(server.port, standard_every=1)
        for _ in range(3):
            await harness.poll(watched)
        before = costs(harness, watched)
        server.ask("CONFIG", "RESETSTAT")
        for _ in range(3):
            await harness.poll(watched)
        after = costs(harness, watched)
        assert all(after[key] - before[key] > 0 for key in before)
        assert sum(after.values()) - sum(before.values()) < 3 * spent_s(server)


@pytest.mark.usefixtures("read_always")
class TestEstimate:
    async def test_without_counts_it_is_the_time_of_the_answers(
        self, make_watch_harness: WatchHarnessFactory, scripted_server: ScriptFactory
    ) -> None:
        harness = make_watch_harness()
        watched = harness.watched(scripted_server(redis_like()).port, standard_every=3)
        for _ in range(8):
            await harness.poll(watched)
        found = costs(harness, watched)
        assert {source for _, source in found} == {"estimated"}
        answered_s = sum(
            ended.results.answered_s for ended in harness.ends(watched) if ended.results is not None
        )
        assert 0 < sum(found.values()) < 10 * answered_s

    async def test_nothing_is_shown_before_anything_is_known(
        self, make_watch_harness: WatchHarnessFactory, scripted_server: ScriptFactory
    ) -> None:
        harness = make_watch_harness()
        watched = harness.watched(scripted_server(Conversation.silence).port, deadline_s=0.3)
        await harness.poll(watched)
        assert costs(harness, watched) == {}


async def test_the_counts_are_read_once_a_minute(
    make_watch_harness: WatchHarnessFactory, redis_server: RedisFactory
) -> None:
    harness = make_watch_harness()
    watched = harness.watched(redis_server().port, standard_every=1)
    await harness.poll(watched)
    first = costs(harness, watched)
    assert set(first) == {("fast", "commandstats"), ("standard", "commandstats")}
    for _ in range(5):
        await harness.poll(watched)
    assert costs(harness, watched) == first
    assert watched.state.memory.command_stats == b""


class TestCounts:
    VERB = ("CONFIG", "GET")

    def test_a_line_is_found_wherever_it_has_moved(self) -> None:
        lines = [b"cmdstat_c%d:calls=1,usec=2,usec_per_call=2.00" % number for number in range(200)]
        wanted = b"cmdstat_config|get:calls=%d,usec=7,usec_per_call=1.00"
        before = None
        for calls, at in enumerate((100, 101, 99, 0, 200, 50), 1):
            text = b"\r\n".join([*lines[:at], wanted % calls, *lines[at:], b""])
            before = server_cost._count_of(text, self.VERB, before)
            assert before is not None
            assert (before.calls, before.usec, text[before.at :][:18]) == (calls, 7, b"cmdstat_config|get")

    def test_of_a_server_that_counts_no_sub_commands_it_is_the_whole_command(self) -> None:
        text = b"cmdstat_config:calls=3,usec=9,usec_per_call=3.00\r\n"
        found = server_cost._count_of(text, self.VERB, None)
        assert found is not None
        assert (found.calls, found.usec) == (3, 9)
        assert server_cost._count_of(b"cmdstat_get:calls=3,usec=9\r\n", self.VERB, found) is None
