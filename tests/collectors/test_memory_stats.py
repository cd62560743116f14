"""MEMORY STATS: what INFO does not tell."""

from __future__ import annotations

import dataclasses

import pytest

from exporter.collectors.info import InfoCollector
from exporter.collectors.memory_stats import MemoryStatsCollector
from exporter.errors import ReplyError, TargetError
from exporter.options.commandline import parse
from exporter.protocol.facts import Facts
from tests.collectors.conftest import OPTIONS, Drive
from tests.collectors.recorded import recorded, versions_with
from tests.watch_harness import RedisFactory, WatchHarness

REDIS_7 = Facts((7, 0, 15), "redis", "master", "standalone", "r", False, False, 16)
PREFIX = "redis_memory_stats"


def test_who_is_asked() -> None:
    assert MemoryStatsCollector().wants(dataclasses.replace(REDIS_7, version=(4, 0, 0)), OPTIONS)
    assert not MemoryStatsCollector().wants(dataclasses.replace(REDIS_7, version=(3, 2, 13)), OPTIONS)
    assert not MemoryStatsCollector().wants(dataclasses.replace(REDIS_7, mode="sentinel"), OPTIONS)
    assert not MemoryStatsCollector().wants(dataclasses.replace(REDIS_7, loading=True), OPTIONS)
    assert not MemoryStatsCollector().enabled(parse([], {}))
    assert MemoryStatsCollector().enabled(parse(["--include-memory-stats-metrics"], {}))


@pytest.mark.parametrize("version", versions_with("memory_stats"))
def test_recorded_servers(drive: Drive, version: str) -> None:
    reply = recorded(version, "memory_stats")
    values = dict(zip(reply[::2], reply[1::2], strict=True))
    played = drive(MemoryStatsCollector(), [reply], facts=REDIS_7)
    assert played.asked == [[("MEMORY", "STATS")]]
    expected = {f"{PREFIX}_bytes_per_key": values[b"keys.bytes-per-key"]}
    if b"overhead.db.hashtable.lut" in values:
        expected[f"{PREFIX}_db_hashtable_lut_bytes"] = values[b"overhead.db.hashtable.lut"]
        expected[f"{PREFIX}_db_hashtables_rehashing"] = values[b"db.dict.rehashing.count"]
    for name, tables in values.items():
        if name.startswith(b"db.") and isinstance(tables, list):
            for table, overhead in zip(tables[::2], tables[1::2], strict=True):
                label = table.decode().removeprefix("overhead.hashtable.").replace("-", "_")
                expected[
                    f'{PREFIX}_db_hashtable_overhead_bytes{{db="db{name[3:].decode()}",table="{label}"}}'
                ] = overhead
    assert len(expected) >= 13
    assert played.samples() == {name: str(value) for name, value in expected.items()}


def test_a_number_that_wrapped_around_is_left_out(drive: Drive) -> None:
    """As of a server that held more for its clients than it had at all: the data's size is negative."""
    reply = [
        b"total.allocated",
        39417032,
        b"keys.bytes-per-key",
        27992024391028899,
        b"dataset.bytes",
        -4,
        b"db.dict.rehashing.count",
        1,
    ]
    assert drive(MemoryStatsCollector(), [reply], facts=REDIS_7).samples() == {
        f"{PREFIX}_db_hashtables_rehashing": "1"
    }


@pytest.mark.parametrize(
    "reply",
    [
        None,
        b"text",
        [],
        [b"keys.bytes-per-key"],
        [
            b"keys.bytes-per-key",
            b"7",
            b"db.0",
            None,
            b"db.1",
            [b"overhead.hashtable.main"],
            b"db.2",
            [b"overhead.hashtable.main", b"1"],
        ],
        [[b"db.0"], [b"overhead.hashtable.main", 1]],
        [b"db.x", [b"overhead.hashtable.main", 1], b"keys.bytes-per-key", -1],
        ReplyError("ERR unknown command 'MEMORY'"),
    ],
)
def test_replies_of_another_form(drive: Drive, reply: object) -> None:
    assert drive(MemoryStatsCollector(), [reply], facts=REDIS_7).text == ""


def test_a_negative_overhead_is_not_known(drive: Drive) -> None:
    tables = [b"overhead.hashtable.main", -1, b"overhead.hashtable.expires", 5]
    assert drive(MemoryStatsCollector(), [[b"db.0", tables]], facts=REDIS_7).samples() == {
        'redis_memory_stats_db_hashtable_overhead_bytes{db="db0",table="expires"}': "5"
    }


def test_a_database_is_told_once(drive: Drive) -> None:
    reply = [b"db.0", [b"overhead.hashtable.main", 1], b"db.00", [b"overhead.hashtable.main", 2]]
    assert len(drive(MemoryStatsCollector(), [reply], facts=REDIS_7).text.splitlines()) == 1


def test_any_other_error_is_a_failure(drive: Drive) -> None:
    with pytest.raises(TargetError):
        drive(MemoryStatsCollector(), [ReplyError("MASTERDOWN Link with MASTER is down")], facts=REDIS_7)


@pytest.mark.server
async def test_a_real_server(redis_server: RedisFactory) -> None:
    server = redis_server()
    server.ask("SET", "a", "b", "EX", "1000")
    watch_harness = WatchHarness(
        (InfoCollector(), MemoryStatsCollector()), argv=["--include-memory-stats-metrics"]
    )
    try:
        watched = watch_harness.watched(server.port)
        await watch_harness.poll(watched)
        assert watch_harness.went_well(watched)
        for table in ("main", "expires"):
            overhead = watch_harness.value(watched, f"{PREFIX}_db_hashtable_overhead_bytes", "db0", table)
            assert overhead is not None
            assert overhead > 0
    finally:
        await watch_harness.close()
