"""Targets from lists of Prometheus' form, as the program follows them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.recording_server import RecordingWeb
from tests.servers import wait_until
from tests.store_fixture import values_of
from tests.system.conftest import Exporter, ExporterFactory
from tests.watch_harness import RedisFactory, server_field

SECRET = "s3cret-of-mine"


@pytest.fixture
def inventory() -> Iterator[RecordingWeb]:
    """A server with a list of targets, which a test may change."""
    with RecordingWeb([]) as web:
        yield web


def up(program: Exporter) -> dict[str, float]:
    return values_of(program.get("/metrics?max_age=0"), "redis_up")


def test_both_kinds_beside_configured_ones(
    exporter: ExporterFactory, redis_server: RedisFactory, inventory: RecordingWeb, tmp_path: Path
) -> None:
    configured, locked = redis_server(), redis_server("--requirepass", SECRET)
    listed, served = redis_server(), redis_server()
    configuration, files = tmp_path / "redis.yml", tmp_path / "sd"
    files.mkdir()
    configuration.write_text(
        f"options: {{targets.file-sd: {files}/*.json, targets.http-sd: '{inventory.url}', "
        f"targets.refresh-interval: 0.5s}}\n"
        f"groups: {{locked: {{password: {SECRET}, labels: {{team: orders}}}}}}\n"
        f"redis_instances: [{{addr: 127.0.0.1:{configured.port}}}]\n"
    )

    def addrs(*servers: object) -> dict[str, float]:
        return {f"redis://127.0.0.1:{server.port}": 1 for server in servers}  # type: ignore[attr-defined]

    program = exporter(f"--config.file={configuration}")
    wait_until(lambda: up(program) == addrs(configured), "the configured one")
    groups = [
        {"targets": [f"127.0.0.1:{locked.port}"], "labels": {"__group__": "locked"}},
        {"targets": [f"127.0.0.1:{listed.port}", f"127.0.0.1:{configured.port}"]},
    ]
    (files / "a.json").write_text(json.dumps(groups))
    wait_until(lambda: up(program) == addrs(configured, locked, listed), "those of the file")
    assert 'team="orders"' in program.get()
    inventory.groups[:] = [{"targets": [f"127.0.0.1:{served.port}"]}]
    wait_until(lambda: up(program) == addrs(configured, locked, listed, served), "those of the URL")
    before = server_field(listed, "total_connections_received")
    (files / "a.json").write_text(json.dumps(groups[1:]))
    inventory.groups.clear()
    wait_until(lambda: up(program) == addrs(configured, listed), "the others to go")
    (files / "a.json").write_text("[")
    wait_until(lambda: 'sd_failures_total{source="--targets.file-sd' in program.get(), "the failure")
    assert up(program) == addrs(configured, listed)
    assert server_field(listed, "total_connections_received") <= before + 2  # those that ask here
    log = program.log.read_text()
    assert SECRET not in log
    assert "Traceback" not in log
