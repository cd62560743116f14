"""Groups of keys, counted by the server batch by batch."""

from __future__ import annotations

import dataclasses
from types import MappingProxyType
from typing import Any

import pytest

from exporter.collectors._answered import Answered
from exporter.collectors.key_groups import NAME_MAX, SCRIPT, GroupMemory, KeyGroupsCollector, shown
from exporter.errors import NoPermError, ReplyError, TargetError
from exporter.metrics.lane import Lane
from exporter.options import values
from exporter.options.commandline import parse
from exporter.protocol.facts import Facts
from tests.collectors.conftest import Drive, Played, SessionFactory
from tests.options.test_lua_patterns import ILL, WELL
from tests.watch_harness import RedisFactory, server_field

REDIS_7 = Facts((7, 0, 15), "redis", "master", "standalone", "r", False, False, 3)
GROUPS = KeyGroupsCollector()
ARGV = ("--check-key-groups=^(.*)_[0-9]+$", "--check-keys-batch-size=10")
DB_0 = b"# Keyspace\r\ndb0:keys=2,expires=0,avg_ttl=0\r\n"


def read(drive: Drive, replies: Any, *argv: str, facts: Facts = REDIS_7, **more: Any) -> Played:
    """From a server that has taken EVAL before."""
    memory = more.pop("memory", None) or GroupMemory()
    memory.answered = Answered({"EVAL"}, facts.run_id)
    return drive(GROUPS, *replies, facts=facts, options=parse([*ARGV, *argv], {}), memory=memory, **more)


def counts(samples: dict[str, str]) -> dict[str, str]:
    return {
        name.split('key_group="')[1][:-2]: value
        for name, value in samples.items()
        if name.startswith("redis_key_group_count")
    }


class TestWhen:
    def test_only_where_asked_and_on_replicas_where_primaries_are_spared(self) -> None:
        assert not GROUPS.enabled(parse([], {}))
        assert GROUPS.enabled(parse(ARGV, {}))
        assert GROUPS.lane is Lane.SCAN
        spared = parse([*ARGV, "--skip-checkkeys-for-role-master"], {})
        assert not GROUPS.wants(REDIS_7, spared)
        assert GROUPS.wants(dataclasses.replace(REDIS_7, role="slave"), spared)
        assert {"+eval", "+scan", "+memory|usage"} <= set(GROUPS.acl(spared))


class TestReplies:
    def test_a_pass_adds_up_its_batches(self, drive: Drive) -> None:
        replies = [
            [DB_0],
            [[b"7", [[b"user", 2, 100], [b"unclassified", 1, 5]]]],
            [[b"0", [[b"user", 1, 50]]]],
        ]
        played = read(drive, replies, spent_s=0.5)
        assert played.asked[0] == [("INFO", "keyspace")]
        assert [args[2:] for [args] in played.asked[1:]] == [
            (0, b"0", 10, "1", "^(.*)_[0-9]+$"),
            (0, b"7", 10, "1", "^(.*)_[0-9]+$"),
        ]
        assert played.samples() == {
            'redis_key_group_count{db="db0",key_group="user"}': "3",
            'redis_key_group_memory_usage_bytes{db="db0",key_group="user"}': "150",
            'redis_key_group_count{db="db0",key_group="unclassified"}': "1",
            'redis_key_group_memory_usage_bytes{db="db0",key_group="unclassified"}': "5",
            'redis_number_of_distinct_key_groups{db="db0"}': "2",
            'redis_number_of_distinct_key_groups{db="db1"}': "0",
            'redis_number_of_distinct_key_groups{db="db2"}': "0",
            "redis_last_key_groups_scrape_duration_milliseconds": "1500",
        }

    def test_empty_databases_may_be_left_out(self, drive: Drive) -> None:
        played = read(drive, [[b"# Keyspace\r\n"]], "--include-metrics-for-empty-databases=false")
        assert played.samples() == {"redis_last_key_groups_scrape_duration_milliseconds": "0"}

    def test_a_pass_goes_on_where_its_budget_ended_and_the_one_before_is_served(self, drive: Drive) -> None:
        memory = GroupMemory(groups={0: {b"old": (9, 90)}})
        budget = "--scan.budget-keys=10"
        first = read(drive, [[DB_0], [[b"7", [[b"user", 2, 100]]]]], budget, memory=memory)
        assert counts(first.samples()) == {"old": "9"}
        second = read(drive, [[[b"8", [[b"user", 2, 100]]]]], budget, memory=memory)
        assert second.asked[0][0][3] == b"7"
        assert counts(second.samples()) == {"old": "9"}
        third = read(drive, [[[b"0", []]]], budget, memory=memory)
        assert counts(third.samples()) == {"user": "4"}
        assert memory.current is None

    def test_nothing_is_told_before_the_first_pass_is_complete(self, drive: Drive) -> None:
        assert read(drive, [[DB_0], [[b"7", [[b"user", 2, 100]]]]], "--scan.budget-keys=10").samples() == {}

    def test_a_pass_also_ends_with_its_time(self, drive: Drive) -> None:
        memory = GroupMemory()
        read(drive, [[DB_0], [[b"7", []]]], "--scan.budget-time=3s", memory=memory, spent_s=2.0)
        assert memory.current is not None
        assert memory.current.spent_s == 4.0

    def test_another_run_of_the_server_begins_anew(self, drive: Drive) -> None:
        memory = GroupMemory()
        read(drive, [[DB_0], [[b"7", [[b"user", 2, 100]]]]], "--scan.budget-keys=10", memory=memory)
        again = read(
            drive,
            [[DB_0], [[b"0", [[b"user", 1, 1]]]]],
            facts=dataclasses.replace(REDIS_7, run_id="s"),
            memory=memory,
        )
        assert counts(again.samples()) == {"user": "1"}

    @pytest.mark.parametrize("odd", [None, 5, [], [b"7"], [7, []], ReplyError("ERR odd")])
    def test_a_database_whose_batch_fails_is_left_out(self, drive: Drive, odd: Any) -> None:
        text = DB_0 + b"db1:keys=1\r\n"
        replies = [[text], [odd, b"OK", [b"0", [[b"user", 1, 1], [5], None, [b"x", None, 3]]], b"OK"]]
        assert counts(read(drive, replies).samples()) == {"user": "1"}

    def test_no_reply_but_errors_is_a_failure(self, drive: Drive) -> None:
        with pytest.raises(TargetError, match="malformed pattern"):
            read(drive, [[DB_0], [ReplyError("ERR malformed pattern (missing ']')")]])
        with pytest.raises(NoPermError):
            read(drive, [[DB_0], [ReplyError("NOPERM no")]])

    def test_before_redis_4_memory_is_not_asked(self, drive: Drive) -> None:
        facts = dataclasses.replace(REDIS_7, version=(3, 2, 13))
        assert read(drive, [[DB_0], [[b"0", []]]], facts=facts).asked[1][0][5] == "0"

    def test_every_primary_of_a_cluster_is_asked(self, drive: Drive) -> None:
        facts = dataclasses.replace(REDIS_7, cluster_enabled=True, databases=1)
        slots = [[0, 8191, [b"10.0.0.1", 7000, b"one"]], [8192, 16383, [b"10.0.0.2", 7000, b"two"]]]
        replies = [[slots, b"one"], [[b"0", [[b"user", 1, 10]]], [b"0", [[b"user", 2, 20]]]]]
        played = read(drive, replies, "--is-cluster", facts=facts)
        assert played.nodes[1] == ["", "10.0.0.2:7000"]
        assert counts(played.samples()) == {"user": "3"}


class TestShown:
    GROUPS: Any = MappingProxyType({b"a": (1, 10), b"b": (5, 30), b"c": (2, 30), b"d": (7, 1)})

    def test_the_largest_first_and_the_others_summed_up(self) -> None:
        assert shown(self.GROUPS, 4) == self.GROUPS
        assert list(shown(self.GROUPS, 4)) == [b"c", b"b", b"a", b"d"]
        assert shown(self.GROUPS, 1) == {b"c": (2, 30), b"overflow": (13, 41)}
        assert shown(self.GROUPS, 0) == shown(self.GROUPS, -1) == {b"overflow": (15, 71)}

    def test_a_group_of_that_name_is_summed_up_too(self) -> None:
        assert shown({b"overflow": (1, 100), b"a": (2, 3)}, 1) == {b"overflow": (3, 103)}


@pytest.mark.server
class TestRealServer:
    def test_counts_are_exact_for_keys_of_every_type(
        self, redis_server: RedisFactory, session: SessionFactory
    ) -> None:
        server = redis_server()
        reader = session(
            server.port,
            "--check-key-groups=^(user)_([a-z]+)_[0-9]+$,^plain,^(job)",
            "--check-keys-batch-size=3",
        )
        for number in range(20):
            reader.ask("SET", f"user_{'ab'[number % 2]}_{number}", "x" * 100)
            reader.ask("RPUSH", f"job:{number}", 1)
        reader.ask("HSET", "plain", "a", 1)
        reader.ask("SELECT", 1)
        reader.ask("SADD", "other", 1)
        reader.ask("SELECT", 0)
        samples = reader.poll(GROUPS)
        assert {
            name: value for name, value in samples.items() if name.startswith("redis_key_group_count")
        } == {
            'redis_key_group_count{db="db0",key_group="usera"}': "10",
            'redis_key_group_count{db="db0",key_group="userb"}': "10",
            'redis_key_group_count{db="db0",key_group="job"}': "20",
            'redis_key_group_count{db="db0",key_group=""}': "1",
            'redis_key_group_count{db="db1",key_group="unclassified"}': "1",
        }
        assert float(samples['redis_key_group_memory_usage_bytes{db="db0",key_group="usera"}']) > 1000
        assert [samples[f'redis_number_of_distinct_key_groups{{db="db{db}"}}'] for db in range(3)] == [
            "4",
            "1",
            "0",
        ]
        assert server_field(server, "total_error_replies") == 0
        assert server_field(server, "number_of_cached_scripts") == 1

    def test_a_pattern_that_lua_rejects_fails_the_collector_alone(
        self, redis_server: RedisFactory, session: SessionFactory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(values, "fault_of", lambda pattern: "")  # it would have been refused at start
        server = redis_server()
        reader = session(server.port, "--check-key-groups=[a")
        reader.ask("SET", "a", 1)
        assert reader.poll(GROUPS) == {}
        assert reader.poll_state is not None
        assert reader.poll_state.results.unsupported == {"key_groups"}
        [reply] = reader.memory.refusals.fresh.values()
        assert "malformed pattern" in reply.text

    def test_lua_refuses_the_patterns_that_are_refused_at_start_and_no_other(
        self, redis_server: RedisFactory, session: SessionFactory
    ) -> None:
        reader = session(redis_server().port)

        def is_read(pattern: str) -> bool:
            """Lua meets a fault only where the pattern gets so far."""
            script = "return pcall(string.find, ARGV[1], ARGV[2]) and 1 or 0"
            return all(
                reader.ask("EVAL", script, 0, subject, pattern) == 1
                for subject in ("a" * 40 + "((b))", "a", "(", "")
            )

        assert [pattern for pattern in (*WELL, *ILL) if is_read(pattern)] == WELL

    def test_patterns_are_not_tried_on_very_long_names(
        self, redis_server: RedisFactory, session: SessionFactory
    ) -> None:
        server = redis_server()
        reader = session(server.port, "--check-key-groups=^(a)")
        reader.ask("SET", "a" * NAME_MAX, 1)
        reader.ask("SET", "a" * (NAME_MAX + 1), 1)
        assert counts(reader.poll(GROUPS)) == {"a": "1", "unclassified": "1"}

    def test_the_script_is_small(self) -> None:
        assert len(SCRIPT) < 2000, "it is sent with every batch"
