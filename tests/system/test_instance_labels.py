"""With `--target-labels=instance`, a real Prometheus shows one page of several servers as if it scraped each
by itself."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.prometheus import Prometheus
from tests.servers import HOST, wait_until
from tests.system.conftest import Exporter, ExporterFactory
from tests.watch_harness import RedisFactory

CONFIG = """
global: {{scrape_interval: 1s}}
scrape_configs:
  - job_name: page
    honor_labels: true
    static_configs: [{{targets: ["{exporter}"]}}]
  - job_name: each
    honor_labels: true
    metrics_path: /scrape
    static_configs: [{{targets: [{targets}]}}]
    relabel_configs: &by_target
      - {{source_labels: [__address__], target_label: __param_target}}
      - {{source_labels: [__param_target], target_label: instance}}
      - {{target_label: __address__, replacement: "{exporter}"}}
  - job_name: each_without_honor_labels
    metrics_path: /scrape
    static_configs: [{{targets: [{targets}]}}]
    relabel_configs: *by_target
"""

#: how many targets Prometheus has
JOBS = {"page": 1, "each": 4, "each_without_honor_labels": 4}
#: of dashboards and alerts that people use, how they join and group; J stands for the selector of a job
EXPRESSIONS = {
    "memory over its limit": (
        "redis_memory_used_bytes{J} / redis_memory_max_bytes{J} * 100 > 90"
        " and on (instance) redis_memory_max_bytes{J} > 0"
    ),
    "replicas that are missing": (
        "count without (instance, job) (redis_connected_slaves{J})"
        " - sum without (instance, job) (redis_connected_slaves{J}) - 1 > 0"
    ),
    "no replica": "redis_connected_slaves{J} < 1 and on (instance) redis_instance_info{J,role='master'}",
    "too many masters": "count(redis_instance_info{J,role='master'}) > 1",
    "clients of their limit": "redis_connected_clients{J} / redis_config_maxclients{J} > 0",
    "down": "redis_up{J} == 0",
    "keys": "sum by (instance) (redis_db_keys{J})",
    "commands": "sum by (instance, cmd) (redis_commands_total{J,cmd='info'})",
    "hits of all reads": (
        "redis_keyspace_hits_total{J} / (redis_keyspace_hits_total{J} + redis_keyspace_misses_total{J}) >= 0"
    ),
    "commands a second": "sum by (instance) (rate(redis_commands_processed_total{J}[1m])) > 0",
    "old values": "redis_exporter_snapshot_age_seconds{J,lane='fast'} < 30",
}


class Fleet:
    """A server with a limit of memory that it has reached, a master with a replica, and one that is down."""

    def __init__(self, redis_server: RedisFactory, exporter: ExporterFactory, directory: Path) -> None:
        self.full = redis_server("--maxmemory", "1mb")
        self.master = redis_server()
        self.replica = redis_server("--replicaof", f"{HOST} {self.master.port}")
        self.down = redis_server()
        self.servers = [self.full, self.master, self.replica, self.down]
        self.places = sorted(f"{HOST}:{server.port}" for server in self.servers)
        self.master.ask("SET", "hit", "1")
        for server in self.servers:
            server.ask("GET", "hit")
            server.ask("PING")
        self.down.stop()
        self.exporter: Exporter = exporter(
            "--redis.addr=" + ",".join(f"redis://{place}" for place in self.places),
            "--target-labels=instance",
            "--poll.standard-interval=1s",
        )
        self.prometheus = Prometheus(
            directory,
            CONFIG.format(
                exporter=f"{HOST}:{self.exporter.port}",
                targets=", ".join(f'"{place}"' for place in self.places),
            ),
        )

    def found(self, expression: str, job: str) -> set[frozenset[tuple[str, str]]]:
        """The labels of what an expression gives of one job, without the job's name."""
        series = self.prometheus.series(expression.replace("{J", f"{{job='{job}'"))
        return {
            frozenset(pair for pair in labels.items() if pair[0] not in ("job", "__name__"))
            for labels, _ in series
        }

    def finds(self, expression: str, found: set[frozenset[tuple[str, str]]]) -> bool:
        return self.found(expression, "page") == found

    def agrees_on(self, expression: str) -> bool:
        """Whether an expression gives something, and the same series of each job."""
        page, *others = (self.found(expression, job) for job in JOBS)
        return bool(page) and all(other == page for other in others)


@pytest.fixture
def fleet(redis_server: RedisFactory, exporter: ExporterFactory, tmp_path: Path) -> Iterator[Fleet]:
    fleet = Fleet(redis_server, exporter, tmp_path / "prometheus")
    try:
        yield fleet
    finally:
        fleet.prometheus.stop()


@pytest.mark.prometheus
@pytest.mark.server
def test_dashboards_and_alerts_find_what_they_find_with_one_scrape_for_each(fleet: Fleet) -> None:
    down = frozenset({("instance", f"{HOST}:{fleet.down.port}")})
    full = frozenset({("instance", f"{HOST}:{fleet.full.port}")})
    for job, targets in JOBS.items():
        selector = f"{{job='{job}'}}"
        fleet.prometheus.wait_for(f"count(redis_up{selector})", 4)
        assert fleet.prometheus.label_values("instance", f"redis_up{selector}") == fleet.places
        fleet.prometheus.wait_for(f"up{selector}", *[1] * targets)
    for name, expression in EXPRESSIONS.items():
        wait_until(
            partial(fleet.agrees_on, expression), f"{name}: something is found, and the same of each job"
        )
    for name, found in (("down", {down}), ("memory over its limit", {full})):
        wait_until(partial(fleet.finds, EXPRESSIONS[name], found), f"{name}: the one that it is about")


@pytest.mark.prometheus
@pytest.mark.server
def test_the_exporters_own_series_have_the_instance_of_the_exporter(fleet: Fleet) -> None:
    own = f"{HOST}:{fleet.exporter.port}"
    wait_until(lambda: fleet.found("redis_exporter_build_info{J}", "page"), "a page")
    for name in ("redis_exporter_build_info", "up", "process_start_time_seconds"):
        wait_until(partial(fleet.found, f"{name}{{J}}", "page"), name)
        assert fleet.prometheus.label_values("instance", f"{name}{{job='page'}}") == [own]
    assert fleet.found('{J,instance=""}', "page") == set()
    assert fleet.prometheus.ask('count({exported_instance!=""})') == []
    assert fleet.prometheus.ask('count({addr!=""})') == []
    assert fleet.prometheus.complaints() == []
