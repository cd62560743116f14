"""INFO latencystats."""

from __future__ import annotations

import pytest

from exporter.collectors.latency_stats import COMMANDS, LATENCIES, LatencyStatsCollector
from exporter.collectors.stats import STATISTICS
from exporter.errors import BusyError, ProtocolError, ReplyError
from tests.collectors.conftest import FACTS, Drive

STATISTIC = (
    b"# Commandstats\r\ncmdstat_get:calls=3,usec=40,usec_per_call=1,rejected_calls=0,failed_calls=0\r\n"
)
LATENCY = b"# Latencystats\r\nlatency_percentiles_usec_get:p50=1.003,p99=2.007,p99.9=9.023\r\n"
SAMPLES = {
    'redis_latency_percentiles_usec{cmd="get",quantile="50"}': "1.003",
    'redis_latency_percentiles_usec{cmd="get",quantile="99"}': "2.007",
    'redis_latency_percentiles_usec{cmd="get",quantile="99.9"}': "9.023",
    'redis_latency_percentiles_usec_sum{cmd="get"}': "40",
    'redis_latency_percentiles_usec_count{cmd="get"}': "3",
    'redis_command_call_duration_seconds{cmd="get",quantile="0.5"}': "0.000001003",
    'redis_command_call_duration_seconds{cmd="get",quantile="0.99"}': "0.000002007",
}


def numbers(samples: dict[str, str]) -> dict[str, float]:
    return {head: float(value) for head, value in samples.items()}


def test_sums_and_counts_come_from_the_same_pipeline(drive: Drive) -> None:
    played = drive(LatencyStatsCollector(), [LATENCY, STATISTIC], facts=FACTS)
    assert played.asked == [[LATENCIES.args, STATISTICS.args]]
    assert numbers(played.samples()) == pytest.approx(numbers(SAMPLES))


@pytest.mark.parametrize("reply", [b"", ReplyError("ERR syntax error"), b"# Errorstats\r\n"])
def test_a_server_that_gives_them_alone_is_asked_for_them_alone(drive: Drive, reply: object) -> None:
    played = drive(LatencyStatsCollector(), [LATENCY, reply], [STATISTIC], facts=FACTS)
    assert played.asked[1:] == [[COMMANDS.args]]
    assert numbers(played.samples()) == pytest.approx(numbers(SAMPLES))


def test_without_statistics_there_are_percentiles_alone(drive: Drive) -> None:
    played = drive(LatencyStatsCollector(), [LATENCY, b""], [ReplyError("ERR no")], facts=FACTS)
    assert len([head for head in played.samples() if "quantile" in head]) == 5


def test_what_is_refused_gives_nothing(drive: Drive) -> None:
    assert drive(LatencyStatsCollector(), [ReplyError("ERR no"), STATISTIC], facts=FACTS).samples() == {}


@pytest.mark.parametrize(("reply", "error"), [(ReplyError("BUSY x"), BusyError), (7, ProtocolError)])
def test_it_fails_without_a_text(drive: Drive, reply: object, error: type[Exception]) -> None:
    with pytest.raises(error):
        drive(LatencyStatsCollector(), [reply, STATISTIC], facts=FACTS)


def test_what_is_read_again_is_what_a_run_would_write(drive: Drive) -> None:
    first = drive(LatencyStatsCollector(), [LATENCY, STATISTIC], facts=FACTS)
    block = first.again(LATENCY.replace(b"p50=1", b"p50=7"), STATISTIC)
    other = drive(LatencyStatsCollector(), [LATENCY.replace(b"p50=1", b"p50=7"), STATISTIC], facts=FACTS)
    assert block is not None
    assert block.samples == other.block.samples
    assert first.again(LATENCY, b"# Errorstats\r\n") is None
    assert first.again(LATENCY) is None


def test_what_is_refused_still_gives_nothing(drive: Drive) -> None:
    first = drive(LatencyStatsCollector(), [ReplyError("ERR no"), STATISTIC], facts=FACTS)
    block = first.again(None, STATISTIC)
    assert block is not None
    assert block.samples == b""
    assert first.again(LATENCY, None) is None
