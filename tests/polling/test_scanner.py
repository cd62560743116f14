"""Scans: on a connection of their own, and no harm to the polls."""

from __future__ import annotations

import threading
import time
from typing import ClassVar

import pytest

from exporter.collectors._contract import Batches, Collector, Out
from exporter.collectors.info import InfoCollector
from exporter.collectors.key_scan import KeyScanCollector
from exporter.collectors.keys import FoundKeysCollector
from exporter.collectors.streams import FoundStreamsCollector
from exporter.connection.limiter import Limiter
from exporter.descriptors import Descriptors
from exporter.errors import ReplyError
from exporter.metrics.family import gauge
from exporter.metrics.lane import Lane
from exporter.options.table import Options
from exporter.protocol.command import Command
from exporter.protocol.facts import Facts
from tests.servers import Conversation
from tests.store_fixture import until
from tests.watch_harness import (
    AMPLE_S,
    SCANT_S,
    RedisFactory,
    ScriptFactory,
    WatchHarnessFactory,
    assert_up,
    redis_like,
)


class Counts(Collector[None]):
    """Takes as long as it is told to, on the scan lane."""

    name = "counts"
    help = "Counts."
    lane = Lane.SCAN
    KEYS: ClassVar = gauge("test_counted", "Keys counted.")
    families = (KEYS,)
    asks = True

    def collect(self, facts: Facts, options: Options, out: Out) -> Batches:
        if not self.asks:
            return
        [keys] = yield [Command.of("DBSIZE")]
        if isinstance(keys, ReplyError):
            raise keys.as_target_error()
        out.add(self.KEYS, keys)


class TestScans:
    async def test_that_have_nothing_to_ask_hold_no_file(
        self, make_watch_harness: WatchHarnessFactory, redis_server: RedisFactory
    ) -> None:
        counts = Counts()
        watch_harness = make_watch_harness([InfoCollector(), counts])
        watch_harness.dialer.descriptors = Descriptors(8)
        watched = watch_harness.watched(redis_server().port, connection_max_age_s=0.0)
        scans = "redis_exporter_target_polls_total"
        await watch_harness.poll_until(watched, lambda: watch_harness.value(watched, scans, "scan") == 1)
        assert watch_harness.dialer.descriptors.in_use == 2
        counts.asks = False
        await watch_harness.poll_until(watched, lambda: watch_harness.value(watched, scans, "scan") == 2)
        assert watch_harness.dialer.descriptors.in_use == 1

    async def test_have_a_connection_of_their_own_that_holds_nothing_up(
        self, make_watch_harness: WatchHarnessFactory, scripted_server: ScriptFactory
    ) -> None:
        go = threading.Event()

        def hold(talk: Conversation) -> None:
            talk.command()  # its name
            talk.send(b"+OK\r\n")
            talk.command()
            go.wait(AMPLE_S)
            talk.send(b":7\r\n")

        watch_harness = make_watch_harness([InfoCollector(), Counts()])
        watched = watch_harness.watched(scripted_server(redis_like(), hold).port)
        try:
            for _ in range(12):
                await watch_harness.poll(watched)
            assert watch_harness.went_well(watched)
            assert watch_harness.dialer.dials == 2
            assert watch_harness.value(watched, "redis_test_counted") is None
            assert watch_harness.number(watched, "redis_exporter_target_polls_skipped_total", "scan") >= 1
        finally:
            go.set()
        await watch_harness.poll_until(
            watched, lambda: watch_harness.value(watched, "redis_test_counted") == 7
        )
        assert watch_harness.value(watched, "redis_exporter_target_polls_total", "scan") == 1

    async def test_of_targets_whose_last_one_was_slow_have_a_part_of_the_places_only(
        self,
        make_watch_harness: WatchHarnessFactory,
        scripted_server: ScriptFactory,
        redis_server: RedisFactory,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        quick_s = "exporter.polling.scanner.SCAN_QUICK_S"
        monkeypatch.setattr(quick_s, AMPLE_S)
        go = threading.Event()

        def delay(talk: Conversation) -> None:
            talk.command()  # its name
            talk.send(b"+OK\r\n")
            talk.command()
            talk.send(b":7\r\n")
            talk.command()
            go.wait(AMPLE_S)
            talk.send(b":7\r\n")

        watch_harness = make_watch_harness([InfoCollector(), Counts()])
        watch_harness.scan_limiter = Limiter(4)
        slow = [watch_harness.watched(scripted_server(redis_like(), delay).port) for _ in range(4)]
        quick = watch_harness.watched(redis_server().port)
        try:
            for of_targets, scan_quick_s in (([quick], AMPLE_S), (slow, -1.0)):
                monkeypatch.setattr(quick_s, scan_quick_s)  # each scan is quick, or slow
                for watched in of_targets:
                    await watch_harness.poll(watched)  # a scan follows
                await until(lambda each=of_targets: not any(watched.scanner.busy for watched in each))  # type: ignore[misc]
            for watched in slow:
                watched.scanner.start()
            assert watch_harness.scan_limiter.inside == 2
            quick.scanner.start()
            await until(lambda: not quick.scanner.busy)
            assert all(watched.scanner.busy for watched in slow)
        finally:
            go.set()
        await until(lambda: not any(watched.scanner.busy for watched in slow))

    async def test_come_after_the_first_poll_then_in_their_phase_and_then_at_their_interval(
        self, make_watch_harness: WatchHarnessFactory, redis_server: RedisFactory
    ) -> None:
        watch_harness = make_watch_harness([InfoCollector(), Counts()])
        watched = watch_harness.watched(redis_server().port)
        assert not watched.whole
        await watch_harness.poll(watched)
        await until(lambda: watch_harness.value(watched, "redis_exporter_target_polls_total", "scan") == 1)
        assert watched.whole
        at = []
        for scans in (2, 3, 4):
            await watch_harness.poll_until(
                watched,
                lambda scans=scans: (
                    watch_harness.value(watched, "redis_exporter_target_polls_total", "scan") == scans
                ),
            )
            at.append(watch_harness.number(watched, "redis_exporter_target_polls_total", "fast"))
        every = watched.timing.every[Lane.SCAN]
        assert at[0] <= 1 + every + 1
        assert at[2] - at[0] >= 2 * every - 1

    async def test_one_that_fails_is_counted_and_told_and_takes_nobody_down(
        self,
        make_watch_harness: WatchHarnessFactory,
        scripted_server: ScriptFactory,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        def refuse(talk: Conversation) -> None:
            talk.close()

        watch_harness = make_watch_harness([InfoCollector(), Counts()])
        watched = watch_harness.watched(
            scripted_server(redis_like(), refuse, refuse, redis_like({"DBSIZE": b":5\r\n"})).port
        )
        await watch_harness.poll_until(
            watched,
            lambda: watch_harness.value(watched, "redis_exporter_target_poll_failures_total", "reset") == 1,
        )
        assert_up(watch_harness, watched)
        assert watch_harness.value(watched, "redis_exporter_collector_success", "counts") == 0
        assert [record.getMessage().partition(":")[0] for record in caplog.records] == [
            "the collector counts failed"
        ]
        await watch_harness.poll_until(
            watched, lambda: watch_harness.value(watched, "redis_test_counted") == 5
        )
        assert watch_harness.value(watched, "redis_exporter_collector_success", "counts") == 1


class TestWhatAScanFound:
    """It is read as soon as the scan ends, whatever its lane."""

    COLLECTORS = (InfoCollector(), KeyScanCollector(), FoundKeysCollector(), FoundStreamsCollector())
    FLAGS = ("--check-keys=key*", "--check-streams=str*")

    async def test_is_read_at_once(
        self, make_watch_harness: WatchHarnessFactory, redis_server: RedisFactory
    ) -> None:
        server = redis_server()
        server.ask("SET", "key1", "abc")
        server.ask("XADD", "stream", "*", "a", "1")
        watch_harness = make_watch_harness(self.COLLECTORS, argv=self.FLAGS)
        watched = watch_harness.watched(server.port, standard_every=1000)
        await watch_harness.poll(watched)
        await until(lambda: watched.whole)
        assert watch_harness.value(watched, "redis_key_size", "db0", "key1") == 3
        assert watch_harness.value(watched, "redis_stream_length", "db0", "stream") == 1
        server.ask("SET", "key2", "abcd")
        watched.scanner.start()
        await until(lambda: not watched.scanner.busy)
        assert watch_harness.value(watched, "redis_key_size", "db0", "key2") == 4
        assert watch_harness.number(watched, "redis_exporter_target_polls_total", "standard") == 1
        assert watch_harness.number(watched, "redis_exporter_target_polls_total", "scan") == 2
        assert watch_harness.dialer.dials == 2

    async def test_nothing_is_read_after_a_scan_that_failed(
        self, make_watch_harness: WatchHarnessFactory, scripted_server: ScriptFactory
    ) -> None:
        watch_harness = make_watch_harness(self.COLLECTORS, argv=self.FLAGS)
        watched = watch_harness.watched(scripted_server(redis_like(), Conversation.close).port)
        await watch_harness.poll(watched)
        await until(lambda: watched.whole)
        assert watch_harness.value(watched, "redis_exporter_target_poll_failures_total", "reset") == 1
        assert watch_harness.value(watched, "redis_exporter_collector_success", "key_scan") == 0
        assert watch_harness.value(watched, "redis_exporter_collector_success", "found_keys") == 1


class TestFirstScan:
    async def test_is_waited_for_by_who_asks_for_all_values(
        self, make_watch_harness: WatchHarnessFactory, redis_server: RedisFactory
    ) -> None:
        watch_harness = make_watch_harness([InfoCollector(), Counts()])
        watched = watch_harness.watched(redis_server().port)
        await watched.fresh(None, time.monotonic() + AMPLE_S)
        assert watch_harness.value(watched, "redis_test_counted") == 0
        await watched.fresh(None, time.monotonic() + AMPLE_S)
        assert len(watch_harness.ends(watched)) == 1  # there was nothing more to wait for

    async def test_is_not_waited_for_by_who_asks_for_fresh_values(
        self, make_watch_harness: WatchHarnessFactory, scripted_server: ScriptFactory
    ) -> None:
        watch_harness = make_watch_harness([InfoCollector(), Counts()])
        watched = watch_harness.watched(scripted_server(redis_like(), Conversation.silence).port)
        await watched.fresh(0.0, time.monotonic() + AMPLE_S)
        assert watched.scanner.busy
        assert watched.up
        assert not watched.whole

    async def test_is_not_waited_for_beyond_its_budget(
        self, make_watch_harness: WatchHarnessFactory, scripted_server: ScriptFactory
    ) -> None:
        watch_harness = make_watch_harness([InfoCollector(), Counts()])
        watched = watch_harness.watched(
            scripted_server(redis_like(), Conversation.silence).port, deadline_s=SCANT_S
        )
        await watched.fresh(None, time.monotonic() + AMPLE_S)
        assert watched.whole
        assert watch_harness.value(watched, "redis_test_counted") is None

    async def test_waits_in_turn_where_many_begin_together(
        self, make_watch_harness: WatchHarnessFactory, redis_server: RedisFactory
    ) -> None:
        """New ones have three quarters of the places; who waits for admission is not whole."""
        watch_harness = make_watch_harness([InfoCollector(), Counts()])
        watch_harness.scan_limiter = Limiter(4)
        port = redis_server().port
        fleet = [watch_harness.watched(port, name=f"redis://h{number}") for number in range(20)]
        for watched in fleet:
            watched.tick(time.monotonic())
        most = 0

        def all_whole() -> bool:
            nonlocal most
            assert watch_harness.scan_limiter is not None
            most = max(most, watch_harness.scan_limiter.inside)
            return all(watched.whole for watched in fleet)

        await until(all_whole)
        assert 1 <= most <= 3
        assert [watch_harness.value(watched, "redis_test_counted") for watched in fleet] == [0] * 20

    async def test_of_a_target_that_was_down_comes_when_it_is_up(
        self, make_watch_harness: WatchHarnessFactory, redis_server: RedisFactory
    ) -> None:
        server = redis_server()
        server.stop()
        watch_harness = make_watch_harness([InfoCollector(), Counts()])
        watched = watch_harness.watched(server.port)
        await watch_harness.poll(watched)
        assert watched.whole  # there is nothing to wait for
        assert not watched.scanner.busy
        server.start()
        await watch_harness.poll_until(watched, lambda: watched.up)
        await until(lambda: watch_harness.value(watched, "redis_test_counted") == 0)
