"""The Compose files: ours, and one that was written for the Go exporter."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from exporter.cli import main
from exporter.options.commandline import parse
from exporter.options.table import Options

ROOT = Path(__file__).parent.parent.parent
FOLDER = ROOT / "deploy" / "compose"
OURS = FOLDER / "compose.yml"
THEIRS = ROOT / "tests" / "data" / "compose" / "docker-compose.yml"
PORT = Options().web.listen_address.removeprefix(":")


def services(file: Path) -> dict[str, Any]:
    return dict(yaml.safe_load(file.read_text())["services"])


def of_example() -> dict[str, str]:
    """The variables of .env.example."""
    lines = (FOLDER / ".env.example").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


def filled(text: str) -> str:
    """With the variables of .env.example, as Compose fills them in."""
    known = of_example()
    return re.sub(
        r"\$\{(\w+)(?::([-?])([^}]*))?\}",
        lambda match: known.get(match[1]) or (match[3] if match[2] == "-" else ""),
        text,
    )


@pytest.mark.parametrize("file", [OURS, THEIRS], ids=["ours", "theirs"])
def test_compose_takes_it(file: Path) -> None:
    outcome = subprocess.run(
        [ROOT / ".venv/bin/check-jsonschema", "--builtin-schema", "vendor.compose-spec", file],
        capture_output=True,
        text=True,
        check=False,
    )
    assert outcome.returncode == 0, outcome.stdout


@pytest.mark.parametrize(("file", "service"), [(OURS, "exporter"), (THEIRS, "redis-exporter")])
def test_the_exporter_takes_its_variables(
    file: Path, service: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found = services(file)[service]
    environment = found["environment"]
    if isinstance(environment, list):
        environment = dict(line.split("=", 1) for line in environment)
    environ = {name: filled(value) for name, value in environment.items()}
    assert main(["check"], environ) == 0
    assert capsys.readouterr().out.startswith("redis://redis")
    assert parse([], environ).redis.password
    assert {port.rpartition(":")[2] for port in found["ports"]} == {PORT}


@pytest.mark.parametrize("name", services(OURS))
def test_each_service_is_held_tight(name: str) -> None:
    service = services(OURS)[name]
    assert (service["read_only"], service["cap_drop"], service["restart"]) == (
        True,
        ["ALL"],
        "unless-stopped",
    )
    assert service["mem_limit"]
    assert service["cpus"]
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
    assert "healthcheck" in service or name == "exporter"  # that of its image


def test_what_is_mounted_is_there() -> None:
    named = set(yaml.safe_load(OURS.read_text())["volumes"])
    for service in services(OURS).values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert source in named or (FOLDER / source).exists(), source


def test_prometheus_finds_the_services_by_their_names() -> None:
    config = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())
    targets = {
        target
        for job in config["scrape_configs"]
        for each in job["static_configs"]
        for target in each["targets"]
    }
    managers = {
        target
        for manager in config["alerting"]["alertmanagers"]
        for each in manager["static_configs"]
        for target in each["targets"]
    }
    names = set(services(OURS))
    assert {target.split(":")[0] for target in targets | managers} - {"localhost"} <= names
    assert f"exporter:{PORT}" in targets
    assert any(job.get("honor_labels") for job in config["scrape_configs"])
    assert services(OURS)["exporter"]["environment"]["REDIS_EXPORTER_TARGET_LABELS"] == "instance"
    assert "--storage.tsdb.retention.time=30d" in services(OURS)["prometheus"]["command"]


def test_grafana_has_the_data_source_of_the_dashboards() -> None:
    [own] = yaml.safe_load((FOLDER / "grafana-datasources.yml").read_text())["datasources"]
    provisioned = ROOT / "deploy/grafana/provisioning/datasources/datasources.yml"
    known = {each["uid"] for each in yaml.safe_load(provisioned.read_text())["datasources"]}
    assert own["uid"] in known
    assert own["url"].removeprefix("http://").split(":")[0] in services(OURS)


def test_each_variable_is_in_the_example() -> None:
    used = set(re.findall(r"(?<!\$)\$\{(\w+)", OURS.read_text())) - {"BASE"}
    assert used == set(re.findall(r"^#?([A-Z_]+)=", (FOLDER / ".env.example").read_text(), re.M)) - {
        "COMPOSE_PROJECT_NAME"
    }
    required = set(re.findall(r"\$\{(\w+):\?", OURS.read_text()))
    assert required <= set(of_example())
