"""Each configuration of deploy/prometheus, with real servers, exporters and Prometheus: every series is there
once, with the labels that the file promises."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from tests.clusters import Sentinel
from tests.deploy.set_ups import CONFIGS, SetUp, wait_for_instances
from tests.prometheus import Prometheus
from tests.servers import HOST, RedisServer, wait_until
from tests.watch_harness import RedisFactory

#: what only a Prometheus knows that is newer than Debian's; tests/deploy has tests of their own for them
NEWER = {"kubernetes.yml", "consul.yml"}
#: what docs/many-targets.md shows as its set-ups 1, 2 and so on
SAME = ("prometheus.yml", "service-discovery.yml", "cluster.yml", "allow-list.yml")
ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "prometheus.md"
MANY_TARGETS = ROOT / "docs" / "many-targets.md"

pytestmark = [pytest.mark.prometheus, pytest.mark.server]

#: starts servers of a kind, and gives their places
Places = Callable[[str], list[str]]
#: how many of them the exporter is configured with; it finds the others
CONFIGURED = {"cluster": 2, "sentinel": 3}


#: 1 of each exporter whose own series are there: only then can rules about it fire
OWN = "redis_exporter_config_last_reload_successful and on (job, instance) redis_exporter_build_info"


class Case(NamedTuple):
    """`servers` are a kind, and how many; `targets` is what Prometheus scrapes. `labels` are those of
    redis_up beside `instance` and `job`, `values` those of some queries."""

    servers: str
    targets: int
    labels: frozenset[str]
    values: dict[str, list[float]]


PLAIN = {"count by (team) (redis_up)": [1.0, 2.0], "count({addr!=''} or {alias!=''})": []}
CASES = {
    "prometheus.yml": Case("plain 3", 2, frozenset({"team"}), {**PLAIN, "up{job='prometheus'}": [1.0]}),
    "relabelled.yml": Case("plain 3", 1, frozenset(), {"count({addr!=''} or {alias!=''})": []}),
    "service-discovery.yml": Case(
        "plain 3", 4, frozenset({"team"}), {**PLAIN, "redis_exporter_targets{state='up'}": [3.0]}
    ),
    "allow-list.yml": Case("plain 3", 4, frozenset({"team"}), PLAIN),
    "intervals.yml": Case(
        "plain 4",
        5,
        frozenset({"group"}),
        {
            f"count(redis_up{{job='redis-{group}',group='{group}'}})": [1.0]
            for group in ("critical", "production", "staging", "dev")
        },
    ),
    "data-centres.yml": Case(
        "plain 3",
        3,
        frozenset({"datacenter", "cluster"}),
        {
            "count by (datacenter) (redis_up{cluster='production'})": [1.0, 1.0, 1.0],
            "count by (datacenter) (redis_exporter_build_info)": [1.0, 1.0, 1.0],
        },
    ),
    "cluster.yml": Case(
        "cluster",
        1,
        frozenset({"cluster", "shard", "node_id", "team"}),
        {
            "count by (cluster, shard) (redis_up{cluster='orders'})": [2.0, 2.0, 2.0],
            "count(redis_cluster_state == 1)": [6.0],
            "count by (role) (redis_instance_info)": [3.0, 3.0],
        },
    ),
    "sentinel.yml": Case(
        "sentinel",
        1,
        frozenset({"cluster", "node_id", "master_name"}),
        {
            "count(redis_up{master_name='orders'})": [2.0],
            "count by (master_name) (redis_sentinel_master_status)": [3.0],
            "count by (role) (redis_instance_info)": [1.0, 1.0, 3.0],
        },
    ),
}


@pytest.fixture
def places(
    request: pytest.FixtureRequest, redis_server: RedisFactory, tmp_path: Path, stack: ExitStack
) -> Places:
    def sentinels() -> list[RedisServer]:
        master = redis_server()
        replica = redis_server("--replicaof", f"{HOST} {master.port}")
        started = []
        for number in range(3):
            directory = tmp_path / f"sentinel-{number}"
            directory.mkdir()
            sentinel = Sentinel(directory, [("orders", master.port, 2)])
            stack.callback(sentinel.stop)
            started.append(sentinel.start())
        return [*started, master, replica]

    def start(kind: str) -> list[str]:
        name, _, count = kind.partition(" ")
        if name == "cluster":
            servers = request.getfixturevalue("redis_cluster").nodes
        else:
            servers = sentinels() if name == "sentinel" else [redis_server() for _ in range(int(count))]
        return [f"{HOST}:{server.port}" for server in servers]

    return start


def holds(prometheus: Prometheus, query: str, values: list[float]) -> bool:
    return sorted(prometheus.ask(query)) == values


@pytest.mark.parametrize("name", CASES)
def test_every_series_is_there_once_with_the_labels_that_are_promised(
    name: str, places: Places, tmp_path: Path, stack: ExitStack
) -> None:
    run(name, places, tmp_path, stack)


@pytest.mark.deploy
@pytest.mark.usefixtures("newest_prometheus")
@pytest.mark.parametrize("name", CASES)
def test_so_it_is_with_the_newest_prometheus(
    name: str, places: Places, tmp_path: Path, stack: ExitStack
) -> None:
    run(name, places, tmp_path, stack)


def run(name: str, places: Places, tmp_path: Path, stack: ExitStack) -> None:
    case = CASES[name]
    servers = places(case.servers)
    running = SetUp(name, servers[: CONFIGURED.get(case.servers)], tmp_path, stack)
    asked = running.prometheus()
    wait_for_instances(asked, "redis_up == 1", servers)
    asked.wait_for("up", *[1] * case.targets)
    asked.wait_for(OWN, *[1] * len(running.exporters))
    for query, values in case.values.items():
        wait_until(partial(holds, asked, query, values), f"{query} is {values}")
    wait_until(lambda: asked.ask("min(count_over_time(up[1m])) >= 3") != [], "three scrapes")
    wait_for_instances(asked, "redis_up", servers)
    for labels in asked.labels_of("redis_up"):
        assert labels.keys() - {"__name__", "instance", "job"} <= case.labels
    assert {label for labels in asked.labels_of("redis_up") for label in labels} >= case.labels
    assert asked.ask("count({exported_instance!=''} or {exported_job!=''})") == []
    wait_until(lambda: asked.rule_faults() == [], "every rule can be evaluated")
    assert asked.refused_samples() == 0
    assert asked.complaints() == []


def test_every_configuration_is_run() -> None:
    elsewhere = {"pair.yml", "haproxy.yml"} | NEWER
    assert {file.name for file in CONFIGS.glob("*.yml")} == CASES.keys() | elsewhere


def test_promtool_accepts_them() -> None:
    files = sorted(str(file) for file in CONFIGS.glob("*.yml") if file.name not in NEWER)
    done = subprocess.run(
        ["promtool", "check", "config", *files], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("SUCCESS: ") >= len(files)


def test_prometheus_starts_with_the_options_of_its_storage(tmp_path: Path) -> None:
    text = (CONFIGS / "prometheus.default").read_text()
    [arguments] = re.findall(r'^ARGS="(.*)"$', text, re.M)
    path, *flags = shlex.split(arguments)
    assert path.startswith("--storage.tsdb.path=")
    prometheus = Prometheus(tmp_path, "global: {}\n", *flags)
    try:
        assert prometheus.runtime()["storageRetention"] == "30d or 50GiB"
    finally:
        prometheus.stop()


def test_prometheus_refuses_the_options_of_its_storage_in_its_file(tmp_path: Path) -> None:
    file = tmp_path / "prometheus.yml"
    file.write_text("storage: {tsdb: {path: /prometheus, retention.time: 30d}}\n")
    done = subprocess.run(
        ["promtool", "check", "config", file], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode != 0
    assert "field path not found" in done.stderr


def test_a_group_is_polled_as_often_as_it_is_scraped() -> None:
    jobs = configs_of((CONFIGS / "intervals.yml").read_text())
    scraped = {job["params"]["group"][0]: job["scrape_interval"] for job in jobs if "group" in job["params"]}
    groups = yaml.safe_load((CONFIGS / "exporter" / "intervals.yml").read_text())["groups"]
    assert scraped == {name: group["interval"] for name, group in groups.items()}
    assert list(scraped) == [group["labels"]["group"] for group in groups.values()]


@pytest.mark.parametrize("command", re.findall(r"^redis_exporter (.*)$", PAGE.read_text(), re.M))
def test_commands_of_the_page_are_accepted(command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "exporter", "check", *shlex.split(command)],
        cwd=CONFIGS,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("sources", "address"),
    [
        ("10.0.0.7:6379;9121", "10.0.0.7:9121"),
        ("10.0.0.7;9121", "10.0.0.7:9121"),
        ("[fd00::7]:6379;9121", "[fd00::7]:9121"),
        ("10.0.0.7:6379;", None),
    ],
)
def test_the_rule_for_ports_keeps_the_host(sources: str, address: str | None) -> None:
    """What joins the two source labels, and what becomes of it; None: the address stays."""
    [job] = configs_of((CONFIGS / "kubernetes.yml").read_text())
    [rule] = [rule for rule in job["relabel_configs"] if rule.get("target_label") == "__address__"]
    match = re.fullmatch(rule["regex"], sources)
    assert (match and match.expand(re.sub(r"\$(\d)", r"\\\1", rule["replacement"]))) == address


def test_the_page_shows_the_rule_for_ports_as_it_is() -> None:
    [shown] = yaml_blocks(PAGE.read_text())
    [job] = configs_of((CONFIGS / "kubernetes.yml").read_text())
    [rule] = yaml.safe_load(shown)
    assert rule in job["relabel_configs"]


@pytest.mark.parametrize(("number", "name"), list(enumerate(SAME, 1)))
def test_the_page_of_many_targets_shows_the_same(number: int, name: str) -> None:
    """But for the scrape interval, and for what has nothing to do with Redis."""
    section = re.split(r"^## \d+\. .*$", MANY_TARGETS.read_text(), flags=re.M)[number]
    assert f"](../deploy/prometheus/{name})" in section
    shown = next(text for text in yaml_blocks(section) if text.startswith("# prometheus.yml"))
    jobs = [job for job in configs_of((CONFIGS / name).read_text()) if job["job_name"] != "prometheus"]
    assert configs_of(shown) == jobs


@pytest.mark.parametrize(("number", "name"), [(0, "one-page.yml"), (3, "cluster.yml")])
def test_it_shows_the_same_files_of_the_exporter(number: int, name: str) -> None:
    section = re.split(r"^## \d+\. .*$", MANY_TARGETS.read_text(), flags=re.M)[number]
    shown = yaml_blocks(section)[0]
    assert yaml.safe_load(shown) == yaml.safe_load((CONFIGS / "exporter" / name).read_text())


def yaml_blocks(text: str) -> list[str]:
    return re.findall(r"^```yaml\n(.*?)^```$", text, re.M | re.S)


def configs_of(text: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load(text)["scrape_configs"])
