"""The helm chart prometheus-community/prometheus-redis-exporter with several targets: what its ServiceMonitor
makes Prometheus do, with real servers.

Each of its targets becomes a job with a `target` of its own. `instance` and `target` are set on the series
after the scrape.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.prometheus import Prometheus
from tests.servers import HOST, RedisServer
from tests.system.conftest import ExporterFactory

JOB = """
  - job_name: serviceMonitor/monitoring/redis-exporter/{number}
    metrics_path: /scrape
    scheme: http
    params: {{target: ["redis://{place}"]}}
    static_configs: [{{targets: ["{exporter}"]}}]
    metric_relabel_configs:
      - {{action: replace, source_labels: [instance], target_label: instance, replacement: "redis://{place}"}}
      - {{action: replace, source_labels: [target], target_label: target, replacement: "server-{number}"}}
"""

pytestmark = [pytest.mark.prometheus, pytest.mark.server]


@pytest.fixture
def servers(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Sequence[RedisServer]]:
    """As many as the test says; each may use little memory only."""
    with ExitStack() as cleanup:
        started = []
        for number in range(request.param):
            directory = tmp_path / f"redis-{number}"
            directory.mkdir()
            server = RedisServer(directory, "--maxmemory", "8mb").start()
            cleanup.callback(server.stop)
            started.append(server)
        yield started


@pytest.mark.parametrize("servers", [5, pytest.param(50, marks=pytest.mark.slow)], indirect=True)
@pytest.mark.parametrize("flags", [(), ("--scrape.allow=127.0.0.0/8",)])
def test_every_target_of_its_service_monitor_is_scraped(
    servers: Sequence[RedisServer], flags: tuple[str, ...], exporter: ExporterFactory, tmp_path: Path
) -> None:
    """With `redisAddress: ""`, once without a list of what may be asked for."""
    program = exporter(*flags, environ={"REDIS_ADDR": ""})
    places = [f"{HOST}:{server.port}" for server in servers]
    jobs = [
        JOB.format(number=number, place=place, exporter=f"{HOST}:{program.port}")
        for number, place in enumerate(places)
    ]
    prometheus = Prometheus(
        tmp_path / "prometheus", "global: {scrape_interval: 1s}\nscrape_configs:" + "".join(jobs)
    )
    try:
        count = float(len(servers))
        prometheus.wait_for("count(redis_up == 1)", count)
        names = {labels["target"]: labels["instance"] for labels in prometheus.labels_of("redis_up")}
        assert names == {f"server-{number}": f"redis://{place}" for number, place in enumerate(places)}
        prometheus.wait_for("count(count by (run_id) (redis_instance_info))", count)
        servers[0].stop()
        prometheus.wait_for("sum(redis_up)", count - 1)
        prometheus.wait_for("count(up == 1)", count)
        assert prometheus.complaints() == []
    finally:
        prometheus.stop()
