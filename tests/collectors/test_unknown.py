"""Numbers of INFO without a metric of their own."""

from __future__ import annotations

import pytest

from exporter.collectors.info import InfoCollector
from exporter.collectors.server import ServerCollector
from exporter.collectors.stats import StatsCollector
from exporter.collectors.unknown import UnknownInfoCollector
from exporter.errors import NoPermError, ReplyError
from exporter.options.commandline import parse
from exporter.protocol.facts import Facts
from tests.collectors.conftest import Drive
from tests.collectors.test_info import DATA, VERSIONS

FACTS = Facts((7, 0, 15), "redis", "master", "standalone", "r", False, False, 16)
COLLECTOR = UnknownInfoCollector((InfoCollector(), ServerCollector(), StatsCollector()))


def told(drive: Drive, text: bytes) -> dict[str, str]:
    return drive(COLLECTOR, [text], facts=FACTS).samples()


def test_numbers_nobody_has_named_are_passed_on(drive: Drive) -> None:
    lines = [
        b"# New",
        b"new_field:12",
        b"new-field.2:-1.50",
        b"used_memory:5",
        b"new_text:on",
        b"new_version:1.2.3",
        b"empty:",
        b"no colon",
    ]
    assert told(drive, b"\r\n".join([*lines, b"big:123456789012345678"])) == {
        "redis_exporter_unknown_info_fields": "3",
        "redis_info_new_field": "12",
        "redis_info_new_field_2": "-1.5",
        "redis_info_big": "123456789012345678",
    }


@pytest.mark.parametrize(
    "line",
    [
        b"db3:keys=1,expires=2", b"db0_distrib_strings_sizes:1=2", b"slave0:7", b"cmdstat_get:5",
        b"errorstat_ERR:1",
        b"master0:1",
        b"io_thread_3:5", b"thread_0_clients:4", b"master_2_last_io_seconds_ago:3", b"tcp_port:6379",
        b"mem_replicas_repl_buffer:3",
    ],
)  # fmt: skip
def test_what_has_a_metric_or_is_a_label_of_one_is_known(drive: Drive, line: bytes) -> None:
    assert told(drive, line) == {"redis_exporter_unknown_info_fields": "0"}


def test_numbers_of_a_known_record_that_nobody_has_named_are_passed_on(drive: Drive) -> None:
    lines = [
        b"db0:keys=1,expires=2,avg_ttl=0,new_count=7,new_text=on,new_count=9",
        b"db3:keys=1,new_count=8.5",
        b"slave0:ip=10.0.0.2,port=6379,state=online,offset=7,lag=0,new-lag=3",
        b"engine_1:name=JS,new=4",
        b"db0_distrib_lists_items:1=2,4=8",
        b"newrecord0:new=7",
    ]
    assert told(drive, b"\r\n".join(lines)) == {
        "redis_exporter_unknown_info_fields": "4",
        'redis_info_db_new_count{record="db0"}': "7",
        'redis_info_db_new_count{record="db3"}': "8.5",
        'redis_info_slave_new_lag{record="slave0"}': "3",
        'redis_info_engine_new{record="engine_1"}': "4",
    }


def test_of_one_record_a_limited_number_of_sub_fields_is_looked_at(drive: Drive) -> None:
    text = b"db0:" + b",".join(b"new%d=1" % number for number in range(5000))
    assert told(drive, text)["redis_exporter_unknown_info_fields"] == "64"


def test_so_are_sub_fields_of_records_that_nobody_has_named(drive: Drive) -> None:
    text = (
        b"cmdstat_get:calls=1,usec=2,usec_per_call=2.00,new_calls=3\r\n"
        b"cmdstat_config|set:new_calls=4, new.rate = 1.5, calls=1\r\n"
        b"db0:keys=1,expires=0,new=7,word=x\r\nslave0:ip=1,port=2,state=3,offset=4,lag=5,new=-1\r\n"
        b"db0_distrib_strings_sizes:1=2,new=3\r\n"
    )
    assert told(drive, text) == {
        "redis_exporter_unknown_info_fields": "5",
        'redis_info_cmdstat_new_calls{record="cmdstat_get"}': "3",
        'redis_info_cmdstat_new_calls{record="cmdstat_config|set"}': "4",
        'redis_info_cmdstat_new_rate{record="cmdstat_config|set"}': "1.5",
        'redis_info_db_new{record="db0"}': "7",
        'redis_info_slave_new{record="slave0"}': "-1",
    }


def test_commands_are_asked_for_and_may_be_refused(drive: Drive) -> None:
    stats = b"cmdstat_get:calls=1,new=3\r\n"
    played = drive(COLLECTOR, [b"new_field:12\r\n", stats], facts=FACTS)
    assert played.asked == [[("INFO",), ("INFO", "commandstats")]]
    assert played.samples() == {
        "redis_exporter_unknown_info_fields": "2",
        "redis_info_new_field": "12",
        'redis_info_cmdstat_new{record="cmdstat_get"}': "3",
    }
    refused = drive(COLLECTOR, [b"new_field:12\r\n", ReplyError("ERR no")], facts=FACTS)
    assert refused.samples() == {"redis_exporter_unknown_info_fields": "1", "redis_info_new_field": "12"}


@pytest.mark.parametrize("version", VERSIONS)
def test_of_servers_on_record_little_is_unknown(drive: Drive, version: str) -> None:
    samples = told(drive, (DATA / version / "info_default.txt").read_bytes())
    named = {name.removeprefix("redis_info_") for name in samples} - {"redis_exporter_unknown_info_fields"}
    assert named <= {
        "arch_bits",
        "lru_clock",
        "redis_git_dirty",
        "redis_git_sha1",
        "server_time_usec",
        "uptime_in_days",
    }
    assert samples["redis_exporter_unknown_info_fields"] == str(len(named))


def test_nothing_is_asked_unless_it_is_wanted() -> None:
    assert not COLLECTOR.enabled(parse([], {}))
    assert COLLECTOR.enabled(parse(["--export-unknown-info"], {}))


def test_a_refusal_fails_it(drive: Drive) -> None:
    with pytest.raises(NoPermError):
        drive(COLLECTOR, [ReplyError("NOPERM no")], facts=FACTS)
