"""`/scrape` answers for every node of a real cluster that `/discover-cluster-nodes` lists."""

from __future__ import annotations

import json
import urllib.error
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.clusters import Cluster, id_of, nodes_of
from tests.prometheus import Prometheus
from tests.servers import HOST, Certificates, RedisServer, wait_until
from tests.system.conftest import Exporter

LISTED = "/discover-cluster-nodes"
FAST = ("--is-cluster", "--poll.slow-interval=1s", "--poll.standard-interval=1s")
CONFIG = """
global: {{scrape_interval: 1s}}
scrape_configs:
  - job_name: nodes
    metrics_path: /scrape
    http_sd_configs:
      - url: http://{exporter}/discover-cluster-nodes
        refresh_interval: 5s
    relabel_configs:
      - source_labels: [__address__]
        target_label: __param_target
      - source_labels: [__param_target]
        target_label: instance
      - target_label: __address__
        replacement: {exporter}
"""


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path / "cluster")
    (tmp_path / "cluster").mkdir()
    try:
        yield cluster.start()
    finally:
        cluster.stop()


def address(node: RedisServer) -> str:
    return f"redis://{HOST}:{node.port}"


def listed(program: Exporter) -> list[str]:
    [group] = json.loads(program.get(LISTED))
    return list(group["targets"])


def page_of(program: Exporter, target: str) -> str:
    return program.get(f"/scrape?target={target}")


def answer_of(program: Exporter, target: str) -> tuple[int, str]:
    try:
        return 200, page_of(program, target)
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read().decode()


def is_up(program: Exporter, target: str) -> bool:
    return "\nredis_up 1" in page_of(program, target)


@pytest.mark.server
@pytest.mark.prometheus
def test_prometheus_scrapes_every_node_that_is_listed(
    cluster: Cluster, exporter: Callable[..., Exporter], tmp_path: Path
) -> None:
    program = exporter(f"--redis.addr={address(cluster.nodes[0])}", *FAST)
    prometheus = Prometheus(tmp_path / "prometheus", CONFIG.format(exporter=f"{HOST}:{program.port}"))
    try:
        prometheus.wait_for('sum(redis_up{job="nodes"})', 3)
        prometheus.wait_for('count(up{job="nodes"} == 1)', 3)
        prometheus.wait_for("count(count by (run_id) (redis_instance_info))", 3)
        gone = cluster.nodes[2]
        gone.kill()
        prometheus.wait_for(f'redis_up{{instance="{address(gone)}"}}', 0)
        prometheus.wait_for("sum(redis_up)", 2)
        added = cluster.add()
        prometheus.wait_for(f'redis_up{{instance="{address(added)}"}}', 1)
        assert prometheus.complaints() == []
    finally:
        prometheus.stop()
    assert set(program.values("redis_up")) == {address(cluster.nodes[0])}


@pytest.mark.server
def test_a_node_that_its_cluster_forgets_is_forgotten(
    cluster: Cluster, exporter: Callable[..., Exporter]
) -> None:
    first, second, third = cluster.nodes
    program = exporter(f"--redis.addr={address(first)}", *FAST)
    wait_until(lambda: len(listed(program)) == 3, "all nodes are listed")
    wait_until(lambda: is_up(program, address(third)), "the node is up")
    forgotten = id_of(third)
    third.kill()
    for node in (first, second):
        assert node.ask("CLUSTER", "FORGET", forgotten) == b"OK"
    wait_until(lambda: address(third) not in listed(program), "the list is without it")
    wait_until(lambda: answer_of(program, address(third))[0] == 403, "it is a stranger")
    end = "polls of the target end: no configured target names it any longer"
    wait_until(lambda: end in program.log.read_text(), "the log says so")
    wait_until(lambda: is_up(program, address(second)), "another one is up")


@pytest.mark.server
def test_a_node_has_all_lanes_no_labels_of_its_own_and_no_keys(
    cluster: Cluster, exporter: Callable[..., Exporter]
) -> None:
    first, second, _ = cluster.nodes
    keys = [f"key{number}" for number in range(20)]
    for key in keys:
        for node in cluster.nodes:
            node.ask("SET", key, "1")
    program = exporter(f"--redis.addr={address(first)}", *FAST, f"--check-single-keys={','.join(keys)}")
    wait_until(lambda: len(listed(program)) == 3, "all nodes are listed")
    wait_until(lambda: is_up(program, address(second)), "another node is up")
    page = page_of(program, address(second))
    assert f'tcp_port="{second.port}"' in page
    for name in ("redis_commands_total", "redis_config_maxclients", "redis_cluster_known_nodes"):
        assert f"\n{name}" in page
    assert "addr=" not in page.replace("client_addr=", "")
    assert "redis_key_size" not in page
    seed = page_of(program, address(first))
    assert seed.count("\nredis_key_size{") == len(keys)


@pytest.mark.server
def test_the_address_of_a_configured_target_itself_leads_to_it(
    cluster: Cluster, exporter: Callable[..., Exporter]
) -> None:
    first = cluster.nodes[0]
    program = exporter(f"--redis.addr=redis://localhost:{first.port}", *FAST)
    wait_until(lambda: address(first) in listed(program), "the nodes are listed")
    wait_until(lambda: is_up(program, address(first)), "the target is up")
    assert "polling a node" not in program.log.read_text()
    assert program.get("/scrape?target=" + listed(program)[0])


@pytest.mark.server
def test_only_what_a_target_names_and_the_options_allow_is_dialled(
    cluster: Cluster, redis_server: Callable[..., RedisServer], exporter: Callable[..., Exporter]
) -> None:
    first, second, _ = cluster.nodes
    stranger = redis_server()
    program = exporter(f"--redis.addr={address(first)}", *FAST)
    wait_until(lambda: len(listed(program)) == 3, "all nodes are listed")
    for text in (address(stranger), f"{address(second)}/1", f"rediss://{HOST}:{second.port}"):
        status, body = answer_of(program, text)
        assert (status, "--redis.addr" in body) == (403, True)
    assert stranger.ask("INFO", "clients").count(b"connected_clients:1") == 1
    assert "\nredis_exporter_adopted_targets" not in program.get()


@pytest.mark.server
def test_without_is_cluster_nodes_are_strangers(cluster: Cluster, exporter: Callable[..., Exporter]) -> None:
    program = exporter(f"--redis.addr={address(cluster.nodes[0])}")
    status, body = answer_of(program, address(cluster.nodes[1]))
    assert status == 403
    assert "--is-cluster" in body


@pytest.mark.server
def test_nodes_get_the_login_and_tls_of_their_seed_and_may_be_known_by_name(
    certificates: Certificates, exporter: Callable[..., Exporter], tmp_path: Path
) -> None:
    (tmp_path / "cluster").mkdir()
    login = ("--user", "watcher", "on", ">pw", "+@all")
    cluster = Cluster(tmp_path / "cluster", *login, certificates=certificates)
    try:
        cluster.start()
        for node in cluster.nodes:
            node.ask("CONFIG", "SET", "cluster-announce-hostname", "LocalHost")
        wait_until(lambda: nodes_of(cluster.nodes[0]).count(",LocalHost ") == 3, "their names are known")
        for node in cluster.nodes:
            node.ask("ACL", "SETUSER", "default", "off")
        program = exporter(
            f"--redis.addr=rediss://watcher:pw@{HOST}:{cluster.nodes[0].port}",
            f"--tls-ca-cert-file={certificates.ca}",
            "--cluster-discover-hostnames",
            *FAST,
        )
        wanted = sorted(f"rediss://localhost:{node.port}" for node in cluster.nodes)
        wait_until(lambda: listed(program) == wanted, "the nodes are listed by name")
        for target in wanted:
            wait_until(partial(is_up, program, target), f"{target} is up")
        said = "polling a node of the cluster of"
        wait_until(lambda: program.log.read_text().count(said) == 2, "the log says so")
        assert "pw@" not in program.log.read_text()
    finally:
        cluster.stop()
