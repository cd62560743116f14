"""What tests of several artefacts share."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.deploy.docker_daemon import DockerDaemon, daemon_with_images
from tests.system.conftest import exporter

__all__ = ["exporter"]


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """Ends, after the test, what the test gives it."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def newest_prometheus() -> None:
    """Leaves a test out where the Prometheus in PATH is an older one than it needs. One that `go install` has
    built does not know its version, so a flag that came with the third one decides."""
    binary = shutil.which("prometheus")
    if binary is not None:
        done = subprocess.run([binary, "--help"], capture_output=True, text=True, timeout=30, check=False)
        if "--auto-gomemlimit" in done.stdout + done.stderr:
            return
    pytest.skip("Prometheus 3 is not in PATH: make tools")


@pytest.fixture(scope="session")
def docker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerDaemon]:
    own = tmp_path_factory.mktemp("docker")
    is_worker = own.parent.name.startswith("popen-")
    shared = (own.parent.parent if is_worker else own.parent) / "images"
    with daemon_with_images(shared, own) as daemon:
        yield daemon


@pytest.fixture
def daemon(docker: DockerDaemon) -> Iterator[DockerDaemon]:
    yield docker
    docker.remove_all()
