"""What tests/deploy/test_compatibility.py looks at: servers of each kind under load, and one Prometheus that
scrapes them in five arrangements."""

from __future__ import annotations

import threading
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path

import hiredis

from tests.clusters import Cluster, Sentinel
from tests.prometheus import Prometheus
from tests.servers import HOST, RedisServer, wait_until
from tests.system.conftest import Exporter

FLAGS = (
    "--poll.standard-interval=1s",
    "--poll.slow-interval=1s",
    "--include-config-metrics",
    "--include-system-metrics",
    "--include-memory-stats-metrics",
)
#: the label `job` says which arrangement a series is of
RAW, RELABELLED, DROPPED, EACH, INSTANCE = "raw", "relabelled", "dropped", "each", "instance"
ARRANGEMENTS = (RAW, RELABELLED, DROPPED, EACH, INSTANCE)
CONFIG = """
global: {{scrape_interval: 1s}}
scrape_configs:
  - job_name: raw
    static_configs: &page [{{targets: ["{auto}"]}}]
  - job_name: relabelled
    static_configs: *page
    metric_relabel_configs:
      - &instance {{source_labels: [addr], regex: "[a-z]+://(.+)", target_label: instance}}
  - job_name: dropped
    static_configs: *page
    metric_relabel_configs:
      - *instance
      - {{regex: addr|alias, action: labeldrop}}
  - job_name: each
    metrics_path: /scrape
    static_configs: [{{targets: [{targets}]}}]
    relabel_configs:
      - {{source_labels: [__address__], target_label: __param_target}}
      - {{source_labels: [__param_target], target_label: instance}}
      - {{target_label: __address__, replacement: "{auto}"}}
  - job_name: instance
    honor_labels: true
    static_configs: [{{targets: ["{instance}"]}}]
"""


class Servers:
    """A master with a maximum of memory and its replica, a server alone, a cluster, a Sentinel. Load lasts
    until `stack` ends."""

    def __init__(self, directory: Path, cluster: Cluster, stack: ExitStack) -> None:
        self._directory = directory
        self._stack = stack
        self.master = self._started(RedisServer(self._folder(), "--maxmemory", "64mb"))
        self.replica = self._started(RedisServer(self._folder(), "--replicaof", f"{HOST} {self.master.port}"))
        self.alone = self._started(RedisServer(self._folder(), "--appendonly", "yes"))
        self.sentinel = self._started(Sentinel(self._folder(), [("orders", self.master.port, 1)]))
        self.nodes = cluster.nodes
        self.cluster_masters = cluster.nodes[: cluster.masters]
        self.all = [self.master, self.replica, self.alone, self.sentinel, *self.nodes]
        self._over = threading.Event()
        self._load = threading.Thread(target=self._work)
        wait_until(lambda: b"state=online" in self.master.ask("INFO", "replication"), "the replica follows")
        self._load.start()
        stack.callback(self._end)

    def _folder(self) -> Path:
        folder = self._directory / f"server-{len(list(self._directory.iterdir()))}"
        folder.mkdir()
        return folder

    def _started(self, server: RedisServer) -> RedisServer:
        self._stack.callback(server.stop)
        return server.start()

    def _work(self) -> None:
        keys = {node.port: key_of(node) for node in self.cluster_masters}
        while not self._over.wait(0.2):
            for server in (self.master, self.alone, *self.cluster_masters):
                key = keys.get(server.port, "key")
                with suppress(OSError):
                    for command in (
                        *(("SET", key, "1", "EX", "1000"), ("GET", key), ("INCR", key), ("LPUSH", key, "a")),
                        *(("DEL", key), ("GET", key), ("RPUSH", key, "a"), ("LRANGE", key, "0", "1")),
                        *(("LPOP", key), ("SET", key, "1")),
                    ):
                        server.ask(*command)
            with suppress(OSError):
                self.replica.ask("GET", "key")

    def _end(self) -> None:
        self._over.set()
        self._load.join()

    def places(self, kind: str) -> set[str]:
        """The places of a kind of servers, as tests/data/dashboards names it."""
        masters = [self.master, self.alone, *self.cluster_masters]
        cluster_replicas = self.nodes[len(self.cluster_masters) :]
        kinds = {
            "all": self.all,
            "data": [server for server in self.all if server is not self.sentinel],
            "masters": masters,
            "replicas": [self.replica, *cluster_replicas],
            "with_replica": [self.master, *self.cluster_masters],
            "lonely": [self.alone],
            "appending": [self.alone],
            "nodes": self.nodes,
            "sentinels": [self.sentinel],
            "limited": [self.master],
        }
        return {f"{HOST}:{server.port}" for server in kinds[kind]}


def key_of(node: RedisServer) -> str:
    """A key whose slot a node of a cluster has."""
    return next(
        key for key in map(str, range(1000)) if not isinstance(node.ask("SET", key, "1"), hiredis.ReplyError)
    )


def scraping(directory: Path, servers: Servers, stack: ExitStack) -> tuple[Prometheus, str]:
    """Prometheus, once it has scraped all arrangements often enough for rates; and where the exporter is that
    shows `addr` and `alias`."""
    places = sorted(servers.places("all"))
    addresses = "--redis.addr=" + ",".join(f"redis://{place}" for place in places)
    auto = Exporter(directory / "auto.log", addresses, *FLAGS)
    stack.callback(auto.stop)
    instance = Exporter(directory / "instance.log", addresses, *FLAGS, "--target-labels=instance")
    stack.callback(instance.stop)
    config = CONFIG.format(
        auto=f"{HOST}:{auto.port}",
        instance=f"{HOST}:{instance.port}",
        targets=", ".join(f'"{place}"' for place in places),
    )
    prometheus = Prometheus(directory / "prometheus", config)
    stack.callback(prometheus.stop)
    for job in ARRANGEMENTS:
        often = f"count(count_over_time(redis_commands_processed_total{{job='{job}'}}[1m]) >= 4)"
        wait_until(partial(_gives, prometheus, often, float(len(places))), f"four scrapes of {job}")
    return prometheus, f"{HOST}:{auto.port}"


def _gives(prometheus: Prometheus, query: str, value: float) -> bool:
    return prometheus.ask(query) == [value]
