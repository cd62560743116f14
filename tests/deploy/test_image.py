"""The Docker image: what is in it, and how it runs."""

from __future__ import annotations

import os
import re
import subprocess
import tarfile
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from bench.ports import free_port
from exporter import __version__
from exporter.options.table import Options
from tests.deploy.docker_daemon import BASH, PLAIN, ROOT, DockerDaemon, limits, page, wait_long
from tests.servers import HOST, RedisServer

SECRET = "s3cr:et"
#: what a container with a tenth of a CPU must keep to
FIRST_PAGE_S, MEMORY_MAX = 5.0, 64 * 1024 * 1024
#: other tests use the same CPUs
STARTS, BUSY = 4, 2.0
RedisFactory = Callable[..., RedisServer]


def test_the_dockerfile_has_no_known_mistakes() -> None:
    outcome = subprocess.run(
        [ROOT / ".venv/bin/hadolint", "--failure-threshold=style", ROOT / "Dockerfile"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (outcome.returncode, outcome.stdout) == (0, "")


def test_the_port_is_that_of_the_option() -> None:
    port = Options().web.listen_address.removeprefix(":")
    assert re.findall(r"^EXPOSE (.*)$", (ROOT / "Dockerfile").read_text(), re.M) == [port]


def started_at(daemon: DockerDaemon, name: str) -> datetime:
    text = daemon.inspect(name)["State"]["StartedAt"]
    return datetime.fromisoformat(text[:26].rstrip("Z").ljust(26, "0")).replace(tzinfo=timezone.utc)


pytestmark = pytest.mark.timeout(1200)  # the first test waits for the build


@pytest.mark.deploy
class TestContent:
    @pytest.fixture
    def names(self, daemon: DockerDaemon, tmp_path: Path) -> set[str]:
        """The files in the image."""
        daemon.docker("create", "--name=content", PLAIN)
        daemon.docker("export", "--output", str(tmp_path / "image.tar"), "content")
        with tarfile.open(tmp_path / "image.tar") as archive:
            return set(archive.getnames())

    def test_there_is_no_shell_compiler_or_package_manager(self, names: set[str]) -> None:
        programs = {Path(name).name for name in names if re.match(r"(usr/(local/)?)?s?bin/", name)}
        assert {name for name in programs if not name.startswith("python3.")} == {"redis_exporter"}
        packages = {Path(name).name for name in names if re.search(r"(site|dist)-packages/[^/]*$", name)}
        assert not packages & {"pip", "setuptools", "Cython", "pkg_resources"}
        assert {"exporter", "aiohttp", "uvloop"} <= packages
        assert not [name for name in names if name.endswith((".pyx", ".c", ".h", ".a"))]

    def test_certificate_authorities_are_known(self, daemon: DockerDaemon, names: set[str]) -> None:
        """Each by the name that OpenSSL looks for, where it looks."""
        [python] = [f"/{name}" for name in names if re.match(r"usr/(local/)?bin/python3\.", name)]
        code = (
            "import os, ssl; place = ssl.get_default_verify_paths().capath; print(len(os.listdir(place)));"
            "context = ssl.create_default_context(); print(context.cert_store_stats()['x509'])"
        )
        said = daemon.docker("run", "--rm", "--network=host", f"--entrypoint={python}", PLAIN, "-c", code)
        there, read = map(int, said.stdout.split())
        assert there > 100
        assert read == 0  # before any is needed

    def test_everything_is_compiled(self, names: set[str]) -> None:
        """The root may be read-only, and CPU scarce."""
        sources = {name for name in names if re.search(r"/(exporter|asyncio)/[a-z]\w*\.py$", name)}
        compiled = {name for name in names if name.endswith(".pyc")}
        assert sources
        for source in sources:
            folder, _, module = source.rpartition("/")
            assert any(name.startswith(f"{folder}/__pycache__/{module[:-3]}.") for name in compiled), source

    def test_its_facts(self, daemon: DockerDaemon) -> None:
        config = daemon.inspect(PLAIN)["Config"]
        assert (config["User"], config["StopSignal"]) == ("65534:65534", "SIGTERM")
        assert (config["Entrypoint"], config["Cmd"]) == (["/redis_exporter"], None)
        assert config["Healthcheck"]["Test"] == ["CMD", "/redis_exporter", "health"]
        labels = {name.rpartition(".")[2]: value for name, value in config["Labels"].items()}
        assert labels["version"] == __version__
        assert re.fullmatch(r"[0-9a-f]{40}|", labels["revision"])
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", labels["created"])
        said = daemon.docker("run", "--rm", "--network=host", PLAIN, "--version").stdout
        assert said.startswith(f"redis_exporter, version {__version__} ")
        assert labels["revision"] in said
        assert "compiled" in said
        assert daemon.inspect(PLAIN)["Size"] < 90e6


@pytest.mark.deploy
class TestRunning:
    def start(self, daemon: DockerDaemon, server: RedisServer, port: int) -> float:
        """Start with little of everything; the seconds until the first page came."""
        variables = [f"REDIS_ADDR=redis://{HOST}:{server.port}", f"REDIS_PASSWORD={SECRET}"]
        given = [f"--env={variable}" for variable in variables]
        name = ["--detach", "--name=exporter"]
        daemon.docker("run", *name, *limits(), *given, PLAIN, f"--web.listen-address={HOST}:{port}")
        wait_long(lambda: "\nredis_up{" in page(port), "the first page")
        return (datetime.now(timezone.utc) - started_at(daemon, "exporter")).total_seconds()

    def test_with_a_tenth_of_a_cpu(self, daemon: DockerDaemon, redis_server: RedisFactory) -> None:
        """Without rights, with a root that is read-only: first page, memory, health, stop."""
        server = redis_server("--requirepass", SECRET)
        port = free_port()
        limit_s = FIRST_PAGE_S * (BUSY if os.getloadavg()[0] > (os.cpu_count() or 1) else 1)
        times: list[float] = []
        while not times or (times[-1] > limit_s and len(times) < STARTS):
            daemon.remove_all()
            times.append(self.start(daemon, server, port))
        assert times[-1] <= limit_s, times
        assert f'redis_up{{addr="redis://{HOST}:{server.port}"}} 1\n' in page(port)
        assert "<title>Redis Exporter</title>" in page(port, "/")  # its templates are there
        resident = re.findall(r"^process_resident_memory_bytes (.*)$", page(port), re.M)
        assert float(resident[0]) <= MEMORY_MAX
        daemon.docker("exec", "exporter", "/redis_exporter", "health")
        daemon.docker("stop", "--time=10", "exporter")
        assert daemon.inspect("exporter")["State"]["ExitCode"] == 0
        said = daemon.docker("logs", "exporter")
        assert SECRET not in said.stdout + said.stderr

    def test_a_dead_server_makes_it_no_less_healthy(self, daemon: DockerDaemon) -> None:
        """By the check that is in the image, which finds the flags of the container."""
        port = free_port()
        flags = [f"--redis.addr=redis://{HOST}:{free_port()}", f"--web.listen-address={HOST}:{port}"]
        often = ["--health-interval=1s", "--health-retries=1", "--health-start-period=0s"]
        daemon.docker("run", "--detach", "--name=exporter", *limits(cpus="1"), *often, PLAIN, *flags)
        wait_long(lambda: "\nredis_up{" in page(port), "the first page")

        def checks() -> list[dict[str, Any]]:
            found: list[dict[str, Any]] = daemon.inspect("exporter")["State"]["Health"]["Log"]
            return found[-1:]

        said = f"ok: http://{HOST}:{port}/-/healthy\n"
        wait_long(lambda: [(each["ExitCode"], each["Output"]) for each in checks()] == [(0, said)], "a check")
        assert daemon.inspect("exporter")["State"]["Health"]["Status"] == "healthy"
        wait_long(lambda: page(port, "/-/ready"), "the first round")
        daemon.docker("exec", "exporter", "redis_exporter", "health", "/-/ready")
        asked = ["exec", "exporter", "redis_exporter", "health", "/health?strict=1"]
        assert daemon.docker(*asked, check=False).returncode == 1

    def test_it_has_no_shell(self, daemon: DockerDaemon) -> None:
        for program in ("sh", "bash", "/bin/sh", "pip", "gcc"):
            outcome = daemon.docker(
                "run", "--rm", "--network=host", f"--entrypoint={program}", PLAIN, check=False
            )
            assert outcome.returncode == 127, program


@pytest.mark.deploy
class TestBash:
    def test_a_chart_that_starts_through_a_shell(
        self, daemon: DockerDaemon, redis_server: RedisFactory, tmp_path: Path
    ) -> None:
        """Bitnami's charts do so: password in a file, the exporter on the path."""
        server = redis_server("--requirepass", SECRET)
        port = free_port()
        secret = tmp_path / "redis-password"
        secret.write_text(SECRET)
        script = 'if [[ -f "$F" ]]; then export REDIS_PASSWORD="$(< "$F")"; fi\nredis_exporter'
        variables = {
            "F": "/secrets/redis-password",
            "REDIS_PASSWORD_FILE": "/secrets/redis-password",
            "REDIS_ADDR": f"redis://{HOST}:{server.port}",
            "REDIS_EXPORTER_WEB_LISTEN_ADDRESS": f"{HOST}:{port}",
        }
        given = [f"--env={name}={value}" for name, value in variables.items()]
        mount = f"--volume={secret}:/secrets/redis-password:ro"
        daemon.docker(
            *("run", "--detach", "--name=exporter", *limits(cpus="1", user="1001"), *given, mount),
            *("--entrypoint=/bin/bash", BASH, "-ec", script),
        )
        line = f'redis_up{{addr="redis://{HOST}:{server.port}"}} 1\n'
        wait_long(lambda: line in page(port), "the login")
        daemon.docker("exec", "exporter", "redis_exporter", "health")
