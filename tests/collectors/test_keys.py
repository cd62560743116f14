"""Sizes, values and lifetimes of keys."""

from __future__ import annotations

import dataclasses
import time
from typing import Any

import pytest

from exporter.collectors._key_places import KeyMemory
from exporter.collectors.keys import SIZE_OF, FoundKeysCollector, KeysCollector, is_hyperloglog
from exporter.errors import ReplyError, TargetError
from exporter.metrics.lane import Lane
from exporter.options.commandline import parse
from exporter.options.values import KeyName
from exporter.protocol.facts import Facts
from tests.collectors.conftest import Drive, Played, SessionFactory
from tests.go_readme import GO_README
from tests.server_session import Session
from tests.servers import RedisServer
from tests.watch_harness import RedisFactory, server_field

REDIS_7 = Facts((7, 0, 15), "redis", "master", "standalone", "r", False, False, 16)
KEYS = KeysCollector()
FOUND = FoundKeysCollector()
ANSWERED = {"TYPE", "PTTL", "PEXPIRETIME", "MEMORY USAGE", "STRLEN", "GETRANGE", "PFCOUNT", *SIZE_OF.values()}


def options(*argv: str) -> Any:
    return parse(argv, {})


def read(
    drive: Drive,
    replies: Any,
    *argv: str,
    facts: Facts = REDIS_7,
    collector: Any = KEYS,
    memory: KeyMemory | None = None,
) -> Played:
    """From a server that has taken all commands before."""
    memory = memory or KeyMemory()
    memory.answered.begin(facts.run_id)
    memory.answered.words.update(ANSWERED)
    return drive(collector, *replies, facts=facts, options=options(*argv), memory=memory)


class TestWhichKeys:
    @pytest.mark.parametrize(
        ("argv", "fast", "standard"),
        [
            ((), False, False),
            (("--check-single-keys=a*",), True, False),
            (("--check-keys=a",), True, False),
            (("--check-keys=a*",), False, True),
            (("--check-keys=a,b[12]",), True, True),
            (("--check-keys=" + ",".join(f"k{n}" for n in range(1000)),), True, False),
            (("--check-keys=" + ",".join(f"k{n}" for n in range(1001)),), False, True),
        ],
    )
    def test_single_keys_are_fast_unless_they_are_many_and_found_ones_standard(
        self, argv: str, fast: bool, standard: bool
    ) -> None:
        assert (KEYS.lane, FOUND.lane) == (Lane.FAST, Lane.STANDARD)
        assert (KEYS.enabled(options(*argv)), FOUND.enabled(options(*argv))) == (fast, standard)

    @pytest.mark.parametrize(
        ("role", "flag", "asked"),
        [("master", "", True), ("master", "x", False), ("slave", "x", True), ("", "x", False)],
    )
    def test_a_flag_leaves_primaries_alone(self, role: str, flag: str, asked: bool) -> None:
        argv = ["--skip-checkkeys-for-role-master"] if flag else []
        assert KEYS.wants(dataclasses.replace(REDIS_7, role=role), options(*argv)) is asked

    def test_sentinels_and_ancient_servers_have_no_keys_to_look_at(self) -> None:
        assert not KEYS.wants(dataclasses.replace(REDIS_7, mode="sentinel"), options())
        assert not KEYS.wants(dataclasses.replace(REDIS_7, version=(2, 6, 17)), options())

    def test_a_key_named_twice_is_one(self, drive: Drive) -> None:
        replies = [[b"none", -2]]
        assert len(read(drive, replies, "--check-keys=a,0=a,db0=a", "--check-single-keys=a").samples()) == 2

    def test_the_user_needs_to_read_these_keys(self) -> None:
        rules = KEYS.acl(options("--check-keys=a", "--check-single-keys=b"))
        assert {"+type", "+memory|usage", "+getrange", "~a", "~b"} <= set(rules)
        assert "~*" in KEYS.acl(options("--check-single-keys=a+b"))


class TestReplies:
    def test_two_batches_ask_type_first_and_then_what_the_type_allows(self, drive: Drive) -> None:
        replies = [[b"list", -1, b"none", -2], [60, 7]]
        played = read(drive, replies, "--check-single-keys=a,b")
        assert played.asked == [
            [("TYPE", b"a"), ("PTTL", b"a"), ("TYPE", b"b"), ("PTTL", b"b")],
            [("MEMORY", "USAGE", b"a"), ("LLEN", b"a")],
        ]
        assert played.samples() == {
            'redis_key_exists{db="db0",key="a"}': "1",
            'redis_key_memory_usage_bytes{db="db0",key="a"}': "60",
            'redis_key_size{db="db0",key="a"}': "7",
            'redis_key_exists{db="db0",key="b"}': "0",
            'redis_key_size{db="db0",key="b"}': "0",
        }

    def test_a_missing_key_may_have_no_size(self, drive: Drive) -> None:
        played = read(drive, [[b"none", -2]], "--check-single-keys=a", "--missing-keys=absent")
        assert played.samples() == {'redis_key_exists{db="db0",key="a"}': "0"}

    def test_databases_are_selected_and_the_targets_own_at_the_end(self, drive: Drive) -> None:
        replies = [["none", -2, b"OK", "none", -2, b"OK"]]
        played = read(drive, replies, "--check-single-keys=3=a,b")
        assert [args for args in played.asked[0] if args[0] in ("TYPE", "SELECT")] == [
            ("TYPE", b"b"),
            ("SELECT", 3),
            ("TYPE", b"a"),
            ("SELECT", 0),
        ]

    def test_what_was_answered_for_another_database_is_no_answer(self, drive: Drive) -> None:
        no_such = ReplyError("ERR DB index is out of range")
        replies = [[b"list", -1, no_such, b"set", -1, b"OK"], [1, 4]]
        played = read(
            drive, replies, "--check-single-keys=3=a,b", facts=dataclasses.replace(REDIS_7, databases=None)
        )
        assert played.asked[0][2] == ("SELECT", 3)
        assert played.samples()['redis_key_size{db="db0",key="b"}'] == "4"
        assert "db3" not in played.text

    def test_a_database_that_is_not_there_is_not_selected(self, drive: Drive) -> None:
        assert read(drive, [[b"none", -2]], "--check-single-keys=a,16=b").asked == [
            [("TYPE", b"a"), ("PTTL", b"a")]
        ]

    def test_looking_does_not_count_as_use_where_the_server_can_tell(self, drive: Drive) -> None:
        facts = dataclasses.replace(REDIS_7, version=(7, 2, 6))
        asked = read(drive, [[b"OK", b"none", -2, b"OK"]], "--check-single-keys=a", facts=facts).asked[0]
        assert (asked[0], asked[-1]) == (("CLIENT", "NO-TOUCH", "ON"), ("CLIENT", "NO-TOUCH", "OFF"))

    def test_before_redis_4_memory_is_not_asked(self, drive: Drive) -> None:
        facts = dataclasses.replace(REDIS_7, version=(3, 2, 13))
        assert read(drive, [[b"list", -1], [3]], "--check-single-keys=a", facts=facts).asked == [
            [("TYPE", b"a"), ("PTTL", b"a")],
            [("LLEN", b"a")],
        ]

    def test_before_redis_7_the_time_of_expiry_is_reckoned(self, drive: Drive) -> None:
        facts = dataclasses.replace(REDIS_7, version=(6, 2, 16))
        samples = read(drive, [[b"list", 10_100], [1, 2]], "--check-single-keys=a", facts=facts).samples()
        assert samples['redis_key_expires_timestamp_seconds{db="db0",key="a"}'] == "1795380010"

    def test_a_key_that_changes_its_type_between_costs_its_size_only(self, drive: Drive) -> None:
        wrong = ReplyError("WRONGTYPE Operation against a key holding the wrong kind of value")
        samples = read(
            drive, [[b"list", -1, b"set", -1], [5, wrong, 6, 3]], "--check-single-keys=a,b"
        ).samples()
        assert 'redis_key_size{db="db0",key="a"}' not in samples
        assert samples['redis_key_size{db="db0",key="b"}'] == "3"

    def test_a_type_that_nobody_knows_has_memory_only(self, drive: Drive) -> None:
        samples = read(drive, [[b"ReJSON-RL", -1], [5]], "--check-single-keys=a").samples()
        assert set(samples) == {
            'redis_key_exists{db="db0",key="a"}',
            'redis_key_memory_usage_bytes{db="db0",key="a"}',
        }

    def test_an_array_has_a_count(self, drive: Drive) -> None:
        played = read(drive, [[b"array", -1], [None, 3]], "--check-single-keys=a")
        assert played.asked[1] == [("MEMORY", "USAGE", b"a"), ("ARCOUNT", b"a")]
        assert played.samples()['redis_key_size{db="db0",key="a"}'] == "3"

    @pytest.mark.parametrize("odd", [None, 5, [b"x"], b"", ReplyError("ERR odd")])
    def test_odd_replies_cost_nothing_but_themselves(self, drive: Drive, odd: Any) -> None:
        life = [odd] if odd == 5 else []  # five milliseconds, so that it is asked when that will be
        played = read(drive, [[odd, odd, b"string", odd], [odd, *life, odd, odd]], "--check-single-keys=a,b")
        assert played.samples()['redis_key_exists{db="db0",key="b"}'] == "1"

    def test_no_reply_but_errors_is_a_failure(self, drive: Drive) -> None:
        loading = ReplyError("LOADING Redis is loading the dataset in memory")
        with pytest.raises(TargetError, match="LOADING"):
            read(drive, [[loading] * 2], "--check-single-keys=a")
        assert read(drive, [[ReplyError("NOPERM no")] * 2], "--check-single-keys=a").samples() == {}

    @pytest.mark.parametrize(
        ("value", "series"),
        [
            (b"1234.56", 'redis_key_value{db="db0",key="a"} 1234.56'),
            (b"-1e3", 'redis_key_value{db="db0",key="a"} -1000'),
            (b".5", 'redis_key_value{db="db0",key="a"} 0.5'),
            (b"nan", 'redis_key_value{db="db0",key="a"} NaN'),
            (b"+Inf", 'redis_key_value{db="db0",key="a"} +Inf'),
            (b"1_000", 'redis_key_value_as_string{db="db0",key="a",val="1_000"} 1'),
            (b" 1", 'redis_key_value_as_string{db="db0",key="a",val=" 1"} 1'),
            (b"1\n", 'redis_key_value_as_string{db="db0",key="a",val="1\\n"} 1'),
            (b"HYLL but no more", 'redis_key_value_as_string{db="db0",key="a",val="HYLL but no more"} 1'),
        ],
    )
    def test_a_string_has_a_value(self, drive: Drive, value: bytes, series: str) -> None:
        played = read(drive, [[b"string", -1], [None, len(value), value]], "--check-single-keys=a")
        name, number = series.rsplit(" ", 1)
        assert played.samples()[name] == number
        assert played.samples()['redis_key_size{db="db0",key="a"}'] == str(len(value))

    def test_of_a_long_value_no_more_is_asked_than_is_shown(self, drive: Drive) -> None:
        played = read(
            drive,
            [[b"string", -1], [None, 5000, b"x" * 33]],
            "--check-single-keys=a",
            "--max-label-length=32",
        )
        assert played.asked[1][1:] == [("STRLEN", b"a"), ("GETRANGE", b"a", 0, 32)]
        assert played.samples()['redis_key_size{db="db0",key="a"}'] == "5000"

    def test_values_may_be_left_out(self, drive: Drive) -> None:
        played = read(
            drive,
            [[b"string", -1], [None, 7, b"1234.56"]],
            "--check-single-keys=a",
            "--disable-exporting-key-values",
        )
        assert played.asked[1][1:] == [("STRLEN", b"a"), ("GETRANGE", b"a", 0, 15)]
        assert "redis_key_value" not in played.text

    @pytest.mark.parametrize(
        ("length", "beginning", "is_one"),
        [
            (40, b"HYLL\x01" + bytes(11), True),
            (12304, b"HYLL\x00" + bytes(11), True),
            (12303, b"HYLL\x00" + bytes(11), False),
            (40, b"HYLL\x02" + bytes(11), False),
            (15, b"HYLL\x01" + bytes(10), False),
            (40, b"hyll\x01" + bytes(11), False),
            (None, b"HYLL\x01" + bytes(11), False),
            (40, None, False),
        ],
    )
    def test_a_hyperloglog_is_told_from_its_beginning(
        self, length: Any, beginning: Any, is_one: bool
    ) -> None:
        assert is_hyperloglog(length, beginning) is is_one


class TestFound:
    def test_keys_of_the_newest_scan_are_read_and_those_named_singly_are_not(self, drive: Drive) -> None:
        memory = KeyMemory(found={KeyName(1, b"k*"): (b"k1", b"k2"), KeyName(1, b"k?"): (b"k2", b"k3")})
        replies = [[b"OK", b"list", -1, b"none", -2, b"OK"], [b"OK", 1, 4, b"OK"]]
        played = read(drive, replies, "--check-keys=1=k*,1=k?,1=k2", collector=FOUND, memory=memory)
        assert [args[1] for args in played.asked[0] if args[0] == "TYPE"] == [b"k1", b"k3"]
        assert played.samples()['redis_key_size{db="db1",key="k1"}'] == "4"

    def test_one_that_is_gone_reads_0_whatever_is_said_of_single_keys(self, drive: Drive) -> None:
        memory = KeyMemory(found={KeyName(0, b"k*"): (b"k1",)})
        played = read(
            drive,
            [[b"none", -2]],
            "--check-keys=k*",
            "--missing-keys=absent",
            collector=FOUND,
            memory=memory,
        )
        assert played.samples()['redis_key_size{db="db0",key="k1"}'] == "0"

    def test_very_many_single_keys_are_read_here(self, drive: Drive) -> None:
        argv = "--check-single-keys=" + ",".join(f"k{n}" for n in range(1001))
        played = read(
            drive,
            [[b"none", -2] * 1001],
            argv,
            "--missing-keys=absent",
            collector=FOUND,
        )
        assert len(played.samples()) == 1001


class TestCluster:
    FACTS = dataclasses.replace(REDIS_7, cluster_enabled=True, databases=1)
    #: slots of foo: 12182, bar: 5061
    SLOTS = ([0, 8191, [b"10.0.0.1", 7000, b"one"]], [8192, 16383, [b"10.0.0.2", 7000, b"two"]])

    def test_each_key_is_asked_for_where_it_is(self, drive: Drive) -> None:
        replies = [[[*self.SLOTS], b"one"], [b"list", -1, b"none", -2], [1, 3]]
        played = read(drive, replies, "--is-cluster", "--check-single-keys=11=bar,foo", facts=self.FACTS)
        assert played.nodes == [["", ""], ["", "", "10.0.0.2:7000", "10.0.0.2:7000"], ["", ""]]
        assert played.samples()['redis_key_size{db="db0",key="bar"}'] == "3"
        assert played.samples()['redis_key_size{db="db0",key="foo"}'] == "0"

    @pytest.mark.parametrize(("code", "more"), [("MOVED", 0), ("ASK", 1)])
    def test_a_redirection_is_followed_once(self, drive: Drive, code: str, more: int) -> None:
        away = ReplyError(f"{code} 12182 10.0.0.3:7001")
        first = [b"OK"] * more
        replies = [[[*self.SLOTS], b"one"], [away] * 2, [*first, b"set", *first, -1], [*first, 9, *first, 2]]
        played = read(drive, replies, "--is-cluster", "--check-single-keys=foo", facts=self.FACTS)
        assert set(played.nodes[2]) == set(played.nodes[3]) == {"10.0.0.3:7001"}
        assert [args[0] for args in played.asked[3]] == ["ASKING"] * more + ["MEMORY"] + ["ASKING"] * more + [
            "SCARD"
        ]
        assert played.samples()['redis_key_size{db="db0",key="foo"}'] == "2"
        assert (played.output.memory.slots is None) is (code == "MOVED")

    def test_a_node_that_is_gone_costs_its_own_keys(self, drive: Drive) -> None:
        gone = ReplyError("UNREACHABLE 10.0.0.2:7000: connection refused")
        replies = [[[*self.SLOTS], b"one"], [b"list", -1, gone, gone], [1, 3]]
        played = read(drive, replies, "--is-cluster", "--check-single-keys=bar,foo", facts=self.FACTS)
        assert 'redis_key_size{db="db0",key="bar"}' in played.samples()
        assert "foo" not in played.text

    def test_without_the_flag_only_the_keys_that_are_here(self, drive: Drive) -> None:
        played = read(
            drive,
            [[[*self.SLOTS], b"one"], [b"none", -2, None]],
            "--check-single-keys=bar,foo",
            facts=self.FACTS,
        )
        assert played.asked[1] == [("TYPE", b"bar"), ("PTTL", b"bar")]


@pytest.mark.server
class TestRealServer:
    ARGV = (
        "--check-single-keys=0=text,0=number,0=hll,0=gone,0=like,2=zset,2=hash,2=list,3=set,3=stream,15=soon"
    )

    @pytest.fixture
    def server(self, redis_server: RedisFactory, session: SessionFactory) -> RedisServer:
        server = redis_server()
        steps = [
            "SET text sixteen-letters!",
            "SET number 1234.56",
            "PFADD hll a b c",
            "SET like HYLL-is-how-one-begins",
            "@2 ZADD zset 1 a 2 b",
            "@2 HSET hash a 1 b 2 c 3 d 4",
            "@2 RPUSH list a b c",
            "@3 SADD set a b",
            "@3 XADD stream * a b",
            "@15 SET soon x PX 600000",
        ]
        writer = session(server.port)
        for step in steps:
            words = step.split()
            writer.ask("SELECT", int(words.pop(0)[1:]) if words[0].startswith("@") else 0)
            assert not isinstance(writer.ask(*words), ReplyError)
        return server

    @pytest.mark.parametrize("polls", [1, 2])
    def test_a_database_that_is_not_there_costs_no_key_of_another(
        self, server: RedisServer, session: SessionFactory, polls: int
    ) -> None:
        reader = session(server.port, "--check-single-keys=99=gone,0=text,2=list,98=gone")
        reader.set_facts(databases=None)
        for _ in range(polls):
            samples = reader.poll(KEYS)
        assert {key: value for key, value in samples.items() if key.startswith("redis_key_size")} == {
            'redis_key_size{db="db0",key="text"}': "16",
            'redis_key_size{db="db2",key="list"}': "3",
        }

    def test_every_type_in_several_databases(self, server: Any, session: SessionFactory) -> None:
        reader = session(server.port, self.ARGV, db=3)
        before = server_field(server, "total_error_replies")
        reader.poll(KEYS)  # after this it is known what the server takes
        samples = reader.poll(KEYS)
        sizes = {key: value for key, value in samples.items() if key.startswith("redis_key_size")}
        assert sizes == {
            'redis_key_size{db="db0",key="text"}': "16",
            'redis_key_size{db="db0",key="number"}': "7",
            'redis_key_size{db="db0",key="hll"}': "3",
            'redis_key_size{db="db0",key="gone"}': "0",
            'redis_key_size{db="db0",key="like"}': "22",
            'redis_key_size{db="db2",key="zset"}': "2",
            'redis_key_size{db="db2",key="hash"}': "4",
            'redis_key_size{db="db2",key="list"}': "3",
            'redis_key_size{db="db3",key="set"}': "2",
            'redis_key_size{db="db3",key="stream"}': "1",
            'redis_key_size{db="db15",key="soon"}': "1",
        }
        assert samples['redis_key_value{db="db0",key="number"}'] == "1234.56"
        assert samples['redis_key_value_as_string{db="db0",key="text",val="sixteen-letters!"}'] == "1"
        assert float(samples['redis_key_memory_usage_bytes{db="db2",key="hash"}']) > 40
        assert samples['redis_key_exists{db="db0",key="gone"}'] == "0"
        assert sum(key.startswith("redis_key_exists") for key in samples) == 11
        left = 'redis_key_ttl_seconds{db="db15",key="soon"}'
        assert [key for key in samples if "ttl_seconds" in key] == [left]
        assert 500 < float(samples[left]) <= 600
        assert samples['redis_key_ttl{db="db15",key="soon"}'] == samples[left]
        assert float(samples['redis_key_expires_timestamp_seconds{db="db15",key="soon"}']) == pytest.approx(
            time.time() + 600, abs=60
        )
        assert server_field(server, "total_error_replies") == before
        assert reader.batches == 3
        assert b"db=3" in reader.ask("CLIENT", "INFO")

    def test_a_deleted_key_reads_0(self, server: Any, session: SessionFactory) -> None:
        reader = session(server.port, "--check-keys=number")
        assert reader.poll(KEYS)['redis_key_size{db="db0",key="number"}'] == "7"
        reader.ask("DEL", "number")
        assert reader.poll(KEYS)['redis_key_size{db="db0",key="number"}'] == "0"

    def test_the_rules_it_names_are_enough(self, server: Any, session: SessionFactory) -> None:
        reader = session(server.port, "--check-single-keys=text,hll,gone,2=list")
        assert reader.ask("ACL", "SETUSER", "reader", "on", ">pw", *KEYS.acl(reader.options)) == b"OK"
        reader.ask("AUTH", "reader", "pw")
        samples = reader.poll(KEYS)
        assert samples['redis_key_size{db="db0",key="hll"}'] == "3"
        assert samples['redis_key_size{db="db2",key="list"}'] == "3"
        assert 'redis_key_memory_usage_bytes{db="db0",key="text"}' in samples
        assert b"NOPERM" not in server.ask("INFO", "errorstats")


@pytest.mark.server
class TestRights:
    """Of a user who may not do all."""

    KEYS = 9

    @pytest.fixture
    def server(self, redis_server: RedisFactory) -> RedisServer:
        """Some keys of each kind."""
        server = redis_server()
        for number in range(self.KEYS):
            server.ask("SET", f"text{number}", "sixteen-letters!")
            server.ask("SET", f"number{number}", "12.5")
            server.ask("PFADD", f"sparse{number}", *range(5))
            server.ask("PFADD", f"dense{number}", *range(5000))
            server.ask("RPUSH", f"list{number}", 1, 2)
        server.ask("SET", "huge", "x" * 20_000)
        server.ask("EXPIRE", "text0", 1000)
        return server

    @staticmethod
    def reader(server: RedisServer, session: SessionFactory, *rights: str) -> Session:
        kinds = ("text", "number", "sparse", "dense", "list")
        names = [f"{kind}{number}" for kind in kinds for number in range(TestRights.KEYS)]
        reader = session(server.port, "--check-single-keys=" + ",".join([*names, "huge", "gone"]))
        server.ask("ACL", "SETUSER", "reader", "reset", "on", ">pw", *rights)
        assert reader.ask("AUTH", "reader", "pw") == b"OK"
        return reader

    @staticmethod
    def size(samples: dict[str, str], key: str) -> int | None:
        size = samples.get(f'redis_key_size{{db="db0",key="{key}"}}')
        return None if size is None else int(size)

    def errors(self, server: RedisServer, reader: Session, polls: int) -> int:
        before = server_field(server, "total_error_replies")
        for _ in range(polls):
            reader.poll(KEYS)
        return server_field(server, "total_error_replies") - before

    def test_those_of_the_go_exporters_readme_give_sizes_and_values(
        self, server: RedisServer, session: SessionFactory
    ) -> None:
        reader = self.reader(server, session, *GO_README, "~*")
        for _ in range(3):
            samples = reader.poll(KEYS)
            for number in range(self.KEYS):
                assert self.size(samples, f"text{number}") == 16
                assert self.size(samples, f"sparse{number}") == 5
                assert 4800 < (self.size(samples, f"dense{number}") or 0) < 5200
                assert self.size(samples, f"list{number}") == 2
                assert samples[f'redis_key_value{{db="db0",key="number{number}"}}'] == "12.5"
                assert (
                    f'redis_key_value_as_string{{db="db0",key="text{number}",val="sixteen-letters!"}}'
                    in samples
                )
            assert (self.size(samples, "huge"), self.size(samples, "gone")) == (20_000, 0)
            assert not any("HYLL" in name or "ttl" in name for name in samples)
        assert ("GET", b"huge") not in reader.sent

    def test_each_command_that_is_refused_costs_one_error_reply(
        self, server: RedisServer, session: SessionFactory
    ) -> None:
        reader = self.reader(server, session, *GO_README, "~*")
        assert self.errors(server, reader, 20) == 2  # GETRANGE and PTTL

    def test_without_any_way_to_read_strings_nothing_is_said_that_may_be_wrong(
        self, server: RedisServer, session: SessionFactory
    ) -> None:
        reader = self.reader(server, session, *GO_README, "-get", "~*")
        samples = reader.poll(KEYS)
        assert (
            self.size(samples, "sparse0")
            is self.size(samples, "dense0")
            is self.size(samples, "text0")
            is None
        )
        assert (self.size(samples, "number0"), self.size(samples, "huge")) == (4, 20_000)
        assert self.size(samples, "list0") == 2
        assert not any("key_value" in name for name in samples)
        poll = reader.poll_state
        assert poll is not None
        assert poll.results.faults == {
            "keys": {
                "strings": "values, and sizes of those that may be HyperLogLogs, are left out: "
                "allow the user +getrange or +get"
            }
        }
        assert self.errors(server, reader, 20) == 0

    def test_without_pfcount_a_hyperloglog_has_no_size(
        self, server: RedisServer, session: SessionFactory
    ) -> None:
        reader = self.reader(server, session, *GO_README, "-pfcount", "~*")
        samples = reader.poll(KEYS)
        assert self.size(samples, "sparse0") is self.size(samples, "dense0") is None
        assert self.size(samples, "text0") == 16
        poll = reader.poll_state
        assert poll is not None
        assert poll.results.faults == {
            "keys": {"HyperLogLogs": "their sizes are left out: allow the user +pfcount"}
        }

    def test_without_strlen_a_hyperloglog_is_counted_all_the_same(
        self, server: RedisServer, session: SessionFactory
    ) -> None:
        reader = self.reader(server, session, "+@all", "-strlen", "~*")
        samples = reader.poll(KEYS)
        assert self.size(samples, "sparse0") == 5
        assert self.size(samples, "text0") is None
        assert samples['redis_key_value{db="db0",key="number0"}'] == "12.5"

    def test_a_key_that_is_forbidden_costs_no_other_key(
        self, server: RedisServer, session: SessionFactory
    ) -> None:
        """Not even where it is the first one that a command is tried on."""
        reader = self.reader(server, session, "+@all", "~[^t]*", "~text1", "~text2", "~text3")
        for _ in range(3):
            samples = reader.poll(KEYS)
            assert self.size(samples, "text0") is self.size(samples, "text4") is None
            assert self.size(samples, "text1") == self.size(samples, "text3") == 16
            assert self.size(samples, "sparse0") == 5
            assert self.size(samples, "list8") == 2
        assert self.errors(server, reader, 20) == 0

    def test_a_user_without_any_right_to_keys_costs_one_error_reply(
        self, server: RedisServer, session: SessionFactory
    ) -> None:
        reader = self.reader(server, session, "-@all", "+info", "~*")
        assert self.errors(server, reader, 20) == 1

    def test_a_right_that_is_taken_away_is_noticed(
        self, server: RedisServer, session: SessionFactory
    ) -> None:
        reader = self.reader(server, session, "+@all", "~*")
        assert self.size(reader.poll(KEYS), "sparse0") == 5
        server.ask("ACL", "SETUSER", "reader", "-getrange")
        reader.poll(KEYS)
        samples = reader.poll(KEYS)
        assert self.size(samples, "sparse0") == 5
        assert samples['redis_key_value{db="db0",key="number8"}'] == "12.5"
