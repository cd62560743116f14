"""What Prometheus needs to scrape an exporter, read by promtool."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from exporter.status.snippet import ScrapedEndpoint, address_of, each_target, one_page

PLAIN = ScrapedEndpoint(
    address="127.0.0.1:9121",
    is_https=False,
    telemetry_path="/metrics",
    interval_s=5.0,
    user="",
    asks_certificate=False,
    target_labels="instance",
    has_scrape=True,
)
SAFE = replace(
    PLAIN,
    is_https=True,
    telemetry_path="/values: {odd}",
    interval_s=1.5,
    user='prom"\\: #',
    asks_certificate=True,
    target_labels="auto",
)


def job(text: str) -> dict[str, Any]:
    """The one of the targets."""
    [found, *_] = yaml.safe_load(text)["scrape_configs"]
    assert isinstance(found, dict)
    return found


def test_a_page_with_instances_needs_no_relabelling() -> None:
    assert job(one_page(PLAIN)) == {
        "job_name": "redis",
        "scrape_interval": "5s",
        "honor_labels": True,
        "static_configs": [{"targets": ["127.0.0.1:9121"]}],
    }


@pytest.mark.parametrize(("labels", "relabels"), [("auto", True), ("always", True), ("never", False)])
def test_addresses_become_instances(labels: str, relabels: bool) -> None:
    found = job(one_page(replace(PLAIN, target_labels=labels)))
    assert ("metric_relabel_configs" in found) == relabels
    assert "honor_labels" not in found


def test_what_the_endpoint_asks_for_is_given() -> None:
    found = job(one_page(SAFE))
    assert (found["scheme"], found["metrics_path"], found["scrape_interval"]) == (
        "https",
        "/values: {odd}",
        "1500ms",
    )
    assert found["basic_auth"]["username"] == SAFE.user
    assert set(found["tls_config"]) == {"ca_file", "cert_file", "key_file"}
    sd = job(each_target(SAFE))["http_sd_configs"][0]
    assert sd["url"] == "https://127.0.0.1:9121/sd"
    assert (sd["basic_auth"], sd["tls_config"]) == (found["basic_auth"], found["tls_config"])


def test_the_exporters_own_series_are_a_job_where_each_target_is_scraped() -> None:
    [_, own] = yaml.safe_load(each_target(SAFE))["scrape_configs"]
    whole = job(one_page(SAFE))
    del whole["metric_relabel_configs"]
    assert own == whole | {"job_name": "redis_exporter", "params": {"part": ["own"]}}


@pytest.mark.prometheus
@pytest.mark.parametrize("endpoint", [PLAIN, replace(PLAIN, target_labels="auto"), SAFE])
@pytest.mark.parametrize("write", [one_page, each_target])
def test_promtool_takes_it(endpoint: ScrapedEndpoint, write: Any, tmp_path: Path) -> None:
    file = tmp_path / "prometheus.yml"
    file.write_text(write(endpoint))
    for name in ("redis_exporter_ca.pem", "prometheus.pem", "prometheus_key.pem", "redis_exporter_password"):
        (tmp_path / name).touch()
    command = ["promtool", "check", "config", str(file)]
    outcome = subprocess.run(command, capture_output=True, text=True, check=False)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr


@pytest.mark.parametrize(
    ("host", "is_https", "address"),
    [
        ("exporter:9121", False, "exporter:9121"),
        ("exporter.example", False, "exporter.example:80"),
        ("exporter.example", True, "exporter.example:443"),
        ("[::1]:9121", False, "[::1]:9121"),
        ("[::1]", False, "[::1]:80"),
        ('"]}]: x', False, "0.0.0.0:9121"),
        ("a b", False, "0.0.0.0:9121"),
        ("", False, "0.0.0.0:9121"),
        ("host\n  - x", False, "0.0.0.0:9121"),
    ],
)
def test_the_address_is_that_of_the_request(host: str, is_https: bool, address: str) -> None:
    assert address_of(host, is_https, "0.0.0.0:9121") == address
