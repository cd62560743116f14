"""CLUSTER SLOT-STATS: the busiest hash slots."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from exporter.collectors.slot_stats import SLOTS_MAX, SlotStatsCollector
from exporter.errors import ReplyError
from exporter.options.commandline import parse
from exporter.protocol.facts import Facts
from tests.collectors.conftest import OPTIONS, Drive

REDIS = Facts((8, 2, 0), "redis", "master", "cluster", "r", True, False, 1, (8, 2, 0))
VALKEY = dataclasses.replace(REDIS, flavor="valkey", version=(7, 2, 4), flavor_version=(9, 1, 0))


def slot(number: int, **statistics: int) -> list[Any]:
    """A row as the documentation of the command shows it."""
    pairs = [each for name, value in statistics.items() for each in (name.replace("_", "-").encode(), value)]
    return [number, pairs]


def ordered_by(statistic: str) -> tuple[str | int, ...]:
    return ("CLUSTER", "SLOT-STATS", "ORDERBY", statistic, "LIMIT", 100, "DESC")


def test_a_server_that_counts_keys_only_is_asked_once(drive: Drive) -> None:
    rows = [slot(12426, key_count=45), slot(13902, key_count=20)]
    played = drive(SlotStatsCollector(), [rows], facts=VALKEY)
    assert played.asked == [[ordered_by("KEY-COUNT")]]
    assert played.samples() == {
        'redis_cluster_slot_keys{slot="12426"}': "45",
        'redis_cluster_slot_keys{slot="13902"}': "20",
    }


def test_the_first_slots_by_each_measure_are_shown(drive: Drive) -> None:
    busy: dict[str, int] = {
        "key_count": 1,
        "cpu_usec": 2_500_000,
        "network_bytes_in": 7,
        "network_bytes_out": 8,
    }
    first = [slot(5, **busy | {"key_count": 45})]
    played = drive(SlotStatsCollector(), [first], [[slot(9, **busy)], [slot(9, **busy)], first], facts=VALKEY)
    assert played.asked[1] == [
        ordered_by("CPU-USEC"),
        ordered_by("NETWORK-BYTES-IN"),
        ordered_by("NETWORK-BYTES-OUT"),
    ]
    assert played.samples() == {
        'redis_cluster_slot_keys{slot="5"}': "45",
        'redis_cluster_slot_keys{slot="9"}': "1",
        'redis_cluster_slot_cpu_seconds_total{slot="5"}': "2.5",
        'redis_cluster_slot_cpu_seconds_total{slot="9"}': "2.5",
        'redis_cluster_slot_network_input_bytes_total{slot="5"}': "7",
        'redis_cluster_slot_network_input_bytes_total{slot="9"}': "7",
        'redis_cluster_slot_network_output_bytes_total{slot="5"}': "8",
        'redis_cluster_slot_network_output_bytes_total{slot="9"}': "8",
    }


def test_redis_8_4_has_the_memory_of_a_slot(drive: Drive) -> None:
    rows = [slot(5, key_count=3, memory_bytes=4096)]
    played = drive(SlotStatsCollector(), [rows], [rows], facts=REDIS)
    assert played.asked[1] == [ordered_by("MEMORY-BYTES")]
    assert played.samples()['redis_cluster_slot_memory_bytes{slot="5"}'] == "4096"


def test_a_server_that_sends_more_than_it_was_asked_for_is_cut(drive: Drive) -> None:
    rows = [slot(number, key_count=1) for number in range(2 * SLOTS_MAX)]
    assert len(drive(SlotStatsCollector(), [rows], facts=VALKEY).samples()) == SLOTS_MAX


@pytest.mark.parametrize(
    "reply", [None, b"text", 7, [], [7], [[5]], [[b"5", [b"key-count", 1]]], [[5, [b"key-count", b"many"]]],
              [[5, [b"key-count"]]], [[5, [7, 7]]], [[5, [b"key-count", -1]]]]
)  # fmt: skip
def test_what_is_not_a_count_is_left_out(drive: Drive, reply: Any) -> None:
    assert drive(SlotStatsCollector(), [reply], facts=VALKEY).samples() == {}


def test_an_order_that_is_refused_costs_no_other(drive: Drive) -> None:
    first = [slot(5, key_count=3, cpu_usec=7000)]
    refusal = ReplyError("ERR Unrecognized sort metric for ORDERBY.")
    samples = drive(SlotStatsCollector(), [first], [refusal], facts=VALKEY).samples()
    assert samples == {
        'redis_cluster_slot_keys{slot="5"}': "3",
        'redis_cluster_slot_cpu_seconds_total{slot="5"}': "0.007",
    }


def test_only_cluster_nodes_that_know_the_command_are_asked() -> None:
    wants = SlotStatsCollector().wants
    assert wants(REDIS, OPTIONS)
    assert wants(VALKEY, OPTIONS)
    assert not wants(dataclasses.replace(REDIS, cluster_enabled=False), OPTIONS)
    assert not wants(dataclasses.replace(REDIS, flavor_version=(8, 0, 2)), OPTIONS)
    assert not wants(dataclasses.replace(VALKEY, flavor_version=(7, 2, 7)), OPTIONS)
    assert not wants(dataclasses.replace(REDIS, flavor="keydb"), OPTIONS)


def test_nothing_is_asked_unless_it_is_wanted() -> None:
    assert not SlotStatsCollector().enabled(OPTIONS)
    assert SlotStatsCollector().enabled(parse(["--include-slot-stats-metrics"], {}))
    assert SlotStatsCollector().acl(OPTIONS) == ("+cluster|slot-stats",)
