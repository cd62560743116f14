"""How a connection to a target is kept, left and made again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest

from bench.ports import free_port
from exporter.connection.dial_plan import same_for_all
from exporter.connection.settings import DialSettings
from exporter.descriptors import Descriptors
from exporter.metrics.lane import Lane
from tests.servers import Conversation
from tests.store_fixture import until
from tests.watch_harness import (
    AMPLE_S,
    FIRST_POLL,
    SECRET,
    Hang,
    RedisFactory,
    ScriptFactory,
    WatchHarness,
    WatchHarnessFactory,
    assert_down,
    assert_up,
    connections,
    in_turn,
    info,
    redis_like,
)


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

    async def test_leads_to_the_addresses_that_were_checked_whatever_the_name_says(
        self, watch_harness: WatchHarness, redis_server: RedisFactory
    ) -> None:
        server = redis_server()
        watched = watch_harness.watched(server.port, "nowhere.invalid", addresses=("127.0.0.1",))
        await watch_harness.poll(watched)
        assert_up(watch_harness, watched)
        assert not watched.named

    async def test_is_made_anew_when_it_is_old(
        self, watch_harness: WatchHarness, redis_server: RedisFactory
    ) -> None:
        server = redis_server()
        watched = watch_harness.watched(server.port, connection_max_age_s=1e-9)
        for _ in range(3):
            await watch_harness.poll(watched)
        assert watch_harness.went_well(watched)
        assert watch_harness.dialer.dials == 3
        assert watched.connection.reconnects == 0
        await until(lambda: connections(server) == 1)

    async def test_a_server_that_closes_idle_connections_is_redialled_once_and_never_down(
        self, watch_harness: WatchHarness, redis_server: RedisFactory
    ) -> None:
        server = redis_server()
        watched = watch_harness.watched(server.port)
        for dials in (1, 2):
            await watch_harness.poll(watched)
            assert watch_harness.dialer.dials == dials
            server.ask("CONFIG", "SET", "timeout", 1)
            await until(lambda: connections(server) == 0)
            server.ask("CONFIG", "SET", "timeout", 0)  # a poll may take longer than that on a busy machine
        await watch_harness.poll(watched)
        assert watch_harness.went_well(watched)
        assert watch_harness.dialer.dials == 3
        assert watched.connection.reconnects == 2

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
        assert watched.connection.reconnects == 1

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
        watch_harness.dialer.change(same_for_all(DialSettings(ping=True)))
        server.ask("CONFIG", "RESETSTAT")
        watched = watch_harness.watched(server.port, name="redis://again:6379")
        for _ in range(3):
            await watch_harness.poll(watched)
        assert 0 < watch_harness.number(watched, "redis_exporter_last_scrape_ping_time_seconds") < AMPLE_S
        assert b"cmdstat_ping:calls=1," in server.ask("INFO", "commandstats")

    async def test_one_that_is_refused_costs_its_figure_only(
        self, make_watch_harness: WatchHarnessFactory, redis_server: RedisFactory
    ) -> None:
        watch_harness = make_watch_harness()
        watch_harness.dialer.change(same_for_all(DialSettings(ping=True)))
        server = redis_server(
            "--user", "watcher", "on", f">{SECRET}", "-@all", "+info", "+client|setname", "+config|get"
        )
        watched = watch_harness.watched(server.port, user="watcher", password=SECRET)
        await watch_harness.poll(watched)
        assert_up(watch_harness, watched)
        assert watch_harness.value(watched, "redis_exporter_last_scrape_ping_time_seconds") is None
