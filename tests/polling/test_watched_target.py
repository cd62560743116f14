"""What becomes of one target's polls: against real servers, and against some that misbehave on purpose."""

from __future__ import annotations

import asyncio
import itertools
import math
import re
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any, ClassVar

import pytest
import redis

from exporter import engine
from exporter.collectors._contract import Batches, Collector, Out
from exporter.collectors.clients import ClientsCollector
from exporter.collectors.config import ConfigCollector
from exporter.collectors.info import InfoCollector
from exporter.connection.gate import Gate
from exporter.connection.replies import ReplyLimits
from exporter.connection.settings import DialSettings
from exporter.descriptors import Descriptors
from exporter.errors import CancelledPollError, DnsError, ReplyError
from exporter.metrics.family import gauge
from exporter.metrics.lane import Lane
from exporter.polling.poll import Poll
from exporter.polling.watched_target import Watch
from exporter.protocol.command import Command
from exporter.protocol.facts import Facts
from tests.lookout import (
    AMPLE_S,
    FIRST_POLL,
    SECRET,
    Held,
    Lookout,
    bulk,
    connections,
    in_turn,
    info,
    others,
    redis_like,
    server_field,
)
from tests.servers import Conversation, RedisServer, ScriptedServer, free_port
from tests.stock import until

LookoutFactory = Callable[..., Lookout]
RedisFactory = Callable[..., RedisServer]
ScriptFactory = Callable[..., ScriptedServer]

SCANT_S = 0.3  # the deadline of polls that miss it


@pytest.fixture
async def make_lookout() -> AsyncIterator[LookoutFactory]:
    """Makes lookouts, and closes their watches when the test is over. Nothing may be left of any."""
    made: list[Lookout] = []

    def make(*args: Any, **kwargs: Any) -> Lookout:
        made.append(Lookout(*args, **kwargs))
        return made[-1]

    yield make
    for lookout in made:
        await lookout.close()
        assert lookout.gate.inside == 0
    assert others() == set()


@pytest.fixture
def lookout(make_lookout: LookoutFactory) -> Lookout:
    return make_lookout()


def assert_down(lookout: Lookout, watch: Watch, reason: str) -> None:
    """Down for this reason, and for no other: in every series that tells."""
    told = lookout.series(watch)
    assert told["redis_up", ()] == 0
    assert [labels for name, labels in told if name == "redis_exporter_target_down"] == [(reason,)]
    assert told["redis_exporter_last_scrape_error", (reason,)] == 1
    assert {labels for name, labels in told if name == "redis_exporter_target_poll_failures_total"} == {
        (reason,)
    }
    assert SECRET not in watch.error_text
    assert watch.error_text


def assert_up(lookout: Lookout, watch: Watch) -> None:
    told = lookout.series(watch)
    assert told["redis_up", ()] == 1
    assert not [labels for name, labels in told if name == "redis_exporter_target_down"]
    assert told["redis_exporter_last_scrape_error", ("",)] == 0
    assert watch.error_text == ""


async def no_such_name(host: str, port: int) -> tuple[str, ...]:
    raise DnsError(f"{host}:{port}: the name cannot be resolved")


class Hang:
    """A name resolution that does not come back until it is cancelled."""

    def __init__(self) -> None:
        self.asked = 0

    async def __call__(self, host: str, port: int) -> tuple[str, ...]:
        self.asked += 1
        await asyncio.Event().wait()
        raise AssertionError("never")


class Clock:
    """Stands for the module `time`, whose monotonic clock it sets ahead."""

    time = staticmethod(time.time)

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead_s


class TestLanes:
    async def test_nothing_is_told_before_the_first_poll_has_ended(self, lookout: Lookout) -> None:
        watch = lookout.watch(free_port())
        assert watch.up is None
        assert lookout.series(watch) == {}

    async def test_the_first_poll_takes_all_lanes_along(
        self, lookout: Lookout, redis_server: RedisFactory
    ) -> None:
        watch = lookout.watch(redis_server().port)
        await lookout.poll(watch)
        assert_up(lookout, watch)
        for lane in ("fast", "standard"):
            assert lookout.value(watch, "redis_exporter_target_polls_total", lane) == 1
        assert lookout.value(watch, "redis_connected_clients") == 1
        assert lookout.value(watch, "redis_commands_total", "info") is not None
        assert (lookout.value(watch, "redis_exporter_target_series") or 0) > 100

    @pytest.mark.parametrize(("place", "turns"), [(0, [1, 2, 5, 8]), (1, [1, 3, 6, 9]), (2, [1, 4, 7, 10])])
    async def test_the_standard_lane_comes_round_at_its_multiple_at_a_turn_of_the_targets_own(
        self, lookout: Lookout, redis_server: RedisFactory, place: int, turns: list[int]
    ) -> None:
        watch = lookout.watch(redis_server().port, standard_every=3)
        watch.hash = place
        taken = []
        for turn in range(1, 11):
            before = watch.vitals.lanes[Lane.STANDARD].polls
            await lookout.poll(watch)
            if watch.vitals.lanes[Lane.STANDARD].polls > before:
                taken.append(turn)
        assert taken == turns
        assert watch.vitals.lanes[Lane.FAST].polls == 10

    async def test_polls_between_the_turns_take_nothing_away_from_the_turns(
        self, lookout: Lookout, redis_server: RedisFactory
    ) -> None:
        watch = lookout.watch(redis_server().port, standard_every=1)
        await lookout.poll(watch)
        for _ in range(5):
            await watch.fresh(0.0, time.monotonic() + AMPLE_S)
        polls = watch.vitals.lanes[Lane.STANDARD].polls
        await lookout.poll(watch)
        await lookout.poll(watch)
        assert watch.vitals.lanes[Lane.STANDARD].polls == polls + 2

    async def test_a_lane_whose_poll_failed_comes_with_the_next_one_and_keeps_its_turns(
        self, lookout: Lookout, redis_server: RedisFactory
    ) -> None:
        server = redis_server()
        watch = lookout.watch(server.port, standard_every=3)
        watch.hash = 2  # the standard lane's turns are 1, 4, 7, …
        for _ in range(3):
            await lookout.poll(watch)
        server.kill()
        assert (await lookout.poll(watch)).error is not None
        server.start()
        taken = []
        for turn in range(5, 11):
            before = watch.vitals.lanes[Lane.STANDARD].polls
            await lookout.poll(watch)
            if watch.vitals.lanes[Lane.STANDARD].polls > before:
                taken.append(turn)
        assert taken == [5, 7, 10]

    async def test_a_turn_that_finds_the_poll_before_still_running_is_skipped_and_counted(
        self, lookout: Lookout, redis_server: RedisFactory
    ) -> None:
        server = redis_server()
        watch = lookout.watch(server.port, standard_every=4)
        watch.hash = 0
        await lookout.poll(watch)
        server.pause()
        watch.tick(time.monotonic())  # runs, with the standard lane
        for _ in range(3):
            watch.tick(time.monotonic())
        server.resume()
        await until(lambda: not watch.busy)
        assert lookout.value(watch, "redis_exporter_target_polls_total", "fast") == 2
        assert lookout.value(watch, "redis_exporter_target_polls_skipped_total", "fast") == 3
        assert_up(lookout, watch)


class TestDown:
    async def test_refused_and_back_without_a_restart(
        self, lookout: Lookout, redis_server: RedisFactory
    ) -> None:
        server = redis_server()
        watch = lookout.watch(server.port)
        await lookout.poll(watch)
        server.kill()
        for _ in range(2):
            await lookout.poll(watch)
            assert_down(lookout, watch, "refused")
        server.start()
        assert (await lookout.poll(watch)).up_changed
        assert_up(lookout, watch)
        assert lookout.value(watch, "redis_exporter_target_poll_failures_total", "refused") == 2

    async def test_a_failed_poll_leaves_the_values_of_the_one_before(
        self, lookout: Lookout, redis_server: RedisFactory
    ) -> None:
        server = redis_server()
        watch = lookout.watch(server.port)
        await lookout.poll(watch)
        server.kill()
        await lookout.poll(watch)
        assert lookout.value(watch, "redis_connected_clients") == 1

    async def test_a_wrong_password(self, lookout: Lookout, redis_server: RedisFactory) -> None:
        server = redis_server("--requirepass", "the right one")
        watch = lookout.watch(server.port, password=SECRET)
        await lookout.poll(watch)
        assert_down(lookout, watch, "auth")
        with redis.Redis(port=server.port, password="the right one") as client:
            client.config_set("requirepass", SECRET)
        await lookout.poll(watch)
        assert_up(lookout, watch)

    async def test_no_password_where_one_is_wanted(
        self, lookout: Lookout, redis_server: RedisFactory
    ) -> None:
        server = redis_server("--requirepass", SECRET)
        watch = lookout.watch(server.port)
        await lookout.poll(watch)
        assert_down(lookout, watch, "auth")
        with redis.Redis(port=server.port, password=SECRET) as client:
            client.config_set("requirepass", "")
        await lookout.poll(watch)
        assert_up(lookout, watch)

    async def test_a_password_wanted_on_a_kept_connection_is_sent_on_a_new_one(
        self, lookout: Lookout, scripted_server: ScriptFactory
    ) -> None:
        logged_out = redis_like({"INFO": b"-NOAUTH Authentication required.\r\n"})
        server = scripted_server(in_turn(redis_like(commands=1), logged_out), redis_like())
        watch = lookout.watch(server.port)
        await lookout.poll(watch)
        assert_down(lookout, watch, "auth")
        await lookout.poll(watch)
        assert_up(lookout, watch)
        assert server.accepted == 2

    async def test_info_forbidden_and_then_allowed(
        self, lookout: Lookout, redis_server: RedisFactory
    ) -> None:
        server = redis_server("--user", "watcher", "on", f">{SECRET}", "-@all", "+ping")
        watch = lookout.watch(server.port, user="watcher", password=SECRET)
        for _ in range(2):
            await lookout.poll(watch)
            assert_down(lookout, watch, "noperm")
        server.ask("ACL", "SETUSER", "watcher", "+info")
        await lookout.poll(watch)
        assert_up(lookout, watch)
        assert lookout.dialer.dials == 1

    async def test_a_name_that_cannot_be_resolved(self, lookout: Lookout) -> None:
        lookout.dialer.resolve_by(no_such_name)
        watch = lookout.watch(6379, "redis.invalid")
        await lookout.poll(watch)
        assert_down(lookout, watch, "dns")

    async def test_a_name_service_that_does_not_answer(self, lookout: Lookout) -> None:
        lookout.dialer.resolve_by(Hang())
        watch = lookout.watch(6379, "redis.invalid", deadline_s=SCANT_S)
        await lookout.poll(watch)
        assert_down(lookout, watch, "dns")
        assert "the resolver did not answer" in watch.error_text
        assert others() == set()

    async def test_a_server_that_hangs_and_wakes_up(
        self, lookout: Lookout, redis_server: RedisFactory
    ) -> None:
        server = redis_server()
        watch = lookout.watch(server.port, deadline_s=SCANT_S)
        await lookout.poll_until(watch, lambda: watch.up)
        server.pause()
        for when in ("no complete answer", "after connecting"):  # on the kept connection, then on a new one
            await lookout.poll(watch)
            assert_down(lookout, watch, "timeout")
            assert when in watch.error_text
        server.resume()
        await lookout.poll_until(watch, lambda: watch.up)
        assert_up(lookout, watch)
        await until(lambda: connections(server) == 1)

    async def test_a_connection_that_is_made_as_the_deadline_passes_is_of_no_use(
        self, lookout: Lookout, scripted_server: ScriptFactory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        server = scripted_server(redis_like())
        watch = lookout.watch(server.port, deadline_s=SCANT_S)
        dial = lookout.dialer.dial

        async def dial_slowly(*args: Any, **settings: Any) -> Any:
            link = await dial(*args, **settings)
            await asyncio.sleep(SCANT_S)
            return link

        monkeypatch.setattr(lookout.dialer, "dial", dial_slowly)
        await lookout.poll(watch)
        assert_down(lookout, watch, "timeout")
        await until(lambda: server.finished == 1)

    async def test_a_turn_at_the_deadline_ends_the_poll_and_starts_the_next(
        self, lookout: Lookout, redis_server: RedisFactory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        clock = Clock()
        monkeypatch.setattr("exporter.polling.watched_target.time", clock)
        server = redis_server()
        watch = lookout.watch(server.port, deadline_s=AMPLE_S)
        await lookout.poll(watch)
        server.pause()
        watch.tick(time.monotonic())
        clock.ahead_s = AMPLE_S
        watch.tick(clock.monotonic())
        assert_down(lookout, watch, "timeout")
        assert watch.busy
        assert watch.vitals.lanes[Lane.FAST].skipped == 0

    async def test_a_script_that_blocks_the_server(
        self, lookout: Lookout, redis_server: RedisFactory
    ) -> None:
        server = redis_server("--lua-time-limit", "10")
        watch = lookout.watch(server.port)
        await lookout.poll(watch)

        def block() -> None:
            with redis.Redis(port=server.port) as client, suppress(redis.ResponseError):  # killed
                client.eval("while true do end", 0)

        blocker = threading.Thread(target=block)
        blocker.start()
        await lookout.poll_until(watch, lambda: not watch.up)
        assert_down(lookout, watch, "busy")
        server.ask("SCRIPT", "KILL")
        blocker.join()
        await lookout.poll(watch)
        assert_up(lookout, watch)

    async def test_a_script_that_blocks_the_greeting(
        self, lookout: Lookout, scripted_server: ScriptFactory
    ) -> None:
        server = scripted_server(redis_like({"CLIENT": b"-BUSY Redis is busy running a script.\r\n"}))
        watch = lookout.watch(server.port)
        await lookout.poll(watch)
        assert_down(lookout, watch, "busy")

    async def test_something_else_than_redis(self, lookout: Lookout, scripted_server: ScriptFactory) -> None:
        server = scripted_server(redis_like({"INFO": bulk(b"version:1.6.21\r\n")}))
        watch = lookout.watch(server.port)
        await lookout.poll(watch)
        assert_down(lookout, watch, "protocol")

    async def test_a_mistake_of_ours_while_connecting_is_told_and_logged(
        self, lookout: Lookout, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def stumble(*args: Any, **settings: Any) -> Any:
            raise ZeroDivisionError

        monkeypatch.setattr(lookout.dialer, "dial", stumble)
        watch = lookout.watch(6379)
        await lookout.poll(watch)
        assert_down(lookout, watch, "internal")
        assert "ZeroDivisionError" in caplog.text

    async def test_a_mistake_of_ours_while_reading_costs_one_poll(
        self,
        lookout: Lookout,
        scripted_server: ScriptFactory,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        watch = lookout.watch(scripted_server(redis_like()).port)
        with monkeypatch.context() as patch:
            patch.setattr("exporter.polling.poll.Poll.receive", lambda poll, *told: 1 / 0)
            await lookout.poll(watch)
        assert_down(lookout, watch, "internal")
        assert "ZeroDivisionError" in caplog.text
        await lookout.poll(watch)
        assert_up(lookout, watch)


class TestPauses:
    """A poll that reads much lets others go on in between."""

    CLIENTS = b"".join(
        b"id=%d addr=10.0.0.1:%d name=n%d age=1 idle=1 cmd=get\n" % (n, n, n) for n in range(4000)
    )
    ANSWERS: ClassVar = {"INFO": info(connected_clients=4000, connected_slaves=0), "CLIENT": bulk(CLIENTS)}

    @pytest.fixture
    def watch(self, make_lookout: LookoutFactory, scripted_server: ScriptFactory) -> tuple[Lookout, Watch]:
        lookout = make_lookout([InfoCollector(), ClientsCollector()], argv=["--export-client-list"])
        lookout.dialer.settings = DialSettings(set_client_name=False)
        return lookout, lookout.watch(scripted_server(redis_like(self.ANSWERS)).port)

    async def test_the_loop_turns_while_a_long_list_is_read(self, watch: tuple[Lookout, Watch]) -> None:
        lookout, watched = watch
        spent_s: list[float] = []  # of this thread, at each turn

        async def turn() -> None:
            while not lookout.ends(watched):
                spent_s.append(time.thread_time())
                await asyncio.sleep(0)

        turning = asyncio.create_task(turn())
        await lookout.poll(watched)
        await turning
        held_s = [after - before for before, after in itertools.pairwise(spent_s)]
        assert (lookout.value(watched, "redis_exporter_target_series") or 0) > 4000, watched.error_text
        assert sum(held > 0.001 for held in held_s) > 5, "in many pieces"
        assert max(held_s) < 0.05  # 0.15 s and more in one piece

    async def test_slices_of_many_targets_do_not_add_up_in_one_turn(
        self, make_lookout: LookoutFactory, scripted_server: ScriptFactory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lookout = make_lookout([InfoCollector(), ClientsCollector()], argv=["--export-client-list"])
        lookout.dialer.settings = DialSettings(set_client_name=False)
        watches = [lookout.watch(scripted_server(redis_like(self.ANSWERS)).port) for _ in range(12)]
        slices = [0]  # by turn: those that were as long as a slice may be
        steps = {name: getattr(Poll, name) for name in ("receive", "go_on")}

        def counted(name: str, poll: Poll, *told: Any) -> list[Command]:
            batch: list[Command] = steps[name](poll, *told)
            slices[-1] += poll.paused
            return batch

        for name in steps:
            monkeypatch.setattr(Poll, name, lambda poll, *told, name=name: counted(name, poll, *told))

        async def turn() -> None:
            while not all(lookout.ends(watch) for watch in watches):
                slices.append(0)
                await asyncio.sleep(0)

        await asyncio.gather(turn(), *(lookout.poll(watch) for watch in watches))
        assert sum(slices) > 24, "each is read in several slices"
        assert max(slices) <= 3  # 5 ms a turn, and a slice has 2 ms; 12 where each goes on by itself

    @pytest.mark.parametrize("give_up", [Watch.close, lambda watch: watch._line.time_out()])
    async def test_a_large_reply_may_wait_longer_than_its_poll_lasts(
        self,
        watch: tuple[Lookout, Watch],
        monkeypatch: pytest.MonkeyPatch,
        give_up: Callable[[Watch], object],
    ) -> None:
        lookout, watched = watch
        held = Held(monkeypatch, "exporter.polling.runner")
        polling = asyncio.create_task(lookout.poll(watched))
        await until(lambda: held.steps)
        give_up(watched)
        while not lookout.ends(watched):
            held.run()
            await asyncio.sleep(0)
        await polling
        held.run()
        assert len(lookout.ends(watched)) == 1
        assert not watched.busy

    async def test_a_poll_that_is_given_up_in_a_pause_ends_once(self, watch: tuple[Lookout, Watch]) -> None:
        lookout, watched = watch
        with pytest.MonkeyPatch.context() as patch:
            paused: list[Poll] = []
            go_on = Poll.go_on

            def close(poll: Poll) -> list[Command]:
                if not paused:
                    paused.append(poll)
                    asyncio.get_running_loop().call_soon(watched.close)
                return go_on(poll)

            patch.setattr(Poll, "go_on", close)
            ended = await lookout.poll(watched)
            for _ in range(5):
                await asyncio.sleep(0)
        assert isinstance(ended.error, CancelledPollError)
        assert len(lookout.ends(watched)) == 1
        assert len(paused) == 1

    async def test_rows_that_a_limit_leaves_out_are_told(
        self, make_lookout: LookoutFactory, scripted_server: ScriptFactory
    ) -> None:
        lookout = make_lookout([InfoCollector()], argv=["--reply.max-rows=50"])
        watched = lookout.watch(
            scripted_server(redis_like({"INFO": info(**{f"x{number}": 1 for number in range(200)})})).port
        )
        await lookout.poll(watched)
        assert lookout.value(watched, "redis_exporter_collector_rows_cut", "info") == 205 - 50


class TestLargeReplies:
    LARGE = b"*6000\r\n" + b"$1\r\na\r\n" * 6000

    async def test_one_that_is_too_large_costs_its_collector_and_neither_the_target_nor_its_connection(
        self, make_lookout: LookoutFactory, scripted_server: ScriptFactory
    ) -> None:
        lookout = make_lookout([InfoCollector(), ConfigCollector()])
        lookout.dialer.settings = DialSettings(limits=ReplyLimits(10_000))
        server = scripted_server(redis_like({"CONFIG": self.LARGE}))
        watch = lookout.watch(server.port)
        for _ in range(8):
            await lookout.poll(watch)
        assert_up(lookout, watch)
        assert lookout.value(watch, "redis_exporter_collector_success", "config") == 0
        assert lookout.value(watch, "redis_exporter_collector_success", "info") == 1
        assert server.accepted == 1

    async def test_an_info_that_is_too_large_is_the_reason(
        self, lookout: Lookout, scripted_server: ScriptFactory
    ) -> None:
        lookout.dialer.settings = DialSettings(limits=ReplyLimits(10_000))
        server = scripted_server(redis_like({"INFO": bulk(b"x" * 20_000)}))
        watch = lookout.watch(server.port)
        await lookout.poll(watch)
        assert_down(lookout, watch, "too_large")
        assert "--reply.max-bytes" in watch.error_text


class TestUp:
    async def test_a_server_that_loads_its_data(
        self, lookout: Lookout, scripted_server: ScriptFactory
    ) -> None:
        watch = lookout.watch(scripted_server(redis_like({"INFO": info(loading=1)})).port)
        await lookout.poll(watch)
        assert_up(lookout, watch)
        assert lookout.value(watch, "redis_loading_dump_file") == 1

    async def test_a_database_that_could_not_be_selected_while_loading_is_selected_on_a_new_connection(
        self, lookout: Lookout, scripted_server: ScriptFactory
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
        watch = lookout.watch(server.port, db=3, standard_every=100)
        watch.hash = 99
        for _ in range(2):
            await lookout.poll(watch)
            assert_up(lookout, watch)
            assert server.accepted == 1
        assert not selected.is_set()
        for _ in range(3):
            await lookout.poll(watch)
        assert lookout.went_well(watch)
        assert selected.is_set()
        assert server.accepted == 2

    async def test_a_step_of_the_wall_clock_makes_no_value_older_or_younger(
        self, lookout: Lookout, redis_server: RedisFactory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        watch = lookout.watch(redis_server().port)
        wall = time.time
        for step_s in (0.0, -3600.0, 3600.0):
            monkeypatch.setattr(time, "time", lambda step_s=step_s: wall() + step_s)
            began_at = time.monotonic()
            await lookout.poll(watch)
            snapshots = [lookout.store.get(watch.target.addr, part) for part in ("info", "target")]
            assert all(
                snapshot is not None and began_at <= snapshot.began_at <= time.monotonic()
                for snapshot in snapshots
            )
            succeeded_at = watch.vitals.lanes[Lane.FAST].succeeded_at
            assert succeeded_at == pytest.approx(wall() + step_s, abs=AMPLE_S)

    async def test_down_when_no_poll_began_within_two_intervals(
        self, lookout: Lookout, redis_server: RedisFactory
    ) -> None:
        watch = lookout.watch(redis_server().port)
        await lookout.poll(watch)
        assert 1.5 * watch.pace.interval_s < watch.down_at - time.monotonic() <= 2 * watch.pace.interval_s
        assert_up(lookout, watch)
        watch.expire()
        assert lookout.value(watch, "redis_up") == 0
        assert lookout.value(watch, "redis_exporter_target_down", "timeout") == 1
        assert watch.down_at == math.inf  # it is known
        assert (await lookout.poll(watch)).up_changed
        assert_up(lookout, watch)


class TestBackOff:
    async def test_the_first_failure_costs_no_turn_and_then_every_second_one_is_taken(
        self, lookout: Lookout, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        clock = Clock()
        monkeypatch.setattr("exporter.polling.watched_target.time", clock)
        watch = lookout.watch(free_port(), interval_s=10.0)
        taken = []
        for turn in range(8):
            clock.ahead_s = turn * 10.0
            watch.tick(clock.monotonic())
            if watch.busy:
                taken.append(turn)
                await until(lambda: not watch.busy)
        assert taken == [0, 1, 3, 5, 7]

    async def test_success_ends_it(self, lookout: Lookout, redis_server: RedisFactory) -> None:
        server = redis_server()
        watch = lookout.watch(server.port, interval_s=10.0)
        server.kill()
        await lookout.poll(watch)
        await lookout.poll(watch)
        watch.tick(time.monotonic())
        assert not watch.busy
        server.start()
        await lookout.poll(watch)
        watch.tick(time.monotonic())
        assert watch.busy


class TestConnection:
    async def test_is_kept_from_poll_to_poll(self, lookout: Lookout, redis_server: RedisFactory) -> None:
        server = redis_server()
        watch = lookout.watch(server.port)
        for _ in range(5):
            await lookout.poll(watch)
        assert lookout.dialer.dials == 1
        assert connections(server) == 1

    async def test_is_made_anew_when_it_is_old(self, lookout: Lookout, redis_server: RedisFactory) -> None:
        server = redis_server()
        watch = lookout.watch(server.port, connection_max_age_s=1e-9)
        for _ in range(3):
            await lookout.poll(watch)
        assert lookout.went_well(watch)
        assert lookout.dialer.dials == 3
        await until(lambda: connections(server) == 1)

    async def test_a_server_that_closes_idle_connections_is_redialled_once_and_never_down(
        self, lookout: Lookout, redis_server: RedisFactory
    ) -> None:
        server = redis_server("--timeout", "1")
        watch = lookout.watch(server.port)
        for dials in (1, 2):
            await lookout.poll(watch)
            assert lookout.dialer.dials == dials
            await until(lambda: connections(server) == 0)
        await lookout.poll(watch)
        assert lookout.went_well(watch)
        assert lookout.dialer.dials == 3

    @pytest.mark.parametrize("leave", [Conversation.close, Conversation.reset], ids=["closed", "reset"])
    async def test_closed_as_the_poll_arrives_it_is_redialled_once_within_the_poll(
        self, lookout: Lookout, scripted_server: ScriptFactory, leave: Callable[[Conversation], None]
    ) -> None:
        def hang_up(talk: Conversation) -> None:
            talk.command()
            leave(talk)

        server = scripted_server(in_turn(redis_like(commands=FIRST_POLL), hang_up), redis_like())
        watch = lookout.watch(server.port)
        await lookout.poll(watch)
        await lookout.poll(watch)
        assert lookout.went_well(watch)
        assert server.accepted == 2

    async def test_but_not_twice(self, lookout: Lookout, scripted_server: ScriptFactory) -> None:
        def hang_up(talk: Conversation) -> None:
            talk.command()
            talk.close()

        server = scripted_server(
            in_turn(redis_like(commands=FIRST_POLL), hang_up), in_turn(redis_like(commands=1), hang_up)
        )
        watch = lookout.watch(server.port)
        await lookout.poll(watch)
        await lookout.poll(watch)
        assert_down(lookout, watch, "reset")
        assert server.accepted == 2

    async def test_closed_in_the_middle_of_a_reply_it_is_not_asked_again(
        self, lookout: Lookout, scripted_server: ScriptFactory
    ) -> None:
        def break_off(talk: Conversation) -> None:
            talk.command()
            talk.send(info()[:20])
            talk.close()

        server = scripted_server(in_turn(redis_like(commands=FIRST_POLL), break_off), redis_like())
        watch = lookout.watch(server.port)
        await lookout.poll(watch)
        await lookout.poll(watch)
        assert_down(lookout, watch, "reset")
        assert server.accepted == 1

    async def test_one_that_the_server_has_half_closed_is_left_for_a_new_one(
        self, lookout: Lookout, scripted_server: ScriptFactory
    ) -> None:
        server = scripted_server(in_turn(redis_like(commands=FIRST_POLL), Conversation.close), redis_like())
        watch = lookout.watch(server.port)
        await lookout.poll(watch)
        await until(lambda: server.finished == 1)  # we closed our half too
        await lookout.poll(watch)
        assert lookout.went_well(watch)
        assert server.accepted == 2

    async def test_one_on_which_the_server_spoke_out_of_turn_is_left_for_a_new_one(
        self, lookout: Lookout, scripted_server: ScriptFactory
    ) -> None:
        def blurt(talk: Conversation) -> None:
            talk.send(b"+hello\r\n")
            talk.silence()

        server = scripted_server(in_turn(redis_like(commands=FIRST_POLL), blurt), redis_like())
        watch = lookout.watch(server.port, standard_every=100)
        await lookout.poll(watch)
        await until(lambda: server.finished == 1)
        await lookout.poll(watch)
        assert watch.up
        assert server.accepted == 2

    async def test_to_an_address_that_the_name_has_no_more_is_left_for_a_new_one(
        self, lookout: Lookout, scripted_server: ScriptFactory
    ) -> None:
        server = scripted_server(redis_like())
        watch = lookout.watch(server.port)
        await lookout.poll(watch)
        watch.compare(("127.0.0.9", "127.0.0.1"))
        await lookout.poll(watch)
        assert server.accepted == 1
        watch.compare(("127.0.0.9",))
        await lookout.poll(watch)
        assert lookout.went_well(watch)
        assert server.accepted == 2

    async def test_there_is_one_dial_at_a_time(self, lookout: Lookout) -> None:
        hang = Hang()
        lookout.dialer.resolve_by(hang)
        watch = lookout.watch(6379, "redis.invalid")
        for _ in range(4):
            watch.tick(time.monotonic())
            await asyncio.sleep(0)
        await until(lambda: hang.asked)
        assert lookout.dialer.dials == 1
        assert watch.vitals.lanes[Lane.FAST].skipped == 3


class TestGate:
    async def test_no_more_polls_are_under_way_than_it_lets_in_and_all_come_through(
        self, make_lookout: LookoutFactory, redis_server: RedisFactory
    ) -> None:
        lookout = make_lookout(limit=4)  # of which targets that are not known to be up have three
        server = redis_server()
        watches = [lookout.watch(server.port, name=f"redis://h:{number}") for number in range(10)]
        server.pause()
        for watch in watches:
            watch.tick(time.monotonic())
        await until(lambda: lookout.dialer.under_way == 3)
        assert [watch.busy for watch in watches] == [True] * 10
        server.resume()
        await until(lambda: not any(watch.busy for watch in watches))
        assert all(lookout.went_well(watch) for watch in watches)
        assert lookout.dialer.most_under_way == 3
        assert lookout.gate.inside == 0

    async def test_a_poll_that_had_to_wait_has_a_deadline_of_its_own(
        self, make_lookout: LookoutFactory, scripted_server: ScriptFactory
    ) -> None:
        lookout = make_lookout(limit=1)
        silent = scripted_server(Conversation.silence)
        watches = [
            lookout.watch(silent.port, name=f"redis://h:{number}", deadline_s=SCANT_S) for number in range(3)
        ]
        for watch in watches:
            watch.tick(time.monotonic())
        await until(lambda: not any(watch.busy for watch in watches))
        for watch in watches:
            assert_down(lookout, watch, "timeout")


class TestSecrets:
    """What a server repeats of a password is shown nowhere: not where a poll fails, and not where a
    collector does."""

    @pytest.mark.parametrize(
        "said", ["ERR no {}", "NOPERM {} may not", "BUSY {}", "WRONGPASS {}", "LOADING {}"]
    )
    async def test_an_error_reply_to_info(
        self, lookout: Lookout, scripted_server: ScriptFactory, said: str
    ) -> None:
        server = scripted_server(redis_like({"INFO": f"-{said.format(SECRET)}\r\n".encode()}))
        watch = lookout.watch(server.port, password=SECRET)
        ended = await lookout.poll(watch)
        assert "***" in str(ended.error)
        assert SECRET not in f"{ended.error} {ended.error!r} {watch.error_text}"

    async def test_an_error_that_quotes_what_a_collector_could_not_read(
        self, make_lookout: LookoutFactory, scripted_server: ScriptFactory, caplog: pytest.LogCaptureFixture
    ) -> None:
        class Quoting(InfoCollector):
            name = "quoting"

            def collect(self, facts: Any, options: Any, out: Any) -> Any:
                [reply] = yield [Command.of("GET", "k")]
                raise ValueError(f"{reply!r} is no number")

        lookout = make_lookout(collectors=(InfoCollector(), Quoting()))
        watch = lookout.watch(
            scripted_server(redis_like({"GET": bulk(SECRET.encode())})).port, password=SECRET
        )
        await lookout.poll(watch)
        assert "quoting failed: ValueError: b'***' is no number" in caplog.text
        assert SECRET not in caplog.text

    async def test_a_password_that_a_reload_brought(
        self, lookout: Lookout, scripted_server: ScriptFactory
    ) -> None:
        server = scripted_server(redis_like({"INFO": f"-ERR {SECRET}\r\n".encode()}))
        watch = lookout.watch(server.port, password="old")
        assert SECRET in str((await lookout.poll(watch)).error)
        watch.repassword(SECRET)
        assert SECRET not in str((await lookout.poll(watch)).error)


class TestOpenFiles:
    async def test_a_target_without_a_file_is_down_at_once_and_those_with_one_keep_it(
        self, lookout: Lookout, redis_server: RedisFactory
    ) -> None:
        server = redis_server()
        lookout.dialer.descriptors = Descriptors(4)
        watches = [
            lookout.watch(server.port, name=f"redis://h:{number}", connection_max_age_s=0.0)
            for number in range(3)
        ]
        for _ in range(3):  # each poll makes its connection anew
            for watch in watches:
                await lookout.poll(watch)
        assert [watch.up for watch in watches] == [True, True, False]
        assert_down(lookout, watches[2], "open_files")
        assert "ulimit -n" in watches[2].error_text
        watches[0].close()
        await lookout.poll(watches[2])
        assert_up(lookout, watches[2])

    async def test_a_dial_that_fails_gives_its_file_back(self, lookout: Lookout) -> None:
        lookout.dialer.descriptors = Descriptors(2)
        watches = [lookout.watch(free_port()) for _ in range(3)]
        for watch in watches:
            await lookout.poll(watch)
            assert_down(lookout, watch, "refused")
        assert lookout.dialer.descriptors.in_use == 0


class TestFresh:
    async def test_returns_at_once_while_what_is_there_is_new_enough(
        self, lookout: Lookout, redis_server: RedisFactory
    ) -> None:
        server = redis_server()
        watch = lookout.watch(server.port)
        await lookout.poll(watch)
        server.pause()
        watch.tick(time.monotonic())  # even while a poll is under way
        await watch.fresh(AMPLE_S, time.monotonic() + AMPLE_S)
        assert watch.busy
        assert len(lookout.ends(watch)) == 1

    async def test_starts_a_poll_when_it_is_older(self, lookout: Lookout, redis_server: RedisFactory) -> None:
        watch = lookout.watch(redis_server().port)
        await watch.fresh(AMPLE_S, time.monotonic() + AMPLE_S)  # never polled yet
        assert len(lookout.ends(watch)) == 1
        await until(lambda: time.monotonic() - watch._last_began_at > watch.pace.fresh_floor_s)
        await watch.fresh(0.0, time.monotonic() + AMPLE_S)
        assert lookout.value(watch, "redis_exporter_target_polls_total", "fast") == 2
        assert_up(lookout, watch)

    async def test_all_who_ask_share_the_poll_that_runs(
        self, lookout: Lookout, redis_server: RedisFactory
    ) -> None:
        watch = lookout.watch(redis_server().port)
        watch.tick(time.monotonic())
        await asyncio.gather(*(watch.fresh(0.0, time.monotonic() + AMPLE_S) for _ in range(5)))
        assert len(lookout.ends(watch)) == 1

    async def test_however_often_it_is_asked_for_the_server_is_polled_at_the_floor(
        self, lookout: Lookout, redis_server: RedisFactory
    ) -> None:
        watch = lookout.watch(redis_server().port, max_age_floor_s=0.2)
        began = time.monotonic()
        asked = 0
        while time.monotonic() - began < 0.7:
            await asyncio.gather(*(watch.fresh(0.0, time.monotonic() + AMPLE_S) for _ in range(10)))
            await asyncio.sleep(0.001)
            asked += 10
        assert asked > 10 * len(lookout.ends(watch))
        assert 2 <= len(lookout.ends(watch)) <= (time.monotonic() - began) / 0.2 + 1

    async def test_a_server_that_is_down_is_dialled_no_more_often_than_back_off_allows(
        self, lookout: Lookout
    ) -> None:
        watch = lookout.watch(free_port(), interval_s=60.0, max_age_floor_s=0.02)
        began = time.monotonic()
        while time.monotonic() - began < 0.3:
            await watch.fresh(0.0, time.monotonic() + AMPLE_S)
            await asyncio.sleep(0.001)
        assert lookout.dialer.dials == 2  # back-off begins with the second failure

    async def test_a_thousand_who_wait_for_a_server_that_hangs_share_one_wait(
        self, lookout: Lookout, redis_server: RedisFactory
    ) -> None:
        server = redis_server()
        watch = lookout.watch(server.port, max_age_floor_s=1e-9)
        await lookout.poll(watch)
        server.pause()
        watch.tick(time.monotonic() + AMPLE_S)
        assert len({watch.refresh(0.0) for _ in range(1000)}) == 1
        ended = watch.refresh(0.0)
        assert ended is not None
        server.resume()
        await asyncio.wait_for(ended, AMPLE_S)

    async def test_returns_at_its_own_deadline_and_leaves_the_poll_running(
        self, lookout: Lookout, redis_server: RedisFactory
    ) -> None:
        server = redis_server()
        watch = lookout.watch(server.port)
        server.pause()
        await watch.fresh(0.0, time.monotonic() + SCANT_S)
        assert watch.busy
        server.resume()
        await until(lambda: not watch.busy)
        assert lookout.went_well(watch)

    async def test_returns_when_the_poll_has_failed_or_missed_its_deadline(
        self, lookout: Lookout, redis_server: RedisFactory
    ) -> None:
        server = redis_server()
        watch = lookout.watch(server.port, deadline_s=SCANT_S)
        server.pause()
        await watch.fresh(0.0, time.monotonic() + AMPLE_S)
        assert_down(lookout, watch, "timeout")

    async def test_of_a_closed_watch_returns_at_once(self, lookout: Lookout) -> None:
        watch = lookout.watch(free_port())
        watch.close()
        await watch.fresh(0.0, time.monotonic() + AMPLE_S)
        assert lookout.ends(watch) == []


class TestClose:
    """Whatever is under way: nothing is left of it."""

    async def assert_closes(self, lookout: Lookout, watch: Watch) -> None:
        waiting = asyncio.get_running_loop().create_task(watch.fresh(0.0, time.monotonic() + AMPLE_S))
        await asyncio.sleep(0)
        tasks = watch.close()
        await asyncio.gather(*tasks, return_exceptions=True)
        await waiting
        assert others() == set()
        assert lookout.gate.inside == 0
        assert lookout.was_cancelled(watch)
        assert lookout.value(watch, "redis_exporter_target_poll_failures_total", "cancelled") is None
        watch.tick(time.monotonic() + AMPLE_S)
        assert not watch.busy

    async def test_a_dial_that_has_just_been_called_for(
        self, lookout: Lookout, scripted_server: ScriptFactory
    ) -> None:
        watch = lookout.watch(scripted_server(redis_like()).port)
        watch.tick(time.monotonic())
        watch.close()
        assert lookout.gate.inside == 0
        assert lookout.was_cancelled(watch)
        await until(lambda: not others())
        assert lookout.dialer.dials == 0

    async def test_a_dial_that_waits_for_the_name(self, lookout: Lookout) -> None:
        hang = Hang()
        lookout.dialer.resolve_by(hang)
        watch = lookout.watch(6379, "redis.invalid")
        watch.tick(time.monotonic())
        await until(lambda: hang.asked)
        await self.assert_closes(lookout, watch)

    async def test_a_greeting(self, lookout: Lookout, scripted_server: ScriptFactory) -> None:
        server = scripted_server(Conversation.silence)
        watch = lookout.watch(server.port)
        watch.tick(time.monotonic())
        await until(lambda: server.accepted == 1)
        await self.assert_closes(lookout, watch)
        await until(lambda: server.finished == 1)

    async def test_an_exchange(self, lookout: Lookout, scripted_server: ScriptFactory) -> None:
        server = scripted_server(in_turn(redis_like(commands=FIRST_POLL), Conversation.silence))
        watch = lookout.watch(server.port)
        await lookout.poll(watch)
        watch.tick(time.monotonic())
        await self.assert_closes(lookout, watch)
        await until(lambda: server.finished == 1)

    async def test_an_idle_connection(self, lookout: Lookout, redis_server: RedisFactory) -> None:
        server = redis_server()
        watch = lookout.watch(server.port)
        await lookout.poll(watch)
        assert watch.close() == []
        await until(lambda: connections(server) == 0)
        assert others() == set()

    async def test_a_place_in_the_line(
        self, make_lookout: LookoutFactory, scripted_server: ScriptFactory
    ) -> None:
        lookout = make_lookout(limit=1)
        server = scripted_server(Conversation.silence)
        watches = [lookout.watch(server.port, name=f"redis://h:{number}") for number in range(3)]
        for watch in watches:
            watch.tick(time.monotonic())
        tasks = [task for watch in reversed(watches) for task in watch.close()]
        await asyncio.gather(*tasks, return_exceptions=True)
        assert lookout.gate.inside == 0
        assert all(lookout.was_cancelled(watch) for watch in watches)
        assert others() == set()

    async def test_is_no_failure_of_the_target(self, lookout: Lookout, redis_server: RedisFactory) -> None:
        server = redis_server()
        watch = lookout.watch(server.port)
        await lookout.poll(watch)
        server.pause()
        watch.tick(time.monotonic())
        watch.close()
        ended = lookout.ends(watch)[-1]
        assert isinstance(ended.error, CancelledPollError)
        assert not ended.up_changed
        assert watch.up


class Sizes(Collector):
    """Two commands that a user may be forbidden."""

    name = "sizes"
    help = "Sizes."
    lane = Lane.FAST
    KEYS: ClassVar = gauge("test_keys", "Keys.")
    families = (KEYS,)

    def collect(self, facts: Facts | None, options: Any, out: Out) -> Batches:
        [keys, _] = yield [Command.of("DBSIZE"), Command.of("LASTSAVE")]
        if isinstance(keys, ReplyError):
            raise keys.as_target_error()
        out.add(self.KEYS, keys)


class TestRefusedCommands:
    async def test_are_asked_once(self, lookout: Lookout, redis_server: RedisFactory) -> None:
        server = redis_server("--user", "watcher", "on", f">{SECRET}", "-@all", "+info")
        watch = lookout.watch(server.port, user="watcher", password=SECRET)
        await lookout.poll(watch)
        refused = server_field(server, "total_error_replies")
        assert refused == 2  # the connection's name, and the number of databases
        for _ in range(20):
            await lookout.poll(watch)
        assert lookout.went_well(watch)
        assert server_field(server, "total_error_replies") == refused

    async def test_are_not_asked_again_on_a_new_connection(
        self, lookout: Lookout, redis_server: RedisFactory
    ) -> None:
        server = redis_server("--user", "watcher", "on", f">{SECRET}", "-@all", "+info", "+config|get")
        watch = lookout.watch(server.port, user="watcher", password=SECRET, connection_max_age_s=1e-9)
        for _ in range(3):
            await lookout.poll(watch)
        assert lookout.dialer.dials == 3
        assert server_field(server, "total_error_replies") == 1  # the connection's name

    async def test_are_no_failure_worth_a_line_in_the_log(
        self, make_lookout: LookoutFactory, redis_server: RedisFactory, caplog: pytest.LogCaptureFixture
    ) -> None:
        server = redis_server(
            "--user", "watcher", "on", f">{SECRET}", "-@all", "+info", "+client|setname", "+config|get"
        )
        lookout = make_lookout([InfoCollector(), Sizes()])
        await lookout.poll(lookout.watch(server.port, user="watcher", password=SECRET))
        assert caplog.text == ""

    async def test_are_asked_again_when_the_server_has_started_anew(
        self, make_lookout: LookoutFactory, redis_server: RedisFactory
    ) -> None:
        lookout = make_lookout([InfoCollector(), Sizes()])
        server = redis_server(
            "--user", "watcher", "on", f">{SECRET}", "-@all", "+info", "+client|setname", "+config|get"
        )
        watch = lookout.watch(server.port, user="watcher", password=SECRET)
        for _ in range(5):
            await lookout.poll(watch)
        assert server_field(server, "total_error_replies") == 2
        assert lookout.value(watch, "redis_exporter_collector_success", "sizes") == 0
        assert lookout.value(watch, "redis_exporter_collector_supported", "sizes") == 0
        assert lookout.value(watch, "redis_test_keys") is None
        assert_up(lookout, watch)

        server.kill()
        server.args = (*server.args, "+dbsize")
        server.start()
        await lookout.poll_until(watch, lambda: lookout.value(watch, "redis_test_keys") == 0)
        assert lookout.value(watch, "redis_exporter_collector_success", "sizes") == 1
        assert lookout.value(watch, "redis_exporter_collector_supported", "sizes") == 1


class TestNewPassword:
    async def test_is_used_from_the_next_poll_on_and_refusals_are_forgotten(
        self, make_lookout: LookoutFactory, redis_server: RedisFactory
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
        lookout = make_lookout([InfoCollector(), Sizes()])
        watch = lookout.watch(server.port, user="watcher", password=SECRET)
        await lookout.poll(watch)
        assert lookout.value(watch, "redis_exporter_collector_supported", "sizes") == 0
        server.ask("ACL", "SETUSER", "watcher", "+dbsize", "+lastsave")
        watch.repassword(SECRET)
        await lookout.poll(watch)
        assert lookout.dialer.dials == 1
        assert lookout.value(watch, "redis_test_keys") == 0
        watch.repassword("other")
        await lookout.poll(watch)
        assert lookout.went_well(watch)
        assert lookout.dialer.dials == 2

    async def test_is_tried_at_the_next_turn_whatever_failed_before(
        self, lookout: Lookout, redis_server: RedisFactory
    ) -> None:
        server = redis_server("--requirepass", SECRET)
        watch = lookout.watch(server.port, interval_s=10.0, password="wrong")
        await lookout.poll(watch)
        await lookout.poll(watch)
        watch.repassword("wrong")
        watch.tick(time.monotonic())
        assert not watch.busy
        watch.repassword(SECRET)
        watch.tick(time.monotonic())
        await until(lambda: watch.up)


class TestRoleLabel:
    async def test_every_series_bears_the_role_that_info_tells(
        self, make_lookout: LookoutFactory, redis_server: RedisFactory
    ) -> None:
        master, server = redis_server(), redis_server()
        lookout = make_lookout(argv=["--append-instance-role-label"])
        watch = lookout.watch(server.port)
        await lookout.poll(watch)
        assert roles(lookout, watch) == {"master"}
        server.ask("REPLICAOF", "127.0.0.1", master.port)
        await lookout.poll(watch)
        assert roles(lookout, watch, "info", "target") == {"slave"}
        await lookout.poll_until(watch, lambda: roles(lookout, watch) == {"slave"})

    async def test_while_it_is_down_the_role_is_the_one_it_had(
        self, make_lookout: LookoutFactory, redis_server: RedisFactory
    ) -> None:
        server = redis_server()
        lookout = make_lookout(argv=["--append-instance-role-label"])
        watch = lookout.watch(server.port)
        await lookout.poll(watch)
        server.kill()
        await lookout.poll(watch)
        assert b'redis_up{addr="%s",instance_role="master"} 0\n' % watch.target.addr.encode() in served(
            lookout, watch, "target"
        )

    async def test_a_page_without_the_targets_labels_has_it(
        self, make_lookout: LookoutFactory, redis_server: RedisFactory
    ) -> None:
        lookout = make_lookout(argv=["--append-instance-role-label"])
        watch = lookout.watch(redis_server().port, labels=(("instance_role", "mine"),))
        await lookout.poll(watch)
        snapshot = lookout.store.get(watch.target.addr, "info")
        assert snapshot is not None
        samples, _ = engine.unlabel(snapshot.samples, snapshot.offsets, watch.labels_of("info"))
        assert b'\nredis_hz{instance_role="master"} 10\n' in samples


def served(lookout: Lookout, watch: Watch, *parts: str) -> bytes:
    snapshots = [lookout.store.get(watch.target.addr, part) for part in parts or lookout.part_names]
    return b"".join(snapshot.samples for snapshot in snapshots if snapshot is not None)


def roles(lookout: Lookout, watch: Watch, *parts: str) -> set[str]:
    """The roles that series are labelled with; "" for one that has none. Those about connecting have none."""
    lines = [
        line for line in served(lookout, watch, *parts).decode().splitlines() if "_connect_time_" not in line
    ]
    return {found[1] if (found := re.search(r'instance_role="(\w*)"', line)) else "" for line in lines}


class TestCaps:
    async def test_series_beyond_the_limit_are_refused_and_counted(
        self, make_lookout: LookoutFactory, redis_server: RedisFactory
    ) -> None:
        lookout = make_lookout(argv=["--max-series-per-target=200"])
        server = redis_server()
        watch = lookout.watch(server.port)
        await lookout.poll(watch)
        shown = set(lookout.series(watch))
        refused = lookout.value(watch, "redis_exporter_target_series_refused")
        assert lookout.value(watch, "redis_exporter_target_series") == 200
        assert refused is not None
        server.ask("SELECT", 0)
        server.ask("HSET", "a", "b", "c")
        await lookout.poll_until(
            watch, lambda: lookout.value(watch, "redis_exporter_target_series_refused") > refused
        )
        assert {key for key in lookout.series(watch) if not key[0].startswith("redis_exporter_")} == {
            key for key in shown if not key[0].startswith("redis_exporter_")
        }
        server.kill()
        server.start()
        await lookout.poll_until(watch, lambda: lookout.value(watch, "redis_uptime_in_seconds") == 0)
        assert lookout.value(watch, "redis_exporter_target_series") == 200


class TestPing:
    async def test_is_timed_once_for_each_connection(
        self, make_lookout: LookoutFactory, redis_server: RedisFactory
    ) -> None:
        lookout = make_lookout()
        server = redis_server()
        plain = lookout.watch(server.port)
        await lookout.poll(plain)
        assert lookout.value(plain, "redis_exporter_last_scrape_ping_time_seconds") is None
        lookout.dialer.settings = DialSettings(ping=True)
        server.ask("CONFIG", "RESETSTAT")
        watch = lookout.watch(server.port, name="redis://again:6379")
        for _ in range(3):
            await lookout.poll(watch)
        assert 0 < lookout.value(watch, "redis_exporter_last_scrape_ping_time_seconds") < AMPLE_S
        assert b"cmdstat_ping:calls=1," in server.ask("INFO", "commandstats")

    async def test_one_that_is_refused_costs_its_figure_only(
        self, make_lookout: LookoutFactory, redis_server: RedisFactory
    ) -> None:
        lookout = make_lookout()
        lookout.dialer.settings = DialSettings(ping=True)
        server = redis_server(
            "--user", "watcher", "on", f">{SECRET}", "-@all", "+info", "+client|setname", "+config|get"
        )
        watch = lookout.watch(server.port, user="watcher", password=SECRET)
        await lookout.poll(watch)
        assert_up(lookout, watch)
        assert lookout.value(watch, "redis_exporter_last_scrape_ping_time_seconds") is None


class Counts(Collector):
    """Takes as long as it is told to, on the scan lane."""

    name = "counts"
    help = "Counts."
    lane = Lane.SCAN
    KEYS: ClassVar = gauge("test_counted", "Keys counted.")
    families = (KEYS,)

    def collect(self, facts: Facts | None, options: Any, out: Out) -> Batches:
        [keys] = yield [Command.of("DBSIZE")]
        if isinstance(keys, ReplyError):
            raise keys.as_target_error()
        out.add(self.KEYS, keys)


class TestScans:
    async def test_that_have_nothing_to_ask_hold_no_file(
        self, make_lookout: LookoutFactory, redis_server: RedisFactory
    ) -> None:
        counts = Counts()
        lookout = make_lookout([InfoCollector(), counts])
        lookout.dialer.descriptors = Descriptors(8)
        watch = lookout.watch(redis_server().port, connection_max_age_s=0.0)
        scans = "redis_exporter_target_polls_total"
        await lookout.poll_until(watch, lambda: lookout.value(watch, scans, "scan") == 1)
        assert lookout.dialer.descriptors.in_use == 2
        counts.collect = lambda facts, options, out: iter(())
        await lookout.poll_until(watch, lambda: lookout.value(watch, scans, "scan") == 2)
        assert lookout.dialer.descriptors.in_use == 1

    async def test_have_a_connection_of_their_own_that_holds_nothing_up(
        self, make_lookout: LookoutFactory, scripted_server: ScriptFactory
    ) -> None:
        go = threading.Event()

        def hold(talk: Conversation) -> None:
            talk.command()  # its name
            talk.send(b"+OK\r\n")
            talk.command()
            go.wait(AMPLE_S)
            talk.send(b":7\r\n")

        lookout = make_lookout([InfoCollector(), Counts()])
        watch = lookout.watch(scripted_server(redis_like(), hold).port)
        try:
            for _ in range(12):
                await lookout.poll(watch)
            assert lookout.went_well(watch)
            assert lookout.dialer.dials == 2
            assert lookout.value(watch, "redis_test_counted") is None
            assert lookout.value(watch, "redis_exporter_target_polls_skipped_total", "scan") >= 1
        finally:
            go.set()
        await lookout.poll_until(watch, lambda: lookout.value(watch, "redis_test_counted") == 7)
        assert lookout.value(watch, "redis_exporter_target_polls_total", "scan") == 1

    async def test_of_targets_whose_last_one_was_slow_have_a_part_of_the_places_only(
        self,
        make_lookout: LookoutFactory,
        scripted_server: ScriptFactory,
        redis_server: RedisFactory,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr("exporter.polling.watched_target.SCAN_QUICK_S", 0.1)
        go = threading.Event()

        def delay(talk: Conversation) -> None:
            talk.command()  # its name
            talk.send(b"+OK\r\n")
            talk.command()
            time.sleep(0.15)
            talk.send(b":7\r\n")
            talk.command()
            go.wait(AMPLE_S)
            talk.send(b":7\r\n")

        lookout = make_lookout([InfoCollector(), Counts()])
        lookout.scan_gate = Gate(4)
        slow = [lookout.watch(scripted_server(redis_like(), delay).port) for _ in range(4)]
        quick = lookout.watch(redis_server().port)
        try:
            for watch in (quick, *slow):
                await lookout.poll(watch)
                watch.scan()
            await until(lambda: not any(watch.scanning for watch in (quick, *slow)))
            for watch in slow:
                watch.scan()
            assert lookout.scan_gate.inside == 2
            quick.scan()
            await until(lambda: not quick.scanning)
            assert all(watch.scanning for watch in slow)
        finally:
            go.set()
        await until(lambda: not any(watch.scanning for watch in slow))

    async def test_come_after_the_first_poll_and_then_at_their_interval(
        self, make_lookout: LookoutFactory, redis_server: RedisFactory
    ) -> None:
        lookout = make_lookout([InfoCollector(), Counts()])
        watch = lookout.watch(redis_server().port)
        await lookout.poll(watch)
        assert lookout.value(watch, "redis_exporter_target_polls_total", "scan") == 0
        await lookout.poll_until(
            watch, lambda: lookout.value(watch, "redis_exporter_target_polls_total", "scan") == 1
        )
        began = lookout.value(watch, "redis_exporter_target_polls_total", "fast")
        await lookout.poll_until(
            watch, lambda: lookout.value(watch, "redis_exporter_target_polls_total", "scan") == 3
        )
        assert (
            lookout.value(watch, "redis_exporter_target_polls_total", "fast") - began
            >= 2 * watch.pace.every[Lane.SCAN] - 1
        )

    async def test_one_that_fails_is_counted_and_told_and_takes_nobody_down(
        self, make_lookout: LookoutFactory, scripted_server: ScriptFactory, caplog: pytest.LogCaptureFixture
    ) -> None:
        def refuse(talk: Conversation) -> None:
            talk.close()

        lookout = make_lookout([InfoCollector(), Counts()])
        watch = lookout.watch(
            scripted_server(redis_like(), refuse, refuse, redis_like({"DBSIZE": b":5\r\n"})).port
        )
        await lookout.poll_until(
            watch, lambda: lookout.value(watch, "redis_exporter_target_poll_failures_total", "reset") == 1
        )
        assert_up(lookout, watch)
        assert lookout.value(watch, "redis_exporter_collector_success", "counts") == 0
        assert [record.getMessage().partition(":")[0] for record in caplog.records] == [
            "the collector counts failed"
        ]
        await lookout.poll_until(watch, lambda: lookout.value(watch, "redis_test_counted") == 5)
        assert lookout.value(watch, "redis_exporter_collector_success", "counts") == 1


class TestFailingCollector:
    async def test_a_fault_of_a_part_of_it_is_told_once_until_its_reason_changes(
        self, make_lookout: LookoutFactory, scripted_server: ScriptFactory, caplog: pytest.LogCaptureFixture
    ) -> None:
        class Faulty(Sizes):
            text = f"no {SECRET} here, 1"

            def collect(self, facts, options, out):  # type: ignore[no-untyped-def]
                yield from super().collect(facts, options, out)
                if self.text:
                    out.fault("a.lua", self.text)

        faulty = Faulty()
        lookout = make_lookout([InfoCollector(), faulty])
        replies = {"DBSIZE": b":5\r\n", "LASTSAVE": b":1\r\n"}
        watch = lookout.watch(scripted_server(redis_like(replies)).port, password=SECRET)
        for text in (faulty.text, f"no {SECRET} here, 2", "other"):
            faulty.text = text
            await lookout.poll(watch)
            assert lookout.value(watch, "redis_exporter_collector_success", "sizes") == 0
            assert lookout.value(watch, "redis_test_keys") == 5
        assert [record.getMessage() for record in caplog.records] == [
            "the collector sizes: a.lua: no *** here, 1",
            "the collector sizes: a.lua: other",
        ]
        faulty.text = ""
        await lookout.poll(watch)
        assert lookout.value(watch, "redis_exporter_collector_success", "sizes") == 1

    async def test_is_logged_once_until_it_has_gone_well_again(
        self, make_lookout: LookoutFactory, scripted_server: ScriptFactory, caplog: pytest.LogCaptureFixture
    ) -> None:
        replies = {"DBSIZE": f"-ERR no {SECRET} here\r\n".encode(), "LASTSAVE": b":1\r\n"}
        lookout = make_lookout([InfoCollector(), Sizes()])
        watch = lookout.watch(scripted_server(redis_like(replies)).port, password=SECRET)
        for _ in range(3):
            await lookout.poll(watch)
        assert_up(lookout, watch)
        assert lookout.value(watch, "redis_exporter_collector_success", "sizes") == 0
        assert [record.getMessage() for record in caplog.records] == [
            "the collector sizes failed: ERR no *** here"
        ]
        replies["DBSIZE"] = b":5\r\n"
        await lookout.poll_until(watch, lambda: lookout.value(watch, "redis_test_keys") == 5)
        replies["DBSIZE"] = b"-ERR again\r\n"
        await lookout.poll_until(watch, lambda: len(caplog.records) == 2)


class TestStale:
    async def test_a_lane_says_so_until_its_next_snapshot(
        self, lookout: Lookout, redis_server: RedisFactory
    ) -> None:
        watch = lookout.watch(redis_server().port)
        await lookout.poll(watch)
        assert lookout.value(watch, "redis_exporter_snapshot_stale", "fast") == 0
        watch.note_stale(Lane.FAST)
        assert lookout.value(watch, "redis_exporter_snapshot_stale", "fast") == 1
        assert lookout.value(watch, "redis_exporter_snapshot_stale", "standard") == 0
        await lookout.poll(watch)
        assert lookout.value(watch, "redis_exporter_snapshot_stale", "fast") == 0
