"""Statistics by command and by error."""

from __future__ import annotations

import dataclasses
import pathlib
from typing import Any, ClassVar

import pytest

from exporter.collectors._several import LOOK_AGAIN_S, Apart, Sections
from exporter.collectors.stats import StatsCollector
from exporter.errors import BusyError, NoPermError, ReplyError
from exporter.polling.memory import TargetMemory
from exporter.protocol.facts import Facts
from tests.collectors.conftest import NOW, OPTIONS, Drive

DATA = pathlib.Path(__file__).parent.parent / "data"
REDIS_7 = Facts((7, 0, 15), "redis", "master", "standalone", "r", False, False, 16)
NOPERM = ReplyError("NOPERM no")
LOOKED_AT = Sections(Apart((), "r", NOW), Apart((), "r", NOW))
ALL_SECTIONS = [("INFO", "commandstats", "errorstats")]


def of_version(major: int, minor: int, patch: int) -> Facts:
    return dataclasses.replace(REDIS_7, version=(major, minor, patch))


@pytest.mark.parametrize(
    ("version", "asked"),
    [
        ((8, 0, 0), ALL_SECTIONS),
        ((7, 0, 0), ALL_SECTIONS),
        ((6, 2, 0), [("INFO", "commandstats"), ("INFO", "errorstats")]),
        ((4, 0, 14), [("INFO", "commandstats")]),
    ],
)
def test_sections_are_asked_together_where_the_server_takes_that(
    drive: Drive, version: tuple[int, int, int], asked: list[tuple[str, ...]]
) -> None:
    replies = [b"cmdstat_get:calls=1,usec=1"] * len(asked)
    assert drive(StatsCollector(), replies, memory=LOOKED_AT, facts=of_version(*version)).asked == [asked]


def test_servers_without_statistics_and_sentinels_are_left_alone() -> None:
    assert not StatsCollector().wants(of_version(2, 4, 18), OPTIONS)
    assert not StatsCollector().wants(dataclasses.replace(REDIS_7, mode="sentinel"), OPTIONS)
    assert StatsCollector().wants(of_version(2, 6, 0), OPTIONS)


def test_a_command_has_calls_time_and_failures(drive: Drive) -> None:
    text = b"cmdstat_config|get:calls=3,usec=1500,usec_per_call=500.00,rejected_calls=1,failed_calls=2\r\n"
    assert drive(StatsCollector(), [text], facts=REDIS_7).samples() == {
        'redis_commands_total{cmd="config|get"}': "3",
        'redis_commands_duration_seconds_total{cmd="config|get"}': "0.0015",
        'redis_commands_rejected_calls_total{cmd="config|get"}': "1",
        'redis_commands_failed_calls_total{cmd="config|get"}': "2",
    }


def test_names_hold_what_servers_let_them_hold(drive: Drive) -> None:
    text = (
        b"cmdstat_odd.cmd#1:2:calls=1,usec=2\r\nerrorstat_My-Odd_Err=1,x:count=2\r\n"
        b'cmdstat_"q"\\:calls=5,usec=0\r\n'
    )
    samples = drive(StatsCollector(), [text], facts=REDIS_7).samples()
    assert samples['redis_commands_total{cmd="odd.cmd#1:2"}'] == "1"
    assert samples['redis_errors_total{err="My-Odd_Err=1,x"}'] == "2"
    assert samples['redis_commands_total{cmd="\\"q\\"\\\\"}'] == "5"


@pytest.mark.parametrize("version", ["redis-6.2.16", "redis-7.0.15", "valkey-8.1.1"])
def test_a_flood_of_error_codes_is_read_whole(drive: Drive, version: str) -> None:
    text = (DATA / version / "info_errorstats_flood.txt").read_bytes()
    played = drive(StatsCollector(), [text], facts=REDIS_7, memory=LOOKED_AT)
    assert sum(key.startswith("redis_errors_total") for key in played.samples()) == text.count(b"errorstat_")


def test_one_refused_section_does_not_cost_the_other(drive: Drive) -> None:
    refused = ReplyError("NOPERM no")
    played = drive(StatsCollector(), [b"cmdstat_get:calls=1,usec=2\r\n", refused], facts=of_version(6, 2, 0))
    assert 'redis_commands_total{cmd="get"}' in played.samples()


def test_all_refused_is_a_failure(drive: Drive) -> None:
    """The driver knows that it is no fault of the collector."""
    with pytest.raises(NoPermError):
        drive(StatsCollector(), [NOPERM], [NOPERM] * 2, [NOPERM], facts=REDIS_7)


class TestAllSections:
    """Some servers give statistics to no name but `all`."""

    ALL = b"# Server\r\nrole:master\r\n# Commandstats\r\ncmdstat_get:calls=71,usec=7200\r\n"
    WHOLE = ("INFO", "all")

    @pytest.mark.parametrize(
        ("version", "before"),
        [
            ((7, 0, 0), [[NOPERM], [NOPERM] * 2]),
            ((7, 0, 0), [[b""], [b""] * 2]),
            ((4, 0, 0), [[b"# Server"]]),
        ],
    )
    def test_are_asked_for_where_no_name_gives_them(
        self, drive: Drive, version: tuple[int, int, int], before: list[list[Any]]
    ) -> None:
        memory, facts = TargetMemory(), of_version(*version)
        for _ in range(2):
            replies = [*before, [self.ALL]]
            played = drive(StatsCollector(), *replies, facts=facts, memory=memory)
            assert played.asked[-1] == [self.WHOLE]
            assert played.samples()['redis_commands_total{cmd="get"}'] == "71"
            before = before if before[0] == [NOPERM] else before[:1]

    def test_and_once_a_run_where_they_give_no_more(self, drive: Drive) -> None:
        memory, nothing = TargetMemory(), [b"# Server"]
        drive(StatsCollector(), nothing, nothing, facts=of_version(4, 0, 0), memory=memory)
        assert drive(StatsCollector(), nothing, facts=of_version(4, 0, 0), memory=memory).text == ""


class TestSectionsApart:
    """A server that says it is Redis 7 need not take several sections."""

    EACH: ClassVar = [("INFO", "commandstats"), ("INFO", "errorstats")]
    COMMANDS = b"# Commandstats\r\ncmdstat_get:calls=71,usec=7200\r\n"
    ERRORS = b"# Errorstats\r\nerrorstat_ERR:count=3\r\n"
    SAMPLES: ClassVar = {
        'redis_commands_total{cmd="get"}': "71",
        'redis_commands_duration_seconds_total{cmd="get"}': "0.0072",
        'redis_errors_total{err="ERR"}': "3",
    }

    def test_are_asked_one_by_one_where_several_are_refused(self, drive: Drive) -> None:
        refused = ReplyError("ERR syntax error")
        played = drive(StatsCollector(), [refused], [self.COMMANDS, self.ERRORS], facts=REDIS_7)
        assert played.asked == [ALL_SECTIONS, self.EACH]
        assert played.samples() == self.SAMPLES

    def test_are_asked_in_the_next_poll_where_the_server_cannot_answer_now(self, drive: Drive) -> None:
        with pytest.raises(BusyError):
            drive(StatsCollector(), [ReplyError("BUSY no")], facts=REDIS_7)

    @pytest.mark.parametrize("first", [COMMANDS, b"# Server\r\nrole:master\r\n" + COMMANDS])
    def test_those_that_a_server_ignores_are_found_in_the_first_poll(
        self, drive: Drive, first: bytes
    ) -> None:
        memory = TargetMemory()
        played = drive(StatsCollector(), [first], [self.ERRORS], facts=REDIS_7, memory=memory)
        assert played.asked == [ALL_SECTIONS, self.EACH[1:]]
        assert played.samples() == self.SAMPLES
        for _ in range(2):
            played = drive(StatsCollector(), [self.COMMANDS, self.ERRORS], facts=REDIS_7, memory=memory)
            assert played.asked == [[*ALL_SECTIONS, self.EACH[1]]]
            assert played.samples() == self.SAMPLES

    def test_a_whole_info_in_their_place_has_none_of_them(self, drive: Drive) -> None:
        whole = b"# Server\r\nredis_version:7.0.0\r\n"
        played = drive(StatsCollector(), [whole], [self.COMMANDS, self.ERRORS], facts=REDIS_7)
        assert played.samples() == self.SAMPLES

    def test_are_looked_for_again_in_another_run(self, drive: Drive) -> None:
        memory = TargetMemory()
        drive(StatsCollector(), [self.COMMANDS], [b""], facts=REDIS_7, memory=memory)
        drive(StatsCollector(), [self.COMMANDS], facts=REDIS_7, memory=memory)
        other = dataclasses.replace(REDIS_7, run_id="s")
        played = drive(StatsCollector(), [self.COMMANDS], [self.ERRORS], facts=other, memory=memory)
        assert played.samples() == self.SAMPLES


STATISTICS = b"# Commandstats\r\ncmdstat_get:calls=1,usec=2\r\n"
LATER = STATISTICS.replace(b"calls=1", b"calls=7")


@pytest.mark.parametrize("version", [(7, 0, 15), (6, 2, 0), (4, 0, 14)])
def test_statistics_are_read_again(drive: Drive, version: tuple[int, int, int]) -> None:
    rest = [b"# Errorstats\r\nerrorstat_ERR:count=3\r\n"] if version[:2] == (6, 2) else []
    memory = TargetMemory(collectors={"stats": LOOKED_AT})
    first = drive(StatsCollector(), [STATISTICS, *rest], facts=of_version(*version), memory=memory)
    block = first.again(LATER, *rest)
    told = memory.command_stats
    ran = drive(StatsCollector(), [LATER, *rest], facts=of_version(*version), memory=memory)
    assert block is not None
    assert (block.samples, block.offsets) == (ran.block.samples, ran.block.offsets)
    assert memory.command_stats == told == b"\r\n".join([LATER, *rest])


def test_statistics_are_not_read_again_where_more_would_be_asked(drive: Drive) -> None:
    sections = Sections(Apart((), "r", NOW), Apart((), "r", NOW))
    memory = TargetMemory(collectors={"stats": sections})
    first = drive(StatsCollector(), [STATISTICS], facts=REDIS_7, memory=memory)
    assert first.again(LATER) is not None
    assert first.again(LATER, now=NOW + LOOK_AGAIN_S) is None
    assert first.again(b"# Commandstats\r\n") is None
    sections.apart.names = ("errorstats",)
    assert first.again(LATER) is None
    assert first.again(LATER, b"errorstat_ERR:count=3\r\n") is not None


def test_statistics_are_read_again_one_by_one_where_they_are_refused_together(drive: Drive) -> None:
    errors = b"# Errorstats\r\nerrorstat_ERR:count=3\r\n"
    memory, refusal = TargetMemory(), ReplyError("ERR syntax error")
    first = drive(StatsCollector(), [refusal], [STATISTICS, errors], facts=REDIS_7, memory=memory)
    assert first.again(LATER, errors) is None
    memory.refusals.add("INFO commandstats errorstats", refusal, 0.0)
    block = first.again(LATER, errors)
    ran = drive(StatsCollector(), [refusal], [LATER, errors], facts=REDIS_7, memory=memory)
    assert block is not None
    assert block.samples == ran.block.samples
    only_commands = first.again(LATER, None)
    assert only_commands is not None
    assert b"errors_total" not in only_commands.samples
    assert first.again(None, errors) is None
