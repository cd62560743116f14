"""One poll at a time over a connection that is kept, against servers that misbehave on purpose."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable
from typing import Any, ClassVar

import pytest

from exporter.collectors.clients import ClientsCollector
from exporter.collectors.info import InfoCollector
from exporter.connection.settings import DialSettings
from exporter.descriptors import Descriptors
from exporter.errors import CancelledPollError
from exporter.metrics.lane import Lane
from exporter.polling.poll import Poll
from exporter.polling.watched_target import WatchedTarget
from exporter.protocol.command import Command
from tests.servers import Conversation, free_port
from tests.store_fixture import until
from tests.watch_harness import (
    AMPLE_S,
    FIRST_POLL,
    SCANT_S,
    SECRET,
    Hang,
    Held,
    RedisFactory,
    ScriptFactory,
    WatchHarness,
    WatchHarnessFactory,
    assert_down,
    assert_up,
    bulk,
    connections,
    in_turn,
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
    def watched(
        self, make_watch_harness: WatchHarnessFactory, scripted_server: ScriptFactory
    ) -> tuple[WatchHarness, WatchedTarget]:
        watch_harness = make_watch_harness(
            [InfoCollector(), ClientsCollector()], argv=["--export-client-list"]
        )
        watch_harness.dialer.settings = DialSettings(set_client_name=False)
        return watch_harness, watch_harness.watched(scripted_server(redis_like(self.ANSWERS)).port)

    async def test_the_loop_turns_while_a_long_list_is_read(
        self, watched: tuple[WatchHarness, WatchedTarget]
    ) -> None:
        watch_harness, watched = watched
        spent_s: list[float] = []  # of this thread, at each turn

        async def turn() -> None:
            while not watch_harness.ends(watched):
                spent_s.append(time.thread_time())
                await asyncio.sleep(0)

        turning = asyncio.create_task(turn())
        await watch_harness.poll(watched)
        await turning
        held_s = [after - before for before, after in itertools.pairwise(spent_s)]
        assert (watch_harness.value(watched, "redis_exporter_target_series") or 0) > 4000, (
            watched.health.error_text
        )
        assert sum(held > 0.001 for held in held_s) > 5, "in many pieces"
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
        watch_harness.dialer.settings = DialSettings(set_client_name=False)
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
        watched: tuple[WatchHarness, WatchedTarget],
        monkeypatch: pytest.MonkeyPatch,
        give_up: Callable[[WatchedTarget], object],
    ) -> None:
        watch_harness, watched = watched
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
        self, watched: tuple[WatchHarness, WatchedTarget]
    ) -> None:
        watch_harness, watched = watched
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


class TestConnection:
    async def test_is_kept_from_poll_to_poll(
        self, watch_harness: WatchHarness, redis_server: RedisFactory
    ) -> None:
        server = redis_server()
        watched = watch_harness.watched(server.port)
        for _ in range(5):
            await watch_harness.poll(watched)
        assert watch_harness.dialer.dials == 1
        assert connections(server) == 1

    async def test_is_made_anew_when_it_is_old(
        self, watch_harness: WatchHarness, redis_server: RedisFactory
    ) -> None:
        server = redis_server()
        watched = watch_harness.watched(server.port, connection_max_age_s=1e-9)
        for _ in range(3):
            await watch_harness.poll(watched)
        assert watch_harness.went_well(watched)
        assert watch_harness.dialer.dials == 3
        await until(lambda: connections(server) == 1)

    async def test_a_server_that_closes_idle_connections_is_redialled_once_and_never_down(
        self, watch_harness: WatchHarness, redis_server: RedisFactory
    ) -> None:
        server = redis_server("--timeout", "1")
        watched = watch_harness.watched(server.port)
        for dials in (1, 2):
            await watch_harness.poll(watched)
            assert watch_harness.dialer.dials == dials
            await until(lambda: connections(server) == 0)
        await watch_harness.poll(watched)
        assert watch_harness.went_well(watched)
        assert watch_harness.dialer.dials == 3

    @pytest.mark.parametrize("leave", [Conversation.close, Conversation.reset], ids=["closed", "reset"])
    async def test_closed_as_the_poll_arrives_it_is_redialled_once_within_the_poll(
        self,
        watch_harness: WatchHarness,
        scripted_server: ScriptFactory,
        leave: Callable[[Conversation], None],
    ) -> None:
        def hang_up(talk: Conversation) -> None:
            talk.command()
            leave(talk)

        server = scripted_server(in_turn(redis_like(commands=FIRST_POLL), hang_up), redis_like())
        watched = watch_harness.watched(server.port)
        await watch_harness.poll(watched)
        await watch_harness.poll(watched)
        assert watch_harness.went_well(watched)
        assert server.accepted == 2

    async def test_but_not_twice(self, watch_harness: WatchHarness, scripted_server: ScriptFactory) -> None:
        def hang_up(talk: Conversation) -> None:
            talk.command()
            talk.close()

        server = scripted_server(
            in_turn(redis_like(commands=FIRST_POLL), hang_up), in_turn(redis_like(commands=1), hang_up)
        )
        watched = watch_harness.watched(server.port)
        await watch_harness.poll(watched)
        await watch_harness.poll(watched)
        assert_down(watch_harness, watched, "reset")
        assert server.accepted == 2

    async def test_closed_in_the_middle_of_a_reply_it_is_not_asked_again(
        self, watch_harness: WatchHarness, scripted_server: ScriptFactory
    ) -> None:
        def break_off(talk: Conversation) -> None:
            talk.command()
            talk.send(info()[:20])
            talk.close()

        server = scripted_server(in_turn(redis_like(commands=FIRST_POLL), break_off), redis_like())
        watched = watch_harness.watched(server.port)
        await watch_harness.poll(watched)
        await watch_harness.poll(watched)
        assert_down(watch_harness, watched, "reset")
        assert server.accepted == 1

    async def test_one_that_the_server_has_half_closed_is_left_for_a_new_one(
        self, watch_harness: WatchHarness, scripted_server: ScriptFactory
    ) -> None:
        server = scripted_server(in_turn(redis_like(commands=FIRST_POLL), Conversation.close), redis_like())
        watched = watch_harness.watched(server.port)
        await watch_harness.poll(watched)
        await until(lambda: server.finished == 1)  # we closed our half too
        await watch_harness.poll(watched)
        assert watch_harness.went_well(watched)
        assert server.accepted == 2

    async def test_one_on_which_the_server_spoke_out_of_turn_is_left_for_a_new_one(
        self, watch_harness: WatchHarness, scripted_server: ScriptFactory
    ) -> None:
        def blurt(talk: Conversation) -> None:
            talk.send(b"+hello\r\n")
            talk.silence()

        server = scripted_server(in_turn(redis_like(commands=FIRST_POLL), blurt), redis_like())
        watched = watch_harness.watched(server.port, standard_every=100)
        await watch_harness.poll(watched)
        await until(lambda: server.finished == 1)
        await watch_harness.poll(watched)
        assert watched.up
        assert server.accepted == 2

    async def test_to_an_address_that_the_name_has_no_more_is_left_for_a_new_one(
        self, watch_harness: WatchHarness, scripted_server: ScriptFactory
    ) -> None:
        server = scripted_server(redis_like())
        watched = watch_harness.watched(server.port)
        await watch_harness.poll(watched)
        watched.compare(("127.0.0.9", "127.0.0.1"))
        await watch_harness.poll(watched)
        assert server.accepted == 1
        watched.compare(("127.0.0.9",))
        await watch_harness.poll(watched)
        assert watch_harness.went_well(watched)
        assert server.accepted == 2

    async def test_there_is_one_dial_at_a_time(self, watch_harness: WatchHarness) -> None:
        hang = Hang()
        watch_harness.dialer.resolve_by(hang)
        watched = watch_harness.watched(6379, "redis.invalid")
        for _ in range(4):
            watched.tick(time.monotonic())
            await asyncio.sleep(0)
        await until(lambda: hang.asked)
        assert watch_harness.dialer.dials == 1
        assert watched.state.series.lanes[Lane.FAST].skipped == 3


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


class TestOpenFiles:
    async def test_a_target_without_a_file_is_down_at_once_and_those_with_one_keep_it(
        self, watch_harness: WatchHarness, redis_server: RedisFactory
    ) -> None:
        server = redis_server()
        watch_harness.dialer.descriptors = Descriptors(4)
        watched_targets = [
            watch_harness.watched(server.port, name=f"redis://h:{number}", connection_max_age_s=0.0)
            for number in range(3)
        ]
        for _ in range(3):  # each poll makes its connection anew
            for watched in watched_targets:
                await watch_harness.poll(watched)
        assert [watched.up for watched in watched_targets] == [True, True, False]
        assert_down(watch_harness, watched_targets[2], "open_files")
        assert "ulimit -n" in watched_targets[2].health.error_text
        watched_targets[0].close()
        await watch_harness.poll(watched_targets[2])
        assert_up(watch_harness, watched_targets[2])

    async def test_a_dial_that_fails_gives_its_file_back(self, watch_harness: WatchHarness) -> None:
        watch_harness.dialer.descriptors = Descriptors(2)
        watched_targets = [watch_harness.watched(free_port()) for _ in range(3)]
        for watched in watched_targets:
            await watch_harness.poll(watched)
            assert_down(watch_harness, watched, "refused")
        assert watch_harness.dialer.descriptors.in_use == 0


class TestPing:
    async def test_is_timed_once_for_each_connection(
        self, make_watch_harness: WatchHarnessFactory, redis_server: RedisFactory
    ) -> None:
        watch_harness = make_watch_harness()
        server = redis_server()
        plain = watch_harness.watched(server.port)
        await watch_harness.poll(plain)
        assert watch_harness.value(plain, "redis_exporter_last_scrape_ping_time_seconds") is None
        watch_harness.dialer.settings = DialSettings(ping=True)
        server.ask("CONFIG", "RESETSTAT")
        watched = watch_harness.watched(server.port, name="redis://again:6379")
        for _ in range(3):
            await watch_harness.poll(watched)
        assert 0 < watch_harness.value(watched, "redis_exporter_last_scrape_ping_time_seconds") < AMPLE_S
        assert b"cmdstat_ping:calls=1," in server.ask("INFO", "commandstats")

    async def test_one_that_is_refused_costs_its_figure_only(
        self, make_watch_harness: WatchHarnessFactory, redis_server: RedisFactory
    ) -> None:
        watch_harness = make_watch_harness()
        watch_harness.dialer.settings = DialSettings(ping=True)
        server = redis_server(
            "--user", "watcher", "on", f">{SECRET}", "-@all", "+info", "+client|setname", "+config|get"
        )
        watched = watch_harness.watched(server.port, user="watcher", password=SECRET)
        await watch_harness.poll(watched)
        assert_up(watch_harness, watched)
        assert watch_harness.value(watched, "redis_exporter_last_scrape_ping_time_seconds") is None
