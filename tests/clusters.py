"""Clusters and Sentinels of real servers, for tests that need more than one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import hiredis

from bench.ports import free_port
from tests.servers import HOST, Certificates, RedisServer, redis_server_path, wait_until

SLOTS = 16384
#: a node that is silent for so long seems to have failed: while the cluster is made, and later. On a busy
#: machine a node may be silent for some seconds; and a cluster with a long time takes long to become whole
START_TIMEOUT_MS = 1000
NODE_TIMEOUT_MS = 15_000
#: the same for what a Sentinel watches
DOWN_AFTER_MS = 15_000


def nodes_of(node: RedisServer) -> str:
    """Its answer to CLUSTER NODES."""
    return str(node.ask("CLUSTER", "NODES").decode())


def id_of(node: RedisServer) -> str:
    return str(node.ask("CLUSTER", "MYID").decode())


def _bus_port(node: RedisServer) -> str:
    return node.args[node.args.index("--cluster-port") + 1]


def _is_ok(node: RedisServer) -> bool:
    return b"cluster_state:ok" in node.ask("CLUSTER", "INFO")


class Cluster:
    """Masters that share the slots evenly, and `replicas` of each of them, which come after the masters in
    `nodes`. A node that is silent for `timeout_ms` seems to have failed."""

    def __init__(
        self,
        directory: Path,
        *args: str,
        masters: int = 3,
        replicas: int = 0,
        certificates: Certificates | None = None,
        timeout_ms: int = NODE_TIMEOUT_MS,
    ) -> None:
        self.masters = masters
        self._timeout_ms = timeout_ms
        self.replicas = replicas
        self.nodes: list[RedisServer] = []
        self._directory = directory
        self._args = ("--cluster-enabled", "yes", "--cluster-node-timeout", str(START_TIMEOUT_MS), *args)
        self._certificates = certificates
        if certificates is not None:
            self._args += ("--tls-cluster", "yes")

    def start(self) -> Cluster:
        """Start all nodes and return once each finds the cluster whole."""
        for number in range(self.masters * (1 + self.replicas)):
            self.nodes.append(self._start_node(number))
        first = self.nodes[0]
        for number, node in enumerate(self.nodes):
            self._ok(node, "CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for node in self.nodes[1:]:
            self._ok(first, "CLUSTER", "MEET", HOST, node.port, _bus_port(node))
        for number, node in enumerate(self.nodes[: self.masters]):
            self._ok(
                node,
                "CLUSTER",
                "ADDSLOTS",
                *range(number * SLOTS // self.masters, (number + 1) * SLOTS // self.masters),
            )
        wait_until(lambda: all(self._knows_all(node) for node in self.nodes), "every node knows every other")
        wait_until(lambda: all(map(_is_ok, self.nodes)), "every node finds all slots")
        for node in self.nodes:  # before there are replicas, which could take over
            self._ok(node, "CONFIG", "SET", "cluster-node-timeout", self._timeout_ms)
        for number, node in enumerate(self.nodes[self.masters :]):
            self._ok(node, "CLUSTER", "REPLICATE", self.nodes[number % self.masters].ask("CLUSTER", "MYID"))
        wait_until(
            lambda: all(self._is_whole(node) for node in self.nodes), "every node finds the cluster whole"
        )
        return self

    def _start_node(self, number: int) -> RedisServer:
        directory = self._directory / f"node-{number}"
        directory.mkdir()
        # by itself it would take a port for the bus that may be another worker's
        args = (*self._args, "--cluster-port", str(free_port()))
        return RedisServer(directory, *args, certificates=self._certificates).start()

    def add(self) -> RedisServer:
        """Start one more master, without slots, and return once the others know it."""
        node = self._start_node(len(self.nodes))
        self._ok(node, "CONFIG", "SET", "cluster-node-timeout", self._timeout_ms)
        self._ok(self.nodes[0], "CLUSTER", "MEET", HOST, node.port, _bus_port(node))
        wait_until(lambda: f"{id_of(node)} {HOST}:{node.port}@" in nodes_of(self.nodes[0]), "the node is met")
        self.nodes.append(node)
        return node

    @staticmethod
    def _ok(node: RedisServer, *args: str | bytes | int) -> None:
        reply = node.ask(*args)
        assert reply == b"OK", reply

    def _knows_all(self, node: RedisServer) -> bool:
        text = nodes_of(node)
        return text.count(" connected") == len(self.nodes) and "handshake" not in text

    def _is_whole(self, node: RedisServer) -> bool:
        text = nodes_of(node)
        replicas = [line for line in text.splitlines() if " slave " in line or "myself,slave" in line]
        return _is_ok(node) and len(replicas) == self.masters * self.replicas

    def stop(self) -> None:
        for node in self.nodes:
            node.stop()


class Sentinel(RedisServer):
    """A Sentinel that watches the masters given as (name, port, quorum). They have the `user` and `password`;
    with a user it has them too. Who is silent for `down_after_ms` is down."""

    def __init__(
        self,
        directory: Path,
        masters: Sequence[tuple[str, int, int]],
        *,
        user: str = "",
        password: str = "",
        certificates: Certificates | None = None,
        down_after_ms: int = DOWN_AFTER_MS,
    ) -> None:
        super().__init__(directory, certificates=certificates)
        self._down_after_ms = down_after_ms
        self._masters = masters
        self._user = user
        self._password = password

    def _command(self, port: int) -> list[str]:
        lines = [f"port {port}", f"bind {HOST}", f"dir {self.directory}", f"logfile {self.log}"]
        files = self.certificates
        if files is not None:
            lines[0] = f"port 0\ntls-port {port}\ntls-replication yes\ntls-auth-clients optional"
            lines += [f"tls-cert-file {files.server}", f"tls-key-file {files.server_key}"]
            lines.append(f"tls-ca-cert-file {files.ca}")
        if self._user:  # its own, and that of the other Sentinels
            lines.append(f"user {self._user} on >{self._password} +@all allchannels")
            lines += [f"sentinel sentinel-user {self._user}", f"sentinel sentinel-pass {self._password}"]
        for name, master_port, quorum in self._masters:
            lines += [
                f"sentinel monitor {name} {HOST} {master_port} {quorum}",
                f"sentinel down-after-milliseconds {name} {self._down_after_ms}",
                *([f"sentinel auth-user {name} {self._user}"] if self._user else []),
                *([f"sentinel auth-pass {name} {self._password}"] if self._password else []),
            ]
        file = self.directory / "sentinel.conf"
        file.write_text("\n".join(lines) + "\n")
        return [redis_server_path(), str(file), "--sentinel"]

    def entries(self, *args: str) -> list[dict[bytes, bytes]]:
        """The entries of a reply such as that to SENTINEL REPLICAS."""
        reply = self.ask("SENTINEL", *args)
        if isinstance(reply, hiredis.ReplyError):
            raise AssertionError(reply)
        return [dict(zip(entry[::2], entry[1::2], strict=True)) for entry in reply]
