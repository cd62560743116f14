"""Runs the shell commands of the docs, in a folder of their own.

Programs that the docs name are found before those of the machine:

- `redis_exporter`, when it would serve, checks its configuration in place of serving; its other commands run.
- `curl` asks a real exporter in place of the hosts of the docs, and fails if that answers with an error.
- Programs that change the machine or need a cluster do nothing: `ELSEWHERE` says which test runs them.

The files that a page names are there: the YAML blocks that begin with `# NAME.yml`, and those of `FILES`.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.servers import Certificates

ROOT = Path(__file__).parent.parent

#: program → where it is run in earnest
ELSEWHERE = {
    "apt-get": "deploy/test-servers.sh, by make system",
    "chmod": "a part of installing a file that is not there",
    "consul": "no free consul is to be had",
    "cp": "the docs name folders of the reader",
    "docker": "tests/deploy/test_image.py, and tests/deploy/test_compose.py",
    "dpkg": "tests/deploy/test_release.py",
    "git": "a clone is what .ci/run begins with",
    "helm": "tests/deploy/test_helm.py",
    "install": "a part of installing a file that is not there",
    "journalctl": "systemd is not the first process of a test machine",
    "kubectl": "tests/deploy/test_kubernetes.py",
    "mkdir": "the docs name folders of the reader",
    "pip": "tests/deploy/test_release.py",
    "pkill": "tests/app/test_run.py",
    "python3": "makes the environment for that pip",
    "rm": "the docs name files of the reader",
    "sudo": "tests run as they are",
    "systemctl": "tests/deploy/test_systemd.py, as far as that is possible without systemd as first process",
}

#: folders of the reader's machine: a test has its own
_OUTSIDE = re.compile(r"(?<![\w.:/])/(?=(?:etc|opt|usr|var)/)")
#: the configuration file of a page that shows none
ONE_SERVER = "redis_instances: [{name: orders, addr: 'redis://127.0.0.1:6379'}]\n"
_BLOCK = re.compile(r"^( *)```(?:sh|bash)\n(.*?)^ *```", re.M | re.S)
_FILE = re.compile(r"^ *```ya?ml\n *# ([\w.-]+\.ya?ml)\b[^\n]*\n(.*?)^ *```", re.M | re.S)


@dataclass(frozen=True)
class Block:
    """The commands of one block of a page. `line` is where it begins."""

    page: Path
    line: int
    text: str

    @property
    def id(self) -> str:
        return f"{self.page.name}:{self.line}"


def blocks(page: Path) -> Iterator[Block]:
    text = page.read_text()
    for found in _BLOCK.finditer(text):
        body = re.sub(rf"^{found[1]}", "", found[2], flags=re.M)
        yield Block(page, text[: found.start()].count("\n") + 1, body)


def yaml_files(page: Path) -> Iterator[tuple[str, str]]:
    """Name and text of the files that a page shows; the newest of a name counts."""
    for found in re.finditer(
        r"^ *```ya?ml\n *# ([\w.-]+\.ya?ml)\b[^\n]*\n(.*?)^ *```", page.read_text(), re.M | re.S
    ):
        yield found[1], found[2]


def run(block: Block, folder: Path, exporter: str, redis: str, certificates: Certificates) -> str:
    """What goes wrong; empty if nothing does. `exporter` is the address of a running exporter, `redis`
    that of a server."""
    programs = folder / "programs"
    _lay_programs(programs, exporter, redis)
    shutil.copytree(ROOT / "deploy" / "prometheus", folder, dirs_exist_ok=True)
    (folder / "deploy").symlink_to(ROOT / "deploy")
    for name, text in _files(block.page, certificates).items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    environ = {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "HOME": str(folder),
        "LANG": "C.UTF-8",
        "PASSWORD": "one",
        "REDIS_PASSWORD": "two",
    }
    script = _OUTSIDE.sub(f"{folder}/", block.text)
    for written in re.findall(r">+ *(/\S+)", script):
        Path(written).parent.mkdir(parents=True, exist_ok=True)
    ended = subprocess.run(
        ["bash", "-eu", "-o", "pipefail", "-c", script],
        cwd=folder,
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=110,
    )
    return "" if ended.returncode == 0 else f"exit {ended.returncode}: {ended.stdout[-500:]}{ended.stderr}"


def _files(page: Path, certificates: Certificates) -> dict[str, str]:
    shown = {name: text.replace("/run/secrets/", "secrets/") for name, text in yaml_files(page)}
    return {
        "server.crt": Path(certificates.server).read_text(),
        "server.key": Path(certificates.server_key).read_text(),
        "etc/redpoll/server-ca.pem": Path(certificates.ca).read_text(),
        "secrets/orders": "three",
        **dict.fromkeys(("redis_exporter.yml", "etc/redis_exporter.yml"), ONE_SERVER),
        **shown,
    }


def _lay_programs(folder: Path, exporter: str, redis: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    asking = f"""
import os, re, sys
words = [re.sub(r"https?://[\\w.-]+:9121", "http://{exporter}", word) for word in sys.argv[1:]]
words = [word.replace("127.0.0.1:6379", "{redis}") for word in words]
"""
    python = f"#!{sys.executable}"
    programs = {
        "redis_exporter": f"""{python}{asking}
import contextlib, io
sys.path[0] = "{ROOT}"
from exporter.cli import COMMANDS, main
shows = {{"--help", "--version", "--print-config"}} & set(words)
sys.exit(main(words if shows or (words and words[0] in COMMANDS) else ["check", *words]))
""",
        "curl": f"""{python}{asking}
words = [re.sub(r"\\b10(?:\\.\\d+){{3}}:6379", "{redis}", word) for word in words]
os.execv("/usr/bin/curl", ["curl", "--fail", "--silent", "--show-error", "--max-time", "20", *words])
""",
        "make": f'#!/bin/sh\nexec /usr/bin/make --dry-run --silent -C "{ROOT}" "$@" > /dev/null\n',
        "python": f'#!/bin/sh\ncd "{ROOT}" && exec {sys.executable} "$1" "$2" --help > /dev/null\n',
        # they read their input: a writer into a pipe that nobody reads would be ended by SIGPIPE
        **dict.fromkeys(ELSEWHERE, "#!/bin/sh\nexec cat > /dev/null\n"),
    }
    for name, script in programs.items():
        file = folder / name
        file.write_text(script)
        file.chmod(0o755)
    for place in (".venv", "opt/redpoll"):
        own = folder.parent / place / "bin"
        own.mkdir(parents=True, exist_ok=True)
        for name in ("pip", "redis_exporter"):
            (own / name).symlink_to(folder / name)
