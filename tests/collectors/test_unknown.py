"""Numbers of INFO without a metric of their own."""

from __future__ import annotations

import pytest

from exporter.collectors.info import InfoCollector
from exporter.collectors.stats import StatsCollector
from exporter.collectors.unknown import UnknownInfoCollector
from exporter.errors import NoPermError, ReplyError
from exporter.options.commandline import parse
from exporter.protocol.facts import Facts
from tests.collectors.conftest import Drive
from tests.collectors.test_info import DATA, VERSIONS

FACTS = Facts((7, 0, 15), "redis", "master", "standalone", "r", False, False, 16)
COLLECTOR = UnknownInfoCollector((InfoCollector(), StatsCollector()))


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
