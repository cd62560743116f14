"""Servers that have something to show in every panel: a master with replicas and a conflict, a cluster,
Sentinels, a loaded server with streams and keys, one that refuses commands, some that do not answer."""

from __future__ import annotations

import json
import socket
import threading
from contextlib import ExitStack, suppress
from pathlib import Path

from bench.ports import free_port
from tests.clusters import Cluster, Sentinel
from tests.servers import HOST, PATIENCE_S, RedisServer, wait_until
from tests.system.conftest import Exporter

SCRIPT = 'return {"users", "3"}'
FLAGS = (
    "--poll.standard-interval=1s",
    "--poll.slow-interval=2s",
    "--poll.scan-interval=3s",
    "--check-keys=db0=user:*",
    "--check-single-keys=db0=counter,db0=none",
    "--count-keys=db0=user:*",
    "--check-single-streams=db0=orders",
    "--check-key-groups=^(.*):",
    "--export-client-list",
    "--client-list-by=name",
    "--include-config-metrics",
    "--include-config-hash",
    "--include-memory-stats-metrics",
    "--include-system-metrics",
    "--web.enable-lifecycle",
    "--shard.index=0",
    "--shard.total=1",
    "--scrape.allow=127.0.0.1",
)


class Servers:
    """All servers, under load from `start` to `stop`."""

    def __init__(self, directory: Path, cluster: Cluster) -> None:
        self.cluster = cluster
        self._directory = directory
        self._cleanup = ExitStack()
        self._over = threading.Event()
        self._load = threading.Thread(target=self._work, daemon=True)

    def start(self) -> Servers:
        self.master = self._server("--repl-diskless-sync-delay", "0")
        of_master = ("--replicaof", f"{HOST} {self.master.port}", "--repl-diskless-sync-delay", "0")
        self.replica = self._server(*of_master)
        self.promoted = self._server(*of_master)
        self.busy = self._server(
            *("--maxmemory", "3mb", "--maxmemory-policy", "allkeys-lru", "--appendonly", "yes"),
            *("--latency-monitor-threshold", "1", "--slowlog-log-slower-than", "2000"),
            *("--enable-debug-command", "local", "--timeout", "77"),
        )
        self.refusing = self._server()
        self.silent = self._server()
        self.paused = self._server()
        self.adopted = self._server()
        wait_until(lambda: all(map(_is_linked, (self.replica, self.promoted))), "the replicas have copied")
        self.promoted.ask("REPLICAOF", "NO", "ONE")
        for command in ("slowlog", "lolwut"):
            self.refusing.ask("ACL", "SETUSER", "default", f"-{command}")
        self.sentinels = [self._sentinel(number) for number in range(2)]
        self._data()
        self._load.start()
        return self

    def _server(self, *args: str) -> RedisServer:
        return self._started(RedisServer(self._folder(), *args))

    def _sentinel(self, number: int) -> RedisServer:
        return self._started(Sentinel(self._folder(), [("orders", self.master.port, 2)]))

    def _folder(self) -> Path:
        folder = self._directory / f"server-{len(list(self._directory.iterdir()))}"
        folder.mkdir()
        return folder

    def _started(self, server: RedisServer) -> RedisServer:
        self._cleanup.callback(server.stop)
        return server.start()

    def _data(self) -> None:
        busy = self.busy
        for number in range(5):
            busy.ask("SET", f"user:{number}", number * 100, "EX", 3600)
        busy.ask("SET", "counter", 1)
        busy.ask("XGROUP", "CREATE", "orders", "ship", 0, "MKSTREAM")
        for server in (busy, self.master):
            server.ask("BGSAVE", "SCHEDULE")
        wait_until(
            lambda: b"rdb_bgsave_in_progress:0" in busy.ask("INFO", "persistence"), "a dump is written"
        )
        busy.ask("BGREWRITEAOF")

    def _work(self) -> None:
        """Some of everything, until the end; a server that does not answer is left out."""
        round_number = 0
        while not self._over.wait(0.1):
            round_number += 1
            for ask in (self._use_busy, self._use_others):
                with suppress(OSError):
                    ask(round_number)

    def _use_busy(self, round_number: int) -> None:
        busy = self.busy
        for number in range(8):
            busy.ask(
                "SET", f"filler:{round_number}:{number}", b"x" * 20000, "PX", 1500 if number % 2 else 60000
            )
        for number in range(5):
            busy.ask("SET", f"user:{number}", round_number + number, "EX", 3600)
            busy.ask("GET", f"user:{number}")
        busy.ask("INCR", "counter")
        busy.ask("GET", "none")
        busy.ask("LPUSH", "counter", 1)  # an error
        busy.ask("XADD", "orders", "*", "number", round_number)
        busy.ask("XGROUP", "CREATE", "orders", "ship", 0)  # again, if the stream was evicted
        busy.ask("XREADGROUP", "GROUP", "ship", "worker", "COUNT", 1, "STREAMS", "orders", ">")
        busy.ask("PUBLISH", "news", "x")
        if round_number % 10 == 0:
            busy.ask("DEBUG", "SLEEP", "0.005")

    def _use_others(self, round_number: int) -> None:
        self.master.ask("SET", "a", round_number)
        self.refusing.ask("LOLWUT")  # refused
        for node in self.cluster.nodes[: self.cluster.masters]:
            node.ask("SET", f"key:{round_number}", "x" * 100)  # MOVED by most

    def targets_file(self, path: Path, *, limited: bool) -> Path:
        """A configuration file with all of them but the adopted one. If it is `limited`, two targets have
        limits that are too low for them."""
        entries = []

        def add(port: int, **labels: str) -> None:
            entries.append({"addr": f"redis://{HOST}:{port}", "labels": labels})

        for server in (self.master, self.replica, self.promoted):
            add(server.port, group="orders")
        for server in (self.busy, self.refusing, self.silent):
            add(server.port, group="cache")
        if limited:
            entries[0]["options"] = {"max-series-per-family": 20}
            entries[-2]["options"] = {"reply.max-rows": 30}
        for node in self.cluster.nodes:
            add(node.port, group="wide", cluster="wide")
        add(free_port(), group="gone")
        for sentinel in self.sentinels:
            add(sentinel.port, group="sentinels")
        entries.append({"name": "rest", "addr": f"redis://{HOST}:{self.paused.port}"})
        path.write_text(json.dumps({"redis_instances": entries}))
        return path

    def stop(self) -> None:
        self._over.set()
        if self._load.is_alive():
            self._load.join()
        self._cleanup.close()


def _is_linked(replica: RedisServer) -> bool:
    return b"master_link_status:up" in replica.ask("INFO", "replication")


def bare_exporter_of(servers: Servers, directory: Path, *flags: str) -> Exporter:
    """An exporter of all servers without any flag that a panel may need."""
    directory.mkdir()
    file = servers.targets_file(directory / "targets.json", limited=False)
    return Exporter(directory / "bare.log", f"--redis-file={file}", *flags)


def exporter_of(servers: Servers, directory: Path, name: str, *flags: str) -> Exporter:
    """An exporter of all servers, with every flag that a panel may need, and something that went wrong."""
    directory.mkdir()
    script = directory / "users.lua"
    script.write_text(SCRIPT)
    found = directory / "found.json"
    found.write_text(json.dumps([{"targets": [f"{HOST}:{servers.paused.port}"], "labels": {}}]))
    program = Exporter(
        directory / f"{name}.log",
        f"--redis-file={servers.targets_file(directory / 'targets.json', limited=True)}",
        f"--script={script}",
        f"--targets.file-sd={found}",
        *FLAGS,
        *flags,
    )
    with socket.create_connection((HOST, program.port), timeout=PATIENCE_S) as sock:
        sock.sendall(b"nonsense\r\n\r\n")
        sock.recv(1000)
    program.get(f"/scrape?target=redis://{HOST}:{servers.adopted.port}")
    return program
