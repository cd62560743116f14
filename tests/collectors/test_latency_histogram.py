"""LATENCY HISTOGRAM: counts as the server has them, sums of every command, buckets that stay."""

from __future__ import annotations

import copy
import dataclasses
import re
from typing import Any

import hiredis
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from exporter import engine
from exporter.collectors._enabled import enable
from exporter.collectors.info import InfoCollector
from exporter.collectors.latency_histogram import (
    BOUNDS_MAX,
    COMMANDS_MAX,
    BucketBounds,
    LatencyHistogramCollector,
)
from exporter.engine import DONE, Frames
from exporter.errors import NoPermError, ReplyError, TargetError
from exporter.options.commandline import parse
from exporter.polling.memory import TargetMemory
from exporter.protocol.facts import Facts
from tests.collectors.conftest import OPTIONS, Drive, Played
from tests.collectors.recorded import DATA, assert_go_families, recorded, versions_with
from tests.histograms import HISTOGRAMS, STATISTICS, row, stats, torn
from tests.replay import resp
from tests.watch_harness import RedisFactory, WatchHarness

REDIS_7 = Facts((7, 0, 15), "redis", "master", "standalone", "r", False, False, 16)
NAME = "redis_commands_latencies_usec"


def of_command(played: Played, command: str) -> dict[str, str]:
    """Value by bound, and those of sum and count."""
    found = {}
    for name, value in played.samples().items():
        if f'cmd="{command}"' in name:
            bound = re.search(r'le="([^"]*)"', name)
            found[bound[1] if bound else name.removeprefix(NAME).partition("{")[0]] = value
    return found


def test_families_are_those_of_the_go_exporter() -> None:
    assert_go_families(LatencyHistogramCollector(), r"LATENCY HISTOGRAM .*")


def test_who_is_asked() -> None:
    assert LatencyHistogramCollector().wants(dataclasses.replace(REDIS_7, version=(7, 0, 0)), OPTIONS)
    assert not LatencyHistogramCollector().wants(dataclasses.replace(REDIS_7, version=(6, 2, 16)), OPTIONS)
    assert not LatencyHistogramCollector().wants(dataclasses.replace(REDIS_7, mode="sentinel"), OPTIONS)


def test_it_is_left_out_on_request() -> None:
    assert LatencyHistogramCollector().enabled(parse([], {}))
    assert not LatencyHistogramCollector().enabled(parse(["--exclude-latency-histogram-metrics"], {}))


def test_sums_come_from_the_same_pipeline(drive: Drive) -> None:
    played = drive(LatencyHistogramCollector(), [[], b"# Commandstats\r\n"], facts=REDIS_7)
    assert played.asked == [[("LATENCY", "HISTOGRAM"), ("INFO", "commandstats", "errorstats")]]


def test_a_server_that_gives_the_sums_alone_is_asked_for_them_alone(drive: Drive) -> None:
    replies = [row(b"get", 1, 1, 1), ReplyError("ERR syntax error")]
    played = drive(LatencyHistogramCollector(), replies, [stats(get=1)], facts=REDIS_7)
    assert played.asked[1:] == [[("INFO", "commandstats")]]
    assert set(re.findall(r'cmd="([^"]*)"', played.text)) == {"get"}


@pytest.mark.parametrize("version", versions_with("latency_histogram"))
def test_recorded_servers(drive: Drive, version: str) -> None:
    reply = recorded(version, "latency_histogram")
    text = (DATA / version / "info_all.txt").read_bytes()
    played = drive(LatencyHistogramCollector(), [reply, text], facts=REDIS_7)
    [family] = [family for family in text_string_to_metric_families(played.page()) if family.samples]
    assert (family.name, family.type) == (NAME, "histogram")
    values = {
        (s.name.removeprefix(NAME), s.labels["cmd"], s.labels.get("le")): s.value for s in family.samples
    }
    assert len(values) == len(family.samples)
    usec = dict(re.findall(r"(?m)^cmdstat_(\S+):calls=\d+,usec=(\d+)", text.decode("utf-8", "replace")))
    for name, (_, calls, _, numbers) in zip(reply[::2], reply[1::2], strict=True):
        cmd = name.decode()
        assert values.pop(("_bucket", cmd, "+Inf")) == values.pop(("_count", cmd, None)) == calls
        assert values.pop(("_sum", cmd, None)) == int(usec[cmd])
        for bound, count in zip(numbers[::2], numbers[1::2], strict=True):
            assert values.pop(("_bucket", cmd, str(bound))) == count
    assert values == {}


class TestSums:
    def sums(self, drive: Drive, histograms: list[object], text: bytes) -> dict[str, str]:
        samples = drive(LatencyHistogramCollector(), [histograms, text], facts=REDIS_7).samples()
        return {
            name[len(NAME) + 10 : -2]: value
            for name, value in samples.items()
            if name.startswith(f"{NAME}_sum")
        }

    @pytest.mark.parametrize(
        "name", ["georadius_ro", "ft.search", "restore-asking", 'odd."q"', "odd=cmd,x", "odd.\\n", "odd.été"]
    )
    def test_of_names_with_other_characters(self, drive: Drive, name: str) -> None:
        text = f"cmdstat_{name}:calls=1,usec=31,usec_per_call=31.00\r\n".encode()
        assert list(self.sums(drive, row(name.encode(), 1, 33, 1), text).values()) == ["31"]

    @pytest.mark.parametrize("name", [b"a:b", b"a#b", b"a\nb"])
    def test_of_names_that_info_has_in_another_spelling(self, drive: Drive, name: bytes) -> None:
        assert list(self.sums(drive, row(name, 1, 33, 1), stats(a_b=31)).values()) == ["31"]

    def test_of_a_command_with_and_without_sub_commands(self, drive: Drive) -> None:
        text = stats(**{"config|get": 5, "config|set": 6, "config": 7, "get": 8})
        assert self.sums(drive, [*row(b"config", 3), *row(b"get", 1)], text) == {"config": "18", "get": "8"}

    def test_of_a_container_whose_own_line_is_not_there(self, drive: Drive) -> None:
        assert self.sums(drive, row(b"config", 3), stats(**{"config|get": 5, "configx": 1})) == {
            "config": "5"
        }

    def test_a_sub_command_with_a_histogram_counts_there_only(self, drive: Drive) -> None:
        text = stats(**{"a": 7, "a|b": 5, "a|c": 1})
        assert self.sums(drive, [*row(b"a", 1), *row(b"a|b", 1)], text) == {"a": "8", "a|b": "5"}

    def test_a_command_whose_sum_is_not_known_is_left_out(self, drive: Drive) -> None:
        assert self.sums(drive, [*row(b"gone", 1), *row(b"get", 1)], stats(get=8)) == {"get": "8"}


class TestBuckets:
    def test_a_bucket_that_was_seen_stays(self, drive: Drive) -> None:
        memory = TargetMemory()
        text = stats(get=100)
        polls = (row(b"get", 5, 1, 3, 8, 5), row(b"get", 6, 2, 2, 16, 6), row(b"get", 2, 4, 2))
        seen = [
            of_command(drive(LatencyHistogramCollector(), [poll, text], facts=REDIS_7, memory=memory), "get")
            for poll in polls
        ]
        rest = {"_sum": "100"}
        assert seen == [
            {"1": "3", "8": "5", "+Inf": "5", "_count": "5"} | rest,
            {"1": "0", "2": "2", "8": "2", "16": "6", "+Inf": "6", "_count": "6"} | rest,
            {"1": "0", "2": "0", "4": "2", "8": "2", "16": "2", "+Inf": "2", "_count": "2"} | rest,
        ]

    def test_buckets_are_in_rising_order(self, drive: Drive) -> None:
        memory = TargetMemory()
        drive(
            LatencyHistogramCollector(), [row(b"get", 1, 1056, 1), stats(get=1)], facts=REDIS_7, memory=memory
        )
        played = drive(
            LatencyHistogramCollector(),
            [row(b"get", 3, 8, 1, 132, 2), stats(get=1)],
            facts=REDIS_7,
            memory=memory,
        )
        assert re.findall(r'le="([^"]*)"', played.text) == ["8", "132", "1056", "+Inf"]

    def test_a_restarted_server_begins_anew(self, drive: Drive) -> None:
        memory = TargetMemory()
        restarted = dataclasses.replace(REDIS_7, run_id="s")
        drive(LatencyHistogramCollector(), [row(b"get", 1, 1, 1), stats(get=1)], facts=REDIS_7, memory=memory)
        played = drive(
            LatencyHistogramCollector(), [row(b"get", 1, 8, 1), stats(get=1)], facts=restarted, memory=memory
        )
        assert set(of_command(played, "get")) == {"8", "+Inf", "_count", "_sum"}

    def test_what_is_remembered_has_an_end(self, drive: Drive) -> None:
        memory = TargetMemory()
        for number in range(BOUNDS_MAX * 2):
            played = drive(
                LatencyHistogramCollector(),
                [row(b"get", 1, number, 1), stats(get=1)],
                facts=REDIS_7,
                memory=memory,
            )
        assert played.text.count("_bucket") <= BOUNDS_MAX + 2

    def test_so_have_the_commands(self) -> None:
        bounds = BucketBounds()
        for number in range(COMMANDS_MAX + 9):
            assert bounds.widened(str(number), (1,), [2]) == ((1,), [2])
        assert len(bounds.by_command) == COMMANDS_MAX
        assert bounds.widened("0", (2,), [3]) == ((1, 2), [0, 3])
        assert bounds.by_command["0"] == (1, 2)

    def test_three_thousand_commands(self, drive: Drive) -> None:
        names = [f"many.command-number-{number:05}" for number in range(3000)]
        reply = [item for name in names for item in row(name.encode(), 1, 1, 1)]
        played = drive(LatencyHistogramCollector(), [reply, stats(**dict.fromkeys(names, 1))], facts=REDIS_7)
        assert played.block.series == 4 * 3000


@pytest.mark.parametrize(
    "bad",
    [
        [b"bad", None],
        [b"bad", [b"calls", 1]],
        [b"bad", [b"calls", b"1", b"histogram_usec", []]],
        [7, [b"calls", 1, b"histogram_usec", [1, 1]]],
        row(b"bad", 1, 1),
        row(b"bad", 3, 1, 1, 1, 2),
        row(b"bad", 3, 2, 1, 1, 2),
        row(b"bad", 3, 1, 2, 2, 1),
        row(b"bad", 1, 1, 2),
        row(b"bad", -1),
        [b"bad", [b"calls", 1, b"histogram_usec", [b"1", 1]]],
        row(b"bad", 1, *(number for bound in range(BOUNDS_MAX + 1) for number in (bound, 1))),
    ],
)
def test_a_row_of_another_form_does_not_cost_the_others(drive: Drive, bad: list[object]) -> None:
    played = drive(
        LatencyHistogramCollector(), [[*bad, *row(b"get", 1, 1, 1)], stats(bad=1, get=1)], facts=REDIS_7
    )
    assert set(re.findall(r'cmd="([^"]*)"', played.text)) == {"get"}


@pytest.mark.parametrize(
    "replies",
    [
        [[None, b"# Commandstats"]],
        [[b"text", b"# Commandstats"]],
        [[row(b"get", 1, 1, 1), None], [None]],
        [[[b"get"], stats(get=1)]],
    ],
)
def test_replies_of_another_form(drive: Drive, replies: list[list[object]]) -> None:
    assert drive(LatencyHistogramCollector(), *replies, facts=REDIS_7).text == ""


def test_a_refusal_is_silent(drive: Drive) -> None:
    refused = ReplyError(
        "ERR Unknown subcommand or wrong number of arguments for 'HISTOGRAM'. Try LATENCY HELP."
    )
    assert drive(LatencyHistogramCollector(), [refused, stats(get=1)], facts=REDIS_7).text == ""


def test_any_other_error_is_a_failure(drive: Drive) -> None:
    with pytest.raises(TargetError) as caught:
        drive(
            LatencyHistogramCollector(), [ReplyError("LOADING Redis is loading"), stats(get=1)], facts=REDIS_7
        )
    assert not isinstance(caught.value, NoPermError)


def played(reply: Any, statistics: bytes, memory: BucketBounds) -> Played:
    return Played(LatencyHistogramCollector(), [[reply, statistics]], REDIS_7, OPTIONS, memory)


def is_complete(reply: bytes) -> bool:
    """Whether these bytes are one reply, so that a connection would pass them on."""
    frames = Frames()
    frames.expect(1, 10**6, 10**5, 10**6)
    return frames.scan(reply) == DONE and frames.at == len(reply)


def written(block: engine.Block | None) -> tuple[Any, ...] | None:
    return None if block is None else (block.samples, block.offsets, block.series, block.invalid)


class TestReadAgain:
    def test_what_is_in_the_ordinary(self) -> None:
        memory, text = BucketBounds(), stats(get=100, **{"config|get": 3})
        before = played(row(b"get", 5, 1, 3, 8, 5), text, memory)
        reply = [*row(b"get", 6, 2, 2, 16, 6), *row(b"config", 1)]
        again = before.again(resp(reply), text)
        assert again is not None
        assert again.series == 4 + 3 + 1 + 2
        assert memory.by_command["get"] == (1, 2, 8, 16)

    @given(
        st.lists(st.tuples(HISTOGRAMS, STATISTICS, st.none() | torn(st.booleans())), min_size=1, max_size=4)
    )
    @settings(max_examples=600, deadline=None)
    def test_it_leaves_what_a_run_leaves(self, polls: list[tuple[list[object], bytes, Any]]) -> None:
        memory = BucketBounds()
        before = played([], b"cmdstat_", memory)
        for histograms, statistics, tear in polls:
            reply = resp(histograms)
            if tear is not None:
                in_reply, change = tear
                reply, statistics = (change(reply), statistics) if in_reply else (reply, change(statistics))
            earlier = copy.deepcopy(memory)
            again = before.again(reply, statistics)
            if again is None:
                assert memory == earlier
            if not is_complete(reply):
                assert again is None
                continue
            reader = hiredis.Reader()
            reader.feed(reply)
            ran = played(reader.gets(), statistics, earlier) if again is not None else None
            assert ran is None or (written(again), memory) == (written(ran.block), earlier)

    @pytest.mark.parametrize("version", versions_with("latency_histogram"))
    def test_recorded_servers_are_in_the_ordinary(self, version: str) -> None:
        reply = recorded(version, "latency_histogram")
        text = (DATA / version / "info_all.txt").read_bytes()
        before = played(reply, text, BucketBounds())
        assert written(before.again(resp(reply), text)) == written(before.block)

    @pytest.mark.parametrize(
        "text", [b"# Commandstats\r\n", b"", b"# Errorstats\r\nerrorstat_ERR:count=1\r\n"]
    )
    def test_sums_that_would_be_asked_for_alone(self, text: bytes) -> None:
        before = played(row(b"get", 1), stats(get=1), BucketBounds())
        assert before.again(resp(row(b"get", 1)), text) is None

    def test_another_run_of_the_server(self) -> None:
        before = played(row(b"get", 1), stats(get=1), BucketBounds())
        before.facts = dataclasses.replace(REDIS_7, run_id="s")
        assert before.again(resp(row(b"get", 1)), stats(get=1)) is None

    def test_what_is_refused_still_gives_nothing(self) -> None:
        before = played(ReplyError("ERR unknown subcommand"), stats(get=1), BucketBounds())
        assert written(before.again(None, stats(get=1))) == written(before.block)
        assert before.block.samples == b""
        assert before.again(None, None) is None

    def test_a_family_that_is_not_shown(self) -> None:
        before = played(row(b"get", 1), stats(get=1), BucketBounds())
        before.enabled = enable(LatencyHistogramCollector(), "redis", frozenset({"commands_latencies_usec"}))
        assert before.again(resp(row(b"get", 1)), stats(get=1)) is None


@pytest.mark.server
async def test_a_real_server(redis_server: RedisFactory) -> None:
    server = redis_server()
    for number in range(20):
        server.ask("SET", f"key:{number}", "x" * number)
        server.ask("SORT_RO", "missing")
    watch_harness = WatchHarness((InfoCollector(), LatencyHistogramCollector()))
    try:
        watched = watch_harness.watched(server.port)
        await watch_harness.poll(watched)
        assert watch_harness.went_well(watched)
        assert (
            watch_harness.value(watched, f"{NAME}_count", "set")
            == watch_harness.value(watched, f"{NAME}_bucket", "set", "+Inf")
            == 20
        )
        usec = dict(
            re.findall(r"cmdstat_(\S+):calls=\d+,usec=(\d+)", server.ask("INFO", "commandstats").decode())
        )
        assert watch_harness.value(watched, f"{NAME}_sum", "sort_ro") == int(usec["sort_ro"])
        assert watch_harness.value(watched, f"{NAME}_sum", "config|get") is not None
        before = {
            key for key in watch_harness.series(watched) if key[0] == f"{NAME}_bucket" and key[1][0] == "set"
        }
        server.ask("CONFIG", "RESETSTAT")
        server.ask("SET", "key", "x")
        await watch_harness.poll_until(
            watched, lambda: watch_harness.value(watched, f"{NAME}_count", "set") == 1
        )
        assert before <= set(watch_harness.series(watched))
    finally:
        await watch_harness.close()
