"""The slow log: length, newest entry, and counters by command."""

from __future__ import annotations

import dataclasses
import json
import pathlib
from typing import Any

import pytest

from exporter.collectors.info import InfoCollector
from exporter.collectors.slowlog import SlowlogCollector
from exporter.errors import BusyError, ReplyError
from exporter.polling.memory import TargetMemory
from exporter.protocol.facts import Facts
from tests.collectors.conftest import OPTIONS, Drive
from tests.collectors.go_rows import assert_same_families, go_rows
from tests.replay import resp
from tests.servers import Conversation, RedisServer
from tests.watch_harness import RedisFactory, ScriptFactory, WatchHarnessFactory, info

DATA = pathlib.Path(__file__).parent.parent / "data"
VERSIONS = sorted(path.parent.name for path in DATA.glob("*/slowlog_get.json"))
FACTS = Facts((7, 0, 15), "redis", "master", "standalone", "r", False, False, 16)
ASKED_FIRST = [("SLOWLOG", "LEN"), ("SLOWLOG", "GET", 1)]


def recorded(version: str, name: str = "slowlog_get.json") -> list[Any]:
    """A recorded reply, with bytes for its texts."""

    def as_bytes(value: Any) -> Any:
        if isinstance(value, list):
            return [as_bytes(item) for item in value]
        return value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value

    reply: list[Any] = as_bytes(json.loads((DATA / version / name).read_text()))
    return reply


def entry(number: int, word: bytes = b"GET", microseconds: int = 1500) -> list[Any]:
    return [number, 1_795_378_916, microseconds, [word, b"a-key"], b"127.0.0.1:5", b""]


def test_the_families_of_the_go_exporter() -> None:
    assert_same_families(SlowlogCollector(), go_rows("SLOWLOG LEN", "SLOWLOG GET 1"))


@pytest.mark.parametrize("version", VERSIONS)
def test_length_and_newest_entry(drive: Drive, version: str) -> None:
    entries = recorded(version)
    length = int((DATA / version / "slowlog_len").read_text())
    more = [[entries[:2]]] if length > 1 else []  # whether the ids of one reply rise by one
    played = drive(SlowlogCollector(), [length, entries[:1]], *more, facts=FACTS)
    assert played.asked == [ASKED_FIRST, *([("SLOWLOG", "GET", 2)] for _ in more)]
    assert played.samples() == {
        "redis_slowlog_length": str(length),
        "redis_slowlog_last_id": str(entries[0][0]),
        "redis_last_slow_execution_duration_seconds": f"{entries[0][2] / 1e6:g}",
        "redis_slowlog_entries_missed_total": "0",
    }


def test_an_empty_log(drive: Drive) -> None:
    assert drive(SlowlogCollector(), [0, []], facts=FACTS).samples() == {
        "redis_slowlog_length": "0",
        "redis_slowlog_last_id": "0",
        "redis_last_slow_execution_duration_seconds": "0",
        "redis_slowlog_entries_missed_total": "0",
    }


@pytest.mark.parametrize("version", VERSIONS)
def test_what_is_new_is_counted_by_command_and_nothing_else_is_told(drive: Drive, version: str) -> None:
    entries = recorded(version)
    memory = TargetMemory()
    drive(SlowlogCollector(), [0, []], facts=FACTS, memory=memory)
    played = drive(SlowlogCollector(), [len(entries), entries[:1]], [entries], facts=FACTS, memory=memory)
    assert played.asked == [ASKED_FIRST, [("SLOWLOG", "GET", len(entries))]]
    samples = played.samples()
    gets = [item for item in entries if item[3][0].lower() == b"get"]
    assert samples['redis_slowlog_entries_total{cmd="get"}'] == str(len(gets))
    assert float(samples['redis_slowlog_entries_duration_seconds_total{cmd="get"}']) == pytest.approx(
        sum(i[2] for i in gets) / 1e6
    )
    assert (
        float(samples['redis_slowlog_entry_max_duration_seconds{cmd="get"}']) == max(i[2] for i in gets) / 1e6
    )
    assert sum(int(value) for name, value in samples.items() if "entries_total{" in name) == len(entries)
    assert samples["redis_slowlog_entries_missed_total"] == "0"
    for told in ("secret", "slow=client", "127.0.0.1", "maxmemory", "long", "return"):
        assert told not in played.text


def test_entries_that_were_gone_are_missed(drive: Drive) -> None:
    memory = TargetMemory()
    drive(SlowlogCollector(), [1, [entry(3)]], facts=FACTS, memory=memory)
    batch = [entry(9), entry(8)]
    samples = drive(SlowlogCollector(), [2, batch[:1]], [batch], facts=FACTS, memory=memory).samples()
    assert samples["redis_slowlog_entries_missed_total"] == "4"
    assert samples['redis_slowlog_entries_total{cmd="get"}'] == "2"
    assert samples['redis_slowlog_entries_duration_seconds_total{cmd="get"}'] == "0.003"
    assert samples['redis_slowlog_entry_max_duration_seconds{cmd="get"}'] == "0.0015"


async def test_threads_with_logs_of_their_own(
    scripted_server: ScriptFactory, make_watch_harness: WatchHarnessFactory
) -> None:
    """As Dragonfly answers: each id is a thread's own, times the number of threads, plus the thread."""
    logged = [entry(9, b"OLD"), entry(1, b"OLD")]

    def slowlog(talk: Conversation) -> None:
        while True:
            words = talk.command()
            if words[:2] == [b"SLOWLOG", b"LEN"]:
                talk.send(b":%d\r\n" % len(logged))
            elif words[0] == b"SLOWLOG":
                talk.send(resp(logged[: int(words[2])]))
            else:
                talk.send({b"INFO": info(), b"CONFIG": b"*0\r\n"}.get(words[0], b"+OK\r\n"))

    watch_harness = make_watch_harness([InfoCollector(), SlowlogCollector()])
    watched = watch_harness.watched(scripted_server(slowlog).port)
    for number in range(20):
        await watch_harness.poll(watched)
        logged.insert(0, entry(number // 2 * 8 + number % 2 * 4 + 13, b"GET"))
        await watch_harness.poll(watched)
        await watch_harness.poll(watched)
        assert watch_harness.value(watched, "redis_slowlog_entries_total", "get") == number + 1
        assert watch_harness.value(watched, "redis_slowlog_last_id") == logged[0][0]
    assert watch_harness.value(watched, "redis_slowlog_entries_missed_total") == 0


async def test_a_proxy_that_hangs_up_costs_only_the_metrics_of_the_slow_log(
    scripted_server: ScriptFactory, make_watch_harness: WatchHarnessFactory
) -> None:
    def proxy(talk: Conversation) -> None:
        while (words := talk.command())[0] != b"SLOWLOG":
            talk.send({b"INFO": info(), b"CONFIG": b"*0\r\n"}.get(words[0], b"+OK\r\n"))

    watch_harness = make_watch_harness([InfoCollector(), SlowlogCollector()])
    watched = watch_harness.watched(scripted_server(proxy).port)
    up = []
    for _ in range(6):
        watched.health.retry_at = 0.0
        await watch_harness.poll(watched)
        up.append(watched.up)
    assert up == [False, False, False, True, True, True]  # LEN twice, then GET
    assert watch_harness.value(watched, "redis_exporter_collector_supported", "slowlog") == 0


def test_negative_numbers_are_not_known_and_entries_with_them_are_counted(drive: Drive) -> None:
    memory = TargetMemory()
    old, new = entry(-1), [[-1, 1_795_378_990, 9000, [b"SET", b"a-key"], b"127.0.0.1:5", b""]]
    drive(SlowlogCollector(), [-1, [old]], facts=FACTS, memory=memory)
    replies = [-1, new], [[*new, old]], [[*new, old]]
    assert drive(SlowlogCollector(), *replies, facts=FACTS, memory=memory).samples() == {
        "redis_last_slow_execution_duration_seconds": "0.009",
        'redis_slowlog_entries_total{cmd="set"}': "1",
        'redis_slowlog_entries_duration_seconds_total{cmd="set"}': "0.009",
        'redis_slowlog_entry_max_duration_seconds{cmd="set"}': "0.009",
        "redis_slowlog_entries_missed_total": "0",
    }


def test_who_is_asked() -> None:
    assert SlowlogCollector().wants(FACTS, OPTIONS)
    assert not SlowlogCollector().wants(dataclasses.replace(FACTS, mode="sentinel"), OPTIONS)
    assert not SlowlogCollector().wants(dataclasses.replace(FACTS, version=(2, 2, 0)), OPTIONS)


def test_a_refusal_writes_nothing_and_another_error_is_told(drive: Drive) -> None:
    refused = ReplyError("NOPERM this user has no permissions to run the 'slowlog|get' command")
    assert drive(SlowlogCollector(), [refused, refused], facts=FACTS).text == ""
    assert drive(SlowlogCollector(), [4, refused], facts=FACTS).samples() == {"redis_slowlog_length": "4"}
    with pytest.raises(BusyError):
        drive(SlowlogCollector(), [4, ReplyError("BUSY Redis is busy running a script.")], facts=FACTS)


def test_replies_of_no_form_at_all(drive: Drive) -> None:
    assert drive(SlowlogCollector(), [b"OK", b"OK"], facts=FACTS).text == ""
    assert drive(SlowlogCollector(), [None, [[]]], facts=FACTS).samples()["redis_slowlog_last_id"] == "0"


async def test_a_real_server(redis_server: RedisFactory, make_watch_harness: WatchHarnessFactory) -> None:
    server = redis_server("--slowlog-log-slower-than", "-1", "--slowlog-max-len", "6")
    watch_harness = make_watch_harness([InfoCollector(), SlowlogCollector()])
    watched = watch_harness.watched(server.port)

    def value(name: str, *labels: str) -> float:
        return watch_harness.number(watched, f"redis_{name}", *labels)

    log_slowly(server, "get", "get", "exists")
    await watch_harness.poll(watched)
    assert (value("slowlog_length"), value("slowlog_last_id"), value("slowlog_entries_missed_total")) == (
        4,
        3,
        0,
    )
    log_slowly(server, "get", "GET", "strlen")
    await watch_harness.poll(watched)
    assert (value("slowlog_length"), value("slowlog_last_id")) == (6, 7)
    assert (value("slowlog_entries_total", "get"), value("slowlog_entries_total", "strlen")) == (2, 1)
    assert watch_harness.value(watched, "redis_slowlog_entries_total", "exists") is None
    assert 0 < value("slowlog_entries_duration_seconds_total", "config") < 1
    assert value("slowlog_entry_max_duration_seconds", "config") == value(
        "slowlog_entries_duration_seconds_total", "config"
    )
    assert 0 <= value("last_slow_execution_duration_seconds") < 1
    for _ in range(2):  # nothing new
        await watch_harness.poll(watched)
        assert (value("slowlog_entries_total", "get"), value("slowlog_entries_missed_total")) == (2, 0)
    log_slowly(server, *["get"] * 8)
    await watch_harness.poll(watched)
    assert (value("slowlog_entries_total", "get"), value("slowlog_entries_missed_total")) == (8, 3)
    server.stop()
    server.start()
    log_slowly(server, *["strlen"] * 3)
    await watch_harness.poll_until(watched, lambda: value("slowlog_last_id") == 3)
    assert (value("slowlog_entries_total", "strlen"), value("slowlog_entries_missed_total")) == (4, 3)
    server.ask("SLOWLOG", "RESET")
    await watch_harness.poll(watched)
    assert (value("slowlog_length"), value("slowlog_last_id"), value("slowlog_entries_total", "strlen")) == (
        0,
        0,
        4,
    )
    log_slowly(server, "strlen")
    await watch_harness.poll(watched)
    assert (value("slowlog_entries_total", "strlen"), value("slowlog_entries_missed_total")) == (5, 3)


def log_slowly(server: RedisServer, *words: str) -> None:
    """Have the server log these commands, after one CONFIG and before nothing."""
    server.ask("CONFIG", "SET", "slowlog-log-slower-than", "0")
    for word in words:
        server.ask(word, "a-key")
    server.ask("CONFIG", "SET", "slowlog-log-slower-than", "-1")
