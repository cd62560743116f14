"""Scans: on a connection of their own, and no harm to the polls."""

from __future__ import annotations

import threading
import time
from typing import ClassVar

import pytest

from exporter.collectors._contract import Batches, Collector, Out
from exporter.collectors.info import InfoCollector
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
        monkeypatch.setattr("exporter.polling.scanner.SCAN_QUICK_S", 0.1)
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

        watch_harness = make_watch_harness([InfoCollector(), Counts()])
        watch_harness.scan_limiter = Limiter(4)
        slow = [watch_harness.watched(scripted_server(redis_like(), delay).port) for _ in range(4)]
        quick = watch_harness.watched(redis_server().port)
        try:
            for watched in (quick, *slow):
                await watch_harness.poll(watched)
                watched.scan()
            await until(lambda: not any(watched.scanning for watched in (quick, *slow)))
            for watched in slow:
                watched.scan()
            assert watch_harness.scan_limiter.inside == 2
            quick.scan()
            await until(lambda: not quick.scanning)
            assert all(watched.scanning for watched in slow)
        finally:
            go.set()
        await until(lambda: not any(watched.scanning for watched in slow))

    async def test_come_after_the_first_poll_and_then_at_their_interval(
        self, make_watch_harness: WatchHarnessFactory, redis_server: RedisFactory
    ) -> None:
        watch_harness = make_watch_harness([InfoCollector(), Counts()])
        watched = watch_harness.watched(redis_server().port)
        await watch_harness.poll(watched)
        assert watch_harness.value(watched, "redis_exporter_target_polls_total", "scan") == 0
        await watch_harness.poll_until(
            watched, lambda: watch_harness.value(watched, "redis_exporter_target_polls_total", "scan") == 1
        )
        began = watch_harness.number(watched, "redis_exporter_target_polls_total", "fast")
        await watch_harness.poll_until(
            watched, lambda: watch_harness.value(watched, "redis_exporter_target_polls_total", "scan") == 3
        )
        assert (
            watch_harness.number(watched, "redis_exporter_target_polls_total", "fast") - began
            >= 2 * watched.timing.every[Lane.SCAN] - 1
        )

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
        assert watch_harness.value(watched, "redis_exporter_collector_success", "counts") is None
