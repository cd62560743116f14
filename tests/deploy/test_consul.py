"""An exporter that is registered in Consul as deploy/consul says, and Prometheus that finds it as
deploy/prometheus/consul.yml says. The agent is a small one of our own; the others are real."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.consul_agent import ConsulAgent, status_of
from tests.deploy.set_ups import DEPLOY, PORT, SetUp
from tests.servers import HOST, wait_until
from tests.system.conftest import Exporter, ExporterFactory
from tests.watch_harness import RedisFactory

REGISTRATION = DEPLOY / "consul" / "redis-exporter.json"


def registration(exporter: Exporter) -> dict[str, Any]:
    """The file, with the port of an exporter here."""
    text = REGISTRATION.read_text()
    assert text.count(str(PORT)) == 2
    found = json.loads(text.replace(str(PORT), str(exporter.port)))
    assert isinstance(found, dict)
    return found


@pytest.mark.deploy
@pytest.mark.server
@pytest.mark.usefixtures("newest_prometheus")
def test_prometheus_finds_what_is_registered(
    redis_server: RedisFactory, exporter: ExporterFactory, tmp_path: Path, stack: ExitStack
) -> None:
    place = f"{HOST}:{redis_server().port}"
    started = exporter(f"--redis.addr=redis://{place}", "--target-labels=instance")
    agent = ConsulAgent()
    stack.callback(agent.close)
    agent.register(registration(started))
    running = SetUp("consul.yml", [], tmp_path, stack)
    running.replace("consul.service.consul:8500", agent.place)
    asked = running.prometheus()
    wait_until(lambda: asked.ask("redis_up == 1") == [1.0], "the exporter is scraped")
    [labels] = asked.labels_of("redis_up")
    written = registration(started)["service"]["meta"]
    assert labels == {
        "__name__": "redis_up",
        "job": "redis",
        "instance": place,
        "env": written["env"],
        "region": written["region"],
        "redis_role": written["role"],
    }
    asked.wait_for("up", 1)
    wait_until(lambda: asked.rule_faults() == [], "every rule can be evaluated")


@pytest.mark.server
def test_its_check_passes_while_the_server_is_down(
    redis_server: RedisFactory, exporter: ExporterFactory
) -> None:
    """The exporter has to say that the server is down."""
    server = redis_server()
    started = exporter(f"--redis.addr=redis://{HOST}:{server.port}")
    [check] = registration(started)["service"]["checks"]
    assert status_of(check) == "passing"
    server.stop()
    wait_until(lambda: "error" in started.get("/health"), "no server can be reached")
    assert status_of(check) == "passing"
    started.stop()
    assert status_of(check) == "critical"
