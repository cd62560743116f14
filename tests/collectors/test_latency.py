"""LATENCY LATEST: spikes by event."""

from __future__ import annotations

import dataclasses

import pytest

from exporter.collectors.info import InfoCollector
from exporter.collectors.latency import LatencyCollector
from exporter.errors import ReplyError, TargetError
from exporter.options.commandline import parse
from exporter.protocol.facts import Facts
from tests.collectors.conftest import OPTIONS, Drive
from tests.collectors.recorded import assert_go_families, recorded, versions_with
from tests.watch_harness import RedisFactory, WatchHarness

REDIS_7 = Facts((7, 0, 15), "redis", "master", "standalone", "r", False, False, 16)
ASKED = [[("LATENCY", "LATEST")]]


def test_families_are_those_of_the_go_exporter() -> None:
    assert_go_families(LatencyCollector(), "LATENCY LATEST")


def test_who_is_asked() -> None:
    assert LatencyCollector().wants(dataclasses.replace(REDIS_7, version=(2, 8, 13)), OPTIONS)
    assert not LatencyCollector().wants(dataclasses.replace(REDIS_7, version=(2, 8, 12)), OPTIONS)
    assert not LatencyCollector().wants(dataclasses.replace(REDIS_7, mode="sentinel"), OPTIONS)


def test_it_is_left_out_on_request() -> None:
    assert LatencyCollector().enabled(parse([], {}))
    assert not LatencyCollector().enabled(parse(["--exclude-latency-histogram-metrics"], {}))


@pytest.mark.parametrize("version", versions_with("latency_latest"))
def test_recorded_servers(drive: Drive, version: str) -> None:
    reply = recorded(version, "latency_latest")
    played = drive(LatencyCollector(), [reply], facts=REDIS_7)
    assert played.asked == ASKED
    samples = played.samples()
    for event, at, last_ms, max_ms, *_ in reply:
        label = f'{{event_name="{event.decode()}"}}'
        assert samples[f"redis_latency_spike_last{label}"] == str(at)
        assert float(samples[f"redis_latency_spike_duration_seconds{label}"]) == last_ms / 1000
        assert float(samples[f"redis_latency_spike_max_duration_seconds{label}"]) == max_ms / 1000
    assert len(samples) == (5 if version == "valkey-8.1.1" else 3) * len(reply)


def test_valkey_sums_them_up(drive: Drive) -> None:
    samples = drive(LatencyCollector(), [[[b"command", 1795379340, 1, 30, 95, 8]]], facts=REDIS_7).samples()
    assert samples['redis_latency_spikes_total{event_name="command"}'] == "8"
    assert samples['redis_latency_spikes_duration_seconds_total{event_name="command"}'] == "0.095"


def test_a_sum_without_a_number_is_passed_over(drive: Drive) -> None:
    samples = drive(LatencyCollector(), [[[b"command", 1, 2, 3, 4]]], facts=REDIS_7).samples()
    assert len(samples) == 3


def test_a_negative_number_is_not_known(drive: Drive) -> None:
    samples = drive(LatencyCollector(), [[[b"command", 1795379340, -1, 30, -1, 8]]], facts=REDIS_7).samples()
    assert samples == {
        'redis_latency_spike_last{event_name="command"}': "1795379340",
        'redis_latency_spike_max_duration_seconds{event_name="command"}': "0.03",
        'redis_latency_spikes_total{event_name="command"}': "8",
    }


def test_what_newer_servers_may_add_is_passed_over(drive: Drive) -> None:
    samples = drive(LatencyCollector(), [[[b"command", 1, 2, 3, 4, 5, b"six"]]], facts=REDIS_7).samples()
    assert samples['redis_latency_spike_max_duration_seconds{event_name="command"}'] == "0.003"


@pytest.mark.parametrize(
    "row", [None, 7, b"fork", [], [b"fork", 1, 2], [7, 1, 2, 3], [b"fork", 1, b"2", 3], [[b"fork"], 1, 2, 3]]
)
def test_a_row_of_another_form_does_not_cost_the_others(drive: Drive, row: object) -> None:
    samples = drive(LatencyCollector(), [[row, [b"command", 1, 2, 3]]], facts=REDIS_7).samples()
    assert set(samples) == {
        'redis_latency_spike_last{event_name="command"}',
        'redis_latency_spike_duration_seconds{event_name="command"}',
        'redis_latency_spike_max_duration_seconds{event_name="command"}',
    }


@pytest.mark.parametrize(
    "reply", [None, b"text", 7, [], ReplyError("ERR unknown command 'LATENCY'"), ReplyError("NOPERM no")]
)
def test_nothing_is_written_of_nothing(drive: Drive, reply: object) -> None:
    assert drive(LatencyCollector(), [reply], facts=REDIS_7).text == ""


def test_events_that_look_the_same_are_one(drive: Drive) -> None:
    played = drive(LatencyCollector(), [[[b"\xff", 1, 2, 3], [b"\xfe", 4, 5, 6]]], facts=REDIS_7)
    assert played.text.count("redis_latency_spike_last") == 1


def test_any_other_error_is_a_failure(drive: Drive) -> None:
    with pytest.raises(TargetError):
        drive(
            LatencyCollector(), [ReplyError("LOADING Redis is loading the dataset in memory")], facts=REDIS_7
        )


@pytest.mark.server
async def test_a_real_server(redis_server: RedisFactory) -> None:
    server = redis_server("--latency-monitor-threshold", "1", "--enable-debug-command", "yes")
    server.ask("DEBUG", "SLEEP", "0.02")
    watch_harness = WatchHarness((InfoCollector(), LatencyCollector()))
    try:
        watched = watch_harness.watched(server.port)
        await watch_harness.poll(watched)
        assert watch_harness.went_well(watched)
        duration = watch_harness.value(watched, "redis_latency_spike_max_duration_seconds", "command")
        assert duration is not None
        assert 0.02 <= duration < 10
    finally:
        await watch_harness.close()
