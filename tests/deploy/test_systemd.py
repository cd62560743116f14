"""The units for systemd: it reads them, they are hardened, and the exporter works under what they forbid.

systemd does not run here, so its sandbox is rebuilt by bubblewrap from what the unit says.
"""

from __future__ import annotations

import ctypes
import os
import platform
import re
import shlex
import shutil
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench.ports import free_port
from exporter.options.commandline import parse
from exporter.options.table import OPTIONS
from tests.servers import PATIENCE_S, RedisServer
from tests.system.test_listening import get, lines_until
from tests.watch_harness import RedisFactory

ROOT = Path(__file__).parents[2]
UNITS = ROOT / "deploy" / "systemd"
SERVICES = ("redis_exporter.service", "redis_exporter@.service")
INSTALLED = "/usr/bin/redis_exporter"
#: ten times the exposure that `systemd-analyze security` may find
EXPOSURE_MAX = 15
#: of prctl(2): no memory becomes executable
PR_SET_MDWE, REFUSE_EXEC_GAIN = 65, 1
#: of seccomp(2), and the machine's number in linux/audit.h
ALLOW, EPERM_INSTEAD, KILL = 0x7FFF0000, 0x00050001, 0x80000000
AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}


def settings(name: str) -> dict[str, list[str]]:
    """The values of each setting of a unit, in all its sections."""
    found: dict[str, list[str]] = {}
    for line in (UNITS / name).read_text().splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(key, []).append(value)
    return found


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The units with the command where it is here."""
    command = Path(sys.executable).with_name("redis_exporter")
    for unit in UNITS.glob("*.s*"):
        if unit.is_file():
            text = unit.read_text().replace(INSTALLED, str(command))
            tmp_path.joinpath(unit.name.replace("@", "@1")).write_text(text)
    folder = tmp_path / "redis_exporter.service.d"
    folder.mkdir()
    shutil.copy(UNITS / "redis_exporter.service.d" / "credentials.conf", folder)
    return tmp_path


@pytest.mark.systemd
def test_systemd_reads_the_units_without_a_warning(installed: Path) -> None:
    units = sorted(str(unit) for unit in installed.glob("*.s*") if unit.is_file())
    assert len(units) == 3
    outcome = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True, check=False
    )
    assert (outcome.returncode, outcome.stderr) == (0, "")


@pytest.mark.systemd
@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_hardened(name: str) -> None:
    command = ["systemd-analyze", "security", "--offline=true", f"--threshold={EXPOSURE_MAX}"]
    outcome = subprocess.run([*command, UNITS / name], capture_output=True, text=True, check=False)
    assert outcome.returncode == 0, outcome.stdout


def test_shards_have_the_service_with_a_number_and_nothing_else() -> None:
    service, shard = (settings(name) for name in SERVICES)
    different = {key for key in service.keys() | shard.keys() if service.get(key) != shard.get(key)}
    assert different == {
        "Description",
        "Environment",
        "EnvironmentFile",
        "ExecStart",
        "RuntimeDirectory",
        "StateDirectory",
    }


def test_a_service_comes_back_whatever_ended_it() -> None:
    service = settings(SERVICES[0])
    assert (service["Type"], service["Restart"], service["RestartSec"]) == (["notify"], ["always"], ["5"])
    assert service["ExecReload"] == ["/bin/kill -HUP $MAINPID"]
    assert int(service["WatchdogSec"][0]) >= 10


@pytest.mark.parametrize("name", [*SERVICES, "redis_exporter.default", "redis_exporter.socket"])
def test_flags_and_variables_that_a_file_names_exist(name: str) -> None:
    text = (UNITS / name).read_text()
    flags = {flag for option in OPTIONS for flag in option.names}
    variables = {variable for option in OPTIONS for variable in option.variables}
    assert set(re.findall(r"--([a-z][a-z.-]*)", text)) <= flags
    assert set(re.findall(r"\b(REDIS_\w+)=", text)) <= variables


def test_the_variable_for_credentials_exists() -> None:
    text = (UNITS / "redis_exporter.service.d" / "credentials.conf").read_text()
    [variable] = re.findall(r"^Environment=(\w+)=%d/passwords$", text, re.M)
    assert variable in {variable for option in OPTIONS for variable in option.variables}


@pytest.mark.parametrize("shard", range(10))
def test_each_shard_has_its_own_port(shard: int) -> None:
    [line] = settings(SERVICES[1])["ExecStart"]
    words = shlex.split(line.replace("%i", str(shard)).replace("${SHARD_TOTAL}", "10").replace("$ARGS", ""))
    options = parse(words[1:], {})
    assert options.web.listen_address == f":912{shard}"
    assert (str(options.targets.shard_index), options.targets.shard_total) == (str(shard), 10)


def test_the_examples_of_the_defaults_file_are_read(tmp_path: Path) -> None:
    text = (UNITS / "redis_exporter.default").read_text()
    (tmp_path / "redis_exporter.yml").write_text("redis_instances: []\n")
    examples = re.findall(r'^#   ARGS="(.*)"$', text, re.M)
    assert len(examples) == 2
    for example in examples:
        parse(shlex.split(example.replace("/etc/redis_exporter", str(tmp_path))), {})


class TestSandbox:
    """The service's own sandbox: no rights, nothing to write to, no other system calls, no memory that
    becomes executable."""

    @staticmethod
    def allowed_calls() -> set[str]:
        """The names that the unit's SystemCallFilter lets through."""
        text = subprocess.run(
            ["systemd-analyze", "syscall-filter"], capture_output=True, text=True, check=True
        ).stdout
        sets: dict[str, set[str]] = {}
        for line in text.splitlines():
            if line.startswith("@"):
                members = sets.setdefault(line.strip(), set())
            elif line.strip() and not line.lstrip().startswith("#"):
                members.add(line.strip())

        def members_of(name: str) -> set[str]:
            if not name.startswith("@"):
                return {name}
            return set().union(*map(members_of, sets[name]))

        allowed = set[str]()
        for value in settings(SERVICES[0])["SystemCallFilter"]:
            names = set().union(*map(members_of, value.lstrip("~").split()))
            allowed = allowed - names if value.startswith("~") else allowed | names
        return allowed | members_of("@default")

    @staticmethod
    def filter_of(names: set[str]) -> bytes:
        """A program for seccomp: EPERM for other calls, as SystemCallErrorNumber says."""
        source = subprocess.run(
            ["gcc", "-E", "-dM", "-"],
            input="#include <sys/syscall.h>",
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        numbers = {name: int(number) for name, number in re.findall(r"#define __NR_(\w+) (\d+)\n", source)}
        load, equal, give = 0x20, 0x15, 0x06
        code = [(load, 0, 0, 4), (equal, 1, 0, AUDIT_ARCH[platform.machine()]), (give, 0, 0, KILL)]
        code.append((load, 0, 0, 0))
        for name in sorted(names & numbers.keys()):
            code += [(equal, 0, 1, numbers[name]), (give, 0, 0, ALLOW)]
        code.append((give, 0, 0, EPERM_INSTEAD))
        return b"".join(struct.pack("=HBBI", *step) for step in code)

    @contextmanager
    def sandboxed(self, folder: Path, *command: str) -> Iterator[subprocess.Popen[str]]:
        """A process as systemd would start it."""
        file = folder / "filter"
        file.write_bytes(self.filter_of(self.allowed_calls()))
        wrap = ["bwrap", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp"]
        wrap += ["--bind", str(folder), str(folder), "--unshare-user", "--uid", "65534", "--gid", "65534"]
        wrap += ["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--cap-drop", "ALL", "--die-with-parent"]
        with file.open("rb") as program:
            wrap += ["--seccomp", str(program.fileno())]
            process = subprocess.Popen(
                [*wrap, *command],
                pass_fds=[program.fileno()],
                stderr=subprocess.PIPE,
                text=True,
                cwd=ROOT,
                preexec_fn=_refuse_executable_memory,
            )
        try:
            yield process
        finally:
            process.terminate()
            process.wait(PATIENCE_S)
            assert process.stderr is not None
            process.stderr.close()

    @pytest.mark.systemd
    @pytest.mark.bubblewrap
    def test_the_exporter_polls_and_answers_in_it(self, redis_server: RedisFactory, tmp_path: Path) -> None:
        server: RedisServer = redis_server()
        port = free_port()
        writable = tmp_path / "writable"
        writable.mkdir(mode=0o777)
        writable.chmod(0o777)
        command = [sys.executable, "-m", "exporter", f"--redis.addr=redis://127.0.0.1:{server.port}"]
        command += [f"--web.listen-address=127.0.0.1:{port}", f"--state.file={writable}/state"]
        with self.sandboxed(writable, *command) as process:
            lines_until(process, "the target is up")
            page = get(("127.0.0.1", port))
            assert re.search(r"^redis_up\{?.*\}? 1$", page, re.M)
            assert "\nprocess_start_time_seconds " in page
            assert "\nprocess_max_fds " in page
            assert int(re.findall(r"^Seccomp:\t(\d)", self.status_of(process), re.M)[0]) == 2
            for pid in self.children(process):
                os.kill(pid, signal.SIGTERM)
            assert process.wait(PATIENCE_S) == 0
        assert (writable / "state").exists()

    @staticmethod
    def children(process: subprocess.Popen[str]) -> list[int]:
        """The exporter itself, below bubblewrap and its process 1."""
        found = [process.pid]
        while True:
            below = Path(f"/proc/{found[-1]}/task/{found[-1]}/children").read_text().split()
            if not below:
                return found[-1:]
            found.append(int(below[0]))

    def status_of(self, process: subprocess.Popen[str]) -> str:
        return Path(f"/proc/{self.children(process)[0]}/status").read_text()


def _refuse_executable_memory() -> None:
    """As MemoryDenyWriteExecute=yes; a kernel before 6.3 does not know it."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_MDWE, REFUSE_EXEC_GAIN, 0, 0, 0)
