"""The Compose files: ours, and one that was written for the Go exporter."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import urllib.parse
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from bench.ports import free_port
from exporter.cli import main
from exporter.options.commandline import parse
from exporter.options.table import Options
from tests.deploy.docker_daemon import PLAIN, DockerDaemon, archive_of, page, wait_long
from tests.servers import HOST

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


#: what stands in for images of registries: the same programs, from Debian's packages
STAND_INS = """
FROM redpoll-services:test AS programs
RUN mkdir /data /prometheus /alertmanager; \\
    chown 999:1000 /data; chown 65534:65534 /prometheus /alertmanager; \\
    ln -s /bin/busybox /usr/bin/wget; ln -s prometheus-alertmanager /usr/bin/alertmanager
FROM programs AS redis
WORKDIR /data
CMD ["redis-server"]
FROM programs AS prometheus
USER 65534
ENTRYPOINT ["prometheus"]
FROM programs AS alertmanager
USER 65534
ENTRYPOINT ["alertmanager"]
"""
SERVICES = ("busybox", "prometheus", "prometheus-alertmanager", "redis-server")


class Composed:
    """Services of a Compose file, started by docker-compose on free ports of the host."""

    def __init__(self, daemon: DockerDaemon, file: Path, names: Sequence[str] = ()) -> None:
        self.daemon = daemon
        self.file = file
        self.ports: dict[str, int] = {}
        text = re.sub(r'"(?:127\.0\.0\.1:)?(\d+):\1"', self._moved, file.read_text())
        file.write_text(text)
        self.services = {
            name: {**service, "image": filled(service["image"])} for name, service in services(file).items()
        }
        self._tag_images(names or list(self.services))
        self.compose("up", "--detach", "--no-build", *names)

    def _moved(self, match: re.Match[str]) -> str:
        self.ports[match[1]] = free_port()
        return f'"{HOST}:{self.ports[match[1]]}:{match[1]}"'

    def _tag_images(self, names: Sequence[str]) -> None:
        """No registry is asked: each image is ours, or one that stands in for it."""
        folder = self.file.parent / "stand-ins"
        folder.mkdir()
        (folder / "Dockerfile").write_text(STAND_INS)
        self.daemon.docker("import", str(archive_of("services", SERVICES)), "redpoll-services:test")
        for name in names:
            image = self.services[name]["image"]
            kind = next((kind for kind in ("prometheus", "alertmanager", "redis:") if kind in image), "")
            if "redpoll" in image or "exporter" in image:
                self.daemon.docker("tag", PLAIN, image)
            else:
                target = f"--target={kind.rstrip(':')}"
                self.daemon.docker("build", "--network=none", target, f"--tag={image}", str(folder))

    def compose(self, *arguments: str) -> None:
        command = ["docker-compose", f"--file={self.file}", *arguments]
        outcome = subprocess.run(
            command,
            env=self.daemon.environ,
            cwd=self.file.parent,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert outcome.returncode == 0, outcome.stdout + outcome.stderr

    def page(self, port: str, path: str) -> str:
        return page(self.ports[port], path)

    def is_true(self, expression: str) -> bool:
        """Whether an instant query of Prometheus has a result."""
        text = self.page("9090", f"/api/v1/query?query={urllib.parse.quote(expression)}")
        return bool(text) and bool(json.loads(text)["data"]["result"])

    def is_healthy(self, service: str) -> bool:
        asked = ["ps", "--quiet", f"--filter=label=com.docker.compose.service={service}"]
        found = self.daemon.docker(*asked).stdout.split()
        return [self.daemon.inspect(each)["State"]["Health"]["Status"] for each in found] == ["healthy"]


@pytest.mark.deploy
@pytest.mark.timeout(1200)
class TestRunning:
    @pytest.fixture
    def composed(self, daemon: DockerDaemon, tmp_path: Path) -> Iterator[Callable[..., Composed]]:
        if shutil.which("docker-compose") is None:
            pytest.skip("docker-compose is not installed: run make tools")
        with ExitStack() as cleanup:

            def start(file: Path, *names: str) -> Composed:
                started = Composed(daemon, file, names)
                cleanup.callback(started.compose, "down", "--volumes")
                return started

            yield start

    def test_a_file_for_the_go_exporter(self, composed: Callable[..., Composed], tmp_path: Path) -> None:
        """As it is; only the ports of the host are others. Redis is stopped, and that is seen."""
        shutil.copytree(THEIRS.parent, tmp_path / "theirs")
        running = composed(tmp_path / "theirs" / THEIRS.name)
        wait_long(lambda: running.is_true("redis_up == 1"), "Prometheus has the server")
        wait_long(partial(running.is_healthy, "redis-exporter"), "the exporter's health check")
        running.daemon.docker("stop", "redis-server")
        wait_long(lambda: running.is_true("redis_up == 0"), "Prometheus has the end of the server")
        assert "redis_up" in running.page("9121", "/metrics")

    def test_ours(self, composed: Callable[..., Composed], tmp_path: Path) -> None:
        """All but Grafana, which Debian does not have."""
        for name in ("compose", "prometheus", "alertmanager"):
            shutil.copytree(ROOT / "deploy" / name, tmp_path / "deploy" / name)
        folder = tmp_path / "deploy" / "compose"
        shutil.copy(folder / ".env.example", folder / ".env")
        names = ["redis", "exporter", "prometheus", "alertmanager"]
        running = composed(folder / "compose.yml", *names)
        wait_long(lambda: running.is_true('redis_up{instance="redis:6379"} == 1'), "the server")
        for name in names:
            wait_long(partial(running.is_healthy, name), f"the health check of {name}")
        rules = json.loads(running.page("9090", "/api/v1/rules"))["data"]["groups"]
        files = (ROOT / "deploy" / "prometheus" / "rules").glob("*.yml")
        groups = [group["name"] for file in files for group in yaml.safe_load(file.read_text())["groups"]]
        assert sorted(group["name"] for group in rules) == sorted(groups)
        managers = json.loads(running.page("9090", "/api/v1/alertmanagers"))["data"]["activeAlertmanagers"]
        assert [urllib.parse.urlsplit(each["url"]).hostname for each in managers] == ["alertmanager"]
