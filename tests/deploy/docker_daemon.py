"""Docker for tests: a daemon of our own without networks, a base image from Debian's packages, and our images
built on it.

Containers use the network of the host, on the loopback address. Nothing is pulled from a registry.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
import tomllib
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.servers import HOST, wait_until

ROOT = Path(__file__).parent.parent.parent
#: what takes a minute to make and stays the same from run to run
CACHE = Path.home() / ".cache" / "redpoll"
SUITE, PYTHON = "bookworm", "3.11"
#: what the build stage finds in the base, so that it needs no network
PACKAGES = ("ca-certificates", "gcc", "libc6-dev", "python3-dev", "python3-venv")
BASE = "redpoll-base:test"
#: our images
PLAIN, BASH = "redpoll:test-exporter", "redpoll:test-bash"
#: Debian 12's Python 3.11.2 needs a package that later ones do not
OF_OLD_PYTHON = "async-timeout"
LOCK = "requirements-test.lock"


class DockerDaemon:
    """dockerd with its own folder, socket and containers. `stop` removes all of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket = f"unix://{folder}/s"
        self.environ = {**os.environ, "DOCKER_HOST": self.socket, "DOCKER_BUILDKIT": "0"}
        command = [
            "dockerd",
            "--iptables=false",
            "--ip6tables=false",
            "--bridge=none",
            f"--host={self.socket}",
        ]
        command += [f"--{name}={folder / name}" for name in ("data-root", "exec-root", "pidfile")]
        self.log = folder / "log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            wait_until(self._answers, "Docker answers")
        except AssertionError:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"dockerd did not start:\n{self.log.read_text()[-2000:]}") from None

    def _answers(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()[-2000:]
        asked = ["docker", "version", "--format", "{{.Server.Version}}"]
        return subprocess.run(asked, env=self.environ, capture_output=True, check=False).returncode == 0

    def docker(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        outcome = subprocess.run(
            ["docker", *arguments], env=self.environ, capture_output=True, text=True, check=False
        )
        assert not check or outcome.returncode == 0, f"docker {arguments}:\n{outcome.stdout}{outcome.stderr}"
        return outcome

    def inspect(self, name: str) -> Any:
        return json.loads(self.docker("inspect", name).stdout)[0]

    def remove_all(self) -> None:
        names = self.docker("ps", "--all", "--quiet").stdout.split()
        if names:
            self.docker("rm", "--force", "--volumes", *names)

    def stop(self) -> None:
        try:
            self.remove_all()
        finally:
            self.process.terminate()
            self.process.wait(60)
            mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
            for place in sorted(mounts, reverse=True):
                if place.startswith(f"{self.folder}/"):
                    subprocess.run(["umount", place], check=True)
            shutil.rmtree(self.folder)


@dataclass(frozen=True)
class Images:
    """Archives of our images, for `docker load`."""

    plain: Path
    bash: Path


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Test processes do this one after the other."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def archive_of(name: str, packages: Sequence[str]) -> Path:
    """A root folder of Debian with these packages as an archive, made once on a machine."""
    archive = CACHE / f"{name}-{SUITE}-{'-'.join(packages)}.tar"
    with alone(CACHE):
        if not archive.exists():
            part = archive.with_suffix(".part.tar")
            command = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={','.join(packages)}"]
            subprocess.run(
                [*command, SUITE, str(part)], check=True, stdin=subprocess.DEVNULL, capture_output=True
            )
            part.rename(archive)
    return archive


def make_context(folder: Path) -> None:
    """What .dockerignore lets through, and a folder `wheelhouse` with all packages."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    not_sent = shutil.ignore_patterns("*.so", "*.c", "__pycache__", "build.json")
    for line in lines:
        name = line.removeprefix("!")
        if line == name or f"{name}/*" in lines or not (ROOT / name).exists():
            continue
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=not_sent)
        else:
            shutil.copy(ROOT / name, folder)
    shutil.copy(ROOT / ".dockerignore", folder)
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--dest", f"{folder}/wheelhouse"]
    command += ["--only-binary=:all:", f"--python-version={PYTHON}", f"--constraint={ROOT / LOCK}"]
    subprocess.run(
        [*command, "setuptools", "Cython", "mypy", OF_OLD_PYTHON, *needed], check=True, capture_output=True
    )


def build_images(daemon: DockerDaemon, folder: Path) -> Images:
    """`make image`, for both variants, without a network."""
    context = folder / "context"
    context.mkdir()
    make_context(context)
    daemon.docker("import", str(archive_of("base", PACKAGES)), BASE)
    images = Images(folder / "image.tar", folder / "image-bash.tar")
    for target, archive in (("exporter", images.plain), ("bash", images.bash)):
        settings = [f"BASE={BASE}", f"CONTEXT={context}", f"TARGET={target}", f"IMAGE=redpoll:test-{target}"]
        command = ["make", "image", *settings, "ARGS=--network=none --build-arg PIP_NO_INDEX=1"]
        built = subprocess.run(
            command, cwd=ROOT, env=daemon.environ, capture_output=True, text=True, check=False
        )
        assert built.returncode == 0, built.stdout[-4000:] + built.stderr[-2000:]
        daemon.docker("save", "--output", str(archive), f"redpoll:test-{target}")
    return images


@contextmanager
def daemon_with_images(shared: Path, own: Path) -> Iterator[DockerDaemon]:
    """A daemon in the folder `own` that has our images. They are built once, in the folder `shared`."""
    if os.geteuid() != 0 or shutil.which("dockerd") is None or shutil.which("mmdebstrap") is None:
        pytest.skip("Docker cannot run: be root, and run make tools")
    with alone(shared):
        daemon = DockerDaemon(own)
        try:
            images = Images(shared / "image.tar", shared / "image-bash.tar")
            if images.plain.exists() and images.bash.exists():
                for archive in (images.plain, images.bash):
                    daemon.docker("load", "--input", str(archive))
            else:
                shutil.rmtree(shared / "context", ignore_errors=True)
                build_images(daemon, shared)
        except BaseException:
            daemon.stop()
            raise
    try:
        yield daemon
    finally:
        daemon.stop()


def page(port: int, path: str = "/metrics") -> str:
    """What is answered on a port of the host; "" if nothing is."""
    try:
        with urllib.request.urlopen(f"http://{HOST}:{port}{path}", timeout=10) as response:
            return str(response.read().decode())
    except OSError:
        return ""


def wait_long(condition: Callable[[], Any], what: str, seconds: float = 120) -> None:
    """As `wait_until`, for what takes long; it leaves the CPU to the containers."""
    give_up = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up, f"waited {seconds:g} s in vain until {what}"
        time.sleep(0.1)


def limits(**settings: str) -> list[str]:
    """Arguments of `docker run` by which a container may do least."""
    given: Mapping[str, str] = {"memory": "128m", "cpus": "0.1", **settings}
    strict = ["--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--network=host"]
    return [*strict, *(f"--{name}={value}" for name, value in given.items())]
