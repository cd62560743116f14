"""What becomes of one target's polls: against real servers, and against some that misbehave on purpose."""

from __future__ import annotations

import asyncio
import gc
import logging
import math
import re
import threading
import time
from contextlib import suppress
from dataclasses import replace
from typing import Any, ClassVar

import pytest
import redis

from bench.ports import free_port
from exporter import engine
from exporter.collectors._contract import Batches, Collector, Out
from exporter.collectors.config import ConfigCollector
from exporter.collectors.info import InfoCollector
from exporter.connection.dial_plan import same_for_all
from exporter.connection.limiter import Admission, Limiter
from exporter.connection.replies import ReplyLimits
from exporter.connection.settings import DialSettings
from exporter.errors import CancelledPollError, ReplyError
from exporter.metrics.family import gauge
from exporter.metrics.lane import Lane
from exporter.options.table import Options
from exporter.polling.assignment import FamilySets
from exporter.polling.runner import PollRunner
from exporter.polling.target_state import TargetState
from exporter.polling.watched_target import WatchedTarget
from exporter.protocol.command import Command
from exporter.protocol.facts import Facts
from tests.servers import Conversation, RedisServer
from tests.store_fixture import until
from tests.watch_harness import (
    AMPLE_S,
    FIRST_POLL,
    SCANT_S,
    SECRET,
    WHOLE_INFO,
    Clock,
    Hang,
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
    no_such_name,
    others,
    redis_like,
    server_field,
)


def repassword(watched: WatchedTarget, password: str) -> None:
    watched.reassign(replace(watched.assignment, target=replace(watched.target, password=password)))


class TestLanes:
    async def test_nothing_is_told_before_the_first_poll_has_ended(self, watch_harness: WatchHarness) -> None:
        watched = watch_harness.watched(free_port())
        assert watched.up is None
        assert watch_harness.series(watched) == {}

    async def test_the_first_poll_takes_all_lanes_along(
        self, watch_harness: WatchHarness, redis_server: RedisFactory
    ) -> None:
        watched = watch_harness.watched(redis_server().port)
        await watch_harness.poll(watched)
        assert_up(watch_harness, watched)
        for lane in ("fast", "standard"):
            assert watch_harness.value(watched, "redis_exporter_target_polls_total", lane) == 1
        assert watch_harness.value(watched, "redis_connected_clients") == 1
        assert watch_harness.value(watched, "redis_commands_total", "info") is not None
        assert (watch_harness.value(watched, "redis_exporter_target_series") or 0) > 100

    @pytest.mark.parametrize(("place", "turns"), [(0, [1, 2, 5, 8]), (1, [1, 3, 6, 9]), (2, [1, 4, 7, 10])])
    async def test_the_standard_lane_comes_round_at_its_multiple_at_a_turn_of_the_targets_own(
        self, watch_harness: WatchHarness, redis_server: RedisFactory, place: int, turns: list[int]
    ) -> None:
        watched = watch_harness.watched(redis_server().port, standard_every=3)
        watched.state.clock.place = place
        taken = []
        for turn in range(1, 11):
            before = watched.state.series.lanes[Lane.STANDARD].polls
            await watch_harness.poll(watched)
            if watched.state.series.lanes[Lane.STANDARD].polls > before:
                taken.append(turn)
        assert taken == turns
        assert watched.state.series.lanes[Lane.FAST].polls == 10

    async def test_polls_between_the_turns_take_nothing_away_from_the_turns(
        self, watch_harness: WatchHarness, redis_server: RedisFactory
    ) -> None:
        watched = watch_harness.watched(redis_server().port, standard_every=1)
        await watch_harness.poll(watched)
        for _ in range(5):
            await watched.fresh(0.0, time.monotonic() + AMPLE_S)
        polls = watched.state.series.lanes[Lane.STANDARD].polls
        await watch_harness.poll(watched)
        await watch_harness.poll(watched)
        assert watched.state.series.lanes[Lane.STANDARD].polls == polls + 2

    async def test_a_lane_whose_poll_failed_comes_with_the_next_one_and_keeps_its_turns(
        self, watch_harness: WatchHarness, redis_server: RedisFactory
    ) -> None:
        server = redis_server()
        watched = watch_harness.watched(server.port, standard_every=3)
        watched.state.clock.place = 2  # the standard lane's turns are 1, 4, 7, …
        for _ in range(3):
            await watch_harness.poll(watched)
        server.kill()
        assert (await watch_harness.poll(watched)).error is not None
        server.start()
        taken = []
        for turn in range(5, 11):
            before = watched.state.series.lanes[Lane.STANDARD].polls
            await watch_harness.poll(watched)
            if watched.state.series.lanes[Lane.STANDARD].polls > before:
                taken.append(turn)
        assert taken == [5, 7, 10]

    async def test_a_turn_that_finds_the_poll_before_still_running_is_skipped_and_counted(
        self, watch_harness: WatchHarness, redis_server: RedisFactory
    ) -> None:
        server = redis_server()
        watched = watch_harness.watched(server.port, standard_every=4)
        watched.state.clock.place = 0
        await watch_harness.poll(watched)
        server.pause()
        watched.tick(time.monotonic())  # runs, with the standard lane
        for _ in range(3):
            watched.tick(time.monotonic())
        server.resume()
        await until(lambda: not watched.busy)
        assert watch_harness.value(watched, "redis_exporter_target_polls_total", "fast") == 2
        assert watch_harness.value(watched, "redis_exporter_target_polls_skipped_total", "fast") == 3
        assert_up(watch_harness, watched)


class TestDown:
    async def test_refused_and_back_without_a_restart(
        self, watch_harness: WatchHarness, redis_server: RedisFactory
    ) -> None:
        server = redis_server()
        watched = watch_harness.watched(server.port)
        await watch_harness.poll(watched)
        server.kill()
        for _ in range(2):
            await watch_harness.poll(watched)
            assert_down(watch_harness, watched, "refused")
        server.start()
        assert (await watch_harness.poll(watched)).up_changed
        assert_up(watch_harness, watched)
        assert watch_harness.value(watched, "redis_exporter_target_poll_failures_total", "refused") == 2

    async def test_a_server_that_closes_each_connection_at_the_first_question_is_dialled_once_more(
        self, watch_harness: WatchHarness, scripted_server: ScriptFactory
    ) -> None:
        def close_at_the_next(talk: Conversation) -> None:
            talk.command()
            talk.close()

        server = scripted_server(
            in_turn(redis_like(commands=FIRST_POLL), close_at_the_next),
            in_turn(redis_like(commands=1), close_at_the_next),  # it may have its name
        )
        watched = watch_harness.watched(server.port)
        await watch_harness.poll(watched)
        assert_up(watch_harness, watched)
        await watch_harness.poll(watched)
        assert_down(watch_harness, watched, "reset")
        assert server.accepted == 2

    async def test_a_failed_poll_leaves_the_values_of_the_one_before(
        self, watch_harness: WatchHarness, redis_server: RedisFactory
    ) -> None:
        server = redis_server()
        watched = watch_harness.watched(server.port)
        await watch_harness.poll(watched)
        server.kill()
        await watch_harness.poll(watched)
        assert watch_harness.value(watched, "redis_connected_clients") == 1

    async def test_a_wrong_password(self, watch_harness: WatchHarness, redis_server: RedisFactory) -> None:
        server = redis_server("--requirepass", "the right one")
        watched = watch_harness.watched(server.port, password=SECRET)
        await watch_harness.poll(watched)
        assert_down(watch_harness, watched, "auth")
        with redis.Redis(port=server.port, password="the right one") as client:
            client.config_set("requirepass", SECRET)
        await watch_harness.poll(watched)
        assert_up(watch_harness, watched)

    async def test_no_password_where_one_is_wanted(
        self, watch_harness: WatchHarness, redis_server: RedisFactory
    ) -> None:
        server = redis_server("--requirepass", SECRET)
        watched = watch_harness.watched(server.port)
        await watch_harness.poll(watched)
        assert_down(watch_harness, watched, "auth")
        with redis.Redis(port=server.port, password=SECRET) as client:
            client.config_set("requirepass", "")
        await watch_harness.poll(watched)
        assert_up(watch_harness, watched)

    async def test_a_password_wanted_on_a_kept_connection_is_sent_on_a_new_one(
        self, watch_harness: WatchHarness, scripted_server: ScriptFactory
    ) -> None:
        logged_out = redis_like({"INFO": b"-NOAUTH Authentication required.\r\n"})
        server = scripted_server(in_turn(redis_like(commands=1), logged_out), redis_like())
        watched = watch_harness.watched(server.port)
        await watch_harness.poll(watched)
        assert_down(watch_harness, watched, "auth")
        await watch_harness.poll(watched)
        assert_up(watch_harness, watched)
        assert server.accepted == 2

    async def test_info_forbidden_and_then_allowed(
        self, watch_harness: WatchHarness, redis_server: RedisFactory
    ) -> None:
        server = redis_server("--user", "watcher", "on", f">{SECRET}", "-@all", "+ping")
        watched = watch_harness.watched(server.port, user="watcher", password=SECRET)
        for _ in range(2):
            await watch_harness.poll(watched)
            assert_down(watch_harness, watched, "noperm")
        server.ask("ACL", "SETUSER", "watcher", "+info")
        await watch_harness.poll(watched)
        assert_up(watch_harness, watched)
        assert watch_harness.dialer.dials == 1

    async def test_a_name_that_cannot_be_resolved(self, watch_harness: WatchHarness) -> None:
        watch_harness.dialer.resolve_by(no_such_name)
        watched = watch_harness.watched(6379, "redis.invalid")
        await watch_harness.poll(watched)
        assert_down(watch_harness, watched, "dns")

    async def test_a_name_service_that_does_not_answer(self, watch_harness: WatchHarness) -> None:
        watch_harness.dialer.resolve_by(Hang())
        watched = watch_harness.watched(6379, "redis.invalid", deadline_s=SCANT_S)
        await watch_harness.poll(watched)
        assert_down(watch_harness, watched, "dns")
        assert "the resolver did not answer" in watched.health.error_text
        assert others() == set()

    async def test_a_server_that_hangs_and_wakes_up(
        self, watch_harness: WatchHarness, redis_server: RedisFactory
    ) -> None:
        server = redis_server()
        watched = watch_harness.watched(server.port, deadline_s=SCANT_S)
        await watch_harness.poll_until(watched, lambda: watched.up)
        server.pause()
        for when in ("no complete answer", "after connecting"):  # on the kept connection, then on a new one
            await watch_harness.poll_until(watched, lambda when=when: when in watched.health.error_text)  # type: ignore[misc]
            assert_down(watch_harness, watched, "timeout")
        server.resume()
        await watch_harness.poll_until(watched, lambda: watched.up)
        assert_up(watch_harness, watched)
        await until(lambda: connections(server) == 1)

    async def test_a_connection_that_is_made_as_the_deadline_passes_is_of_no_use(
        self, watch_harness: WatchHarness, scripted_server: ScriptFactory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        server = scripted_server(redis_like())
        watched = watch_harness.watched(server.port, deadline_s=SCANT_S)
        dial = watch_harness.dialer.dial

        async def dial_slowly(*args: Any, **settings: Any) -> Any:
            link = await dial(*args, **settings)
            await asyncio.sleep(SCANT_S)
            return link

        monkeypatch.setattr(watch_harness.dialer, "dial", dial_slowly)
        await watch_harness.poll(watched)
        assert_down(watch_harness, watched, "timeout")
        await until(lambda: server.finished == 1)

    async def test_a_turn_at_the_deadline_ends_the_poll_and_starts_the_next(
        self, watch_harness: WatchHarness, redis_server: RedisFactory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        clock = Clock()
        clock.take_over(monkeypatch)
        server = redis_server()
        watched = watch_harness.watched(server.port, deadline_s=AMPLE_S)
        await watch_harness.poll(watched)
        server.pause()
        watched.tick(time.monotonic())
        clock.ahead_s = AMPLE_S
        watched.tick(clock.monotonic())
        assert_down(watch_harness, watched, "timeout")
        assert watched.busy
        assert watched.state.series.lanes[Lane.FAST].skipped == 0

    async def test_a_script_that_blocks_the_server(
        self, watch_harness: WatchHarness, redis_server: RedisFactory
    ) -> None:
        server = redis_server("--lua-time-limit", "10")
        watched = watch_harness.watched(server.port)
        await watch_harness.poll(watched)

        def block() -> None:
            with redis.Redis(port=server.port) as client, suppress(redis.ResponseError):  # killed
                client.eval("while true do end", 0)

        blocker = threading.Thread(target=block)
        blocker.start()
        await watch_harness.poll_until(watched, lambda: not watched.up)
        assert_down(watch_harness, watched, "busy")
        server.ask("SCRIPT", "KILL")
        blocker.join()
        await watch_harness.poll(watched)
        assert_up(watch_harness, watched)

    async def test_a_script_that_blocks_the_greeting(
        self, watch_harness: WatchHarness, scripted_server: ScriptFactory
    ) -> None:
        server = scripted_server(redis_like({"CLIENT": b"-BUSY Redis is busy running a script.\r\n"}))
        watched = watch_harness.watched(server.port)
        await watch_harness.poll(watched)
        assert_down(watch_harness, watched, "busy")

    async def test_something_else_than_redis(
        self, watch_harness: WatchHarness, scripted_server: ScriptFactory
    ) -> None:
        server = scripted_server(redis_like({"INFO": bulk(b"version:1.6.21\r\n")}))
        watched = watch_harness.watched(server.port)
        await watch_harness.poll(watched)
        assert_down(watch_harness, watched, "protocol")

    async def test_a_mistake_of_ours_while_connecting_is_told_and_logged(
        self, watch_harness: WatchHarness, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def stumble(*args: Any, **settings: Any) -> Any:
            raise ZeroDivisionError

        monkeypatch.setattr(watch_harness.dialer, "dial", stumble)
        watched = watch_harness.watched(6379)
        await watch_harness.poll(watched)
        assert_down(watch_harness, watched, "internal")
        assert "ZeroDivisionError" in caplog.text

    async def test_a_mistake_of_ours_while_reading_costs_one_poll(
        self,
        watch_harness: WatchHarness,
        scripted_server: ScriptFactory,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        watched = watch_harness.watched(scripted_server(redis_like()).port)
        with monkeypatch.context() as patch:
            patch.setattr("exporter.polling.poll.Poll.receive", lambda poll, *told: 1 / 0)
            await watch_harness.poll(watched)
        assert_down(watch_harness, watched, "internal")
        assert "ZeroDivisionError" in caplog.text
        await watch_harness.poll(watched)
        assert_up(watch_harness, watched)


class TestLargeReplies:
    LARGE = b"*6000\r\n" + b"$1\r\na\r\n" * 6000

    async def test_one_that_is_too_large_costs_its_collector_and_neither_the_target_nor_its_connection(
        self, make_watch_harness: WatchHarnessFactory, scripted_server: ScriptFactory
    ) -> None:
        watch_harness = make_watch_harness([InfoCollector(), ConfigCollector()])
        watch_harness.dialer.change(same_for_all(DialSettings(limits=ReplyLimits(10_000))))
        server = scripted_server(redis_like({"CONFIG": self.LARGE}))
        watched = watch_harness.watched(server.port)
        for _ in range(8):
            await watch_harness.poll(watched)
        assert_up(watch_harness, watched)
        assert watch_harness.value(watched, "redis_exporter_collector_success", "config") == 0
        assert watch_harness.value(watched, "redis_exporter_collector_success", "info") == 1
        assert server.accepted == 1

    async def test_an_info_that_is_too_large_is_the_reason(
        self, watch_harness: WatchHarness, scripted_server: ScriptFactory
    ) -> None:
        watch_harness.dialer.change(same_for_all(DialSettings(limits=ReplyLimits(10_000))))
        server = scripted_server(redis_like({"INFO": bulk(b"x" * 20_000)}))
        watched = watch_harness.watched(server.port)
        await watch_harness.poll(watched)
        assert_down(watch_harness, watched, "too_large")
        assert "--reply.max-bytes" in watched.health.error_text


class TestUp:
    async def test_a_server_that_loads_its_data(
        self, make_watch_harness: WatchHarnessFactory, scripted_server: ScriptFactory
    ) -> None:
        watch_harness = make_watch_harness(WHOLE_INFO)
        watched = watch_harness.watched(scripted_server(redis_like({"INFO": info(loading=1)})).port)
        await watch_harness.poll(watched)
        assert_up(watch_harness, watched)
        assert watch_harness.value(watched, "redis_loading_dump_file") == 1

    async def test_a_database_that_could_not_be_selected_while_loading_is_selected_on_a_new_connection(
        self, watch_harness: WatchHarness, scripted_server: ScriptFactory
    ) -> None:
        selected = threading.Event()

        def select(talk: Conversation) -> None:
            assert talk.command() == [b"SELECT", b"3"]
            talk.send(b"+OK\r\n")
            selected.set()

        loading = {"SELECT": b"-LOADING Redis is loading the dataset in memory\r\n", "INFO": info(loading=1)}
        server = scripted_server(
            in_turn(redis_like(loading, commands=1 + FIRST_POLL + 1), redis_like()),
            in_turn(select, redis_like()),
        )
        watched = watch_harness.watched(server.port, db=3, standard_every=100)
        watched.state.clock.place = 99
        for _ in range(2):
            await watch_harness.poll(watched)
            assert_up(watch_harness, watched)
            assert server.accepted == 1
        assert not selected.is_set()
        for _ in range(3):
            await watch_harness.poll(watched)
        assert watch_harness.went_well(watched)
        assert selected.is_set()
        assert server.accepted == 2

    async def test_a_step_of_the_wall_clock_makes_no_value_older_or_younger(
        self, watch_harness: WatchHarness, redis_server: RedisFactory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        watched = watch_harness.watched(redis_server().port)
        wall = time.time
        for step_s in (0.0, -3600.0, 3600.0):
            monkeypatch.setattr(time, "time", lambda step_s=step_s: wall() + step_s)
            began_at = time.monotonic()
            await watch_harness.poll(watched)
            snapshots = [
                watch_harness.store.get(watched.target.addr, family_set) for family_set in ("info", "target")
            ]
            assert all(
                snapshot is not None and began_at <= snapshot.began_at <= time.monotonic()
                for snapshot in snapshots
            )
            succeeded_at = watched.state.series.lanes[Lane.FAST].succeeded_at
            assert succeeded_at == pytest.approx(wall() + step_s, abs=AMPLE_S)

    async def test_down_when_no_poll_began_within_two_intervals(
        self, watch_harness: WatchHarness, redis_server: RedisFactory
    ) -> None:
        watched = watch_harness.watched(redis_server().port)
        await watch_harness.poll(watched)
        health, interval_s = watched.health, watched.timing.interval_s
        assert health.down_at == pytest.approx(health.began_at + 2 * interval_s)
        assert_up(watch_harness, watched)
        watched.expire()
        assert watch_harness.value(watched, "redis_up") == 0
        assert watch_harness.value(watched, "redis_exporter_target_down", "timeout") == 1
        assert watched.health.down_at == math.inf  # it is known
        assert (await watch_harness.poll(watched)).up_changed
        assert_up(watch_harness, watched)


class TestBackOff:
    async def test_the_first_failure_costs_no_turn_and_then_every_second_one_is_taken(
        self, watch_harness: WatchHarness, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        clock = Clock()
        clock.take_over(monkeypatch)
        watched = watch_harness.watched(free_port(), interval_s=10.0)
        taken = []
        for turn in range(8):
            clock.ahead_s = turn * 10.0
            watched.tick(clock.monotonic())
            if watched.busy:
                taken.append(turn)
                await until(lambda: not watched.busy)
        assert taken == [0, 1, 3, 5, 7]

    async def test_success_ends_it(self, watch_harness: WatchHarness, redis_server: RedisFactory) -> None:
        server = redis_server()
        watched = watch_harness.watched(server.port, interval_s=10.0)
        server.kill()
        await watch_harness.poll(watched)
        await watch_harness.poll(watched)
        watched.tick(time.monotonic())
        assert not watched.busy
        server.start()
        await watch_harness.poll(watched)
        watched.tick(time.monotonic())
        assert watched.busy


class TestSecrets:
    """What a server repeats of a password is shown nowhere: not where a poll fails, and not where a
    collector does."""

    @pytest.mark.parametrize(
        "said", ["ERR no {}", "NOPERM {} may not", "BUSY {}", "WRONGPASS {}", "LOADING {}"]
    )
    async def test_an_error_reply_to_info(
        self, watch_harness: WatchHarness, scripted_server: ScriptFactory, said: str
    ) -> None:
        server = scripted_server(redis_like({"INFO": f"-{said.format(SECRET)}\r\n".encode()}))
        watched = watch_harness.watched(server.port, password=SECRET)
        ended = await watch_harness.poll(watched)
        assert "***" in str(ended.error)
        assert SECRET not in f"{ended.error} {ended.error!r} {watched.health.error_text}"

    async def test_an_error_that_quotes_what_a_collector_could_not_read(
        self,
        make_watch_harness: WatchHarnessFactory,
        scripted_server: ScriptFactory,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        class Quoting(Collector[None]):
            name = "quoting"
            lane = Lane.FAST
            families = (gauge("quoted", "Quoted."),)

            def collect(self, facts: Facts, options: Options, out: Out) -> Batches:
                [reply] = yield [Command.of("GET", "k")]
                raise ValueError(f"{reply!r} is no number")

        watch_harness = make_watch_harness(collectors=(InfoCollector(), Quoting()))
        watched = watch_harness.watched(
            scripted_server(redis_like({"GET": bulk(SECRET.encode())})).port, password=SECRET
        )
        await watch_harness.poll(watched)
        errors = [str(vars(record).get("err")) for record in caplog.records]
        assert "ValueError: b'***' is no number" in errors
        assert SECRET not in "".join([caplog.text, *errors])

    async def test_a_password_that_a_reload_brought(
        self, watch_harness: WatchHarness, scripted_server: ScriptFactory
    ) -> None:
        server = scripted_server(redis_like({"INFO": f"-ERR {SECRET}\r\n".encode()}))
        watched = watch_harness.watched(server.port, password="old")
        assert SECRET in str((await watch_harness.poll(watched)).error)
        repassword(watched, SECRET)
        assert SECRET not in str((await watch_harness.poll(watched)).error)


class TestFresh:
    async def test_returns_at_once_while_what_is_there_is_new_enough(
        self, watch_harness: WatchHarness, redis_server: RedisFactory
    ) -> None:
        server = redis_server()
        watched = watch_harness.watched(server.port)
        await watch_harness.poll(watched)
        server.pause()
        watched.tick(time.monotonic())  # even while a poll is under way
        await watched.fresh(AMPLE_S, time.monotonic() + AMPLE_S)
        assert watched.busy
        assert len(watch_harness.ends(watched)) == 1

    async def test_starts_a_poll_when_it_is_older(
        self, watch_harness: WatchHarness, redis_server: RedisFactory
    ) -> None:
        watched = watch_harness.watched(redis_server().port)
        await watched.fresh(AMPLE_S, time.monotonic() + AMPLE_S)  # never polled yet
        assert len(watch_harness.ends(watched)) == 1
        await until(lambda: time.monotonic() - watched.health.began_at > watched.timing.fresh_floor_s)
        await watched.fresh(0.0, time.monotonic() + AMPLE_S)
        assert watch_harness.value(watched, "redis_exporter_target_polls_total", "fast") == 2
        assert_up(watch_harness, watched)

    async def test_all_who_ask_share_the_poll_that_runs(
        self, watch_harness: WatchHarness, redis_server: RedisFactory
    ) -> None:
        watched = watch_harness.watched(redis_server().port)
        watched.tick(time.monotonic())
        await asyncio.gather(*(watched.fresh(0.0, time.monotonic() + AMPLE_S) for _ in range(5)))
        assert len(watch_harness.ends(watched)) == 1

    async def test_however_often_it_is_asked_for_the_server_is_polled_at_the_floor(
        self, watch_harness: WatchHarness, redis_server: RedisFactory
    ) -> None:
        watched = watch_harness.watched(redis_server().port, max_age_floor_s=0.2)
        ends, began = watch_harness.ends, time.monotonic()
        await watch_harness.ask_until(
            watched,
            lambda asked: len(ends(watched)) >= 4 and asked > 10 * len(ends(watched)),
            at_once=10,
        )
        assert len(ends(watched)) <= (time.monotonic() - began) / 0.2 + 1

    async def test_a_server_that_is_down_is_dialled_no_more_often_than_back_off_allows(
        self, watch_harness: WatchHarness
    ) -> None:
        watched = watch_harness.watched(free_port(), interval_s=60.0, max_age_floor_s=0.02)
        await watch_harness.ask_until(watched, lambda asked: watch_harness.dialer.dials == 2)
        until_s = time.monotonic() + 0.3
        await watch_harness.ask_until(watched, lambda asked: time.monotonic() > until_s)
        assert watch_harness.dialer.dials == 2  # back-off begins with the second failure

    async def test_a_thousand_who_wait_for_a_server_that_hangs_share_one_wait(
        self, watch_harness: WatchHarness, redis_server: RedisFactory
    ) -> None:
        server = redis_server()
        watched = watch_harness.watched(server.port, max_age_floor_s=1e-9)
        await watch_harness.poll(watched)
        server.pause()
        watched.tick(time.monotonic() + AMPLE_S)
        assert len({watched.refresh(0.0) for _ in range(1000)}) == 1
        ended = watched.refresh(0.0)
        assert ended is not None
        server.resume()
        await asyncio.wait_for(ended, AMPLE_S)

    async def test_returns_at_its_own_deadline_and_leaves_the_poll_running(
        self, watch_harness: WatchHarness, redis_server: RedisFactory
    ) -> None:
        server = redis_server()
        watched = watch_harness.watched(server.port)
        server.pause()
        await watched.fresh(0.0, time.monotonic() + SCANT_S)
        assert watched.busy
        server.resume()
        await until(lambda: not watched.busy)
        assert watch_harness.went_well(watched)

    async def test_returns_when_the_poll_has_failed_or_missed_its_deadline(
        self, watch_harness: WatchHarness, redis_server: RedisFactory
    ) -> None:
        server = redis_server()
        watched = watch_harness.watched(server.port, deadline_s=SCANT_S)
        server.pause()
        await watched.fresh(0.0, time.monotonic() + AMPLE_S)
        assert_down(watch_harness, watched, "timeout")

    async def test_of_a_closed_watch_returns_at_once(self, watch_harness: WatchHarness) -> None:
        watched = watch_harness.watched(free_port())
        watched.close()
        await watched.fresh(0.0, time.monotonic() + AMPLE_S)
        assert watch_harness.ends(watched) == []


class TestClose:
    """Whatever is under way: nothing is left of it."""

    async def assert_closes(self, watch_harness: WatchHarness, watched: WatchedTarget) -> None:
        waiting = asyncio.get_running_loop().create_task(watched.fresh(0.0, time.monotonic() + AMPLE_S))
        await asyncio.sleep(0)
        tasks = watched.close()
        await asyncio.gather(*tasks, return_exceptions=True)
        await waiting
        assert others() == set()
        assert watch_harness.limiter.inside == 0
        assert watch_harness.was_cancelled(watched)
        assert watch_harness.value(watched, "redis_exporter_target_poll_failures_total", "cancelled") is None
        watched.tick(time.monotonic() + AMPLE_S)
        assert not watched.busy

    async def test_a_dial_that_has_just_been_called_for(
        self, watch_harness: WatchHarness, scripted_server: ScriptFactory
    ) -> None:
        watched = watch_harness.watched(scripted_server(redis_like()).port)
        watched.tick(time.monotonic())
        watched.close()
        assert watch_harness.limiter.inside == 0
        assert watch_harness.was_cancelled(watched)
        await until(lambda: not others())
        assert watch_harness.dialer.dials == 0

    async def test_a_dial_that_waits_for_the_name(self, watch_harness: WatchHarness) -> None:
        hang = Hang()
        watch_harness.dialer.resolve_by(hang)
        watched = watch_harness.watched(6379, "redis.invalid")
        watched.tick(time.monotonic())
        await until(lambda: hang.asked)
        await self.assert_closes(watch_harness, watched)

    async def test_a_greeting(self, watch_harness: WatchHarness, scripted_server: ScriptFactory) -> None:
        server = scripted_server(Conversation.silence)
        watched = watch_harness.watched(server.port)
        watched.tick(time.monotonic())
        await until(lambda: server.accepted == 1)
        await self.assert_closes(watch_harness, watched)
        await until(lambda: server.finished == 1)

    async def test_an_exchange(self, watch_harness: WatchHarness, scripted_server: ScriptFactory) -> None:
        server = scripted_server(in_turn(redis_like(commands=FIRST_POLL), Conversation.silence))
        watched = watch_harness.watched(server.port)
        await watch_harness.poll(watched)
        watched.tick(time.monotonic())
        await self.assert_closes(watch_harness, watched)
        await until(lambda: server.finished == 1)

    async def test_an_idle_connection(self, watch_harness: WatchHarness, redis_server: RedisFactory) -> None:
        server = redis_server()
        watched = watch_harness.watched(server.port)
        await watch_harness.poll(watched)
        assert watched.close() == []
        await until(lambda: connections(server) == 0)
        assert others() == set()

    async def test_a_place_in_the_line(
        self, make_watch_harness: WatchHarnessFactory, scripted_server: ScriptFactory
    ) -> None:
        watch_harness = make_watch_harness(limit=1)
        server = scripted_server(Conversation.silence)
        watched_targets = [
            watch_harness.watched(server.port, name=f"redis://h:{number}") for number in range(3)
        ]
        for watched in watched_targets:
            watched.tick(time.monotonic())
        tasks = [task for watched in reversed(watched_targets) for task in watched.close()]
        await asyncio.gather(*tasks, return_exceptions=True)
        assert watch_harness.limiter.inside == 0
        assert all(watch_harness.was_cancelled(watched) for watched in watched_targets)
        assert others() == set()

    async def test_is_no_failure_of_the_target(
        self, watch_harness: WatchHarness, redis_server: RedisFactory
    ) -> None:
        server = redis_server()
        watched = watch_harness.watched(server.port)
        await watch_harness.poll(watched)
        server.pause()
        watched.tick(time.monotonic())
        watched.close()
        ended = watch_harness.ends(watched)[-1]
        assert isinstance(ended.error, CancelledPollError)
        assert not ended.up_changed
        assert watched.up

    @pytest.mark.parametrize("runs", [False, True], ids=["idle", "while_a_poll_runs"])
    async def test_frees_all_at_once(
        self, watch_harness: WatchHarness, redis_server: RedisFactory, runs: bool
    ) -> None:
        """The garbage collector may come after thousands of other targets."""
        server = redis_server()
        gc.collect()
        before = count_of(WatchedTarget, TargetState, PollRunner)
        watched = watch_harness.watched(server.port)
        for _ in range(3):  # the first ones decide, the others do what was decided
            await watch_harness.poll(watched)
        if runs:
            server.pause()
            watched.tick(time.monotonic())
        gc.disable()
        try:
            await watch_harness.drop(watched)
            del watched
            await until(lambda: count_of(WatchedTarget, TargetState, PollRunner) <= before)
        finally:
            gc.enable()


def count_of(*types: type) -> int:
    """How many objects of these types there are, garbage too."""
    return sum(type(each) in types for each in gc.get_objects())


class Sizes(Collector[None]):
    """Two commands that a user may be forbidden."""

    name = "sizes"
    help = "Sizes."
    lane = Lane.FAST
    KEYS: ClassVar = gauge("test_keys", "Keys.")
    families = (KEYS,)

    def collect(self, facts: Facts, options: Options, out: Out) -> Batches:
        [keys, _] = yield [Command.of("DBSIZE"), Command.of("LASTSAVE")]
        if isinstance(keys, ReplyError):
            raise keys.as_target_error()
        out.add(self.KEYS, keys)


class TestRefusedCommands:
    async def test_are_asked_once(self, watch_harness: WatchHarness, redis_server: RedisFactory) -> None:
        server = redis_server("--user", "watcher", "on", f">{SECRET}", "-@all", "+info")
        watched = watch_harness.watched(server.port, user="watcher", password=SECRET)
        await watch_harness.poll(watched)
        refused = server_field(server, "total_error_replies")
        assert refused == 2  # the connection's name, and the number of databases
        for _ in range(20):
            await watch_harness.poll(watched)
        assert watch_harness.went_well(watched)
        assert server_field(server, "total_error_replies") == refused

    async def test_are_not_asked_again_on_a_new_connection(
        self, watch_harness: WatchHarness, redis_server: RedisFactory
    ) -> None:
        server = redis_server("--user", "watcher", "on", f">{SECRET}", "-@all", "+info", "+config|get")
        watched = watch_harness.watched(
            server.port, user="watcher", password=SECRET, connection_max_age_s=1e-9
        )
        for _ in range(3):
            await watch_harness.poll(watched)
        assert watch_harness.dialer.dials == 3
        assert server_field(server, "total_error_replies") == 1  # the connection's name

    async def test_are_no_failure_worth_a_line_in_the_log(
        self,
        make_watch_harness: WatchHarnessFactory,
        redis_server: RedisFactory,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        server = redis_server(
            "--user", "watcher", "on", f">{SECRET}", "-@all", "+info", "+client|setname", "+config|get"
        )
        watch_harness = make_watch_harness([InfoCollector(), Sizes()])
        caplog.set_level(logging.INFO)
        await watch_harness.poll(watch_harness.watched(server.port, user="watcher", password=SECRET))
        [line] = caplog.messages
        assert line.startswith("the server refuses DBSIZE, LASTSAVE: these metrics are left out")
        assert [record for record in caplog.records if record.levelno > logging.INFO] == []

    async def test_are_asked_again_when_the_server_has_started_anew(
        self, make_watch_harness: WatchHarnessFactory, redis_server: RedisFactory
    ) -> None:
        watch_harness = make_watch_harness([InfoCollector(), Sizes()])
        server = redis_server(
            "--user", "watcher", "on", f">{SECRET}", "-@all", "+info", "+client|setname", "+config|get"
        )
        watched = watch_harness.watched(server.port, user="watcher", password=SECRET)
        for _ in range(5):
            await watch_harness.poll(watched)
        assert server_field(server, "total_error_replies") == 2
        assert watch_harness.value(watched, "redis_exporter_collector_success", "sizes") == 1
        assert watch_harness.value(watched, "redis_exporter_collector_supported", "sizes") == 0
        assert watch_harness.value(watched, "redis_test_keys") is None
        assert_up(watch_harness, watched)

        server.kill()
        server.args = (*server.args, "+dbsize")
        server.start()
        await watch_harness.poll_until(watched, lambda: watch_harness.value(watched, "redis_test_keys") == 0)
        assert watch_harness.value(watched, "redis_exporter_collector_success", "sizes") == 1
        assert watch_harness.value(watched, "redis_exporter_collector_supported", "sizes") is None


class TestNewPassword:
    async def test_is_used_from_the_next_poll_on_and_refusals_are_forgotten(
        self, make_watch_harness: WatchHarnessFactory, redis_server: RedisFactory
    ) -> None:
        server = redis_server(
            "--user",
            "watcher",
            "on",
            f">{SECRET}",
            ">other",
            "-@all",
            "+info",
            "+client|setname",
            "+config|get",
        )
        watch_harness = make_watch_harness([InfoCollector(), Sizes()])
        watched = watch_harness.watched(server.port, user="watcher", password=SECRET)
        await watch_harness.poll(watched)
        assert watch_harness.value(watched, "redis_exporter_collector_supported", "sizes") == 0
        server.ask("ACL", "SETUSER", "watcher", "+dbsize", "+lastsave")
        repassword(watched, SECRET)
        await watch_harness.poll(watched)
        assert watch_harness.dialer.dials == 1
        assert watch_harness.value(watched, "redis_test_keys") == 0
        repassword(watched, "other")
        await watch_harness.poll(watched)
        assert watch_harness.went_well(watched)
        assert watch_harness.dialer.dials == 2

    async def test_is_tried_at_the_next_turn_whatever_failed_before(
        self, watch_harness: WatchHarness, redis_server: RedisFactory
    ) -> None:
        server = redis_server("--requirepass", SECRET)
        watched = watch_harness.watched(server.port, interval_s=10.0, password="wrong")
        await watch_harness.poll(watched)
        await watch_harness.poll(watched)
        repassword(watched, "wrong")
        watched.tick(time.monotonic())
        assert not watched.busy
        repassword(watched, SECRET)
        watched.tick(time.monotonic())
        await until(lambda: watched.up)


class TestReassign:
    async def test_keeps_snapshots_counters_and_connection_and_takes_the_rest(
        self, make_watch_harness: WatchHarnessFactory, redis_server: RedisFactory
    ) -> None:
        watch_harness = make_watch_harness([InfoCollector(), Sizes()])
        watched = watch_harness.watched(redis_server().port)
        for _ in range(2):
            await watch_harness.poll(watched)
        info = watched.assignment.family_sets.of_collectors[:1]
        watched.reassign(
            replace(
                watched.assignment,
                target=replace(watched.target, labels=(("env", "x"),)),
                family_sets=FamilySets(info, watched.assignment.family_sets.about_target),
                timing=replace(watched.timing, interval_s=0.1),
            )
        )
        assert watched.up
        assert watch_harness.value(watched, "redis_exporter_target_polls_total", "x", "fast") == 2
        watch_harness.store.drop(watched.target.addr)
        await watch_harness.poll(watched)
        assert watch_harness.dialer.dials == 1
        assert watch_harness.value(watched, "redis_exporter_target_polls_total", "x", "fast") == 3
        names = {name for name, _ in watch_harness.series(watched)}
        assert "redis_connected_clients" in names
        assert "redis_test_keys" not in names
        assert watch_harness.value(watched, "redis_exporter_collector_success", "x", "sizes") is None

    async def test_while_a_poll_runs_that_poll_ends_as_it_began(
        self, make_watch_harness: WatchHarnessFactory, redis_server: RedisFactory
    ) -> None:
        watch_harness = make_watch_harness([InfoCollector(), Sizes()])
        server = redis_server()
        watched = watch_harness.watched(server.port)
        await watch_harness.poll(watched)
        watch_harness.store.drop(watched.target.addr)
        server.pause()
        watched.tick(time.monotonic())
        info = watched.assignment.family_sets.of_collectors[:1]
        family_sets = FamilySets(info, watched.assignment.family_sets.about_target)
        watched.reassign(replace(watched.assignment, family_sets=family_sets))
        server.resume()
        await until(lambda: not watched.busy)
        assert watch_harness.went_well(watched)
        assert watch_harness.store.get(watched.target.addr, "info") is not None
        assert watch_harness.store.get(watched.target.addr, "sizes") is None

    async def test_without_a_scan_lane_the_connection_of_the_scans_is_closed(
        self, make_watch_harness: WatchHarnessFactory, scripted_server: ScriptFactory
    ) -> None:
        class Scanned(Sizes):
            name = "scanned"
            lane = Lane.SCAN

        watch_harness = make_watch_harness([InfoCollector(), Scanned()])
        server = scripted_server(redis_like(), Conversation.silence)
        watched = watch_harness.watched(server.port)
        await watch_harness.poll(watched)
        watched.scanner.start()
        await until(lambda: server.accepted == 2)
        info = watched.assignment.family_sets.of_collectors[:1]
        family_sets = FamilySets(info, watched.assignment.family_sets.about_target)
        await until(lambda: watch_harness.dialer.under_way == 1)
        [cancelled] = watched.reassign(replace(watched.assignment, family_sets=family_sets))
        assert not watched.scanner.busy
        with suppress(asyncio.CancelledError):
            await cancelled
        await until(lambda: server.finished == 1)
        await watch_harness.poll(watched)
        assert_up(watch_harness, watched)
        assert watch_harness.value(watched, "redis_exporter_target_polls_total", "scan") is None


class TestReassignedLogin:
    @pytest.fixture
    def server(self, redis_server: RedisFactory) -> RedisServer:
        server = redis_server()
        for user in "ab":
            server.ask("ACL", "SETUSER", user, "on", f">{user}", "~*", "+@all")
        return server

    def become_b(self, watched: WatchedTarget) -> None:
        watched.reassign(replace(watched.assignment, target=replace(watched.target, user="b", password="b")))

    def users(self, server: RedisServer) -> list[str]:
        clients = server.ask("CLIENT", "LIST")
        assert isinstance(clients, bytes)
        return re.findall(r"name=redis_exporter.*user=(\S+)", clients.decode())

    async def test_during_a_dial_the_next_poll_uses_it(
        self, watch_harness: WatchHarness, server: RedisServer
    ) -> None:
        watched = watch_harness.watched(server.port, user="a", password="a")
        watched.tick(time.monotonic())
        await asyncio.sleep(0)
        assert watch_harness.dialer.under_way == 1
        self.become_b(watched)
        await until(lambda: watched.up)
        for _ in range(2):
            await watch_harness.poll(watched)
        assert watch_harness.dialer.dials == 2
        await until(lambda: self.users(server) == ["b"])

    @pytest.mark.parametrize("at_dials", [True, False])
    @pytest.mark.parametrize("polls", [0, 1])
    async def test_while_a_poll_waits_for_its_admission_that_poll_uses_it(
        self, make_watch_harness: WatchHarnessFactory, server: RedisServer, at_dials: bool, polls: int
    ) -> None:
        watch_harness = make_watch_harness(limit=1)
        watch_harness.dialer.limiter = Limiter(1)
        watched = watch_harness.watched(server.port, user="a", password="a")
        for _ in range(polls):
            await watch_harness.poll(watched)
        before = Admission(watch_harness.dialer.limiter if at_dials else watch_harness.limiter, lambda: None)
        before.enter()
        if at_dials and polls:  # the kept connection needs no dial
            watched._runner.connection.renew()
        polling = asyncio.create_task(watch_harness.poll(watched))
        await asyncio.sleep(0)
        assert watched.busy
        self.become_b(watched)
        before.leave()
        await polling
        await until(lambda: self.users(server) == ["b"])
        assert watch_harness.dialer.dials == polls + 1
        assert watch_harness.went_well(watched)


class TestRoleLabel:
    async def test_every_series_bears_the_role_that_info_tells(
        self, make_watch_harness: WatchHarnessFactory, redis_server: RedisFactory
    ) -> None:
        master, server = redis_server(), redis_server()
        watch_harness = make_watch_harness(argv=["--append-instance-role-label"])
        watched = watch_harness.watched(server.port)
        await watch_harness.poll(watched)
        assert roles(watch_harness, watched) == {"master"}
        server.ask("REPLICAOF", "127.0.0.1", master.port)
        await watch_harness.poll(watched)
        assert roles(watch_harness, watched, "info", "target") == {"slave"}
        await watch_harness.poll_until(watched, lambda: roles(watch_harness, watched) == {"slave"})

    @pytest.mark.parametrize("place", [0, 1, 2])  # at 0 the commands are read before the role is known
    async def test_another_role_keeps_a_family_over_its_limit(
        self, make_watch_harness: WatchHarnessFactory, redis_server: RedisFactory, place: int
    ) -> None:
        server = redis_server()
        for command in ("SET a 1", "GET a", "EXISTS a", "TTL a", "TYPE a"):
            server.ask(*command.split())
        watch_harness = make_watch_harness(argv=["--append-instance-role-label", "--max-series-per-family=3"])
        watched = watch_harness.watched(server.port)
        watched.state.clock.place = place
        for role in ("master", "slave"):
            await watch_harness.poll_until(watched, lambda role=role: roles(watch_harness, watched) == {role})  # type: ignore[misc]
            assert served(watch_harness, watched).count(b"\nredis_commands_total{") == 3
            server.ask("REPLICAOF", "127.0.0.1", free_port())

    async def test_while_it_is_down_the_role_is_the_one_it_had(
        self, make_watch_harness: WatchHarnessFactory, redis_server: RedisFactory
    ) -> None:
        server = redis_server()
        watch_harness = make_watch_harness(argv=["--append-instance-role-label"])
        watched = watch_harness.watched(server.port)
        await watch_harness.poll(watched)
        server.kill()
        await watch_harness.poll(watched)
        assert b'redis_up{addr="%s",instance_role="master"} 0\n' % watched.target.addr.encode() in served(
            watch_harness, watched, "target"
        )

    async def test_a_page_without_the_targets_labels_has_it(
        self, make_watch_harness: WatchHarnessFactory, redis_server: RedisFactory
    ) -> None:
        watch_harness = make_watch_harness(WHOLE_INFO, argv=["--append-instance-role-label"])
        watched = watch_harness.watched(redis_server().port, labels=(("instance_role", "mine"),))
        await watch_harness.poll(watched)
        snapshot = watch_harness.store.get(watched.target.addr, "server")
        assert snapshot is not None
        stripped = engine.strip_labels(snapshot.block, watched.state.labels.labels_of("server"))
        assert b'\nredis_hz{instance_role="master"} 10\n' in stripped.samples


def served(watch_harness: WatchHarness, watched: WatchedTarget, *family_sets: str) -> bytes:
    snapshots = [
        watch_harness.store.get(watched.target.addr, family_set)
        for family_set in family_sets or watch_harness.family_set_names
    ]
    return b"".join(snapshot.samples for snapshot in snapshots if snapshot is not None)


def roles(watch_harness: WatchHarness, watched: WatchedTarget, *family_sets: str) -> set[str]:
    """The roles that series are labelled with; "" for one that has none. Those about connecting have none."""
    lines = [
        line
        for line in served(watch_harness, watched, *family_sets).decode().splitlines()
        if "_connect_time_" not in line
    ]
    return {found[1] if (found := re.search(r'instance_role="(\w*)"', line)) else "" for line in lines}


class TestSeriesLimit:
    async def test_series_beyond_the_limit_are_refused_and_counted(
        self, make_watch_harness: WatchHarnessFactory, redis_server: RedisFactory
    ) -> None:
        watch_harness = make_watch_harness(WHOLE_INFO, argv=["--max-series-per-target=200"])
        server = redis_server()
        watched = watch_harness.watched(server.port)
        await watch_harness.poll(watched)
        shown = set(watch_harness.series(watched))
        refused = watch_harness.value(watched, "redis_exporter_target_series_refused")
        assert watch_harness.value(watched, "redis_exporter_target_series") == 200
        assert refused is not None
        server.ask("SELECT", 0)
        server.ask("HSET", "a", "b", "c")
        await watch_harness.poll_until(
            watched, lambda: watch_harness.number(watched, "redis_exporter_target_series_refused") > refused
        )
        assert {key for key in watch_harness.series(watched) if not key[0].startswith("redis_exporter_")} == {
            key for key in shown if not key[0].startswith("redis_exporter_")
        }
        process_id = watch_harness.value(watched, "redis_process_id")
        assert process_id is not None
        server.kill()
        server.start()
        await watch_harness.poll_until(
            watched, lambda: watch_harness.value(watched, "redis_process_id") not in (process_id, None)
        )
        await watch_harness.poll_until(  # each lane has its turn
            watched, lambda: watch_harness.value(watched, "redis_exporter_target_series") == 200
        )


class TestFailingCollector:
    async def test_a_fault_of_a_family_set_of_it_is_told_once_until_its_reason_changes(
        self,
        make_watch_harness: WatchHarnessFactory,
        scripted_server: ScriptFactory,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        class Faulty(Sizes):
            text = f"no {SECRET} here, 1"

            def collect(self, facts: Facts, options: Options, out: Out) -> Batches:
                yield from super().collect(facts, options, out)
                if self.text:
                    out.fault("a.lua", self.text)

        faulty = Faulty()
        watch_harness = make_watch_harness([InfoCollector(), faulty])
        replies = {"DBSIZE": b":5\r\n", "LASTSAVE": b":1\r\n"}
        watched = watch_harness.watched(scripted_server(redis_like(replies)).port, password=SECRET)
        for text in (faulty.text, f"no {SECRET} here, 2", "other"):
            faulty.text = text
            await watch_harness.poll(watched)
            assert watch_harness.value(watched, "redis_exporter_collector_success", "sizes") == 0
            assert watch_harness.value(watched, "redis_test_keys") == 5
        assert [record.getMessage() for record in caplog.records] == [
            "the collector sizes: a.lua: no *** here, 1",
            "the collector sizes: a.lua: other",
        ]
        faulty.text = ""
        await watch_harness.poll(watched)
        assert watch_harness.value(watched, "redis_exporter_collector_success", "sizes") == 1

    async def test_is_logged_once_until_it_has_gone_well_again(
        self,
        make_watch_harness: WatchHarnessFactory,
        scripted_server: ScriptFactory,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        replies = {"DBSIZE": f"-BUSY no {SECRET} here\r\n".encode(), "LASTSAVE": b":1\r\n"}
        watch_harness = make_watch_harness([InfoCollector(), Sizes()])
        watched = watch_harness.watched(scripted_server(redis_like(replies)).port, password=SECRET)
        for _ in range(3):
            await watch_harness.poll(watched)
        assert_up(watch_harness, watched)
        assert watch_harness.value(watched, "redis_exporter_collector_success", "sizes") == 0
        assert [(record.getMessage(), vars(record)["err"]) for record in caplog.records] == [
            ("the collector sizes failed", "BUSY no *** here")
        ]
        replies["DBSIZE"] = b":5\r\n"
        await watch_harness.poll_until(watched, lambda: watch_harness.value(watched, "redis_test_keys") == 5)
        replies["DBSIZE"] = b"-BUSY again\r\n"
        await watch_harness.poll_until(watched, lambda: len(caplog.records) == 2)


class TestStale:
    async def test_a_lane_says_so_until_its_next_snapshot(
        self, watch_harness: WatchHarness, redis_server: RedisFactory
    ) -> None:
        watched = watch_harness.watched(redis_server().port)
        await watch_harness.poll(watched)
        assert watch_harness.value(watched, "redis_exporter_snapshot_stale", "fast") == 0
        watched.note_stale(Lane.FAST)
        assert watch_harness.value(watched, "redis_exporter_snapshot_stale", "fast") == 1
        assert watch_harness.value(watched, "redis_exporter_snapshot_stale", "standard") == 0
        await watch_harness.poll(watched)
        assert watch_harness.value(watched, "redis_exporter_snapshot_stale", "fast") == 0
