"""What `make release` builds: each file is installed where nothing else is, and polls a real server.

The builds take minutes, so those tests are slow; what they are made of is tested without them.
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import pytest
import yaml

import exporter
from bench.ports import free_port
from tests.servers import PATIENCE_S
from tests.system.test_listening import get, lines_until
from tests.watch_harness import RedisFactory

ROOT = Path(__file__).parents[2]
RELEASE = ROOT / "deploy" / "release"
WORKFLOWS = ROOT / ".github" / "workflows"
MACHINE = os.uname().machine
BUILD_TIMEOUT_S = 1500
VERSION = exporter.__version__


def loaded(name: str) -> ModuleType:
    """A module of deploy/release, which is no package."""
    sys.path.insert(0, str(RELEASE))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(RELEASE))


class TestParts:
    def test_an_archive_has_one_time_one_owner_and_one_order(self, tmp_path: Path) -> None:
        repacked = loaded("build").repacked
        for name in ("b", "a"):
            (tmp_path / name).write_text(name)
        archives: list[bytes] = []
        for names in (("a", "b"), ("b", "a")):
            packed = io.BytesIO()
            with tarfile.open(fileobj=packed, mode="w:gz") as tar:
                for name in names:
                    os.utime(tmp_path / name, (len(archives), len(archives)))
                    tar.add(tmp_path / name, name)
            archives.append(repacked(packed.getvalue(), 1_700_000_000))
        assert archives[0] == archives[1]
        with tarfile.open(fileobj=io.BytesIO(archives[0])) as tar:
            assert [(each.name, each.mtime, each.uname) for each in tar] == [
                ("a", 1_700_000_000, ""),
                ("b", 1_700_000_000, ""),
            ]

    def test_the_libraries_of_the_exporter_are_those_that_it_runs_with(self) -> None:
        names = {name.lower() for name in loaded("build").libraries(ROOT / "pyproject.toml")}
        assert {"aiohttp", "hiredis", "uvloop", "yarl", "markupsafe"} <= names
        assert not {"pytest", "cython", "redpoll", "pyinstaller"} & names

    @pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="this is no Debian")
    def test_a_package_of_any_folder_is_the_same_each_time(self, tmp_path: Path) -> None:
        packed = loaded("debian").packed
        sums = set()
        for number in range(2):
            tree = tmp_path / f"tree{number}"
            shutil.copytree(RELEASE, tree / "usr" / "lib" / "redis_exporter")
            (tree / "etc" / "default").mkdir(parents=True)
            (tree / "etc" / "default" / "redis_exporter").write_text("ARGS=")
            (tree / "usr/lib/redis_exporter/program").write_bytes(b"\0GLIBC_2.4\0GLIBC_2.34\0")
            out = tmp_path / f"out{number}"
            out.mkdir()
            file = packed(tree, ROOT / "deploy" / "debian", out, "1.2.3", 1_700_000_000)
            sums.add(hashlib.sha256(file.read_bytes()).hexdigest())
        assert len(sums) == 1
        control = subprocess.run(
            ["dpkg-deb", "--info", file], capture_output=True, text=True, check=True
        ).stdout
        assert "Depends: libc6 (>= 2.34), passwd, zlib1g\n" in control
        assert re.search(r"\* .* postinst +#!/bin/sh", control)
        listed = subprocess.run(
            ["dpkg-deb", "--contents", file], capture_output=True, text=True, check=True
        ).stdout
        assert " root/root " in listed

    @pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="this is no Debian")
    def test_a_package_has_rules_dashboards_and_configurations(self, tmp_path: Path) -> None:
        (tmp_path / "folder").mkdir()
        program = tmp_path / "folder" / "redis_exporter"
        program.write_bytes(b"#!/bin/sh\n# GLIBC_2.34\necho printed\n")
        program.chmod(0o755)
        file = loaded("debian").make_package(ROOT, program.parent, program, tmp_path, "1.2.3", 1_700_000_000)
        subprocess.run(["dpkg-deb", "--extract", file, tmp_path / "root"], check=True)
        examples = tmp_path / "root/usr/share/doc/redpoll/examples"
        for example in (
            "prometheus/prometheus.yml",
            "prometheus/exporter/one-page.yml",
            "prometheus/rules/availability.yml",
            "grafana/dashboards/fleet.json",
            "grafana/provisioning/datasources/datasources.yml",
            "systemd/redis_exporter.service.d/credentials.conf",
        ):
            assert (examples / example).read_bytes() == (ROOT / "deploy" / example).read_bytes()

    @pytest.mark.parametrize("script", ["postinst", "prerm", "postrm"])
    def test_a_script_of_the_package_can_be_read_and_does_nothing_unasked(self, script: str) -> None:
        file = ROOT / "deploy" / "debian" / script
        subprocess.run(["sh", "-n", file], check=True)
        assert "\nset -e\n" in file.read_text()
        subprocess.run(["sh", file, "abort-upgrade"], check=True)

    @pytest.mark.bubblewrap
    @pytest.mark.parametrize(
        ("script", "words", "asked"),
        [
            ("postinst", ["configure", ""], ["enable --quiet --now redis_exporter.service"]),
            (
                "postinst",
                ["configure", "1.0"],
                ["try-restart redis_exporter.service redis_exporter@*.service"],
            ),
            (
                "prerm",
                ["remove"],
                [
                    "disable --quiet --now redis_exporter.socket redis_exporter.service",
                    "stop redis_exporter@*.service",
                ],
            ),
        ],
    )
    def test_services_start_and_end_with_the_package(
        self, script: str, words: list[str], asked: list[str], tmp_path: Path
    ) -> None:
        """What a script asks of systemd, in a root where systemd seems to run."""
        programs = tmp_path / "bin"
        programs.mkdir()
        for name in ("systemctl", "getent"):
            program = programs / name
            program.write_text(f'#!/bin/sh\necho "{name} $*" >>{tmp_path}/asked\n')
            program.chmod(0o755)
        wrap = ["bwrap", "--ro-bind", "/", "/", "--dev", "/dev", "--tmpfs", "/run"]
        wrap += ["--dir", "/run/systemd/system"]
        wrap += ["--bind", str(tmp_path), str(tmp_path), "--setenv", "PATH", f"{programs}:/usr/bin:/bin"]
        subprocess.run([*wrap, "sh", str(ROOT / "deploy" / "debian" / script), *words], check=True)
        lines = (tmp_path / "asked").read_text().splitlines()
        said = [line.removeprefix("systemctl ") for line in lines if line.startswith("systemctl ")]
        assert [line for line in said if line != "daemon-reload"] == asked


class TestWorkflows:
    @pytest.mark.parametrize("file", sorted(WORKFLOWS.glob("*.yml")), ids=lambda file: file.name)
    def test_github_can_read_it(self, file: Path) -> None:
        command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows"]
        subprocess.run([*command, str(file)], check=True, capture_output=True)

    def test_the_release_has_wheels_for_every_linux_and_what_make_builds(self) -> None:
        jobs = yaml.safe_load((WORKFLOWS / "release.yml").read_text())["jobs"]
        assert jobs["wheels"]["strategy"]["matrix"]["runner"] == ["ubuntu-24.04", "ubuntu-24.04-arm"]
        assert any("cibuildwheel" in step.get("uses", "") for step in jobs["wheels"]["steps"])
        assert {"run": "make release", "env": {"REDPOLL_BRANCH": "${{ github.ref_name }}"}} in jobs[
            "program"
        ]["steps"]
        text = (ROOT / "pyproject.toml").read_text()
        assert text.count('-image = "manylinux2014"') == text.count('-image = "musllinux_1_2"') == 2
        pythons = re.findall(r'"Programming Language :: Python :: 3\.(\d+)"', text)
        for minor in pythons:
            assert f'"cp3{minor}-*"' in text


@pytest.mark.slow
@pytest.mark.timeout(BUILD_TIMEOUT_S)
class TestRelease:
    @pytest.fixture(scope="class")
    @classmethod
    def dist(cls, tmp_path_factory: pytest.TempPathFactory) -> Path:
        """All artefacts."""
        if not (ROOT / ".git").exists():
            pytest.skip("a release is built from a git repository")
        folder = tmp_path_factory.mktemp("release")
        build(folder / "dist", folder / "work")
        return folder / "dist"

    @pytest.fixture
    def redis(self, redis_server: RedisFactory) -> str:
        return f"--redis.addr=redis://127.0.0.1:{redis_server().port}"

    def test_there_is_each_file_and_its_checksum(self, dist: Path) -> None:
        names = {file.name for file in dist.iterdir()}
        [wheel] = [name for name in names if name.endswith(".whl")]
        [deb] = [name for name in names if name.endswith(".deb")]
        assert f"manylinux_2_17_{MACHINE}" in wheel
        assert names - {wheel, deb} == {
            f"redpoll-{VERSION}.tar.gz",
            f"redis_exporter-{VERSION}-linux-{MACHINE}",
            f"redpoll-{VERSION}.cdx.json",
            "SHA256SUMS",
        }
        subprocess.run(
            ["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=dist, check=True, capture_output=True
        )
        assert len((dist / "SHA256SUMS").read_text().splitlines()) == len(names) - 1

    def test_the_wheel_is_small_and_the_binary_too(self, dist: Path) -> None:
        assert next(dist.glob("*.whl")).stat().st_size < 2_500_000
        assert next(dist.glob("redis_exporter-*")).stat().st_size < 25_000_000
        assert next(dist.glob("*.deb")).stat().st_size < 25_000_000

    def test_the_sbom_names_the_libraries_with_their_versions(self, dist: Path) -> None:
        found = json.loads(next(dist.glob("*.cdx.json")).read_text())
        assert found["bomFormat"] == "CycloneDX"
        assert (found["metadata"]["component"]["name"], found["metadata"]["component"]["version"]) == (
            "redpoll",
            VERSION,
        )
        names = {each["name"].lower(): each["version"] for each in found["components"]}
        assert {"aiohttp", "uvloop", "hiredis"} <= names.keys()

    def test_the_wheel_polls_in_an_empty_environment(self, dist: Path, redis: str, tmp_path: Path) -> None:
        subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
        python = tmp_path / "venv" / "bin" / "python"
        [wheel] = dist.glob("*.whl")
        subprocess.run([python, "-m", "pip", "install", "--quiet", wheel], check=True)
        with polling([str(python.with_name("redis_exporter")), redis]) as page:
            assert re.search(r"^redis_up\{?.*\}? 1$", page, re.M)

    @pytest.mark.bubblewrap
    def test_the_binary_polls_where_nothing_but_the_c_library_is(self, dist: Path, redis: str) -> None:
        [program] = dist.glob("redis_exporter-*")
        with polling(
            [*empty_root(), "--ro-bind", str(program), "/redis_exporter", "/redis_exporter", redis]
        ) as page:
            assert re.search(r"^redis_up\{?.*\}? 1$", page, re.M)
            assert re.search(r'^redis_exporter_build_info\{.*engine="compiled"', page, re.M)

    @pytest.mark.bubblewrap
    def test_the_package_polls_where_nothing_but_the_c_library_is(
        self, dist: Path, redis: str, tmp_path: Path
    ) -> None:
        subprocess.run(["dpkg-deb", "--extract", next(dist.glob("*.deb")), tmp_path], check=True)
        root = empty_root()
        for name in ("usr/bin", "usr/lib/redis_exporter"):
            root += ["--ro-bind", str(tmp_path / name), f"/{name}"]
        with polling([*root, "/usr/bin/redis_exporter", redis]) as page:
            assert re.search(r"^redis_up\{?.*\}? 1$", page, re.M)

    def test_systemd_hears_the_program_behind_its_loader(self, dist: Path, tmp_path: Path) -> None:
        """The variables are for the process that systemd starts, and so are signals: that is the loader."""
        [program] = dist.glob("redis_exporter-*")
        address = str(tmp_path / "notify")
        flags = ["--web.listen-address=127.0.0.1:0", "--redis.addr=redis://127.0.0.1:1", "--log-level=error"]
        start = "import os, sys; os.environ['WATCHDOG_PID'] = str(os.getpid()); "
        start += "os.execv(sys.argv[1], sys.argv[1:])"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(address)
            manager.settimeout(60)
            process = subprocess.Popen(
                [sys.executable, "-c", start, str(program), *flags],
                env={**os.environ, "NOTIFY_SOCKET": address, "WATCHDOG_USEC": "2000000"},
            )
            try:
                heard = [manager.recv(4096).decode().partition("=")[0] for _ in range(3)]
                assert heard == ["READY", "STATUS", "WATCHDOG"]
                process.send_signal(signal.SIGHUP)
                while not manager.recv(4096).startswith(b"RELOADING=1\n"):
                    pass
                process.terminate()
                while manager.recv(4096) != b"STOPPING=1":
                    pass
                assert process.wait(PATIENCE_S) == 0
            finally:
                process.kill()
                process.wait()

    def test_the_package_has_what_a_service_needs(self, dist: Path, tmp_path: Path) -> None:
        subprocess.run(["dpkg-deb", "--extract", next(dist.glob("*.deb")), tmp_path], check=True)
        for name in ("redis_exporter.service", "redis_exporter@.service", "redis_exporter.socket"):
            assert (tmp_path / "lib/systemd/system" / name).read_bytes() == (
                ROOT / "deploy" / "systemd" / name
            ).read_bytes()
        for name in (
            "etc/default/redis_exporter",
            "usr/share/man/man1/redis_exporter.1.gz",
            "usr/share/bash-completion/completions/redis_exporter",
            "usr/share/zsh/vendor-completions/_redis_exporter",
            "usr/share/fish/vendor_completions.d/redis_exporter.fish",
            "usr/share/doc/redpoll/copyright",
        ):
            assert (tmp_path / name).stat().st_size > 100

    def test_a_second_build_gives_the_same_bytes(
        self, dist: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("CCACHE_DISABLE", "1")  # CI keeps what it has compiled, and this compiles again
        build(tmp_path / "dist", dist.parent / "work")
        assert (tmp_path / "dist" / "SHA256SUMS").read_text() == (dist / "SHA256SUMS").read_text()


@pytest.mark.deploy
@pytest.mark.timeout(BUILD_TIMEOUT_S)
class TestInstalledPackage:
    """In a Debian that has its essential packages and no Python."""

    @pytest.fixture(scope="class")
    @classmethod
    def root(cls, tmp_path_factory: pytest.TempPathFactory) -> Path:
        folder = tmp_path_factory.mktemp("package")
        build(folder / "dist", folder / "work", "deb")
        root = folder / "root"
        command = ["mmdebstrap", "--quiet", "--variant=minbase", "--mode=root", "bookworm", str(root)]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL, capture_output=True)
        [deb] = (folder / "dist").glob("*.deb")
        shutil.copy(deb, root / "redpoll.deb")
        inside(root, "dpkg", "--install", "/redpoll.deb")
        return root

    def test_the_command_polls_and_its_user_is_there(self, root: Path, redis_server: RedisFactory) -> None:
        assert not list((root / "usr" / "bin").glob("python*"))
        assert inside(root, "redis_exporter", "--version").startswith("redis_exporter, version ")
        assert inside(root, "id", "--user", "--name", "redis_exporter") == "redis_exporter\n"
        command = ["chroot", str(root), "/usr/bin/redis_exporter"]
        with polling([*command, f"--redis.addr=redis://127.0.0.1:{redis_server().port}"]) as page:
            assert re.search(r"^redis_up\{?.*\}? 1$", page, re.M)

    def test_a_purge_leaves_nothing_behind(self, root: Path) -> None:
        (root / "etc" / "default" / "redis_exporter").write_text('ARGS="--debug"\n')
        inside(root, "dpkg", "--remove", "redpoll")
        assert (root / "etc" / "default" / "redis_exporter").exists()  # what somebody has written stays
        inside(root, "dpkg", "--purge", "redpoll")
        left = [
            path for path in root.rglob("*redis_exporter*") if path.is_relative_to(root / "proc") is False
        ]
        assert left == []
        assert "redis_exporter" not in (root / "etc" / "passwd").read_text()


def inside(root: Path, *command: str) -> str:
    """What a command says in a root folder."""
    done = subprocess.run(["chroot", str(root), *command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def build(out: Path, work: Path, only: str = "sdist,wheel,binary,deb,sbom") -> None:
    command = [sys.executable, str(RELEASE / "build.py"), f"--out={out}", f"--work={work}", f"--only={only}"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def empty_root() -> list[str]:
    """bubblewrap with the C library and zlib, places for files that come and go, and nothing else. All
    processes of the program end with the first."""
    wrap = ["bwrap", "--die-with-parent", "--unshare-pid"]
    wrap += ["--tmpfs", "/tmp", "--proc", "/proc", "--dev", "/dev"]
    asked = subprocess.run(["ldd", "/bin/true"], capture_output=True, text=True, check=True).stdout
    [loader] = re.findall(r"^\s+(/\S+)", asked, re.M)
    [libc] = re.findall(r"=> (/\S+)", asked)
    for name in ("libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "librt.so.1", "libz.so.1"):
        file = Path(libc).with_name(name)
        if file.exists():
            wrap += ["--ro-bind", str(file), str(file)]
    return [*wrap, "--ro-bind", loader, loader]


@contextmanager
def polling(command: list[str]) -> Iterator[str]:
    """The page of an exporter that is started so."""
    port = free_port()
    process = subprocess.Popen(
        [*command, f"--web.listen-address=127.0.0.1:{port}"], stderr=subprocess.PIPE, text=True
    )
    try:
        lines_until(process, "the target is up")
        assert "<title>Redis Exporter</title>" in get(("127.0.0.1", port), "/")  # its templates are there
        yield get(("127.0.0.1", port))
        process.terminate()
        process.wait(PATIENCE_S)
    finally:
        process.kill()
        process.wait()
        assert process.stderr is not None
        process.stderr.close()
