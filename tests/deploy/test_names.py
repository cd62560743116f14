"""Flags, metrics, paths and ports that the files for Prometheus, HAProxy and Consul name: the program has
them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from exporter import __version__
from exporter.commands.docs import PAGES
from exporter.options.endpoints import ROUTES
from exporter.options.table import OPTIONS
from tests.deploy.set_ups import DEPLOY, PORT, commands, place_of

FILES = sorted(
    file
    for folder in ("prometheus", "haproxy", "consul")
    for file in (DEPLOY / folder).rglob("*")
    if file.is_file() and not {"rules", "tests"} & set(file.relative_to(DEPLOY).parts)
)
DEFAULTS = {flag: option.default for option in OPTIONS for flag in option.names}
#: of Prometheus
OTHER_FLAGS = {"storage.tsdb.path", "storage.tsdb.retention.time", "storage.tsdb.retention.size"}
PATHS = {route.path for route in ROUTES} | {DEFAULTS["web.telemetry-path"]}
METRICS = set(re.findall(r"^\| `(\w+)`", PAGES["metrics"](), re.M))
#: names that look like those of metrics
JOBS = {"redis_exporter", "redis_exporters", "redis_instances", "redis_sd_configs", "redis_role"}


def file_id(file: Path) -> str:
    return str(file.relative_to(DEPLOY))


@pytest.mark.parametrize("file", FILES, ids=file_id)
def test_flags_exist(file: Path) -> None:
    named = re.findall(r"(?<![\w-])--([a-z][\w.-]+)", file.read_text())
    assert set(named) - DEFAULTS.keys() - OTHER_FLAGS == set()


@pytest.mark.parametrize("file", FILES, ids=file_id)
def test_metrics_exist(file: Path) -> None:
    """A name that a dot or a bracket follows is a pattern."""
    named = re.findall(r"(?<!_)\b((?:redis|process)_[a-z_]*[a-z])\b(?!_?[.(])", file.read_text())
    assert set(named) - METRICS - JOBS == set()


@pytest.mark.parametrize("file", FILES, ids=file_id)
def test_paths_exist(file: Path) -> None:
    """Those of the exporter: in fields that hold a path, in URLs, and after words that announce one."""
    text = file.read_text()
    named = re.findall(r"(?:metrics_path:|/path:|\buri|\basks?|:\d{4}(?=/)) ?(/[\w/.-]*\w)", text)
    named += [path for line in re.findall(r"acl \w+ path (.*)", text) for path in line.split()]
    assert set(named) - PATHS == set()


@pytest.mark.parametrize("file", FILES, ids=file_id)
def test_ports_are_those_of_the_exporters(file: Path) -> None:
    """Where Prometheus, HAProxy or Consul reach an exporter, it listens."""
    listening = {place_of(host, flags) for host, flags in commands(file)}
    named = set(re.findall(r"\b((?:exporter|redis-exporter)[\w-]*:\d+)", file.read_text()))
    assert named <= listening
    others = set(
        re.findall(r"(?:bind :|\"port\": |localhost:|prometheus\.io/port: \")(\d+)", file.read_text())
    )
    assert others - {"9090"} <= {str(PORT)}
    assert DEFAULTS["web.listen-address"] == f":{PORT}"


def test_versions_are_that_of_the_program() -> None:
    """Of the image and of the chart, wherever they are written."""
    files = [*DEPLOY.rglob("*.y*ml"), *DEPLOY.parent.glob("docs/*.md"), DEPLOY.parent / "README.md"]
    pattern = r"\bredpoll:(\d[\d.]*\d)|\btag: \"(\d[\d.]*\d)|^(?:appV|v)ersion: \"?([\d.]+)"
    named = {
        (file.name, "".join(found)) for file in files for found in re.findall(pattern, file.read_text(), re.M)
    }
    assert {"deployment.yaml", "Chart.yaml", "containers.md", "from-the-go-exporter.md"} <= dict(named).keys()
    assert {version for _, version in named} == {__version__}


def test_something_is_named() -> None:
    """The patterns above find what they are to find."""
    text = "".join(file.read_text() for file in FILES)
    assert len(set(re.findall(r"--([a-z][\w.-]+)", text))) >= 8
    for path in ("/scrape", "/sd", "/-/ready", "/metrics"):
        assert path in text
