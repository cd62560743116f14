"""Prometheus finds exporters in pods with annotations, as deploy/prometheus/kubernetes.yml says. The API of
Kubernetes is a small one of our own; Prometheus, exporters and servers are real."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.kubernetes_api import KubernetesApi, pod
from tests.deploy.set_ups import SetUp, wait_for_instances
from tests.prometheus import Prometheus
from tests.servers import HOST, wait_until
from tests.system.conftest import Exporter
from tests.watch_harness import RedisFactory

pytestmark = [pytest.mark.deploy, pytest.mark.server, pytest.mark.usefixtures("newest_prometheus")]


def annotated(port: int, **more: str) -> dict[str, str]:
    written = {"scrape": "true", "port": str(port), **more}
    return {f"prometheus.io/{name}": value for name, value in written.items()}


class Sidecars:
    """An exporter beside each of some servers."""

    def __init__(self, redis_server: RedisFactory, directory: Path, stack: ExitStack) -> None:
        self._start = redis_server
        self._directory = directory
        self._stack = stack

    def add(self, *flags: str) -> int:
        """The port of the new exporter."""
        server = self._start()
        log = self._directory / f"exporter-{server.port}.log"
        exporter = Exporter(log, f"--redis.addr=redis://{HOST}:{server.port}", *flags)
        self._stack.callback(exporter.stop)
        return exporter.port


def prometheus_with(api: KubernetesApi, directory: Path, stack: ExitStack) -> Prometheus:
    running = SetUp("kubernetes.yml", [], directory, stack)
    text = running.config.read_text()
    assert text.count("- role: pod\n") == 1
    running.config.write_text(text.replace("- role: pod\n", f"- role: pod\n        api_server: {api.url}\n"))
    return running.prometheus()


def test_pods_that_ask_for_it_are_scraped(
    redis_server: RedisFactory, tmp_path: Path, stack: ExitStack
) -> None:
    sidecars = Sidecars(redis_server, tmp_path, stack)
    orders, sessions, late = sidecars.add(), sidecars.add("--web.telemetry-path=/redis"), sidecars.add()
    orders_pod = pod(
        "orders-0",
        "production",
        labels={"app": "orders", "env": "live"},
        annotations=annotated(orders, path="/metrics", scheme="http"),
    )
    others: list[dict[str, Any]] = [
        pod("sessions-0", "staging", annotations=annotated(sessions, path="/redis")),
        pod("silent-0", "production"),
        pod("ended-0", "production", phase="Succeeded", annotations=annotated(1)),
        pod("elsewhere-0", "development", annotations=annotated(2)),
    ]
    api = KubernetesApi(orders_pod, *others)
    stack.callback(api.close)
    asked = prometheus_with(api, tmp_path, stack)

    def pods() -> set[str]:
        return {labels["pod"] for labels, _ in asked.series("redis_up == 1")}

    wait_until(lambda: pods() == {"orders-0", "sessions-0"}, "both are scraped")
    wait_for_instances(asked, "up == 1", [f"{HOST}:{port}" for port in (orders, sessions)])
    [labels] = asked.labels_of("redis_up{pod='orders-0'}")
    assert {name: labels[name] for name in ("instance", "namespace", "app", "env")} == {
        "instance": f"{HOST}:{orders}",
        "namespace": "production",
        "app": "orders",
        "env": "live",
    }
    api.add(pod("late-0", "staging", annotations=annotated(late)))
    wait_until(lambda: "late-0" in pods(), "a new pod is scraped")
    api.remove("orders-0")
    wait_until(lambda: pods() == {"sessions-0", "late-0"}, "a removed pod is left out")
    wait_until(lambda: asked.rule_faults() == [], "every rule can be evaluated")
    assert asked.refused_samples() == 0


def test_a_central_exporter_keeps_the_instances_of_its_servers(
    redis_server: RedisFactory, tmp_path: Path, stack: ExitStack
) -> None:
    places = [f"{HOST}:{redis_server().port}" for _ in range(2)]
    addresses = ",".join(f"redis://{place}" for place in places)
    exporter = Exporter(tmp_path / "exporter.log", f"--redis.addr={addresses}", "--target-labels=instance")
    stack.callback(exporter.stop)
    api = KubernetesApi(pod("exporter-1", "production", annotations=annotated(exporter.port)))
    stack.callback(api.close)
    asked = prometheus_with(api, tmp_path, stack)
    wait_for_instances(asked, "redis_up{pod='exporter-1'} == 1", places)
    wait_until(lambda: asked.rule_faults() == [], "every rule can be evaluated")
    assert asked.ask("count({exported_instance!=''})") == []
