"""One poll at a time over a connection that is kept, against servers that misbehave on purpose."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable
from typing import Any, ClassVar

import pytest

from exporter.app.garbage import old_objects_left_alone
from exporter.collectors.clients import ClientsCollector
from exporter.collectors.info import InfoCollector
from exporter.connection.dial_plan import same_for_all
from exporter.connection.settings import DialSettings
from exporter.errors import CancelledPollError
from exporter.polling.poll import Poll
from exporter.polling.watched_target import WatchedTarget
from exporter.protocol.command import Command
from tests.servers import Conversation
from tests.store_fixture import until
from tests.watch_harness import (
    SCANT_S,
    Held,
    RedisFactory,
    ScriptFactory,
    WatchHarness,
    WatchHarnessFactory,
    assert_down,
    bulk,
    info,
    redis_like,
)


class TestPauses:
    """A poll that reads much lets others go on in between."""

    CLIENTS = b"".join(
        b"id=%d addr=10.0.0.1:%d name=n%d age=1 idle=1 cmd=get\n" % (n, n, n) for n in range(4000)
    )
    ANSWERS: ClassVar = {"INFO": info(connected_clients=4000, connected_slaves=0), "CLIENT": bulk(CLIENTS)}

    @pytest.fixture
    def polled(
        self, make_watch_harness: WatchHarnessFactory, scripted_server: ScriptFactory
    ) -> tuple[WatchHarness, WatchedTarget]:
        watch_harness = make_watch_harness(
            [InfoCollector(), ClientsCollector()], argv=["--export-client-list"]
        )
        watch_harness.dialer.change(same_for_all(DialSettings(set_client_name=False)))
        return watch_harness, watch_harness.watched(scripted_server(redis_like(self.ANSWERS)).port)

    async def test_the_loop_turns_while_a_long_list_is_read(
        self, polled: tuple[WatchHarness, WatchedTarget]
    ) -> None:
        watch_harness, watched = polled
        spent_s: list[float] = []  # of this thread, at each turn

        async def turn() -> None:
            while not watch_harness.ends(watched):
                spent_s.append(time.thread_time())
                await asyncio.sleep(0)

        with old_objects_left_alone():  # those of all tests before
            turning = asyncio.create_task(turn())
            await watch_harness.poll(watched)
            await turning
        held_s = [after - before for before, after in itertools.pairwise(spent_s)]
        assert (watch_harness.value(watched, "redis_exporter_target_series") or 0) > 4000, (
            watched.health.error_text
        )
        assert sum(held > 0.001 for held in held_s) >= 3, "in several pieces"
        assert max(held_s) < 0.05  # 0.15 s and more in one piece

    async def test_slices_of_many_targets_do_not_add_up_in_one_turn(
        self,
        make_watch_harness: WatchHarnessFactory,
        scripted_server: ScriptFactory,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        watch_harness = make_watch_harness(
            [InfoCollector(), ClientsCollector()], argv=["--export-client-list"]
        )
        watch_harness.dialer.change(same_for_all(DialSettings(set_client_name=False)))
        watched_targets = [
            watch_harness.watched(scripted_server(redis_like(self.ANSWERS)).port) for _ in range(12)
        ]
        slices = [0]  # by turn: those that were as long as a slice may be
        steps = {name: getattr(Poll, name) for name in ("receive", "go_on")}

        def counted(name: str, poll: Poll, *told: Any) -> list[Command]:
            batch: list[Command] = steps[name](poll, *told)
            slices[-1] += poll.paused
            return batch

        for name in steps:
            monkeypatch.setattr(Poll, name, lambda poll, *told, name=name: counted(name, poll, *told))

        async def turn() -> None:
            while not all(watch_harness.ends(watched) for watched in watched_targets):
                slices.append(0)
                await asyncio.sleep(0)

        await asyncio.gather(turn(), *(watch_harness.poll(watched) for watched in watched_targets))
        assert sum(slices) > 24, "each is read in several slices"
        assert max(slices) <= 3  # 5 ms a turn, and a slice has 2 ms; 12 where each goes on by itself

    @pytest.mark.parametrize("give_up", [WatchedTarget.close, lambda watched: watched._runner.time_out()])
    async def test_a_large_reply_may_wait_longer_than_its_poll_lasts(
        self,
        polled: tuple[WatchHarness, WatchedTarget],
        monkeypatch: pytest.MonkeyPatch,
        give_up: Callable[[WatchedTarget], object],
    ) -> None:
        watch_harness, watched = polled
        held = Held(monkeypatch, "exporter.polling.runner")
        polling = asyncio.create_task(watch_harness.poll(watched))
        await until(lambda: held.steps)
        give_up(watched)
        while not watch_harness.ends(watched):
            held.run()
            await asyncio.sleep(0)
        await polling
        held.run()
        assert len(watch_harness.ends(watched)) == 1
        assert not watched.busy

    async def test_a_poll_that_is_given_up_in_a_pause_ends_once(
        self, polled: tuple[WatchHarness, WatchedTarget]
    ) -> None:
        watch_harness, watched = polled
        with pytest.MonkeyPatch.context() as patch:
            paused: list[Poll] = []
            go_on = Poll.go_on

            def close(poll: Poll) -> list[Command]:
                if not paused:
                    paused.append(poll)
                    asyncio.get_running_loop().call_soon(watched.close)
                return go_on(poll)

            patch.setattr(Poll, "go_on", close)
            ended = await watch_harness.poll(watched)
            for _ in range(5):
                await asyncio.sleep(0)
        assert isinstance(ended.error, CancelledPollError)
        assert len(watch_harness.ends(watched)) == 1
        assert len(paused) == 1

    async def test_rows_that_a_limit_leaves_out_are_told(
        self, make_watch_harness: WatchHarnessFactory, scripted_server: ScriptFactory
    ) -> None:
        watch_harness = make_watch_harness([InfoCollector()], argv=["--reply.max-rows=50"])
        watched = watch_harness.watched(
            scripted_server(redis_like({"INFO": info(**{f"x{number}": 1 for number in range(200)})})).port
        )
        await watch_harness.poll(watched)
        assert watch_harness.value(watched, "redis_exporter_collector_rows_cut", "info") == 205 - 50


class TestGate:
    async def test_no_more_polls_are_under_way_than_it_lets_in_and_all_come_through(
        self, make_watch_harness: WatchHarnessFactory, redis_server: RedisFactory
    ) -> None:
        watch_harness = make_watch_harness(limit=4)  # of which targets that are not known to be up have three
        server = redis_server()
        watched_targets = [
            watch_harness.watched(server.port, name=f"redis://h:{number}") for number in range(10)
        ]
        server.pause()
        for watched in watched_targets:
            watched.tick(time.monotonic())
        await until(lambda: watch_harness.dialer.under_way == 3)
        assert [watched.busy for watched in watched_targets] == [True] * 10
        server.resume()
        await until(lambda: not any(watched.busy for watched in watched_targets))
        assert all(watch_harness.went_well(watched) for watched in watched_targets)
        assert watch_harness.dialer.most_under_way == 3
        assert watch_harness.limiter.inside == 0

    async def test_a_poll_that_had_to_wait_has_a_deadline_of_its_own(
        self, make_watch_harness: WatchHarnessFactory, scripted_server: ScriptFactory
    ) -> None:
        watch_harness = make_watch_harness(limit=1)
        silent = scripted_server(Conversation.silence)
        watched_targets = [
            watch_harness.watched(silent.port, name=f"redis://h:{number}", deadline_s=SCANT_S)
            for number in range(3)
        ]
        for watched in watched_targets:
            watched.tick(time.monotonic())
        await until(lambda: not any(watched.busy for watched in watched_targets))
        for watched in watched_targets:
            assert_down(watch_harness, watched, "timeout")
