"""Patterns of keys: found, counted, and remembered for those who read them."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from exporter.collectors._answered import Answered
from exporter.collectors._key_places import KeyMemory
from exporter.collectors.key_scan import KeyScanCollector
from exporter.collectors.keys import FoundKeysCollector
from exporter.errors import ReplyError, TargetError
from exporter.metrics.lane import Lane
from exporter.options.commandline import parse
from exporter.options.values import KeyName
from exporter.protocol.facts import Facts
from tests.collectors.conftest import Drive, Played, SessionFactory
from tests.watch_harness import RedisFactory, server_field

REDIS_7 = Facts((7, 0, 15), "redis", "master", "standalone", "r", False, False, 16)
SCAN = KeyScanCollector()


def read(drive: Drive, replies: Any, *argv: str, facts: Facts = REDIS_7, **more: Any) -> Played:
    return drive(SCAN, *replies, facts=facts, options=parse(argv, {}), **more)


def taken() -> KeyMemory:
    """What is remembered of a server that has taken SCAN before."""
    return KeyMemory(answered=Answered({"SCAN"}, REDIS_7.run_id))


class TestWhen:
    @pytest.mark.parametrize(
        ("argv", "enabled"),
        [
            ((), False),
            (("--check-keys=a", "--check-single-keys=b*", "--check-streams=s"), False),
            (("--check-keys=a*",), True),
            (("--check-streams=a*",), True),
            (("--count-keys=a",), True),
        ],
    )
    def test_where_there_is_something_to_find(self, argv: tuple[str, ...], enabled: bool) -> None:
        assert SCAN.enabled(parse(argv, {})) is enabled
        assert SCAN.lane is Lane.SCAN

    def test_a_flag_leaves_primaries_alone(self) -> None:
        options = parse(["--skip-checkkeys-for-role-master"], {})
        assert not SCAN.wants(REDIS_7, options)
        assert SCAN.wants(dataclasses.replace(REDIS_7, role="slave"), options)

    def test_it_needs_scan(self) -> None:
        assert SCAN.acl(parse(["--count-keys=a*"], {})) == ("+scan", "~a*")


class TestReplies:
    def test_patterns_walk_side_by_side_until_each_is_round(self, drive: Drive) -> None:
        replies = [
            [[b"7", [b"a1", b"a2"]], b"OK", [b"0", [b"b1"]], b"OK"],
            [[b"0", [b"a3"]]],
        ]
        argv = ("--check-keys=a*", "--count-keys=2=b*", "--check-keys-batch-size=10")
        played = read(drive, replies, *argv, memory=taken())
        assert played.asked == [
            [
                ("SCAN", b"0", "MATCH", b"a*", "COUNT", 10),
                ("SELECT", 2),
                ("SCAN", b"0", "MATCH", b"b*", "COUNT", 10),
                ("SELECT", 0),
            ],
            [("SCAN", b"7", "MATCH", b"a*", "COUNT", 10)],
        ]
        assert played.samples() == {
            'redis_key_count{db="db0",key="a*"}': "3",
            'redis_key_pattern_truncated{db="db0",key="a*",option="check-keys"}': "0",
            'redis_keys_count{db="db2",key="b*"}': "1",
            'redis_key_count{db="db2",key="b*"}': "1",
            'redis_key_pattern_truncated{db="db2",key="b*",option="count-keys"}': "0",
        }
        assert played.output.memory.found == {KeyName(0, b"a*"): (b"a1", b"a2", b"a3")}

    def test_a_pattern_of_two_options_walks_once(self, drive: Drive) -> None:
        played = read(drive, [[[b"0", [b"a1"]]]], "--check-keys=a*", "--count-keys=a*,a*")
        assert len(played.samples()) == 4

    def test_repeats_count_once(self, drive: Drive) -> None:
        played = read(drive, [[[b"7", [b"a1", b"a2"]]], [[b"0", [b"a2", b"a1"]]]], "--count-keys=a*")
        assert played.samples()['redis_keys_count{db="db0",key="a*"}'] == "2"

    def test_streams_are_remembered_and_not_counted(self, drive: Drive) -> None:
        played = read(drive, [[[b"0", [b"s1"]]]], "--check-streams=s*")
        assert played.asked == [[("SCAN", b"0", "MATCH", b"s*", "COUNT", 1000, "TYPE", "stream")]]
        assert played.samples() == {
            'redis_key_pattern_truncated{db="db0",key="s*",option="check-streams"}': "0"
        }
        assert played.output.memory.found_streams == {KeyName(0, b"s*"): (b"s1",)}

    def test_before_redis_6_scan_knows_no_types(self, drive: Drive) -> None:
        facts = dataclasses.replace(REDIS_7, version=(5, 0, 14))
        assert read(drive, [[[b"0", []]]], "--check-streams=s*", facts=facts).asked == [
            [("SCAN", b"0", "MATCH", b"s*", "COUNT", 1000)]
        ]

    def test_more_keys_than_the_limit_are_counted_and_not_kept(self, drive: Drive) -> None:
        memory = KeyMemory(found={KeyName(0, b"a*"): (b"a3", b"a9")})
        played = read(
            drive,
            [[[b"0", [b"a1", b"a2", b"a3"]]]],
            "--check-keys=a*",
            "--max-keys-per-pattern=2",
            memory=memory,
        )
        assert played.samples()['redis_key_count{db="db0",key="a*"}'] == "3"
        assert played.samples()['redis_key_pattern_truncated{db="db0",key="a*",option="check-keys"}'] == "1"
        assert played.output.memory.found == {KeyName(0, b"a*"): (b"a3", b"a1")}, "who is in stays in"

    def test_a_round_ends_with_its_keys(self, drive: Drive) -> None:
        memory = KeyMemory(found={KeyName(0, b"a*"): (b"a9",)})
        argv = ("--check-keys=a*", "--check-keys-batch-size=10", "--scan.budget-keys=15")
        played = read(drive, [[[b"7", [b"a1"]]], [[b"9", []]]], *argv, memory=memory)
        assert played.samples()['redis_key_pattern_truncated{db="db0",key="a*",option="check-keys"}'] == "1"
        assert played.output.memory.found[KeyName(0, b"a*")] == (b"a9", b"a1"), (
            "what was not come to is not gone"
        )

    def test_a_round_ends_with_its_time(self, drive: Drive) -> None:
        played = read(
            drive, [[[b"7", [b"a1"]]], [[b"9", []]]], "--count-keys=a*", "--scan.budget-time=3s", spent_s=2.0
        )
        assert played.samples()['redis_key_pattern_truncated{db="db0",key="a*",option="count-keys"}'] == "1"

    @pytest.mark.parametrize("odd", [None, 5, b"7", [], [b"7"], [7, []], [b"7", b"a"], ReplyError("ERR odd")])
    def test_an_odd_reply_ends_its_own_walk_only(self, drive: Drive, odd: Any) -> None:
        played = read(drive, [[odd, [b"0", [b"b1", 5, None]]]], "--count-keys=a*,b*", memory=taken())
        assert played.samples()['redis_keys_count{db="db0",key="b*"}'] == "1"
        assert played.samples()['redis_key_pattern_truncated{db="db0",key="a*",option="count-keys"}'] == "1"
        assert 'redis_keys_count{db="db0",key="a*"}' not in played.samples(), "unknown is not zero"

    def test_no_reply_but_errors_is_a_failure_and_leaves_what_was_found(self, drive: Drive) -> None:
        memory = KeyMemory(found={KeyName(0, b"a*"): (b"a9",)})
        with pytest.raises(TargetError, match="LOADING"):
            read(drive, [[ReplyError("LOADING x")]], "--check-keys=a*", memory=memory)
        assert read(drive, [[ReplyError("NOPERM x")]], "--check-keys=a*", memory=memory).samples() == {}
        assert memory.found == {KeyName(0, b"a*"): (b"a9",)}


class TestRefusals:
    """SCAN is tried with one pattern."""

    ARGV = ("--check-streams=s*", "--check-keys=1=b*,a*,c*", "--check-keys-batch-size=10")
    TRIAL = (("SCAN", b"0", "MATCH", b"a*", "COUNT", 10),)

    @pytest.mark.parametrize("error", ["NOPERM no permissions to run the 'scan' command", "ERR no SCAN here"])
    def test_all_patterns_together_cost_one_error_reply(self, drive: Drive, error: str) -> None:
        played = read(drive, [[ReplyError(error)]], *self.ARGV)
        assert played.asked == [[*self.TRIAL]]
        assert played.samples() == {}

    def test_what_is_taken_goes_on_with_all(self, drive: Drive) -> None:
        others = [b"0", [b"c1"]], [b"0", [b"s1"]], b"OK", [b"0", [b"b1"]], b"OK"
        played = read(drive, [[[b"0", [b"a1"]]], [*others]], *self.ARGV)
        assert len(played.asked[0]) == 1
        assert played.output.memory.found == {
            KeyName(1, b"b*"): (b"b1",),
            KeyName(0, b"a*"): (b"a1",),
            KeyName(0, b"c*"): (b"c1",),
        }


class TestCluster:
    FACTS = dataclasses.replace(REDIS_7, cluster_enabled=True, databases=1)
    SLOTS = (
        [0, 8191, [b"10.0.0.1", 7000, b"one"]],
        [8192, 16383, [b"10.0.0.2", 7000, b"two"], [b"10.0.0.3", 7000, b"three"]],
    )

    def test_every_primary_is_walked(self, drive: Drive) -> None:
        replies = [[[*self.SLOTS], b"one"], [[b"0", [b"a1"]], [b"5", [b"a2"]]], [[b"0", [b"a3"]]]]
        played = read(drive, replies, "--is-cluster", "--count-keys=3=a*", facts=self.FACTS, memory=taken())
        assert played.nodes[1:] == [["", "10.0.0.2:7000"], ["10.0.0.2:7000"]]
        assert played.samples()['redis_keys_count{db="db0",key="a*"}'] == "3"

    def test_without_the_flag_the_target_alone(self, drive: Drive) -> None:
        played = read(drive, [[[*self.SLOTS], b"one"], [[b"0", []]]], "--count-keys=a*", facts=self.FACTS)
        assert played.nodes[1:] == [[""]]


@pytest.mark.server
class TestRealServer:
    def test_keys_are_found_counted_and_read(
        self, redis_server: RedisFactory, session: SessionFactory
    ) -> None:
        server = redis_server()
        reader = session(
            server.port,
            "--check-keys=1=k[0-9]*",
            "--count-keys=1=*,*",
            "--check-streams=1=*",
            "--check-keys-batch-size=7",
        )
        reader.ask("SELECT", 1)
        for number in range(100):
            reader.ask("RPUSH", f"k{number}", *range(number + 1))
        reader.ask("XADD", "events", "*", "a", "b")
        reader.ask("SELECT", 0)
        samples = reader.poll(SCAN)
        assert samples == {
            'redis_key_count{db="db1",key="k[0-9]*"}': "100",
            'redis_key_count{db="db1",key="*"}': "101",
            'redis_key_count{db="db0",key="*"}': "0",
            'redis_keys_count{db="db1",key="*"}': "101",
            'redis_keys_count{db="db0",key="*"}': "0",
            'redis_key_pattern_truncated{db="db1",key="k[0-9]*",option="check-keys"}': "0",
            'redis_key_pattern_truncated{db="db1",key="*",option="count-keys"}': "0",
            'redis_key_pattern_truncated{db="db0",key="*",option="count-keys"}': "0",
            'redis_key_pattern_truncated{db="db1",key="*",option="check-streams"}': "0",
        }
        assert reader.memory.collectors["keyspace"].found_streams == {KeyName(1, b"*"): (b"events",)}
        sizes = {
            key: value
            for key, value in reader.poll(FoundKeysCollector()).items()
            if key.startswith("redis_key_size")
        }
        assert sizes == {
            f'redis_key_size{{db="db1",key="k{number}"}}': str(number + 1) for number in range(100)
        }
        reader.ask("SELECT", 1)
        reader.ask("DEL", "k5")
        reader.ask("SELECT", 0)
        assert reader.poll(FoundKeysCollector())['redis_key_size{db="db1",key="k5"}'] == "0"
        reader.poll(SCAN)
        assert 'redis_key_size{db="db1",key="k5"}' not in reader.poll(FoundKeysCollector())
        assert server_field(server, "total_error_replies") == 0
