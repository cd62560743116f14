"""Where keys are: databases, slots, redirections; and a real cluster of three nodes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bench.ports import free_port
from exporter import engine
from exporter.collectors._answered import Answered
from exporter.collectors._key_places import (
    COMMANDS_A_PIECE,
    SINGLE_MAX,
    acl_rules,
    ask,
    patterns,
    place_keys,
    read_on_standard_lane,
    singles,
    walk_places,
)
from exporter.collectors.key_groups import KeyGroupsCollector
from exporter.collectors.key_scan import KeyScanCollector
from exporter.collectors.keys import FoundKeysCollector, KeysCollector
from exporter.collectors.streams import StreamsCollector
from exporter.errors import ReplyError
from exporter.metrics.lane import Lane
from exporter.options.commandline import parse
from exporter.options.values import KeyName
from exporter.polling.memory import TargetMemory
from exporter.polling.output import CollectorOutput
from exporter.protocol.cluster import Place, Slots, redirection
from exporter.protocol.command import PAUSE, PIECE, Reply
from exporter.protocol.facts import Facts
from tests.collectors.conftest import SessionFactory
from tests.pieces import pieces_of, value_of
from tests.poll_fixture import idle
from tests.server_session import Session
from tests.servers import HOST, RedisServer, wait_until
from tests.watch_harness import RedisFactory, server_field

ALONE = Facts((7, 2, 0), "redis", "master", "standalone", "r", False, False, 16)
OLD = dataclasses.replace(ALONE, version=(7, 0, 15))  # without CLIENT NO-TOUCH
NODE = dataclasses.replace(ALONE, cluster_enabled=True, databases=1)
REFUSED, BUSY = ReplyError("ERR unknown command 'SCAN'"), ReplyError("BUSY running a script")
NEAR, FAR = parse([], {}), parse(["--is-cluster"], {})


def out(db: int = 0) -> CollectorOutput:
    return CollectorOutput(idle("keys", Lane.FAST), engine.Labels(b""), TargetMemory(), 0.0, db=db)


class TestNames:
    A, B, ANY = KeyName(0, b"a"), KeyName(1, b"b"), KeyName(0, b"a*")

    def test_what_holds_a_glob_is_a_pattern_only_where_patterns_are_meant(self) -> None:
        assert singles([self.ANY, self.A], [self.A, self.B, self.ANY]) == (self.ANY, self.A, self.B)
        assert patterns([self.A, self.ANY, self.ANY]) == (self.ANY,)
        assert all(patterns([KeyName(0, b"x" + glob)]) for glob in (b"?", b"*", b"[", b"]", b"^"))

    @pytest.mark.parametrize(
        ("single", "found"),
        [(b"a", b"a"), (b"k" * 1024 + b"1", b"k" * 1024 + b"2"), (b"z\xff", b"z\xfe")],
        ids=["the same", "long", "no text"],
    )
    def test_of_keys_with_one_label_the_single_one_is_read(self, single: bytes, found: bytes) -> None:
        found_by = {KeyName(0, b"*"): [found, b"other"], KeyName(1, b"*"): [found]}
        others = [KeyName(0, b"other"), KeyName(1, found)]
        assert read_on_standard_lane([KeyName(0, single)], found_by, NEAR) == others
        many = [KeyName(0, single), *(KeyName(0, b"%d" % number) for number in range(SINGLE_MAX))]
        assert read_on_standard_lane(many, found_by, NEAR) == [*many, *others]

    def test_rules_name_each_key_once_and_what_it_takes_to_get_there(self) -> None:
        assert acl_rules(["type"], [self.A, self.A, self.ANY], NEAR) == ("+type", "~a", "~a*")
        assert acl_rules(["type"], [self.A, KeyName(0, b"a b")], NEAR) == ("+type", "~*")
        assert acl_rules(["type"], [self.B], NEAR) == ("+type", "+select", "~b")
        assert acl_rules(["type"], [self.B], FAR) == ("+type", "+cluster|slots", "+cluster|myid", "~b")


class TestPlaces:
    def test_very_many_keys_are_placed_in_pieces(self) -> None:
        names = [KeyName(0, b"key%d" % number) for number in range(5000)]
        pieces, places = pieces_of(place_keys(names, ALONE, NEAR, None))
        assert (pieces > 5000 // PIECE, list(places)) == (True, names)

    SLOTS = Slots((0, 8192), (8191, 16383), ("", "h:2"))  # foo is on the other node

    def test_alone_each_key_is_in_its_database_if_that_is_there(self) -> None:
        names = [KeyName(0, b"a"), KeyName(15, b"b"), KeyName(16, b"c")]
        assert value_of(place_keys(names, ALONE, FAR, None)) == {names[0]: Place(0), names[1]: Place(15)}
        unknown = dataclasses.replace(ALONE, databases=None)
        assert len(value_of(place_keys(names, unknown, NEAR, None))) == 3
        assert (walk_places(15, ALONE, NEAR, None), walk_places(16, ALONE, NEAR, None)) == ([Place(15)], [])

    def test_in_a_cluster_each_key_is_on_the_node_of_its_slot(self) -> None:
        names = [KeyName(3, b"foo"), KeyName(0, b"bar")]
        assert value_of(place_keys(names, NODE, FAR, self.SLOTS)) == {
            KeyName(0, b"foo"): Place(0, "h:2"),
            KeyName(0, b"bar"): Place(0),
        }
        assert walk_places(3, NODE, FAR, self.SLOTS) == [Place(0), Place(0, "h:2")]

    def test_a_node_alone_is_asked_for_its_own_keys(self) -> None:
        assert value_of(place_keys([KeyName(0, b"foo"), KeyName(0, b"bar")], NODE, NEAR, self.SLOTS)) == {
            KeyName(0, b"bar"): Place(0)
        }
        assert walk_places(0, NODE, NEAR, self.SLOTS) == [Place(0)]

    def test_where_slots_are_not_told_the_target_is_asked(self) -> None:
        assert value_of(place_keys([KeyName(0, b"foo")], NODE, FAR, None)) == {KeyName(0, b"foo"): Place(0)}
        assert walk_places(0, NODE, FAR, None) == [Place(0)]

    @pytest.mark.parametrize(
        ("reply", "place"),
        [
            (ReplyError("MOVED 12182 10.0.0.1:7000"), Place(0, "10.0.0.1:7000")),
            (ReplyError("MOVED 12182 fd00::1:7000"), Place(0, "fd00::1:7000")),
            (ReplyError("ASK 12182 node-1.example:7000"), Place(0, "node-1.example:7000", asking=True)),
            (ReplyError("MOVED 12182 :7000"), None),
            (ReplyError("MOVED"), None),
            (ReplyError("ERR 12182 10.0.0.1:7000"), None),
            (b"MOVED 12182 10.0.0.1:7000", None),
        ],
    )
    def test_redirections(self, reply: Any, place: Place | None) -> None:
        assert redirection(reply) == place


class TestAsk:
    def test_each_node_is_asked_in_one_go_and_left_as_it_was(self) -> None:
        requests = [
            (Place(3), ("TYPE", "a")),
            (Place(1), ("TYPE", "b")),
            (Place(0, "h:2"), ("TYPE", "c")),
            (Place(0, "h:2", True), ("TYPE", "d")),
        ]
        asking = ask(requests, ALONE, out(db=1), Answered({"TYPE"}, ALONE.run_id))
        commands = next(asking)
        assert [(command.node, *command.args) for command in commands] == [
            ("", "CLIENT", "NO-TOUCH", "ON"),
            ("", "TYPE", "b"),
            ("", "SELECT", 3),
            ("", "TYPE", "a"),
            ("", "SELECT", 1),
            ("", "CLIENT", "NO-TOUCH", "OFF"),
            ("h:2", "CLIENT", "NO-TOUCH", "ON"),
            ("h:2", "TYPE", "c"),
            ("h:2", "ASKING"),
            ("h:2", "TYPE", "d"),
            ("h:2", "CLIENT", "NO-TOUCH", "OFF"),
        ]
        with pytest.raises(StopIteration) as end:
            asking.send(list(range(len(commands))))
        assert end.value.value == [3, 1, 7, 9]

    def test_many_commands_are_made_in_pieces(self) -> None:
        requests = [(Place(number % 2), ("TYPE", f"k{number}")) for number in range(2 * COMMANDS_A_PIECE)]
        asking = ask(requests, ALONE, out(), Answered({"TYPE"}, ALONE.run_id))
        pauses = 0
        commands = next(asking)
        while commands == PAUSE:
            pauses += 1
            commands = asking.send([])
        assert pauses >= 2 * 2  # they are put in order first
        assert sum(command.args[0] == "TYPE" for command in commands) == len(requests)
        replies = [command.args[-1] for command in commands]
        assert asking.send(replies) == PAUSE
        assert value_of(asking) == [args[1] for _, args in requests]

    @pytest.mark.parametrize(
        ("first", "batches", "found"),
        [
            (b"a", [[b"a"], [b"b", b"c"]], [b"a", b"b", b"c"]),
            (REFUSED, [[b"a"]], [REFUSED] * 3),
            (BUSY, [[b"a"], [b"b", b"c"]], [BUSY, b"b", b"c"]),
        ],
        ids=["answered", "refused", "an error of the data"],
    )
    def test_a_command_that_was_never_answered_goes_out_once_first(
        self, first: Reply, batches: list[list[bytes]], found: list[Reply]
    ) -> None:
        asking = ask([(Place(0), ("SCAN", key)) for key in (b"a", b"b", b"c")], OLD, out(), Answered())
        replies: dict[Any, Reply] = {b"a": first, b"b": b"b", b"c": b"c"}
        keys: list[Any] = [command.args[1] for command in next(asking)]
        for batch in batches[:-1]:
            assert keys == batch
            keys = [command.args[1] for command in asking.send([replies[key] for key in keys])]
        assert keys == batches[-1]
        with pytest.raises(StopIteration) as end:
            asking.send([replies[key] for key in keys])
        assert end.value.value == found

    def test_nothing_to_ask_is_no_batch(self) -> None:
        with pytest.raises(StopIteration):
            next(ask([], ALONE, out(), Answered()))


class Cluster:
    """Three primaries that serve a third of the slots each."""

    def __init__(self, start: Callable[..., RedisServer]) -> None:
        self.nodes = [start("--cluster-enabled", "yes", "--cluster-port", str(free_port())) for _ in range(3)]
        bounds = [(0, 5460), (5461, 10922), (10923, 16383)]
        for number, (node, (first, last)) in enumerate(zip(self.nodes, bounds, strict=True), 1):
            assert node.ask("CLUSTER", "SET-CONFIG-EPOCH", number) == b"OK"
            assert node.ask("CLUSTER", "ADDSLOTSRANGE", first, last) == b"OK"
        for node in self.nodes[1:]:
            bus = node.args[node.args.index("--cluster-port") + 1]
            assert self.nodes[0].ask("CLUSTER", "MEET", HOST, node.port, bus) == b"OK"
        wait_until(self.whole, "the cluster is whole")

    def whole(self) -> bool:
        return all(
            b"cluster_state:ok" in node.ask("CLUSTER", "INFO") and len(node.ask("CLUSTER", "SLOTS")) == 3
            for node in self.nodes
        )

    def ask(self, *args: str | bytes | int) -> Any:
        """On whatever node takes it."""
        for node in self.nodes:
            reply = node.ask(*args)
            if not (isinstance(reply, Exception) and str(reply).startswith("MOVED")):
                return reply
        raise AssertionError(f"no node takes {args}")


@pytest.mark.server
class TestRealCluster:
    #: foo is in slot 12182, bar in 5061, one in 9084
    ARGV = (
        "--is-cluster",
        "--check-single-keys=7=foo,bar,one,gone",
        "--check-keys=k*",
        "--check-streams=events",
        "--count-keys=*",
    )

    @pytest.fixture
    def cluster(self, redis_server: RedisFactory) -> Cluster:
        cluster = Cluster(redis_server)
        for length, key in enumerate(("foo", "bar", "one"), 1):
            cluster.ask("RPUSH", key, *range(length))
        for number in range(50):
            cluster.ask("SET", f"k{number}", number)
        cluster.ask("XADD", "events", "5-1", "a", "b")
        return cluster

    @pytest.fixture
    def session(self, cluster: Cluster) -> Iterator[Callable[..., Session]]:
        opened: list[Session] = []

        def start(*argv: str, node: int = 0) -> Session:
            opened.append(Session(cluster.nodes[node].port, *argv))
            return opened[-1]

        yield start
        for each in opened:
            each.close()

    def test_keys_of_all_nodes_are_read_from_one(self, cluster: Cluster, session: SessionFactory) -> None:
        reader = session(*self.ARGV)
        errors = [server_field(node, "total_error_replies") for node in cluster.nodes]
        samples = reader.poll(KeysCollector(), StreamsCollector())
        assert {name: value for name, value in samples.items() if "key_size" in name} == {
            'redis_key_size{db="db0",key="foo"}': "1",
            'redis_key_size{db="db0",key="bar"}': "2",
            'redis_key_size{db="db0",key="one"}': "3",
            'redis_key_size{db="db0",key="gone"}': "0",
        }
        assert samples['redis_stream_length{db="db0",stream="events"}'] == "1"
        assert [server_field(node, "total_error_replies") for node in cluster.nodes] == errors

    def test_patterns_walk_every_primary(self, cluster: Cluster, session: SessionFactory) -> None:
        reader = session(*self.ARGV)
        samples = reader.poll(KeyScanCollector())
        assert samples['redis_key_count{db="db0",key="k*"}'] == "50"
        assert samples['redis_keys_count{db="db0",key="*"}'] == "54"
        values = {
            name: value for name, value in reader.poll(FoundKeysCollector()).items() if "key_value" in name
        }
        assert values == {f'redis_key_value{{db="db0",key="k{number}"}}': str(number) for number in range(50)}

    def test_groups_are_summed_over_every_primary(self, cluster: Cluster, session: SessionFactory) -> None:
        samples = session("--is-cluster", "--check-key-groups=^(k)[0-9]+$").poll(KeyGroupsCollector())
        assert samples['redis_key_group_count{db="db0",key_group="k"}'] == "50"
        assert samples['redis_key_group_count{db="db0",key_group="unclassified"}'] == "4"

    def test_without_the_flag_each_node_tells_its_own_keys(
        self, cluster: Cluster, session: SessionFactory
    ) -> None:
        told = [
            session("--check-single-keys=foo,bar,one", node=node).poll(KeysCollector()) for node in range(3)
        ]
        assert [[name for name in samples if "key_size" in name] for samples in told] == [
            ['redis_key_size{db="db0",key="bar"}'],
            ['redis_key_size{db="db0",key="one"}'],
            ['redis_key_size{db="db0",key="foo"}'],
        ]

    def test_a_slot_that_moves_is_followed(self, cluster: Cluster, session: SessionFactory) -> None:
        reader = session("--is-cluster", "--check-single-keys=foo")
        assert reader.poll(KeysCollector())['redis_key_size{db="db0",key="foo"}'] == "1"
        source, target = cluster.nodes[2], cluster.nodes[0]
        ids = [node.ask("CLUSTER", "MYID") for node in (source, target)]
        assert target.ask("CLUSTER", "SETSLOT", 12182, "IMPORTING", ids[0]) == b"OK"
        assert source.ask("CLUSTER", "SETSLOT", 12182, "MIGRATING", ids[1]) == b"OK"
        assert source.ask("MIGRATE", HOST, target.port, "foo", 0, 5000) == b"OK"
        assert reader.poll(KeysCollector())['redis_key_size{db="db0",key="foo"}'] == "1", "by ASK"
        for node in (target, source):
            assert node.ask("CLUSTER", "SETSLOT", 12182, "NODE", ids[1]) == b"OK"
        assert reader.poll(KeysCollector())['redis_key_size{db="db0",key="foo"}'] == "1", "by MOVED"
        reader.poll(KeysCollector())
        assert reader.memory.collectors["keyspace"].slots.node(b"foo") == "", "learnt anew"

    def test_a_node_that_is_gone_costs_its_own_keys(self, cluster: Cluster, session: SessionFactory) -> None:
        reader = session("--is-cluster", "--check-single-keys=foo,bar")
        cluster.nodes[2].kill()
        samples = reader.poll(KeysCollector())
        assert 'redis_key_size{db="db0",key="bar"}' in samples
        assert 'redis_key_size{db="db0",key="foo"}' not in samples
