"""COMMANDLOG of Valkey: lengths, and large requests and replies by command. Played from recorded replies
of Valkey 8.1.1."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from exporter.collectors.commandlog import CommandlogCollector
from exporter.collectors.info import InfoCollector
from exporter.errors import BusyError, ReplyError
from exporter.options.commandline import parse
from exporter.polling.memory import TargetMemory
from exporter.protocol.facts import Facts
from tests.collectors.conftest import OPTIONS, Drive
from tests.collectors.go_rows import DATA, assert_same_families, go_rows
from tests.collectors.test_slowlog import recorded
from tests.servers import Conversation
from tests.watch_harness import RedisFactory, ScriptFactory, WatchHarnessFactory, info

FACTS = Facts((7, 2, 4), "valkey", "master", "standalone", "r", False, False, 16, flavor_version=(8, 1, 1))
ASKED_FIRST = [
    ("COMMANDLOG", "LEN", "slow"),
    ("COMMANDLOG", "LEN", "large-request"),
    ("COMMANDLOG", "LEN", "large-reply"),
    ("COMMANDLOG", "GET", 1, "large-request"),
    ("COMMANDLOG", "GET", 1, "large-reply"),
]
REQUESTS = recorded("valkey-8.1.1", "commandlog_large_request.json")
REPLIES = recorded("valkey-8.1.1", "commandlog_large_reply.json")
UNKNOWN = ReplyError("ERR unknown command 'COMMANDLOG', with args beginning with: 'LEN' 'slow' ")


def test_the_families_of_the_go_exporter() -> None:
    rows = go_rows("COMMANDLOG LEN slow", "COMMANDLOG LEN large-request", "COMMANDLOG LEN large-reply")
    assert len(rows) == 3
    assert_same_families(CommandlogCollector(), rows)


def test_lengths(drive: Drive) -> None:
    played = drive(CommandlogCollector(), [7, 5, 1, REQUESTS[:1], REPLIES[:1]], [REQUESTS[:2]], facts=FACTS)
    assert played.asked == [ASKED_FIRST, [("COMMANDLOG", "GET", 2, "large-request")]]
    assert played.samples() == {
        "redis_commandlog_slow_length": "7",
        "redis_commandlog_large_request_length": "5",
        "redis_commandlog_large_reply_length": "1",
        'redis_commandlog_entries_missed_total{type="large-request"}': "0",
        'redis_commandlog_entries_missed_total{type="large-reply"}': "0",
    }


def test_a_negative_length_is_not_known(drive: Drive) -> None:
    samples = drive(CommandlogCollector(), [-1, 0, -1, [], []], facts=FACTS).samples()
    assert [name for name in samples if name.endswith("_length")] == ["redis_commandlog_large_request_length"]


def test_what_is_new_is_counted_by_command(drive: Drive) -> None:
    memory = TargetMemory()
    drive(CommandlogCollector(), [0, 0, 0, [], []], facts=FACTS, memory=memory)
    played = drive(
        CommandlogCollector(), [7, 5, 1, REQUESTS[:1], REPLIES], [REQUESTS], facts=FACTS, memory=memory
    )
    assert played.asked == [ASKED_FIRST, [("COMMANDLOG", "GET", 5, "large-request")]]
    counted = {name: value for name, value in played.samples().items() if "cmd=" in name}
    assert counted == {
        'redis_commandlog_entries_total{type="large-request",cmd="config"}': "3",
        'redis_commandlog_entries_total{type="large-request",cmd="get"}': "1",
        'redis_commandlog_entries_total{type="large-request",cmd="set"}': "1",
        'redis_commandlog_entries_total{type="large-reply",cmd="get"}': "1",
        'redis_commandlog_entry_bytes_total{type="large-request",cmd="config"}': "206",
        'redis_commandlog_entry_bytes_total{type="large-request",cmd="get"}': "24",
        'redis_commandlog_entry_bytes_total{type="large-request",cmd="set"}': "2033",
        'redis_commandlog_entry_bytes_total{type="large-reply",cmd="get"}': "2009",
        'redis_commandlog_entry_max_bytes{type="large-request",cmd="config"}': "70",
        'redis_commandlog_entry_max_bytes{type="large-request",cmd="get"}': "24",
        'redis_commandlog_entry_max_bytes{type="large-request",cmd="set"}': "2033",
        'redis_commandlog_entry_max_bytes{type="large-reply",cmd="get"}': "2009",
    }
    assert "biggy" not in played.text


def test_lengths_go_back_to_zero_after_a_reset_and_counters_stay(drive: Drive) -> None:
    memory = TargetMemory()
    for replies in ([0, 0, 0, [], []], [1, 0, 1, [], REPLIES]):
        drive(CommandlogCollector(), replies, facts=FACTS, memory=memory)
    samples = drive(CommandlogCollector(), [0, 0, 0, [], []], facts=FACTS, memory=memory).samples()
    assert samples["redis_commandlog_large_reply_length"] == "0"
    assert samples['redis_commandlog_entries_total{type="large-reply",cmd="get"}'] == "1"


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({}, True),
        ({"flavor_version": (9, 0, 0)}, True),
        ({"flavor_version": (8, 0, 3)}, False),
        ({"flavor_version": (0, 0, 0)}, False),
        ({"flavor": "redis", "version": (8, 2, 0), "flavor_version": (8, 2, 0)}, False),
        ({"mode": "sentinel"}, False),
    ],
)
def test_only_valkey_since_8_1_is_asked(changes: Any, wanted: bool) -> None:
    assert CommandlogCollector().wants(dataclasses.replace(FACTS, **changes), OPTIONS) is wanted


@pytest.mark.parametrize(
    ("version", "flavor_version", "wanted"),
    [
        ("valkey-8.1.1", (8, 1, 1), True),
        ("valkey-7.2.7", (7, 2, 7), False),
        ("redis-8.0.2", (8, 0, 2), False),
        ("keydb-6.3.4", (6, 3, 4), False),
    ],
)
def test_the_flavors_own_version_is_known_from_info(
    drive: Drive, version: str, flavor_version: tuple[int, int, int], wanted: bool
) -> None:
    facts = drive(
        InfoCollector(), [(DATA / version / "info_default.txt").read_bytes()], [[b"databases", b"16"]]
    ).facts
    assert facts.flavor_version == flavor_version
    assert CommandlogCollector().wants(facts, OPTIONS) is wanted


def test_it_is_left_out_with_tile38() -> None:
    assert CommandlogCollector().enabled(parse([], {}))
    assert not CommandlogCollector().enabled(parse(["--is-tile38"], {}))


def test_a_refusal_writes_nothing_and_another_error_is_told(drive: Drive) -> None:
    assert drive(CommandlogCollector(), [UNKNOWN] * 5, facts=FACTS).text == ""
    with pytest.raises(BusyError):
        drive(
            CommandlogCollector(),
            [1, 2, 3, ReplyError("BUSY Valkey is busy running a script."), []],
            facts=FACTS,
        )


def test_one_odd_reply_does_not_cost_the_others(drive: Drive) -> None:
    samples = drive(CommandlogCollector(), [b"x", 5, None, b"y", REPLIES], facts=FACTS).samples()
    assert samples == {
        "redis_commandlog_large_request_length": "5",
        'redis_commandlog_entries_missed_total{type="large-reply"}': "0",
    }


async def test_over_a_socket(scripted_server: ScriptFactory, make_watch_harness: WatchHarnessFactory) -> None:
    """A server that plays Valkey 8.1; there is none to run."""

    def commandlog(talk: Conversation) -> None:
        while True:
            words = talk.command()
            if words[0] == b"COMMANDLOG":
                talk.send(
                    b":3\r\n"
                    if words[1] == b"LEN"
                    else b"*1\r\n*4\r\n:2\r\n:1\r\n:%d\r\n*1\r\n$3\r\nGET\r\n" % len(words[3])
                )
            elif words[0] == b"INFO":
                talk.send(told)
            else:
                talk.send(b"*0\r\n" if words[0] == b"CONFIG" else b"+OK\r\n")

    told = info(redis_version="7.2.4", server_name="valkey", valkey_version="8.1.1")
    server = scripted_server(commandlog)
    watch_harness = make_watch_harness([InfoCollector(), CommandlogCollector()])
    watched = watch_harness.watched(server.port)
    await watch_harness.poll(watched)
    assert watch_harness.value(watched, "redis_commandlog_slow_length") == 3
    assert watch_harness.value(watched, "redis_commandlog_entries_missed_total", "large-reply") == 0


async def test_a_real_redis_is_not_asked(
    redis_server: RedisFactory, make_watch_harness: WatchHarnessFactory
) -> None:
    server = redis_server()
    watch_harness = make_watch_harness([InfoCollector(), CommandlogCollector()])
    watched = watch_harness.watched(server.port)
    await watch_harness.poll(watched)
    assert watch_harness.went_well(watched)
    assert b"errorstat_" not in server.ask("INFO", "errorstats")
