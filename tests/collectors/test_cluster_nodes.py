"""CLUSTER NODES: what one node finds of the others."""

from __future__ import annotations

import dataclasses
import json
import pathlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from exporter.collectors._registry import REGISTRY
from exporter.collectors.cluster_nodes import ClusterNodesCollector
from exporter.errors import ProtocolError, ReplyError
from exporter.options.commandline import parse
from exporter.protocol.cluster import parse_nodes, uncovered_slots
from exporter.protocol.facts import Facts
from tests.clusters import Cluster
from tests.collectors.conftest import OPTIONS, Drive
from tests.watch_harness import WatchHarness

DATA = pathlib.Path(__file__).parent.parent / "data"
VERSIONS = sorted(path.parent.name for path in DATA.glob("*/cluster_nodes.txt"))
FACTS = Facts((7, 0, 15), "redis", "master", "cluster", "r", True, False)
NOW = 1_795_378_830
TIME = [b"%d" % NOW, b"250999"]
A, B, C, D = "a" * 40, "b" * 40, "c" * 40, "d" * 40
ALONE = f"{A} :21015@31015 myself,master - 0 0 0 connected\n"


@pytest.fixture
async def watch_harness() -> AsyncIterator[WatchHarness]:
    watch_harness = WatchHarness(REGISTRY)
    yield watch_harness
    await watch_harness.close()


def told(drive: Drive, text: str, time: Any = TIME, **kwargs: Any) -> dict[str, str]:
    return drive(ClusterNodesCollector(), [text.encode()], [time], facts=FACTS, **kwargs).samples()


def of_node(samples: dict[str, str], node_id: str) -> dict[str, str]:
    """Value by family of one node."""
    return {
        key.partition("{")[0].removeprefix("redis_cluster_node_"): value
        for key, value in samples.items()
        if node_id in key
    }


class TestParse:
    @pytest.mark.parametrize(
        ("address", "host", "port", "hostname", "shown"),
        [
            ("10.0.0.1:7000@17000", "10.0.0.1", 7000, "", "10.0.0.1:7000"),
            ("10.0.0.1:7000", "10.0.0.1", 7000, "", "10.0.0.1:7000"),  # 3.0
            (
                "10.0.0.1:7000@17000,node-1.example.com",
                "10.0.0.1",
                7000,
                "node-1.example.com",
                "10.0.0.1:7000",
            ),
            ("10.0.0.1:7000@17000,,shard-id=5c", "10.0.0.1", 7000, "", "10.0.0.1:7000"),
            ("10.0.0.1:7000@17000,shard-id=5c", "10.0.0.1", 7000, "", "10.0.0.1:7000"),
            ("2001:db8::1:7000@17000", "2001:db8::1", 7000, "", "[2001:db8::1]:7000"),
            ("[::1]:7000@17000", "::1", 7000, "", "[::1]:7000"),
            (":7000@17000", "", 7000, "", ":7000"),
            (":0@0", "", 0, "", ":0"),
        ],
    )
    def test_addresses(self, address: str, host: str, port: int, hostname: str, shown: str) -> None:
        [node] = parse_nodes(f"{A} {address} master - 0 0 1 connected")
        assert (node.host, node.port, node.hostname, node.address) == (host, port, hostname, shown)

    def test_slots_are_ranges_and_single_ones_and_those_under_way(self) -> None:
        [node] = parse_nodes(
            f"{A} h:1@2 myself,master - 0 0 1 connected 0-4 6 16383 [100->-{B}] [7000-<-{C}] [7001-<-{C}]"
        )
        assert node.slots == ((0, 4), (6, 6), (16383, 16383))
        assert (node.slot_count, node.migrating, node.importing) == (7, 1, 2)

    @pytest.mark.parametrize(
        ("flags", "state", "role"),
        [
            ("myself,master", "ok", "master"),
            ("slave", "ok", "slave"),
            ("master,fail?", "pfail", "master"),
            ("slave,fail", "fail", "slave"),
            ("slave,fail,noaddr", "fail", "slave"),
            ("master,noaddr", "noaddr", "master"),
            ("handshake", "handshake", ""),
            ("noflags", "ok", ""),
            ("slave,nofailover", "ok", "slave"),
        ],
    )
    def test_flags(self, flags: str, state: str, role: str) -> None:
        [node] = parse_nodes(f"{A} h:1@2 {flags} - 0 0 1 connected")
        assert (node.state, node.role) == (state, role)

    @pytest.mark.parametrize(
        "line",
        ["", "vars currentEpoch 6 lastVoteEpoch 0", f"{B} h:1@2 master - 0 0",
         f"{B} h master - 0 0 1 connected",
         f"{B} h:x@2 master - 0 0 1 connected", f"{B} h:1@2 master - x 0 1 connected",
         f"{B} h:1@2 master - 0 -1 1 connected",
         f"{B} h:1@2 master - 0 0 {'9' * 30} connected", f"{A} again:1@2 master - 0 0 1 connected"],
    )  # fmt: skip
    def test_a_line_that_is_none_costs_no_other(self, line: str) -> None:
        nodes = parse_nodes(
            f"{A} h:1@2 master - 0 0 1 connected 5\n{line}\n{C} h:3@4 master - 0 0 1 connected 6\n"
        )
        assert [(node.id, node.host) for node in nodes] == [(A, "h"), (C, "h")]

    @pytest.mark.parametrize("word", ["9-3", "16384", "0-16384", "x", "1-x", "-", "-5", "1-2-3", "٣"])
    def test_a_range_that_is_none_costs_no_other(self, word: str) -> None:
        [node] = parse_nodes(f"{A} h:1@2 master - 0 0 1 connected {word} 7-8")
        assert node.slots == ((7, 8),)

    @pytest.mark.parametrize("version", VERSIONS)
    def test_recorded_answers_are_read_whole(self, version: str) -> None:
        for path in (DATA / version).glob("cluster_nodes*.txt"):
            assert len(parse_nodes(path.read_text())) == len(path.read_text().splitlines())

    @pytest.mark.parametrize(
        "version", [version for version in VERSIONS if (DATA / version / "cluster_shards.json").exists()]
    )
    def test_the_answer_agrees_with_cluster_shards(self, version: str) -> None:
        """Which has nothing more that is wanted here, and only from 7.0 on."""
        shards = [
            dict(zip(s[::2], s[1::2], strict=True))
            for s in json.loads((DATA / version / "cluster_shards.json").read_text())
        ]
        by_shards = {}
        for slice in shards:
            ranges = tuple(zip(slice["slots"][::2], slice["slots"][1::2], strict=True))
            for node in (dict(zip(n[::2], n[1::2], strict=True)) for n in slice["nodes"]):
                by_shards[node["id"]] = (
                    node["ip"],
                    node["port"],
                    node["role"],
                    ranges if node["role"] == "master" else (),
                )
        nodes = parse_nodes((DATA / version / "cluster_nodes.txt").read_text())
        roles = {"master": "master", "slave": "replica"}
        assert {node.id: (node.host, node.port, roles[node.role], node.slots) for node in nodes} == by_shards


class TestCluster:
    @pytest.mark.parametrize("version", VERSIONS)
    @pytest.mark.parametrize(
        ("name", "uncovered", "lonely", "states"),
        [
            ("", 0, 2, {"ok": 4}),
            ("_migrating", 4, 2, {"ok": 4, "handshake": 1}),
            ("_fail", 5465, 1, {"ok": 3, "fail": 1}),
            ("_empty", 16384, 0, {"ok": 1}),
        ],
    )
    def test_recorded(
        self, drive: Drive, version: str, name: str, uncovered: int, lonely: int, states: dict[str, int]
    ) -> None:
        samples = told(drive, (DATA / version / f"cluster_nodes{name}.txt").read_text())
        assert samples["redis_cluster_slots_uncovered"] == str(uncovered)
        assert samples["redis_cluster_masters_without_replicas"] == str(lonely)
        for state in ("ok", "pfail", "fail", "handshake", "noaddr"):
            assert samples[f'redis_cluster_nodes{{state="{state}"}}'] == str(states.get(state, 0))
        under_way = {"_migrating": ("1", "2"), "_fail": ("1", "2")}.get(name, ("0", "0"))
        assert (
            samples["redis_cluster_slots_migrating"],
            samples["redis_cluster_slots_importing"],
        ) == under_way

    def test_a_slot_of_a_node_that_only_seems_to_fail_is_covered(self) -> None:
        assert uncovered_slots(parse_nodes(f"{A} h:1@2 master,fail? - 1 1 1 disconnected 0-16383")) == 0
        assert uncovered_slots(parse_nodes(f"{A} h:1@2 master,fail - 1 1 1 disconnected 0-16383")) == 16384

    @pytest.mark.parametrize(
        ("replica", "lonely"),
        [
            (f"{B} h:2@3 slave {A} 0 0 1 connected", "0"),
            (f"{B} h:2@3 slave,fail? {A} 0 0 1 connected", "0"),
            (f"{B} h:2@3 slave,fail {A} 0 0 1 connected", "1"),
            (f"{B} h:2@3 slave {C} 0 0 1 connected", "1"),
            (f"{B} h:2@3 master - 0 0 1 connected", "1"),
        ],
    )
    def test_a_replica_that_failed_is_none(self, drive: Drive, replica: str, lonely: str) -> None:
        samples = told(drive, f"{A} h:1@2 myself,master - 0 0 1 connected 0-16383\n{replica}\n")
        assert samples["redis_cluster_masters_without_replicas"] == lonely

    def test_all_zeros_of_an_answer_without_nodes(self, drive: Drive) -> None:
        samples = told(drive, "what is this?\n")
        assert samples["redis_cluster_slots_uncovered"] == "16384"
        assert samples['redis_cluster_nodes{state="ok"}'] == "0"


class TestNodes:
    TEXT = (
        f"{A} 10.0.0.1:1@2,one.example.com myself,master - 0 {NOW}000 4 connected 0-99 101\n"
        f"{B} ::1:3@4 slave {A} 0 {NOW - 2}000 4 connected\n"
        f"{C} 10.0.0.3:5@6 master,fail - {NOW - 30}250 {NOW - 31}000 2 disconnected 200\n"
        f"{D} 10.0.0.4:7@8 master,fail? - {NOW - 1}000 0 3 disconnected\n"
    )

    def test_who_they_are(self, drive: Drive) -> None:
        samples = told(drive, self.TEXT)
        lines = {key for key in samples if key.startswith("redis_cluster_node_info")}

        def line(node_id: str, node: str, hostname: str, role: str, master_id: str, myself: str) -> str:
            own = (
                f'node_id="{node_id}",node="{node}",hostname="{hostname}",role="{role}",'
                f'master_id="{master_id}",myself="{myself}"'
            )
            return f"redis_cluster_node_info{{{own}}}"

        assert lines == {
            line(A, "10.0.0.1:1", "one.example.com", "master", "", "true"),
            line(B, "[::1]:3", "", "slave", A, "false"),
            line(C, "10.0.0.3:5", "", "master", "", "false"),
            line(D, "10.0.0.4:7", "", "master", "", "false"),
        }

    def test_how_they_are_by_the_server_s_clock(self, drive: Drive) -> None:
        samples = {key: value for key, value in told(drive, self.TEXT).items() if "node_info" not in key}
        assert of_node(samples, A) == {
            "link_up": "1",
            "fail": "0",
            "pfail": "0",
            "config_epoch": "4",
            "slots": "101",
        }
        assert of_node(samples, B) == {
            **{"link_up": "1", "fail": "0", "pfail": "0", "config_epoch": "4", "slots": "0"},
            **{"ping_pending_seconds": "0", "last_pong_age_seconds": "2.25"},
        }
        assert of_node(samples, C) == {
            **{"link_up": "0", "fail": "1", "pfail": "0", "config_epoch": "2", "slots": "1"},
            **{"ping_pending_seconds": "30", "last_pong_age_seconds": "31.25"},
        }
        assert of_node(samples, D) == {  # has never answered
            **{"link_up": "0", "fail": "0", "pfail": "1", "config_epoch": "3", "slots": "0"},
            **{"ping_pending_seconds": "1.25"},
        }

    @pytest.mark.parametrize(
        "time", [ReplyError("ERR unknown command 'TIME'"), None, [], [b"x", b"y"], [1, 2], [b"1" * 30, b"2"]]
    )
    def test_without_the_server_s_clock_by_ours(self, drive: Drive, time: Any) -> None:
        samples = told(drive, f"{A} h:1@2 master - 0 1795379999250 4 connected\n", time)
        assert of_node(samples, A)["last_pong_age_seconds"] == "1"  # the poll began at 1795380000.25

    def test_a_clock_that_went_back_makes_no_age_negative(self, drive: Drive) -> None:
        samples = told(drive, f"{A} h:1@2 master - {NOW + 9}000 {NOW + 9}000 4 connected\n")
        assert (
            of_node(samples, A)["last_pong_age_seconds"],
            of_node(samples, A)["ping_pending_seconds"],
        ) == ("0", "0")

    def test_are_left_out_on_request(self, drive: Drive) -> None:
        options = parse(["--include-cluster-node-metrics=false"], {})
        played = drive(ClusterNodesCollector(), [self.TEXT.encode()], facts=FACTS, options=options)
        assert not any("_node_" in key for key in played.samples())
        assert "redis_cluster_slots_uncovered" in played.samples()
        assert played.asked == [[("CLUSTER", "NODES")]]

    def test_are_remembered_with_the_time(self, drive: Drive) -> None:
        view = drive(ClusterNodesCollector(), [self.TEXT.encode()], [TIME], facts=FACTS).memory.cluster
        assert [node.id for node in view.nodes] == [A, B, C, D]
        assert view.own_id == A
        assert view.seen_at == 1_795_380_000.25


def test_only_cluster_nodes_that_have_their_data_are_asked() -> None:
    collector = ClusterNodesCollector()
    assert collector.wants(FACTS, OPTIONS)
    assert not collector.wants(dataclasses.replace(FACTS, cluster_enabled=False), OPTIONS)
    assert not collector.wants(dataclasses.replace(FACTS, loading=True), OPTIONS)


def test_a_refusal_writes_nothing_and_forgets_nothing(drive: Drive) -> None:
    played = drive(ClusterNodesCollector(), [ReplyError("NOPERM no")], facts=FACTS)
    assert played.samples() == {}
    assert played.memory.cluster is None


@pytest.mark.parametrize("reply", [7, None, []])
def test_another_answer_fails_it(drive: Drive, reply: Any) -> None:
    with pytest.raises(ProtocolError):
        drive(ClusterNodesCollector(), [reply], facts=FACTS)


@pytest.mark.server
class TestRealClusters:
    async def test_every_node_is_told_by_every_node(
        self, watch_harness: WatchHarness, redis_cluster: Cluster
    ) -> None:
        ports = {node.port for node in redis_cluster.nodes}
        for node in (redis_cluster.nodes[0], redis_cluster.nodes[-1]):
            watched = watch_harness.watched(node.port)
            await watch_harness.poll(watched)
            series = watch_harness.series(watched)
            assert series["redis_cluster_slots_uncovered", ()] == 0
            assert series["redis_cluster_masters_without_replicas", ()] == 0
            assert series["redis_cluster_nodes", ("ok",)] == 6
            nodes = {
                labels: value
                for (name, labels), value in series.items()
                if name == "redis_cluster_node_slots"
            }
            assert {int(address.rpartition(":")[2]) for _, address in nodes} == ports
            assert sum(nodes.values()) == 16384
            assert all(
                value == 1 for (name, _), value in series.items() if name == "redis_cluster_node_link_up"
            )
            ages = [
                value
                for (name, _), value in series.items()
                if name == "redis_cluster_node_last_pong_age_seconds"
            ]
            assert len(ages) == 5
            assert 0 <= min(ages) <= max(ages) < 20
            myself = [
                labels
                for (name, labels) in series
                if name == "redis_cluster_node_info" and labels[-1] == "true"
            ]
            assert [labels[1] for labels in myself] == [f"127.0.0.1:{node.port}"]

    async def test_a_master_that_dies_without_a_replica_uncovers_its_slots(
        self, watch_harness: WatchHarness, tmp_path: pathlib.Path
    ) -> None:
        cluster = Cluster(tmp_path, replicas=1, timeout_ms=1000)
        try:
            cluster.start()
            watched = watch_harness.watched(cluster.nodes[0].port)
            await watch_harness.poll(watched)
            cluster.nodes[5].kill()  # the replica of the third master
            await watch_harness.poll_until(
                watched, lambda: watch_harness.value(watched, "redis_cluster_nodes", "fail") == 1
            )
            assert watch_harness.value(watched, "redis_cluster_masters_without_replicas") == 1
            assert watch_harness.value(watched, "redis_cluster_slots_uncovered") == 0
            cluster.nodes[2].kill()
            await watch_harness.poll_until(
                watched, lambda: watch_harness.value(watched, "redis_cluster_slots_uncovered") == 5462
            )
            assert watch_harness.value(watched, "redis_cluster_nodes", "fail") == 2
            await watch_harness.poll_until(
                watched, lambda: watch_harness.value(watched, "redis_cluster_state") == 0
            )
            assert watch_harness.value(watched, "redis_cluster_slots_fail") == 5462
            assert watch_harness.value(watched, "redis_up") == 1
        finally:
            cluster.stop()
