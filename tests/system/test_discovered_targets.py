"""Targets that the whole program discovers from real clusters, Sentinels, masters and replicas."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.clusters import Cluster, Sentinel, id_of, nodes_of
from tests.servers import HOST, Certificates, Conversation, RedisServer, ScriptedServer, wait_until
from tests.system.conftest import Exporter, ExporterFactory
from tests.watch_harness import bulk, info, server_field

#: the interval of discovery here
INTERVAL_S = 5
#: the lane would see it too, but only after the end of the test
FAST = (f"--discover.interval={INTERVAL_S}s", "--discover.grace=0s", "--poll.slow-interval=1h")
CLUSTER = ("--discover=cluster", *FAST)

pytestmark = pytest.mark.server


def address(server: RedisServer) -> str:
    return f"redis://{HOST}:{server.port}"


def meta(program: Exporter, name: str) -> dict[str, str]:
    """What /sd says of each target, by address."""
    found = json.loads(program.get("/sd"))
    return {each["targets"][0]: each["labels"].get(f"__meta_redis_{name}", "") for each in found}


def labels(program: Exporter, label: str) -> dict[str, str]:
    """The value of a label of each target's redis_up, by address."""
    lines = [line for line in program.get().split("\n") if line.startswith("redis_up{")]
    found = {}
    for line in lines:
        pairs = dict(re.findall(r'(\w+)="([^"]*)"', line))
        found[pairs["addr"]] = pairs.get(label, "")
    return found


def are_up(program: Exporter, *servers: RedisServer, scheme: str = "redis") -> None:
    wanted = {f"{scheme}://{HOST}:{server.port}": 1.0 for server in servers}
    wait_until(lambda: program.values("redis_up") == wanted, f"{len(servers)} targets are up")


def knows_two(sentinel: Sentinel, what: str) -> bool:
    return len(sentinel.entries(what, "orders")) == 2


@pytest.fixture
def start_cluster(tmp_path: Path) -> Iterator[Callable[..., Cluster]]:
    with ExitStack() as cleanup:

        def start(*args: str, **more: Any) -> Cluster:
            (tmp_path / "cluster").mkdir()
            cluster = Cluster(tmp_path / "cluster", *args, **{"replicas": 1, **more})
            cleanup.callback(cluster.stop)
            return cluster.start()

        yield start


class TestCluster:
    def test_six_nodes_are_found_from_one_and_followed_without_it(
        self, start_cluster: Callable[..., Cluster], exporter: ExporterFactory
    ) -> None:
        cluster = start_cluster()
        first, *_, replica, _, _ = cluster.nodes
        program = exporter(f"--redis.addr={address(first)}", *CLUSTER)
        are_up(program, *cluster.nodes)
        node_ids = {address(node): id_of(node) for node in cluster.nodes}
        assert labels(program, "node_id") == node_ids
        assert set(labels(program, "cluster").values()) == {f"{HOST}:{first.port}"}
        shards = labels(program, "shard")
        assert len(set(shards.values())) == 3
        assert shards[address(first)] == shards[address(replica)]
        assert set(meta(program, "source").values()) == {"flags", "discovered"}
        assert meta(program, "role") == {
            address(node): "master" if number < 3 else "slave" for number, node in enumerate(cluster.nodes)
        }
        first.kill()  # the seed, and a master
        assert replica.ask("CLUSTER", "FAILOVER", "TAKEOVER") == b"OK"
        wait_until(lambda: "myself,master" in nodes_of(replica), "the replica takes over")
        wait_until(lambda: meta(program, "role")[address(replica)] == "master", "the new role is listed")
        wait_until(lambda: program.values("redis_up")[address(first)] == 0, "the seed is down")
        assert labels(program, "shard") == shards
        assert labels(program, "node_id") == node_ids

    def test_a_forced_failover_and_a_resharding_show(
        self, start_cluster: Callable[..., Cluster], exporter: ExporterFactory
    ) -> None:
        cluster = start_cluster()
        first, second, _, replica, _, _ = cluster.nodes
        program = exporter(
            f"--redis.addr={address(second)}",
            *CLUSTER,
            "--discover.labels=role,shard",
            "--poll.slow-interval=1s",
        )
        are_up(program, *cluster.nodes)
        before = labels(program, "shard")
        assert replica.ask("CLUSTER", "FAILOVER") == b"OK"
        wait_until(lambda: "myself,slave" in nodes_of(first), "the old master follows")
        wait_until(
            lambda: (
                {address(first): "slave", address(replica): "master"}.items()
                <= labels(program, "role").items()
            ),
            "the label role follows",
        )
        assert labels(program, "shard") == before
        slot = 8000  # of the second master
        assert replica.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", id_of(second)) == b"OK"
        assert second.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", id_of(replica)) == b"OK"
        for node in (replica, second):
            assert node.ask("CLUSTER", "SETSLOT", slot, "NODE", id_of(replica)) == b"OK"
        owned = "redis_cluster_node_slots{"

        def slots(of: RedisServer) -> set[str]:
            return {
                line.rsplit(" ", 1)[1]
                for line in program.get().split("\n")
                if line.startswith(f'{owned}addr="{address(second)}"') and f'node_id="{id_of(of)}"' in line
            }

        wait_until(lambda: slots(replica) == {"5462"} and slots(second) == {"5460"}, "a slot has moved")
        assert labels(program, "shard") == before

    def test_nodes_that_come_and_go(
        self, start_cluster: Callable[..., Cluster], exporter: ExporterFactory
    ) -> None:
        cluster = start_cluster(replicas=0)
        first, second, third = cluster.nodes
        program = exporter(f"--redis.addr={address(first)},{address(second)}", *CLUSTER)
        are_up(program, first, second, third)
        added = cluster.add()
        are_up(program, *cluster.nodes)
        gone = id_of(third)
        wait_until(lambda: gone in nodes_of(added), "the new node knows the one that goes")
        third.kill()
        for node in (first, second, added):
            assert node.ask("CLUSTER", "FORGET", gone) == b"OK"
        are_up(program, first, second, added)
        assert address(third) not in program.get()
        first.kill()  # one of two seeds
        wait_until(lambda: program.values("redis_up")[address(first)] == 0, "the seed is down")
        wait_until(lambda: program.values("redis_up")[address(added)] == 1, "the new one is up")

    def test_over_tls_with_users_and_names(
        self, start_cluster: Callable[..., Cluster], certificates: Certificates, exporter: ExporterFactory
    ) -> None:
        login = ("--user", "watcher", "on", ">pw-of-the-watcher", "+@all")
        cluster = start_cluster(*login, certificates=certificates)
        for node in cluster.nodes:
            node.ask("ACL", "SETUSER", "default", "off")
        seed = f"rediss://watcher:pw-of-the-watcher@{HOST}:{cluster.nodes[0].port}"
        program = exporter(f"--redis.addr={seed}", f"--tls-ca-cert-file={certificates.ca}", *CLUSTER)
        are_up(program, *cluster.nodes, scheme="rediss")
        assert "pw-of-the-watcher" not in program.log.read_text() + program.get() + program.get("/sd")

    def test_two_clusters_in_one_process(
        self,
        start_cluster: Callable[..., Cluster],
        redis_cluster: Cluster,
        exporter: ExporterFactory,
        tmp_path: Path,
    ) -> None:
        small = start_cluster(masters=1, replicas=1)
        file = tmp_path / "targets.yml"
        file.write_text(
            f"groups: {{red: {{discover: cluster, labels: {{env: prod}}}}, blue: {{discover: cluster}}}}\n"
            f"redis_instances:\n"
            f"  - {{addr: '{address(small.nodes[0])}', group: red}}\n"
            f"  - {{addr: '{address(redis_cluster.nodes[0])}', group: blue}}\n"
        )
        program = exporter(f"--config.file={file}", *FAST)
        are_up(program, *small.nodes, *redis_cluster.nodes)
        clusters, env = labels(program, "cluster"), labels(program, "env")
        for name, cluster in (("red", small), ("blue", redis_cluster)):
            assert {clusters[address(node)] for node in cluster.nodes} == {name}
            assert {env[address(node)] for node in cluster.nodes} == {"prod" if name == "red" else ""}

    def test_a_foreign_address_is_not_dialled_and_not_listed(
        self,
        scripted_server: Callable[..., ScriptedServer],
        redis_server: Callable[..., RedisServer],
        exporter: ExporterFactory,
        tmp_path: Path,
    ) -> None:
        """Of a network for documentation, link-local, and that of a server which the allowance leaves out."""
        other = redis_server()
        connections = server_field(other, "total_connections_received")
        nodes = (
            f"{'a' * 40} 127.0.0.1:1@1 myself,master - 0 0 1 connected 0-1\n"
            f"{'b' * 40} 192.0.2.1:7000@1 master - 0 0 1 connected 2-3\n"
            f"{'c' * 40} 127.0.0.2:{other.port}@1 master - 0 0 1 connected 4-5\n"
            f"{'d' * 40} 169.254.1.1:7000@1 master - 0 0 1 connected 6-7\n"
        ).encode()

        def script(talk: Conversation) -> None:
            while True:
                words = talk.command()
                told = {
                    b"INFO": info(cluster_enabled=1, redis_mode="cluster"),
                    b"CLUSTER": bulk(nodes),
                    b"CONFIG": b"*0\r\n",
                }
                talk.send(told.get(words[0].upper(), b"+OK\r\n"))

        server = scripted_server(script, script, script)
        seed = f"redis://:the-secret@{HOST}:{server.port}"
        program = exporter(f"--redis.addr={seed}", *CLUSTER, "--discover.allow=10.0.0.0/8")
        refusal = "--discover.allow does not allow its address"
        wait_until(lambda: program.log.read_text().count(refusal) == 3, "each is refused")
        assert program.values("redis_up").keys() == {f"redis://{HOST}:{server.port}"}
        assert len(json.loads(program.get("/sd"))) == 1
        assert server_field(other, "total_connections_received") == connections + 1  # that of this question
        assert "the-secret" not in program.log.read_text()


class TestSentinel:
    @pytest.fixture
    def watched(
        self, redis_server: Callable[..., RedisServer], tmp_path: Path
    ) -> Iterator[tuple[list[Sentinel], RedisServer, list[RedisServer]]]:
        """Three Sentinels, a master and two replicas of it, all of which know each other."""
        master = redis_server("--requirepass", "pw", "--masterauth", "pw")
        replicas = [
            redis_server("--replicaof", f"{HOST} {master.port}", "--requirepass", "pw", "--masterauth", "pw")
            for _ in range(2)
        ]
        with ExitStack() as cleanup:
            sentinels: list[Sentinel] = []
            for number in range(3):
                directory = tmp_path / f"sentinel-{number}"
                directory.mkdir()
                sentinel = Sentinel(directory, [("orders", master.port, 2)], password="pw")
                cleanup.callback(sentinel.stop)
                sentinel.start()
                sentinels.append(sentinel)
            for each in sentinels:
                for what in ("SENTINELS", "REPLICAS"):
                    wait_until(partial(knows_two, each, what), f"a Sentinel knows the {what}")
            yield sentinels, master, replicas

    def test_all_are_found_from_one_sentinel_and_a_failover_is_followed(
        self,
        watched: tuple[list[Sentinel], RedisServer, list[RedisServer]],
        exporter: ExporterFactory,
    ) -> None:
        sentinels, master, replicas = watched
        seed = f"redis://:pw@{HOST}:{sentinels[0].port}"
        program = exporter(f"--redis.addr={seed}", "--discover=sentinel", *FAST)
        are_up(program, *sentinels, master, *replicas)
        names = labels(program, "master_name")
        assert {names[address(each)] for each in (master, *replicas)} == {"orders"}
        assert {names[address(each)] for each in sentinels} == {""}
        roles = meta(program, "role")
        assert [roles[address(each)] for each in (*sentinels, master, *replicas)] == [
            *["sentinel"] * 3,
            "master",
            *["slave"] * 2,
        ]
        wait_until(lambda: sentinels[1].ask("SENTINEL", "FAILOVER", "orders") == b"OK", "it may change")

        def new_master() -> str:
            [entry] = sentinels[0].entries("MASTERS")
            return f"redis://{HOST}:{entry[b'port'].decode()}"

        wait_until(lambda: new_master() != address(master), "the failover is done")
        wanted = {**roles, address(master): "slave", new_master(): "master"}
        wait_until(lambda: meta(program, "role")[new_master()] == "master", "the new role is listed")
        wait_until(lambda: meta(program, "role") == wanted, "the old master has become a replica")
        assert labels(program, "master_name") == names
        sentinels[0].kill()
        wait_until(lambda: program.values("redis_up")[address(sentinels[0])] == 0, "the seed is down")
        assert len(program.values("redis_up")) == 6

    def test_over_tls_with_users(
        self,
        redis_server: Callable[..., RedisServer],
        certificates: Certificates,
        exporter: ExporterFactory,
        tmp_path: Path,
    ) -> None:
        word = "pw-of-the-watcher"
        account = ("--user", "watcher", "on", f">{word}", "~*", "&*", "+@all")
        login = (*account, "--masteruser", "watcher", "--masterauth", word)
        args = (*login, "--tls-replication", "yes")
        master = redis_server(*args, certificates=certificates)
        follow = ("--replicaof", f"{HOST} {master.port}")
        replicas = [redis_server(*args, *follow, certificates=certificates) for _ in range(2)]
        wait_until(lambda: b"connected_slaves:2" in master.ask("INFO", "replication"), "both follow")
        with ExitStack() as cleanup:
            sentinels: list[Sentinel] = []
            for number in range(3):
                directory = tmp_path / f"sentinel-{number}"
                directory.mkdir()
                masters = [("orders", master.port, 2)]
                sentinel = Sentinel(
                    directory, masters, user="watcher", password=word, certificates=certificates
                )
                cleanup.callback(sentinel.stop)
                sentinel.start()
                sentinels.append(sentinel)
            for each in sentinels:
                for what in ("SENTINELS", "REPLICAS"):
                    wait_until(partial(knows_two, each, what), f"a Sentinel knows the {what}")
            everybody = (*sentinels, master, *replicas)
            for server in everybody:
                assert server.ask("ACL", "SETUSER", "default", "off") == b"OK"
            seed = f"rediss://watcher:{word}@{HOST}:{sentinels[0].port}"
            flags = ("--discover=sentinel", *FAST, f"--tls-ca-cert-file={certificates.ca}")
            program = exporter(f"--redis.addr={seed}", *flags)
            are_up(program, *everybody, scheme="rediss")
            assert word not in program.log.read_text() + program.get() + program.get("/sd")


class TestReplicas:
    def test_from_a_master_and_from_a_replica(
        self, redis_server: Callable[..., RedisServer], exporter: ExporterFactory
    ) -> None:
        master = redis_server()
        replicas = [redis_server("--replicaof", f"{HOST} {master.port}") for _ in range(2)]
        wait_until(lambda: b"connected_slaves:2" in master.ask("INFO", "replication"), "both follow")
        everybody = (master, *replicas)
        for seed in (master, replicas[0]):
            program = exporter(f"--redis.addr={address(seed)}", "--discover=replicas", *FAST)
            are_up(program, *everybody)
            assert set(labels(program, "cluster").values()) == {f"{HOST}:{seed.port}"}
        added = redis_server("--replicaof", f"{HOST} {master.port}")
        are_up(program, *everybody, added)
        # another one takes over: nobody is lost, and the roles change
        new = replicas[1]
        assert new.ask("REPLICAOF", "NO", "ONE") == b"OK"
        for each in (master, replicas[0], added):
            assert each.ask("REPLICAOF", HOST, new.port) == b"OK"
        wait_until(lambda: meta(program, "role")[address(new)] == "master", "the new master is listed")
        wait_until(lambda: b"connected_slaves:3" in new.ask("INFO", "replication"), "all follow the new one")
        are_up(program, *everybody, added)

    def test_a_configured_target_under_another_name_is_polled_once(
        self, redis_server: Callable[..., RedisServer], exporter: ExporterFactory
    ) -> None:
        master = redis_server()
        replica = redis_server("--replicaof", f"{HOST} {master.port}")
        by_name = f"redis://localhost:{replica.port}"
        program = exporter(f"--redis.addr={address(master)},{by_name}", "--discover=replicas", *FAST)
        wait_until(
            lambda: set(labels(program, "cluster").values()) == {f"{HOST}:{master.port}"}, "it is known"
        )
        up = {address(master): 1.0, by_name: 1.0}
        wait_until(lambda: program.values("redis_up") == up, "both are up")


def test_a_reload_costs_found_targets_nothing_and_one_without_seeds_ends_them(
    redis_cluster: Cluster, exporter: ExporterFactory, tmp_path: Path
) -> None:
    file = tmp_path / "targets.yml"
    seed = address(redis_cluster.nodes[0])
    entry = f"redis_instances: [{{addr: '{seed}', labels: {{team: %s}}, discover: %s}}]\n"
    file.write_text(entry % ("red", "cluster"))
    program = exporter(f"--config.file={file}", *FAST)
    are_up(program, *redis_cluster.nodes)
    before = [server_field(node, "total_connections_received") for node in redis_cluster.nodes]
    file.write_text(entry % ("blue", "cluster"))
    program.process.send_signal(signal.SIGHUP)
    wait_until(lambda: set(labels(program, "team").values()) == {"blue"}, "the label of the seed is on all")
    are_up(program, *redis_cluster.nodes)
    after = [server_field(node, "total_connections_received") for node in redis_cluster.nodes]
    assert [late - early for late, early in zip(after, before, strict=True)] == [1] * 6  # those of this test
    file.write_text(entry % ("blue", "none"))
    program.process.send_signal(signal.SIGHUP)
    are_up(program, redis_cluster.nodes[0])
    assert set(labels(program, "cluster").values()) == {""}
