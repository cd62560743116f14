"""HOTKEYS GET: the keys of the newest session."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from exporter.collectors.hotkeys import KEYS_MAX, HotkeysCollector
from exporter.errors import ReplyError
from exporter.options.commandline import parse
from exporter.protocol.facts import Facts
from tests.collectors.conftest import OPTIONS, Drive

REDIS = Facts((8, 6, 0), "redis", "master", "standalone", "r", False, False, 16, (8, 6, 0))
#: a session that counts CPU time and traffic, in the order of the server's source
SESSION: list[Any] = [
    b"tracking-active", 1, b"sample-ratio", 5, b"selected-slots", [[0, 16383]],
    b"all-commands-all-slots-us", 2500, b"net-bytes-all-commands-all-slots", 300,
    b"collection-start-time-unix-ms", 1769420604522,
    b"collection-duration-ms", 6408, b"total-cpu-time-user-ms", 3, b"total-cpu-time-sys-ms", 11,
    b"total-net-bytes", 200, b"by-cpu-time-us", [b"x", 1040, b'y"', 980], b"by-net-bytes", [b"x", 140],
]  # fmt: skip
SAMPLES = {
    "redis_hotkeys_start_timestamp_seconds": "1769420604.522",
    "redis_hotkeys_duration_seconds": "6.408",
    "redis_hotkeys_sample_ratio": "5",
    "redis_hotkeys_commands_cpu_seconds": "0.0025",
    "redis_hotkeys_commands_network_bytes": "300",
    'redis_hotkey_cpu_seconds{key="x"}': "0.00104",
    'redis_hotkey_cpu_seconds{key="y\\""}': "0.00098",
    'redis_hotkey_network_bytes{key="x"}': "140",
}


@pytest.mark.parametrize("reply", [[SESSION], SESSION], ids=["8.6.1", "8.6.0"])
def test_a_session_is_read_and_never_started(drive: Drive, reply: list[Any]) -> None:
    played = drive(HotkeysCollector(), [reply], facts=REDIS)
    assert played.asked == [[("HOTKEYS", "GET")]]
    assert played.samples() == SAMPLES


def test_no_more_keys_are_shown_than_a_server_keeps(drive: Drive) -> None:
    pairs = [each for number in range(2 * KEYS_MAX) for each in (b"key%d" % number, 1)]
    played = drive(HotkeysCollector(), [[[b"by-cpu-time-us", pairs]]], facts=REDIS)
    assert len(played.samples()) == KEYS_MAX
    assert played.output.cut == KEYS_MAX


@pytest.mark.parametrize(
    "reply", [None, b"text", 7, [], [None], [7], [[b"sample-ratio"]], [[b"sample-ratio", b"many"]],
              [[b"by-net-bytes", 7]], [[b"by-net-bytes", [7, 7, b"x", None]]], [[b"sample-ratio", -1]]]
)  # fmt: skip
def test_what_is_not_a_count_is_left_out(drive: Drive, reply: Any) -> None:
    assert drive(HotkeysCollector(), [reply], facts=REDIS).samples() == {}


def test_a_refusal_writes_nothing(drive: Drive) -> None:
    refusal = ReplyError("NOPERM this user has no permissions to run the 'hotkeys|get' command")
    assert drive(HotkeysCollector(), [refusal], facts=REDIS).samples() == {}


def test_only_servers_that_know_the_command_are_asked() -> None:
    wants = HotkeysCollector().wants
    assert wants(REDIS, OPTIONS)
    assert not wants(dataclasses.replace(REDIS, version=(8, 4, 2)), OPTIONS)
    assert not wants(dataclasses.replace(REDIS, flavor="valkey", flavor_version=(9, 1, 0)), OPTIONS)
    assert not wants(dataclasses.replace(REDIS, mode="sentinel"), OPTIONS)


def test_nothing_is_asked_unless_it_is_wanted() -> None:
    assert not HotkeysCollector().enabled(OPTIONS)
    assert HotkeysCollector().enabled(parse(["--include-hotkeys-metrics"], {}))
    assert HotkeysCollector().acl(OPTIONS) == ("+hotkeys|get",)
